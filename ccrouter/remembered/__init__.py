"""What ccrouter remembers beside its configuration, and what a project says: small files, each with one purpose.

``place``       where the files are; nothing is written there unless there is something to remember
``json_file``   a private file of JSON: read, written whole or not at all
``choice``      what `ccrouter use`, `subagent` and `classifier` chose; read again with each request
``notebook``    which target a session stays with, and what budgets have been used up; shared by all routers
``budgets``     what is left of the budgets of providers, by the notebook
``project``     a project's own ``.ccrouter.toml``
"""
