"""Policy: what a client does around a request, written in Python.

Here will live redirects, cookies, authentication, proxies from the
environment, retries, multipart bodies and hooks, a file each. Nothing of it
runs for a plain request: the C client keeps a flags word in its settings
snapshot and calls in here only when a flag is set (a client with cookies or
hooks, a call with auth=) or when the head of a response asks for it (a
Location, a Set-Cookie). Each policy gets the prepared request and a function
that sends it once, and answers with a response.
"""
