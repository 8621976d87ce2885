"""The edge to the backends. `dial` is the door (Call, Answer, Dial); behind it and beside it:

=================  ==================================================================================
``dial``           the interface: one call out, one answer back
``pool``           `HttpDial`: the Dial that goes over the network; keeps connections alive
``connection``     one HTTP/1.1 connection: h11 over a stream, deadlines, early answers
``connect``        a stream to where a route leads: DNS, TCP, proxy, TLS, under one deadline
``proxy``          the route to a URL: its origin, and the proxy that the environment wants; pure
``tls``            whom to trust: the ssl context, made once
``demo``           the Dial that answers by itself: the built-in demo model, no network
``secrets``        follows a secret's recipe (variable, file, command) at request time
``program``        short programs, read within bounds
``single_flight``  one run for all who want its result at the same time
``subscription``   the Claude login of this machine, read anew for each request
``codex``          the ChatGPT login of the Codex command line, refreshed when it grows old
``codex_file``     what stands in its ``auth.json``
``credentials``    which credential headers a call gets, and which host may see which of them
``redaction``      takes credentials out of what a backend says of its failure
``inquiry``        a question to a backend about itself
``models``         asks the backends for their models
``machine``        what this machine has: local servers that answer, logins of other programs
``facts``          asks the backends what their models can do, and keeps the answers
=================  ==================================================================================

Whatever goes wrong below leaves this package as an ``UpstreamError``, or where a secret can't be had as a
``SecretError``, of which `Credentials` makes what the client is told, an ``ApiError``. No exception of the socket,
ssl, h11 or trio layers gets out.
"""
