"""OpenAI's Chat Completions.

``request``     the request; ``messages`` its messages
``reply``       back from the stream; ``reasoning`` and ``failure`` are what may stand beside the answer or for it
"""
