"""NO_PROXY: the hosts that are asked without a proxy.

A list with commas (or spaces) between. An entry is one of

    *                          every host
    example.com                that host and all below it
    .example.com, *.example.com   all hosts below it
    192.0.2.1, 2001:db8::1     that address
    192.0.2.0/24, 2001:db8::/32   all addresses of that network

and may end in :port, which then has to be the request's (an IPv6 address stands
in brackets before one). Letters count in either case; names never match
addresses; an entry that is none of these is passed over.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

from .._prepare import encode_host
from ..errors import InvalidURL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    Address: TypeAlias = tuple[int, int]  # bits in all, value


class NoProxy:
    """Made once from the text, asked for each request."""

    def __init__(self, text: str) -> None:
        entries = text.replace(",", " ").lower().split()
        self._all = "*" in entries
        self._networks: list[tuple[Address, int, int]] = []  # .., bits, port
        self._names: list[tuple[str, bool, int]] = []  # name, itself, port
        for entry in entries:
            self._add(entry)

    def _add(self, entry: str) -> None:
        for text, port in _with_port(entry):
            network = _network(text)
            if network is not None:
                self._networks.append((*network, port))
                return
        host, colon, digits = entry.partition(":")
        number = _port(digits) if colon else 0
        if number is not None:
            self._add_name(host.replace("*.", ".", 1), number)

    def _add_name(self, host: str, port: int) -> None:
        name = host.strip(".")
        if not name.isascii():
            name = _ascii(name)
        if name and not any(c in name for c in "*/[]"):
            self._names.append((name, not host.startswith("."), port))

    def __contains__(self, origin: tuple[str, int]) -> bool:
        """Whether (host, port) is asked without a proxy. The host as the core
        has it: in lower case, an IPv6 address without brackets."""
        host, port = origin
        if self._all:
            return True
        address = _address(host.partition("%")[0])
        if address is not None:
            return any(
                of in (0, port) and _is_in(address, network, bits)
                for network, bits, of in self._networks
            )
        host = host.rstrip(".")
        return any(
            of in (0, port)
            and (host.endswith("." + name) or (itself and host == name))
            for name, itself, of in self._names
        )


def _ascii(name: str) -> str:
    """As the core has it in a URL; "" for what cannot be a name."""
    try:
        return encode_host(name)
    except InvalidURL:
        return ""


def is_loopback(host: str) -> bool:
    """ "localhost", or an address of this machine's own network."""
    if host.rstrip(".") == "localhost":
        return True
    address = _address(host.partition("%")[0])
    return address is not None and (
        address == (128, 1) or _is_in(address, (32, 127 << 24), 8)
    )


def _address(text: str) -> Address | None:
    for family, bits in ((AF_INET, 32), (AF_INET6, 128)):
        try:
            packed = inet_pton(family, text)
        except (OSError, ValueError):
            continue
        value = int.from_bytes(packed, "big")
        if bits == 128 and value >> 32 == 0xFFFF:  # an IPv4 address in IPv6
            return 32, value & 0xFFFF_FFFF
        return bits, value
    return None


def _is_in(address: Address, network: Address, bits: int) -> bool:
    if address[0] != network[0]:
        return False
    rest = address[0] - bits
    return address[1] >> rest == network[1] >> rest


def _with_port(entry: str) -> Iterator[tuple[str, int]]:
    """The ways to read an entry as (address or network, port or 0)."""
    yield entry, 0
    text, _, port = entry.rpartition(":")
    number = _port(port)
    if entry.startswith("["):
        if entry.endswith("]"):
            yield entry[1:-1], 0
        elif text.endswith("]") and number is not None:
            yield text[1:-1], number
    elif number is not None and ":" not in text:
        yield text, number


def _network(text: str) -> tuple[Address, int] | None:
    """(address, bits that count)."""
    ip, slash, prefix = text.partition("/")
    address = _address(ip)
    if address is None:
        return None
    if not slash:
        return address, address[0]
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 3):
        return None
    bits = int(prefix)
    if address[0] == 32 and ":" in ip:
        bits -= 96
    return (address, bits) if 0 <= bits <= address[0] else None


def _port(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 5:
        return int(text)
    return None
