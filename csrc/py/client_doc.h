/* client_doc: the docstrings of Client and of the module-level verbs. */
#ifndef HPY_CLIENT_DOC_H
#define HPY_CLIENT_DOC_H

#define HPY_CALL_KEYWORDS                                                      \
    "headers=None, content=None, timeout=..., stream=None, verify=None, "      \
    "cert=None, tls=None, proxy=None, proxies=None, cancel=None, "             \
    "idempotent=None, retries=None, decompress=None, "                         \
    "trace=None, auth=None, cookies=None, files=None, hooks=None, "            \
    "event_hooks=None, extensions=None, follow_redirects=None, "               \
    "allow_redirects=None, max_redirects=None, check_redirect=None"

#define HPY_CALL_NOTES                                                         \
    "\n\nThe keywords that every verb takes:\n"                                \
    "  params      mapping or pairs, added to the URL's query\n"               \
    "  headers     mapping or pairs over the client's; None as a value\n"      \
    "              leaves the client's header out\n"                           \
    "  data        bytes, str, form fields, a file, or an iterator of bytes\n" \
    "  content     bytes, str, a file, or an iterator of bytes\n"              \
    "  json        anything json can encode\n"                                 \
    "  timeout     seconds for each phase, (connect, read), a Timeout, or\n"   \
    "              None for no limit\n"                                        \
    "  stream      True: the body is read on demand; False: before the call\n" \
    "              returns\n"                                                  \
    "  verify, cert, tls   in place of the client's\n"                         \
    "  proxy, proxies      before the client's; {} or False is none at all\n"  \
    "  cancel      a CancelToken\n"                                            \
    "  idempotent  whether the request may be sent again on a stale\n"         \
    "              connection; None goes by the method\n"                      \
    "  retries     a number or a Retries, in place of the client's\n"          \
    "  decompress  False hands the body on as it came\n"                       \
    "  trace       who is told what happens, before the client's own: an\n"    \
    "              object with methods named as the events it wants, or a\n"   \
    "              callable (event, info); see docs/trace.rst\n"               \
    "  auth        who it is from: (user, password), an object of "            \
    "hpool.auth, a\n"                                                          \
    "              callable; False: nobody\n"                                  \
    "  cookies     mapping or CookieJar, for this call and its redirects\n"    \
    "  files       a multipart body\n"                                         \
    "  hooks, event_hooks   called besides the client's\n"                     \
    "  extensions  kept in the request's `extensions`\n"                       \
    "  follow_redirects, allow_redirects   the same: whether redirects are\n"  \
    "              followed; None goes by the client, but for HEAD is False\n" \
    "  max_redirects, check_redirect   in place of the client's\n"             \
    "\nRaises RequestException: ConnectionError, TimeoutException,\n"          \
    "ProtocolError, Cancelled, ClosedError, InvalidURL, InvalidHeader ...;\n"  \
    "TypeError for arguments of a wrong type."

#define HPY_NO_BODY "url, params=None, *, data=None, json=None, "

static const char hpy_get_doc[] =
    "get($self, /, " HPY_NO_BODY HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send a GET request; returns the Response." HPY_CALL_NOTES;
static const char hpy_options_doc[] =
    "options($self, /, " HPY_NO_BODY HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send an OPTIONS request; returns the Response. Keywords as for get().";
static const char hpy_head_doc[] =
    "head($self, /, " HPY_NO_BODY HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send a HEAD request; returns the Response. Keywords as for get().";
static const char hpy_delete_doc[] =
    "delete($self, /, " HPY_NO_BODY HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send a DELETE request; returns the Response. Keywords as for get().";
static const char hpy_post_doc[] =
    "post($self, /, url, data=None, json=None, *, params=None, " //
    HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send a POST request; returns the Response. Keywords as for get().";
static const char hpy_put_doc[] =
    "put($self, /, url, data=None, *, params=None, json=None, " //
    HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send a PUT request; returns the Response. Keywords as for get().";
static const char hpy_patch_doc[] =
    "patch($self, /, url, data=None, *, params=None, json=None, " //
    HPY_CALL_KEYWORDS ")\n--\n\n"
    "Send a PATCH request; returns the Response. Keywords as for get().";
/* In the order of requests. */
#define HPY_REQUEST_ARGUMENTS                                                  \
    "method, url, params=None, data=None, headers=None, cookies=None, "        \
    "files=None, auth=None, timeout=..., allow_redirects=None, "               \
    "proxies=None, hooks=None, stream=None, verify=None, cert=None, "          \
    "json=None, *, content=None, tls=None, proxy=None, cancel=None, "          \
    "idempotent=None, retries=None, decompress=None, trace=None, "             \
    "event_hooks=None, extensions=None, follow_redirects=None, "               \
    "max_redirects=None, check_redirect=None"
static const char hpy_request_doc[] =
    "request($self, /, " HPY_REQUEST_ARGUMENTS ")\n--\n\n"
    "Send a request with any method; returns the Response. Keywords as for\n"
    "get().";
static const char hpy_build_request_doc[] =
    "build_request($self, /, method, url, *, params=None, headers=None, "
    "data=None, content=None, json=None, files=None, cookies=None, auth=None, "
    "hooks=None, timeout=..., extensions=None, decompress=None)\n--\n\n"
    "The PreparedRequest that a call with these arguments would send at "
    "first,\n"
    "to be changed and given to send(). The client's base_url, params, "
    "headers\n"
    "and cookies are in it; its auth comes with send(), unless there is an\n"
    "auth here.";
static const char hpy_prepare_request_doc[] =
    "prepare_request($self, request, /)\n--\n\n"
    "The PreparedRequest of a Request, as requests makes it: with what the\n"
    "client adds, its auth too.";
static const char hpy_send_doc[] =
    "send($self, /, request, *, stream=None, auth=None, timeout=..., "
    "verify=None, cert=None, tls=None, proxy=None, proxies=None, cancel=None, "
    "idempotent=None, retries=None, decompress=None, trace=None, "
    "follow_redirects=None, allow_redirects=None, max_redirects=None, "
    "check_redirect=None)\n--\n\n"
    "Send a PreparedRequest, or a copy of it, and follow its redirects;\n"
    "returns the Response. Its headers go out as they are; auth is added when\n"
    "there is one here, or the client has one and the request was built\n"
    "without. Keywords as for get().";

#define HPY_CLIENT_KEYWORDS                                                    \
    "*, base_url='', headers=None, params=None, timeout=..., limits=None, "    \
    "retries=None, "                                                           \
    "verify=True, cert=None, tls=None, proxy=None, proxies=None, "             \
    "trust_env=True, decompress=True, "                                        \
    "max_size=None, max_decoded_size=None, default_encoding='utf-8', "         \
    "dns_ttl=10.0, resolve=None, local_address=None, uds=None, family=None, "  \
    "socket_options=None, dial=None, max_header_bytes=1048576, "               \
    "raise_for_status=False, "                                                 \
    "leak_warnings=True, trace=None, auth=None, cookies=None, hooks=None, "    \
    "event_hooks=None, follow_redirects=True, allow_redirects=True, "          \
    "max_redirects=30, check_redirect=None, mounts=None, transport=None, "     \
    "stream="

static const char hpy_client_doc[] =
    "Client(" HPY_CLIENT_KEYWORDS "True)\n--\n\n"
    "Makes requests over a pool of connections. Threads share it freely.\n"
    "\n"
    "  base_url          put before URLs that do not start with a scheme\n"
    "  headers, params   sent with every request\n"
    "  timeout           see Timeout; default 10 s to connect, 60 s to read\n"
    "  limits            see Limits\n"
    "  retries           a number or a Retries: what is made again by itself\n"
    "  verify            True, False, a CA file or directory, PEM bytes, or\n"
    "                    an ssl.SSLContext\n"
    "  cert              client certificate: file, or (file, key[, password])\n"
    "  tls               a TLS object for everything else\n"
    "  proxy             a URL (http, https, socks5, socks5h) or Proxy for "
    "all\n"
    "                    requests, or a callable(url) that returns one or "
    "None;\n"
    "                    False: none, whatever the environment says\n"
    "  proxies           {\"http\", \"https\", \"all\" or \"scheme://host\": "
    "URL or\n"
    "                    Proxy or None}\n"
    "  trust_env         whether environment variables count\n"
    "  decompress        undo gzip, deflate and so on\n"
    "  max_size          most bytes of a body as sent; None: no limit\n"
    "  max_decoded_size  most bytes of a body after decoding\n"
    "  default_encoding  for text without a charset; a name, or a function of\n"
    "                    the bytes (of a stream: the first) -> name or None\n"
    "  dns_ttl           seconds a look-up is remembered; 0: not at all\n"
    "  resolve           {\"host:port\": [addresses]}: dialled instead of a\n"
    "                    look-up; \"host\" is for every port\n"
    "  local_address     ip, or (ip, port): where connections come from\n"
    "  uds               path of the Unix socket all connections go to\n"
    "  family            socket.AF_INET or AF_INET6 (or \"ipv4\", \"ipv6\"):\n"
    "                    addresses of the other one are left out\n"
    "  socket_options    [(level, option, int or bytes)]: set before a socket\n"
    "                    is bound and connected, after hpool's own\n"
    "  dial              callable(host, port, timeout) that returns a\n"
    "                    connected socket, instead of all that\n"
    "  max_header_bytes  most bytes of a response head\n"
    "  raise_for_status  raise HTTPError for 4xx and 5xx by itself\n"
    "  leak_warnings     ResourceWarning for responses that were dropped\n"
    "                    with their body unread; \"trace\" records the line\n"
    "                    that made each request, for it and for leaks()\n"
    "  trace             who is told what happens to requests and "
    "connections:\n"
    "                    an object with methods named as the events it wants,\n"
    "                    or a callable (event, info); see docs/trace.rst\n"
    "  auth              who requests are from: (user, password), an object "
    "of\n"
    "                    hpool.auth, a callable; False: nobody. None: what "
    "the\n"
    "                    URL or, with trust_env, a netrc file says\n"
    "  cookies           mapping or http.cookiejar.CookieJar to begin with;\n"
    "                    what servers set is kept in it\n"
    "  hooks, event_hooks   {\"response\": [f]} as in requests, {\"request\": "
    "[f],\n"
    "                    \"response\": [g]} as in httpx\n"
    "  follow_redirects, allow_redirects   the same: whether redirects are\n"
    "                    followed\n"
    "  max_redirects     how many in a row before TooManyRedirects\n"
    "  check_redirect    callable(request, history) asked before each: raises\n"
    "                    to end the call, returns False to get the redirect\n"
    "                    itself\n"
    "  mounts, transport  what serves which URLs, see mount(); what serves "
    "all\n"
    "  stream            whether responses are handed out before their body\n"
    "                    is read\n"
    "\n"
    "headers, params, timeout, verify, cert, trust_env, stream, trace and all\n"
    "from auth to mounts can be changed later; a request uses what\n"
    "held when it started. Picklable (settings only), safe across fork.";

static const char hpy_session_doc[] =
    "Session(" HPY_CLIENT_KEYWORDS "False)\n--\n\n"
    "A Client that reads bodies before the call returns, as requests does.";

#endif
