/* state: what one interpreter's copy of the module holds: types, interned
 * names, exception classes, and the Python helpers of the cold paths, imported
 * when first needed.
 *
 * Objects of ours keep a plain pointer to the state: an object holds its type,
 * the type holds the module, the module holds the state. */
#ifndef HPY_STATE_H
#define HPY_STATE_H

#include "pycompat.h"

/* Every keyword any method of ours takes. */
#define HPY_ARGS(X)                                                            \
    X(URL, "url")                                                              \
    X(METHOD, "method")                                                        \
    X(PARAMS, "params")                                                        \
    X(HEADERS, "headers")                                                      \
    X(DATA, "data")                                                            \
    X(CONTENT, "content")                                                      \
    X(JSON, "json")                                                            \
    X(TIMEOUT, "timeout")                                                      \
    X(STREAM, "stream")                                                        \
    X(VERIFY, "verify")                                                        \
    X(CERT, "cert")                                                            \
    X(TLS, "tls")                                                              \
    X(CANCEL, "cancel")                                                        \
    X(IDEMPOTENT, "idempotent")                                                \
    X(DECOMPRESS, "decompress")                                                \
    X(TRACE, "trace")                                                          \
    X(PROXY, "proxy")                                                          \
    X(PROXIES, "proxies")                                                      \
    X(AUTH, "auth")                                                            \
    X(COOKIES, "cookies")                                                      \
    X(FILES, "files")                                                          \
    X(HOOKS, "hooks")                                                          \
    X(EVENT_HOOKS, "event_hooks")                                              \
    X(RETRIES, "retries")                                                      \
    X(EXTENSIONS, "extensions")                                                \
    X(FOLLOW_REDIRECTS, "follow_redirects")                                    \
    X(ALLOW_REDIRECTS, "allow_redirects")                                      \
    X(MAX_REDIRECTS, "max_redirects")                                          \
    X(CHECK_REDIRECT, "check_redirect")                                        \
    X(REQUEST, "request")                                                      \
    X(STARTED, "started")                                                      \
    X(TARGET, "target")                                                        \
    X(CHUNK_SIZE, "chunk_size")                                                \
    X(DECODE_UNICODE, "decode_unicode")                                        \
    X(DELIMITER, "delimiter")                                                  \
    X(SIZE, "size")                                                            \
    X(AMT, "amt")                                                              \
    X(DECODE_CONTENT, "decode_content")                                        \
    X(N, "n")

typedef enum hpy_arg {
#define X(id, name) HPY_ARG_##id,
    HPY_ARGS(X)
#undef X
    HPY_ARG_COUNT
} hpy_arg;

/* Callables and classes of the Python files, by where they live. */
#define HPY_HELPERS(X)                                                         \
    X(ADD_PARAMS, "hpool._prepare", "add_params")                              \
    X(MERGE_PARAMS, "hpool._prepare", "merge_params")                          \
    X(JOIN_BASE, "hpool._prepare", "join_base")                                \
    X(ENCODE_JSON, "hpool._prepare", "encode_json")                            \
    X(ENCODE_DATA, "hpool._prepare", "encode_data")                            \
    X(BODY_SOURCE, "hpool._prepare", "body_source")                            \
    X(IDNA_URL, "hpool._prepare", "idna_url")                                  \
    X(TIMEOUT, "hpool.config", "Timeout")                                      \
    X(PARSE_TIMEOUT, "hpool.config", "parse_timeout")                          \
    X(LIMITS, "hpool.config", "Limits")                                        \
    X(PARSE_RETRIES, "hpool._retries", "parse_retries")                        \
    X(TLS_RESOLVE, "hpool._tls", "resolve")                                    \
    X(TLS_WARN, "hpool._tls", "warn_unverified")                               \
    X(PROXY_SETTLE, "hpool.policy.proxies", "settle")                          \
    X(PROXY_CHANGE, "hpool.policy.proxies", "change")                          \
    X(PROXY_TRUST, "hpool.policy.proxies", "trust")                            \
    X(PROXY_CHOOSE, "hpool.policy.proxies", "choose")                          \
    X(PROXY_VIEW, "hpool.policy.proxies", "view")                              \
    X(PROXY_KEEP, "hpool.policy.proxies", "keep")                              \
    X(CLIENT_HEADERS, "hpool._defaults", "ClientHeaders")                      \
    X(DIALING, "hpool._dialing", "Dialing")                                    \
    X(ITER_LINES, "hpool._response", "iter_lines")                             \
    X(ITER_TEXT, "hpool._response", "iter_text")                               \
    X(ITER_TEXT_LINES, "hpool._response", "iter_text_lines")                   \
    X(LOADS, "hpool._response", "loads")                                       \
    X(CHARSET, "hpool._response", "charset")                                   \
    X(DECODE, "hpool._response", "decode")                                     \
    X(APPARENT_ENCODING, "hpool._response", "apparent_encoding")               \
    X(STATUS_ERROR, "hpool._response", "status_error")                         \
    X(PARSE_LINKS, "hpool._response", "parse_links")                           \
    X(MAKE_STATS, "hpool._stats", "make_stats")                                \
    X(ADVISE, "hpool._advise", "advise")                                       \
    X(MAKE_LEAKS, "hpool._leaks", "make_leaks")                                \
    X(TIMINGS, "hpool._records", "Timings")                                    \
    X(CONNECTION_INFO, "hpool._records", "ConnectionInfo")                     \
    X(REQUEST, "hpool.policy.request", "of_sent")                              \
    X(REDUCE, "hpool._response", "reduce")                                     \
    X(COOKIES, "hpool.policy.cookies", "of_response")                          \
    X(NEXT_REQUEST, "hpool.policy.redirects", "next_request")                  \
    X(STREAM_CONSUMED, "hpool.errors", "StreamConsumed")                       \
    X(LOG_WANTED, "hpool._log", "wanted")                                      \
    X(LISTENER, "hpool._trace", "listener")                                    \
    X(POLICY_CALL, "hpool.policy.flow", "call")                                \
    X(POLICY_BUILD, "hpool.policy.prepare", "build")                           \
    X(POLICY_PREPARE, "hpool.policy.prepare", "prepare")                       \
    X(POLICY_SEND, "hpool.policy.flow", "send")                                \
    X(POLICY_RESUME, "hpool.policy.flow", "resume")                            \
    X(POLICY_KEEP_COOKIES, "hpool.policy.flow", "keep_cookies")                \
    X(POLICY_SETTLE, "hpool.policy.settings", "settle")                        \
    X(POLICY_GET, "hpool.policy.settings", "get")                              \
    X(POLICY_CHANGE, "hpool.policy.settings", "change")                        \
    X(MOUNT, "hpool.policy.mounts", "mount")                                   \
    X(ADAPTERS_VIEW, "hpool.policy.adapters", "view")                          \
    X(GET_ADAPTER, "hpool.policy.mounts", "get_adapter")                       \
    X(SESSION_REQUEST, "hpool.policy.session", "request")                      \
    X(SESSION_MERGE, "hpool.policy.session", "merge_environment_settings")     \
    X(SESSION_TARGET, "hpool.policy.session", "get_redirect_target")           \
    X(SESSION_RESOLVE, "hpool.policy.session", "resolve_redirects")            \
    X(SESSION_AUTH, "hpool.policy.session", "rebuild_auth")                    \
    X(SESSION_METHOD, "hpool.policy.session", "rebuild_method")                \
    X(SESSION_PROXIES, "hpool.policy.session", "rebuild_proxies")              \
    X(SESSION_STRIP, "hpool.policy.session", "should_strip_auth")              \
    X(INFO, "hpool._trace", "info")                                            \
    X(REQUEST_EXCEPTION, "hpool.errors", "RequestException")                   \
    X(TIMEDELTA, "datetime", "timedelta")                                      \
    X(KEYS_VIEW, "_collections_abc", "KeysView")                               \
    X(VALUES_VIEW, "_collections_abc", "ValuesView")                           \
    X(ITEMS_VIEW, "_collections_abc", "ItemsView")

typedef enum hpy_helper {
#define X(id, module, name) HPY_HELPER_##id,
    HPY_HELPERS(X)
#undef X
    HPY_HELPER_COUNT
} hpy_helper;

/* The verbs with a method of their own. */
#define HPY_VERBS(X)                                                           \
    X(GET, "GET")                                                              \
    X(OPTIONS, "OPTIONS")                                                      \
    X(HEAD, "HEAD")                                                            \
    X(POST, "POST")                                                            \
    X(PUT, "PUT")                                                              \
    X(PATCH, "PATCH")                                                          \
    X(DELETE, "DELETE")

typedef enum hpy_verb {
#define X(id, name) HPY_VERB_##id,
    HPY_VERBS(X)
#undef X
    HPY_VERB_REQUEST, /* the method is an argument */
    HPY_VERB_STREAM,  /* the same, never reads the body */
    HPY_VERB_COUNT
} hpy_verb;

typedef struct hpy_state {
    PyTypeObject *client_type, *session_type, *stream_type;
    PyTypeObject *response_type, *raw_type, *chunks_type;
    PyTypeObject *headers_type, *cancel_type, *upgraded_type;
    PyObject *names[HPY_ARG_COUNT];
    PyObject *verbs[HPY_VERB_REQUEST]; /* "GET", ... */
    PyObject *request_name;            /* "request" */
    PyObject *steps;                   /* client.h: hpy_session_steps() */
    PyObject *user_agent;              /* bytes */
    PyObject *deadline_var;
    PyObject *no_bytes; /* b"" */
    bool main_interpreter;
    bool counted; /* among the users of the process-wide core */
    hpy_mutex lock;
    /* guarded by lock */
    PyObject *helpers[HPY_HELPER_COUNT];
    int importing[HPY_HELPER_COUNT]; /* threads that are at it */
    PyObject *errors[HP_ERRC_COUNT];
    PyObject *shared;     /* the client of the module-level verbs */
    PyObject *instrument; /* instrument.h; NULL for none */
    PyObject *leak_sink;  /* leaks.h: a list, or NULL */
    /* any thread */
    atomic_bool instrumented; /* there is one */
    atomic_bool leaks_watched;
} hpy_state;

extern PyModuleDef hpy_module_def;

/* Interns the names and makes the constants; 0, or -1 with an exception. */
int hpy_state_init(hpy_state *st);
int hpy_state_traverse(hpy_state *st, visitproc visit, void *arg);
void hpy_state_clear(hpy_state *st);

/* The helper, imported at its first use: new reference, NULL with an
 * exception. Runs Python code. */
PyObject *hpy_helper_get(hpy_state *st, hpy_helper which);

/* Before a fork: waits for the imports that other threads are at. A child born
 * in the middle of one would wait for the module's lock for ever. */
void hpy_helpers_finish(hpy_state *st);

/* Calls the helper with the n arguments given (borrowed). */
PyObject *hpy_helper_call(hpy_state *st, hpy_helper which, size_t n, ...);

/* Looks module.name up anew; new reference. */
PyObject *hpy_import(const char *module, const char *name);

#endif
