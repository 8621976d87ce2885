"""Policy, pure: what a configuration means, where a request goes, who gets which credential.

``config``        the configuration as values
``load``          from TOML text to those values, or to mistakes with file, line and key
``spelling``      where in the text a key stands, and which key was probably meant
``schema``        the same facts as a JSON Schema, for editors
``names``         from a model's name to targets
``plan``          the targets of a request in turn, and what the client hears when all failed
``credentials``   what of the client's own credentials may go where
"""
