"""What the router tells of its work.

``log``             one line for each request, for a person; no header and no credential is ever in it
``trail``           what happened to each of the last requests, and why; in memory only
``warnings``        what a user is to know and can mend, said once
``internal_error``  a mistake of ccrouter's own, by its kind and place
"""
