/* response_doc: the docstrings of Response and its methods. */
#ifndef HPY_RESPONSE_DOC_H
#define HPY_RESPONSE_DOC_H

#define HPY_READ_ERRORS                                                        \
    "\nRaises ReadTimeout, TotalTimeout, ReadError, IncompleteRead,\n"         \
    "ChunkedEncodingError, ContentDecodingError, BodyTooLarge, Cancelled;\n"   \
    "ClosedError after close(); ConcurrentUse while another thread reads."

static const char hpy_response_doc[] =
    "Response(status=None, headers=None, content=b'', *, url='', method='GET', "
    "request=None, reason='', http_version='HTTP/1.1', encoding=None, "
    "elapsed=None, history=None)\n--\n\n"
    "An answer. It is a binary file of the decoded body as well: read(),\n"
    "readline(), readinto() and iteration over lines.\n\n"
    "Its connection is free once the body has been read to its end; leaving\n"
    "a with block, close() and garbage collection give it back as well. True\n"
    "if the status is below 400. Made by hand it is a read one, for tests,\n"
    "and its attributes can be assigned.";

static const char hpy_read_doc[] =
    "read($self, size=-1, /)\n--\n\n"
    "Up to `size` bytes of the decoded body: fewer only at its end, b'' after\n"
    "it. Without a size all the rest; from the start that is `content`, which\n"
    "is kept then.\n" HPY_READ_ERRORS;

static const char hpy_read1_doc[] =
    "read1($self, size=-1, /)\n--\n\n"
    "What has arrived, at least one byte and at most `size`; b'' at the "
    "end.\n" HPY_READ_ERRORS;

static const char hpy_readinto_doc[] =
    "readinto($self, buffer, /)\n--\n\n"
    "What has arrived, straight into a writable buffer; returns how many\n"
    "bytes, 0 at the end.\n" HPY_READ_ERRORS;

static const char hpy_readline_doc[] =
    "readline($self, size=-1, /)\n--\n\n"
    "The next line with its \\n, at most `size` bytes of it; b'' at the "
    "end.\n" HPY_READ_ERRORS;

static const char hpy_readlines_doc[] =
    "readlines($self, /)\n--\n\nThe lines that are left, as a list.";

static const char hpy_iter_content_doc[] =
    "iter_content($self, /, chunk_size=65536, decode_unicode=False)\n--\n\n"
    "The decoded body in pieces of at most `chunk_size` bytes: all of them\n"
    "full but the last if the length is known, else as it arrives. None: as\n"
    "it arrives. decode_unicode gives str.\n\n"
    "Raises StreamConsumed when the body was streamed before.";

static const char hpy_iter_bytes_doc[] =
    "iter_bytes($self, /, chunk_size=None)\n--\n\n"
    "The decoded body in pieces of exactly `chunk_size` bytes (the last may\n"
    "be shorter), or as it arrives.";

static const char hpy_iter_raw_doc[] =
    "iter_raw($self, /, chunk_size=None)\n--\n\n"
    "The same before content decoding.";

static const char hpy_iter_text_doc[] =
    "iter_text($self, /, chunk_size=None)\n--\n\n"
    "The body as str, decoded as it arrives.";

static const char hpy_iter_lines_doc[] =
    "iter_lines($self, /, chunk_size=None, decode_unicode=False, "
    "delimiter=None)\n--\n\n"
    "The body's lines without their ends, each as soon as it is there: bytes,\n"
    "or str with decode_unicode. They end with LF, CR LF or CR, or with the\n"
    "delimiter alone. chunk_size is accepted and has no effect.";

static const char hpy_iter_text_lines_doc[] =
    "iter_text_lines($self, /)\n--\n\n"
    "The body's lines as str, without their ends.";

static const char hpy_json_doc[] = "json($self, /, **kwargs)\n--\n\n"
                                   "The body as JSON, in UTF-8, -16 or -32 "
                                   "whatever the header says; keywords\n"
                                   "go to json.loads. Raises JSONDecodeError.";

static const char hpy_raise_for_status_doc[] =
    "raise_for_status($self, /)\n--\n\n"
    "Returns the response itself; raises HTTPError for 4xx and 5xx.";

static const char hpy_close_doc[] =
    "close($self, /)\n--\n\n"
    "Give the connection back; never blocks, from any thread. A read under\n"
    "way in another thread ends with ClosedError. `content` stays if it was\n"
    "read.";

static const char hpy_release_conn_doc[] =
    "release_conn($self, /)\n--\n\nThe same as close().";

static const char hpy_upgraded_doc[] =
    "upgraded($self, /)\n--\n\n"
    "The connection itself, after a 101 or a CONNECT; once. InvalidArgument\n"
    "otherwise.";

#define HPY_FILE_DOC(name) name "($self, /)\n--\n\nAs files have it."

#endif
