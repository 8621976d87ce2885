"""OpenAI's Responses.

``request``     the request; ``input`` its items; ``count`` the same, for who only wants to know its size
``reply``       back from the stream; ``items`` one item at a time
"""
