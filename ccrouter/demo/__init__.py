"""The mind of the built-in demo model: from a request to the pieces of its answer. Pure.

It follows a script and understands nothing, but it is a whole citizen of the Messages API: it thinks where
it is asked to, calls tools in parallel, honours ``tool_choice``, ``stop_sequences``, ``max_tokens`` and JSON
schemas, and counts its tokens. The same request always gets the same answer. A newcomer sees ccrouter
work without a key or a network; a sidecar author's tests get tool loops and failures on demand.

Words that drive it
-------------------
They stand at the very start of the last thing that the user wrote (``please`` and the like may come before),
so that a command somewhere inside a pasted text is never run. Reminders that the client adds don't count.

=============================  =================================================================
``what can you do``            tells this list; ``help`` likewise
``run `ls` and `pwd```         calls the tool that runs commands, once for each; also ``run: ls``
``read a.txt and b.txt``       calls the tool that reads files; names with spaces in quotes
``use TOOL {"key": "value"}``  calls that tool with that input
``use TOOL: text``             calls that tool with the text as its main argument
``use TOOL``                   calls that tool with the simplest input that its schema allows
``write 50 words``             a long answer, for watching a stream; ``count to 100`` likewise
``fail WHAT``                  fails; the names are the tables of `ccrouter.demo.failures`
=============================  =================================================================

The modules
-----------
``turn``       reads what the user wants out of a request
``words``      parses the list above
``sample``     makes simple values for a schema
``script``     holds what an answer is made of
``failures``   spoils one
``mind``       puts them together
"""
