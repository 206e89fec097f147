"""From resolve=, local_address=, uds=, family=, socket_options= and dial= to what
the core needs.

Runs once for a client that is given one of them, and never for another.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ._prepare import encode_host
from .errors import InvalidArgument, InvalidURL

# Of the core: (host, port or 0 for every port, ((ip, port or 0), ...))
_Override: TypeAlias = tuple[str, int, tuple[tuple[str, int], ...]]
# (level, option, value, length, words for errors): the value is an int, bytes,
# or None for none of that length.
_Option: TypeAlias = tuple[int, int, int | bytes | None, int, str]


class Dialing:
    """How a client makes its connections, checked.

    `core` is (overrides, local ip, local port, uds path, family, options,
    whether there is a dial). The other attributes give back what the client was
    given, None where nothing.
    """

    def __init__(
        self,
        resolve: Any,
        local_address: Any,
        uds: Any,
        family: Any,
        socket_options: Any,
        dial: Any,
    ) -> None:
        self._resolve = _listed(resolve)
        overrides = _overrides(self._resolve)
        number = _family(family)
        ip, port = _local_address(local_address)
        path = _path(uds)
        options = _options(socket_options)
        given = {
            "resolve": overrides,
            "local_address": ip,
            "family": number,
            "uds": path,
            "socket_options": options,
        }
        if dial is not None:
            _check_dial(dial, given)
        if path is not None:
            _check_uds(given)
        _check_family(number, ip, overrides)
        custom = dial is not None
        self.core = (overrides, ip, port, path, number, options, custom)
        self.local_address = None if ip is None else _kept(local_address)
        self.uds = None if path is None else os.fspath(uds)
        self.family = socket.AddressFamily(number) if number else None
        self.socket_options = tuple(map(_public, options)) or None
        self.dial = dial

    @property
    def resolve(self) -> dict[str, tuple[str, ...]] | None:
        return dict(self._resolve) or None

    def settings(self) -> dict[str, Any]:
        """The keywords that make such a client again."""
        names = ("resolve", "local_address", "uds", "family", "socket_options")
        return {name: getattr(self, name) for name in (*names, "dial")}


# ---- what goes together ------------------------------------------------------


def _check_dial(dial: object, given: Mapping[str, object]) -> None:
    if not callable(dial):
        raise TypeError(
            "dial takes a callable(host, port, timeout) that returns a "
            f"connected socket, not {type(dial).__name__}"
        )
    for name, value in given.items():
        if value:
            raise InvalidArgument(
                f"{name} has no effect beside dial, which makes the socket; "
                "leave one of them out"
            )


def _check_uds(given: Mapping[str, object]) -> None:
    for name in ("resolve", "local_address", "family"):
        if given[name]:
            raise InvalidArgument(
                f"{name} has no effect beside uds, which is where all "
                "connections go; leave one of them out"
            )


def _check_family(
    family: int, ip: str | None, overrides: tuple[_Override, ...]
) -> None:
    if not family:
        return
    if ip is not None and _family_of(ip) != family:
        raise InvalidArgument(
            f"local_address {ip!r} is not of the family that family= asks for"
        )
    for host, port, addresses in overrides:
        if all(_family_of(ip) != family for ip, _ in addresses):
            where = f"{host}:{port}" if port else host
            raise InvalidArgument(
                f"resolve[{where!r}] has no address of the family that "
                "family= asks for"
            )


# ---- resolve -----------------------------------------------------------------


def _listed(resolve: Any) -> dict[Any, tuple[Any, ...]]:
    """A copy that is the client's own, with the addresses of each key."""
    if resolve is None:
        return {}
    if not isinstance(resolve, Mapping):
        raise TypeError(
            'resolve takes {"host:port": [addresses]}, not '
            + type(resolve).__name__
        )
    return {key: _several(key, value) for key, value in resolve.items()}


def _several(key: object, addresses: object) -> tuple[Any, ...]:
    if isinstance(addresses, str):
        return (addresses,)
    if isinstance(addresses, bytes) or not isinstance(addresses, Iterable):
        raise TypeError(
            f"resolve[{key!r}] takes a list of IP addresses, not "
            + type(addresses).__name__
        )
    return tuple(addresses)


def _overrides(
    resolve: dict[Any, tuple[Any, ...]],
) -> tuple[_Override, ...]:
    found: dict[tuple[str, int], _Override] = {}
    for key, addresses in resolve.items():
        entry = f"resolve[{key!r}]"
        host, port = _host_and_port(entry, key)
        if (host, port) in found:
            raise InvalidArgument(f"{entry} is there twice, in other letters")
        if not addresses:
            raise InvalidArgument(f"{entry} has no address")
        checked = tuple(_address(entry, text) for text in addresses)
        found[host, port] = (host, port, checked)
    return tuple(found.values())


def _host_and_port(entry: str, key: object) -> tuple[str, int]:
    """A key as (host as the core has it, port or 0)."""
    takes = f'{entry}: a key is "host:port", "[ipv6]:port", "host" or "[ipv6]"'
    if not isinstance(key, str):
        raise TypeError(f"{takes}, not {type(key).__name__}")
    if _family_of(key) == socket.AF_INET6:
        raise InvalidArgument(f'{takes}; for this address "[{key}]"')
    host, port = _split_port(takes, key)
    if key.startswith("["):
        return _ipv6_host(takes, host), port
    if host.isascii():
        return _plain_host(takes, host.lower()), port
    try:
        return encode_host(host), port
    except InvalidURL as exc:
        raise InvalidArgument(f"{entry}: {exc}") from None


def _ipv6_host(takes: str, host: str) -> str:
    """In the one spelling that the core looks for."""
    ip, percent, zone = host.partition("%")
    if percent and zone.startswith("25"):  # as it is in a URL
        zone = zone[2:]
    if _family_of(ip + percent + zone) != socket.AF_INET6:
        raise InvalidArgument(takes)
    packed = socket.inet_pton(socket.AF_INET6, ip)
    return socket.inet_ntop(socket.AF_INET6, packed) + percent + zone


def _plain_host(takes: str, host: str) -> str:
    # What no URL's host has in it would never be asked for.
    if not host or any(c <= " " or c in '"#%*,/<>?@[\\]^`{|}' for c in host):
        raise InvalidArgument(takes)
    return host


def _split_port(takes: str, text: str) -> tuple[str, int]:
    """("::1", 80) of "[::1]:80", ("a", 0) of "a"."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidArgument(takes)
        return host, _port(takes, rest[1:]) if rest else 0
    host, colon, rest = text.partition(":")
    return host, _port(takes, rest) if colon else 0


def _port(takes: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise InvalidArgument(takes)
    if not 0 < int(text) < 65536:
        raise InvalidArgument(f"{takes}; a port is 1 to 65535")
    return int(text)


def _address(entry: str, text: object) -> tuple[str, int]:
    if not isinstance(text, str):
        raise TypeError(
            f"{entry} takes IP addresses as str, not {type(text).__name__}"
        )
    takes = (
        f'{entry} takes IP addresses: "192.0.2.1", "192.0.2.1:80", '
        f'"2001:db8::1" or "[2001:db8::1]:80", not {text!r}'
    )
    bare = text.count(":") > 1 and not text.startswith("[")
    ip, port = (text, 0) if bare else _split_port(takes, text)
    if _family_of(ip) == 0:
        raise InvalidArgument(takes)
    return ip, port


def _family_of(ip: str) -> int:
    """AF_INET, AF_INET6 (with a zone too), or 0 for what is no IP address."""
    bare, percent, zone = ip.partition("%")
    families = {socket.AF_INET: not percent, socket.AF_INET6: zone or not percent}
    for family, possible in families.items():
        try:
            if possible and socket.inet_pton(family, bare):
                return family
        except (OSError, ValueError):
            pass
    return 0


# ---- the others --------------------------------------------------------------


def _family(family: object) -> int:
    takes = (
        'family takes socket.AF_INET, socket.AF_INET6, "ipv4", "ipv6" or None '
        "for both"
    )
    if family is None:
        return 0
    if isinstance(family, bool) or not isinstance(family, (int, str)):
        raise TypeError(f"{takes}, not {type(family).__name__}")
    names = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
    number = names.get(family.lower()) if isinstance(family, str) else family
    if number in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6):
        return int(number)
    raise InvalidArgument(f"{takes}, not {family!r}")


def _kept(address: Any) -> str | tuple[str, int]:
    return address if isinstance(address, str) else tuple(address)


def _local_address(address: Any) -> tuple[str | None, int]:
    takes = 'local_address takes "ip" or ("ip", port)'
    if address is None:
        return None, 0
    if not isinstance(address, (str, tuple, list)):
        raise TypeError(f"{takes}, not {type(address).__name__}")
    pair = (address, 0) if isinstance(address, str) else tuple(address)
    if len(pair) != 2 or not isinstance(pair[0], str):
        raise InvalidArgument(f"{takes}, not {address!r}")
    ip, port = pair
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{takes}, and the port is an int, not {port!r}")
    if _family_of(ip) == 0 or not 0 <= port < 65536:
        raise InvalidArgument(f"{takes}, not {address!r}")
    return ip, port


def _path(uds: Any) -> bytes | None:
    if uds is None:
        return None
    takes = "uds takes the path of a Unix socket"
    if not isinstance(uds, (str, bytes, os.PathLike)):
        raise TypeError(f"{takes}, not {type(uds).__name__}")
    path = os.fsencode(uds)
    if not path or b"\0" in path:
        raise InvalidArgument(f"{takes}, not {uds!r}")
    return path


# ---- socket_options ----------------------------------------------------------


def _options(options: Any) -> tuple[_Option, ...]:
    takes = "socket_options takes a list of (level, option, value)"
    if options is None:
        return ()
    if isinstance(options, (str, bytes)) or not isinstance(options, Iterable):
        raise TypeError(f"{takes}, not {type(options).__name__}")
    return tuple(_option(i, item) for i, item in enumerate(options))


def _option(index: int, item: object) -> _Option:
    takes = (
        f"socket_options[{index}] takes (level, option, value), the value an "
        "int or bytes, or (level, option, None, length)"
    )
    if not isinstance(item, (tuple, list)) or len(item) not in (3, 4):
        raise TypeError(f"{takes}, not {item!r}")
    level, name = (_c_int(takes, number) for number in item[:2])
    label = _label(level, name)
    if len(item) == 4:
        length = _c_int(takes, item[3])
        if item[2] is not None or length <= 0:
            raise InvalidArgument(f"{takes}, not {item!r}")
        return level, name, None, length, label
    value = item[2]
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        if not data:
            raise InvalidArgument(f"{takes}, not {item!r}")
        return level, name, data, len(data), label
    return level, name, _c_int(takes, value), 0, label


def _c_int(takes: str, number: object) -> int:
    if isinstance(number, float) or not hasattr(number, "__index__"):
        raise TypeError(f"{takes}, not {type(number).__name__}")
    value = int(number.__index__())
    if not -(2**31) <= value < 2**31:
        raise InvalidArgument(f"{takes}; {value} does not fit in a C int")
    return value


def _public(option: _Option) -> tuple[Any, ...]:
    """As the user may have given it."""
    level, name, value, length, _ = option
    return (level, name, value) if value is not None else option[:4]


_LEVELS = {
    "SOL_SOCKET": "SO_",
    "IPPROTO_TCP": "TCP_",
    "IPPROTO_IP": "IP_",
    "IPPROTO_IPV6": "IPV6_",
}


def _label(level: int, name: int) -> str:
    """(1, 8) as "SOL_SOCKET, SO_RCVBUF", for errors."""
    for level_name, prefix in _LEVELS.items():
        if getattr(socket, level_name, None) == level:
            for word, value in sorted(vars(socket).items()):
                if word.startswith(prefix) and value == name:
                    return f"{level_name}, {word}"
            return f"{level_name}, {name}"
    return f"{level}, {name}"
