"""Data: who can be reached, where, as whom, and with which quirks.

``provider``   the shapes: Preset (a kind of backend), Provider (one of a user), Target (a provider and a model)
``presets``    the table of all kinds; to add a vendor, add a row. Those that speak OpenAI's formats stand in
               ``openai_format``
``quirks``     how a vendor's wire differs from the book
``listings``   what the backends' lists of models say; ``questions`` what else they are asked of their models, and
               what the answers mean
``known``      what all sources together know of a model: configuration, backend, a dated table, its name
``address``    where an endpoint of a provider is
``secret``     where a secret comes from, as a value

A provider's name is never tested anywhere else: what sets it apart is a field of its preset.
"""
