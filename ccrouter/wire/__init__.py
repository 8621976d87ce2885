"""Bytes <-> frames <-> values of the wires that ccrouter speaks. Pure.

``headers``      lists of HTTP headers: look-ups, hop-by-hop ones
``hosts``        which names and addresses are this machine
``coding``       content codings that are undone: gzip and deflate
``sse``          server-sent events: bytes to frames that keep their bytes
``ndjson``       newline-delimited JSON: bytes to lines
``json_text``    JSON from outside as values: which numbers are none
``spans``        a JSON text with the places of its members: edits that leave all other bytes as they are
``messages``     a Messages request as ccrouter looks at it
``events``       events of a Messages stream: makers, bytes
``grammar``      which event may follow which: one table
``fold``         what a stream means: the whole message
``envelope``     Anthropic's error envelope, both ways
``claude_code``  the spellings of the client's own: what its requests are known by, the words on which it acts
"""
