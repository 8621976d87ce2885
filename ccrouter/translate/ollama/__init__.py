"""Ollama's own API, ``/api/chat``: what its other wires can't carry, such as the window to load a model with.

``request``     the request; ``messages`` its messages
``reply``       back from the stream, which is lines of JSON
"""
