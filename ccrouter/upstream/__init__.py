"""The edge to the backends. `dial` is the door (Call, Answer, Dial); behind it and beside it:

=================  ===========================================================================
Whatever goes wrong below leaves this package as ``ConnectFailed``, ``UpstreamTimeout``, ``UpstreamBroken`` or
``SecretError``; no exception of the socket, ssl, h11 or trio layers gets out.
"""
