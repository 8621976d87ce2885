"""The edge to the client: HTTP/1.1 on h11 over trio. Knows nothing of models or messages.

``listen``       binds the port, accepts, caps connections, drains
``connection``   one connection: requests in, replies out; limits and deadlines
``stop``         the word that it is to end, and what is still at work then
``gate``         who may pass: Host and Origin; pure
"""
