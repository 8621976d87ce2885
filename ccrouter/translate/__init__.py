"""What a target gets of a request, and what the client gets of its reply. Pure.

The dialects, siblings that leave each other alone:

``messages``       the client's own format: bytes as they came, and other servers' streams made strict
``chat``           OpenAI's Chat Completions
``responses``      OpenAI's Responses
``ollama``         Ollama's own API

``dialect``        what a dialect is; ``dialects`` the table of those that are spoken; ``whole`` a whole reply as
                   the stream that says the same

What they share, most of it tables:

``turns``          a conversation as the bridges see it; ``conversation`` reads it from a request
``changes``        what is changed of a request, counted
``headers``        what of the client's headers goes on to who speaks its format, and what comes back
``members``        the members of what a backend sent, whatever they are
``provenance``     ccrouter's own signature: who made a reasoning block, and what its maker needs back
``blocks``         writes the content blocks of a Messages stream
``foreign``        what requests have in common; ``block_text`` blocks in words; ``shown`` texts, images, files,
                   cache marks; ``tools`` names, ids; ``calls`` tool calls from fragments; ``schema``, with
                   ``plain_schemas`` and ``regex``; ``thinking``, ``think_tags``, ``usage``, ``stops``
``rewording``      refusals as the client gets them; ``refusal`` which is which, with ``overflow``,
                   ``retry`` and ``healing``, what the client can go on without
``abilities``      refuses what a model is known not to be able to do; ``limits`` how long an answer may be;
                   ``window`` what can't fit into it
``sight``          what a target is shown of pictures, files and thinking
``tokens``         how many tokens a request has, or what a target is shown of it, when no backend says;
                   ``most_tokens`` how many it has at most; ``media`` those of pictures and PDFs
"""
