"""Policy, pure: what a configuration means, where a request goes, who gets which credential.

The configuration:

``config``        the configuration as values; ``profiles`` what of it holds for one request
``load``          from TOML text to those values, or to ``mistakes`` with file, line and key; ``builder`` what
                  only the whole file shows; ``remarks`` what is right and still deserves a word; ``mentions``
                  the names of models in it
``tables``        the tables of the file; ``values`` what a single value may be; ``schema`` the same facts for
                  cattrs and for editors; ``spelling`` where in the text a key stands, and which key was probably
                  meant

Where a request goes:

``caller``        what the client says of a request: its class, its agent, its session, its directory
``traits``        what rules look at, found out when the first one asks
``rulebook``      all rules in their order; ``rules`` what each asks; ``patterns`` what ``*`` means in them;
                  ``marker`` a subagent's own word
``directory``     the providers of one moment; ``sightings`` what counts as found on this machine
``names``         from a model's name to targets; ``model_name`` how such a name is written; ``aliases`` what
                  the user's own stand for; ``barred`` what is said of one that may not be followed
``route``         all these together: the targets of a request, and why; ``pins`` which one a session stays with

What then happens:

``plan``          who is tried next, and what the client hears when all failed
``failure``       which kind of failure it was, and what follows; ``health`` who is left alone for a while
``quota``         how much of a plan is used up; ``budget`` how much of what its user allows
``line``          who waits for a place at a provider that takes only so many requests at one time
``credentials``   what of the client's own credentials may go where; ``account`` whose limits a target is held to
"""
