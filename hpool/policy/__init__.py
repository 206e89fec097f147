"""Policy: what a client does around a request, written in Python.

Redirects, cookies, hooks, authentication, retries, multipart bodies, a file
each. Nothing of it runs for a plain request: the C client (csrc/py/policy.h)
calls `flow` when its settings or the call's arguments have something to say
about the request, or when the head of the response asks for it (a redirect, a
Set-Cookie). flow sends hop by hop with `_core._send_once`.
"""
