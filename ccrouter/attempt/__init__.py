"""One call to one target, seen from the backend's side.

``inbound``     what a client asked for
``backends``    the ways to the backends
``parts``       what comes of a call, part by part
``pump``        calls a target and sends the parts of its reply down a channel
``admission``   whether a target can take the request, as far as one can know before
``exchange``    one request by one wire, and its reply
``whole``       replies that are no streams: read whole, folded from a stream, unrolled into one
``limiter``     how many requests a provider gets at one time
"""
