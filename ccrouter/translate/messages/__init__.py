"""The client's own format, to backends that speak it too.

``lane``           a request goes on as the bytes that came, but for what its target can't take
``history``        what of a conversation a target can take, as edits; ``history_calls`` its calls,
                   ``history_system`` what the system says in the middle of it
``tools``          what of the tools it can take
``makers``         whose a block is that not everybody understands
``watch``          Anthropic's own stream, passed on in its own bytes
``reply``          another server's stream made strict; ``blocks`` its blocks in order, ``block`` one of them,
                   ``end`` its counts and why it stops
"""
