"""What a target gets of a request, and what the client gets of its reply. Pure.

``dialect``             what a dialect is; ``dialects`` the table of those that are spoken
``lane``                the Messages lane: to backends that speak the client's own format nothing is changed
                        that need not be
``history``             what of a conversation a target of that lane can take; ``history_calls`` its calls
``turns``               a conversation as the bridges see it; ``conversation`` reads it from a request
``chat_request``        to Chat Completions, ``chat_messages`` its messages; ``chat_reply`` back from it, with
                        ``chat_reasoning`` and ``chat_failure`` for what may stand beside the answer or for it
``responses_request``   to OpenAI's Responses, ``responses_input`` its items; ``responses_reply`` back from it,
                        ``responses_items`` one item at a time
``messages_reply``      another server's Messages stream made strict; ``messages_blocks`` its blocks in order,
                        ``messages_block`` one of them, ``messages_end`` its counts and why it stops
``whole``               a whole reply as the stream that says the same
``blocks``              writes the content blocks of a Messages stream, for all dialects
``provenance``          ccrouter's own signature: who made a reasoning block, and what its maker needs back

Facts that dialects share, most of them tables: ``foreign`` (what requests have in common), ``told`` (blocks in
words), ``shown`` (texts, images, files, cache marks), ``limits`` (how long an answer may be), ``tools`` (names,
ids), ``schema``, ``calls`` (tool calls from fragments), ``thinking``, ``think_tags``, ``usage``, ``stops``; of
errors ``refusal``, ``overflow``, ``retry``.

``abilities``           refuses what a model is known not to be able to do; ``window`` what can't fit into it

``tokens``              how many tokens a request has, when no backend says
"""
