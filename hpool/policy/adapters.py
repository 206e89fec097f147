"""client.adapters: what is mounted, in the manner of requests' sessions."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from .._redact import url_for_text
from ..errors import InvalidSchema
from .http_adapter import HTTPAdapter
from .lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from .._core import Client
    from .request import PreparedRequest

# What a client's own pool serves unless something else is mounted there.
_OWN = ("https://", "http://")


class Adapters(MutableMapping[str, Any]):
    """{prefix: transport} of a client, live, the longest prefix first.

    "https://" and "http://" are there without a mount: adapters of the client's
    own pool. Once one of the two is deleted, nothing is served there.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getitem__(self, prefix: str) -> Any:
        found = self._client.mounts.get(prefix)
        if found is NOTHING or (found is None and prefix not in self):
            raise KeyError(prefix)
        return HTTPAdapter._of(self._client, prefix) if found is None else found

    def __setitem__(self, prefix: str, transport: Any) -> None:
        self._client.mount(prefix, transport)

    def __delitem__(self, prefix: str) -> None:
        with lock:
            if prefix not in self:
                raise KeyError(prefix)
            rest = {p: t for p, t in self._client.mounts.items() if p != prefix}
            if prefix in _OWN:
                rest[prefix] = NOTHING
            self._client.mounts = rest

    def _prefixes(self) -> list[str]:
        mounts = self._client.mounts
        prefixes = [*_OWN, *(p for p in mounts if p not in _OWN)]
        there = (p for p in prefixes if mounts.get(p) is not NOTHING)
        return sorted(there, key=len, reverse=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._prefixes())

    def __contains__(self, prefix: object) -> bool:
        return prefix in self._prefixes()

    def __len__(self) -> int:
        return len(self._prefixes())

    def __repr__(self) -> str:
        return repr(dict(self))


class _Nothing:
    """Mounted where nothing is served."""

    def send(self, request: PreparedRequest, **how: Any) -> NoReturn:
        raise InvalidSchema(
            f"nothing is mounted for {url_for_text(request.url)}"
        )

    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()


def view(client: Client) -> Adapters:
    """For Client.adapters."""
    return Adapters(client)
