"""What a target gets of a request, and what the client gets of its reply. Pure.

``lane``      the Messages lane: to backends that speak the client's own format, nothing is changed that need
              not be
``tokens``    how many tokens a request has, when no backend says
"""
