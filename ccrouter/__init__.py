"""Claude Code through one port to every model its user has.

The packages, lowest layer first; each imports only those above it in this list (checked by
``dist-scripts/check``, contracts in pyproject.toml):

====================  =============================================================================
``errors``            every exception of ours, the tree drawn in its docstring
``wire``              bytes <-> frames <-> values of the wires that we speak; pure
``providers``         data: who can be reached, where, as whom, with which quirks; pure
``translate``         what a target gets of a request, and what the client gets of its reply; pure
``demo``              the mind of the built-in demo model; pure
``routing``           policy: configuration, model names, the plan of a request; pure
``file_lock``         a lock between processes
``files``             files of this machine: where they are, read without waiting, replaced whole
``server``            the edge to the client: h11 over trio
``upstream``          the edge to the backends: connections, credentials, the demo model
``observe``           log lines, and what happened to the last requests
``config_file``       the configuration's file, read again when it changes
``remembered``        what is remembered beside it: choices, sessions, budgets; a project's own file
``attempt``           one call to one target, as parts down a channel
``count``             how many tokens a request has: the backend's word, else an estimate
``relay``             one request from its plan to its last byte, the only module with both ends in hand
``menu``              the models that can be had, as the lists of clients show them
``edits``             what edits of the configuration's file mean to a router that runs
``dispatch``          from a request to its targets, and what is learned from how it went
``explain``           what would happen to a request, without sending it
``endpoints``         the routes of the port
``router``            the state of one router: what its parts share, and the providers that are in force
``service``           one running router, from its start to its stop
``cli``               arguments, printing, exit codes; ``trio.run`` lives here only
====================  =============================================================================

*Pure* means: no I/O, no clock, no randomness, no logging; what such a module needs of them is an argument.
"""

__version__ = "0.1.0"

# dist-scripts/build writes into these two, in its copy.

#: The commit that an executable was built from.
__revision__ = ""
#: Where the releases are that it belongs to: https://HOST/OWNER/REPOSITORY/releases.
__releases__ = ""
