"""The command line: arguments, printing, exit codes. ``trio.run`` is called in `interrupt` and nowhere else.

===============  =================================================================================================
``main``         which command is meant; every error becomes one line and an exit code
``serve``        the command: the router in the foreground, or as a sidecar (``--print-env``)
``run``          the command: a program behind a router of its own
``env``          the command: the variables for the router that runs already
``ask``          the command: one prompt, the answer streamed
``config``       the command: the configuration file
``config_dump``  the configuration in force as the tables of its file, without secrets; pure
``use``          the command: which profile is in force
``background``   the commands `subagent` and `classifier`: the model for work that the client starts by itself
``explain``      the command: what became of a request, and why
``upgrade``      the command: how a newer ccrouter is had
``installed``    how this one came here, and the command for a newer one; pure
``environment``  which variables point a client at the router, and which lead past it; pure
``shells``       variables in the words of each shell; pure
``launch``       how a command is started: arguments, environment, settings; pure
``settings``     Claude Code's settings files and its ``--settings``
``claude``       Claude Code as a program: is this it, which version
``here``         the directory that a command runs in, which may be gone
``child``        a command in the foreground: terminal, signals, exit code
``lifeline``     when the one who started us is gone
``runtime``      the private folder by which commands find the running router
``joined``       the router that runs already, asked over its port, or one of our own for a question
``own_router``   a router of a command's own, for as long as its question takes
``interrupt``    what Ctrl-C does, from the first moment to the last
``terminal``     printing that never blocks or breaks a running router
===============  =================================================================================================

A command is a module with ``add_parser(subparsers)`` and ``run(args) -> int``. What it needs to serve (trio,
TLS, the whole router) it imports when it runs, so that ``--help``, ``env`` and their like answer at once.
"""
