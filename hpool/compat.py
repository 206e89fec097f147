"""Names of the standard library that requests has here for old Pythons, and
code still imports."""

from __future__ import annotations

import builtins
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from http import cookiejar as cookielib
from http.cookies import Morsel
from io import StringIO
from json import JSONDecodeError
from urllib.parse import (
    quote,
    quote_plus,
    unquote,
    unquote_plus,
    urldefrag,
    urlencode,
    urljoin,
    urlparse,
    urlsplit,
    urlunparse,
)
from urllib.request import (
    getproxies,
    getproxies_environment,
    parse_http_list,
    proxy_bypass,
)
from urllib.request import (  # type: ignore[attr-defined]
    proxy_bypass_environment as proxy_bypass_environment,
)

__all__ = [
    "Callable",
    "JSONDecodeError",
    "Mapping",
    "Morsel",
    "MutableMapping",
    "OrderedDict",
    "StringIO",
    "basestring",
    "builtin_str",
    "bytes",
    "cookielib",
    "getproxies",
    "getproxies_environment",
    "integer_types",
    "is_py2",
    "is_py3",
    "json",
    "numeric_types",
    "parse_http_list",
    "proxy_bypass",
    "proxy_bypass_environment",
    "quote",
    "quote_plus",
    "str",
    "unquote",
    "unquote_plus",
    "urldefrag",
    "urlencode",
    "urljoin",
    "urlparse",
    "urlsplit",
    "urlunparse",
]

is_py2 = False
is_py3 = True
builtin_str = builtins.str
str = builtins.str
bytes = builtins.bytes
basestring = (builtins.str, builtins.bytes)
numeric_types = (int, float)
integer_types = (int,)
