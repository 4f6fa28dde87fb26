"""Who may ask the dashboard for something: checked before anything else is looked at.

A server on one's own machine is reached by any page that a browser there has open. Such a page can
send requests, and with a name of its own that leads here (DNS rebinding) read the answers too. So
the name it is asked by must be one of this machine's, and what comes from another page is refused.
Where the server listens beyond this machine, a token is needed besides.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_LONGEST = 1 << 14  # characters of a query: names of several runs, of which each may be long
_NO_MORE: Mapping[str, str] = {}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]
_REFUSED = {
    400: "This request makes no sense.\n无法理解这个请求。\n",
    401: "A token is needed: open the address that `chainrule dashboard` has printed.\n"
    "需要令牌：请打开 `chainrule dashboard` 显示的地址。\n",  # noqa: RUF001
    403: "This request comes from another page, or for another machine.\n"
    "这个请求来自别的网页，或指向别的机器。\n",  # noqa: RUF001
    405: "Not like this.\n不支持这种请求。\n",
}


def is_loopback(host: str) -> bool:
    """Return whether a name or address stands for this machine alone.

    Examples
    --------
    >>> from chainrule.insight.access import is_loopback
    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


@dataclass(frozen=True)
class Door:
    """Where the server listens, and what opens it.

    Parameters
    ----------
    host : str
        The name or address given.
    token : str, optional
        What must be known to be let in; ``None`` where nobody else can reach the server.

    Attributes
    ----------
    names : frozenset of str
        What the machine is called, as it was when the door was made.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    names: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Here and not for each request: the full name may take the network seconds to find.
        own = {self.host, "localhost"}
        if not is_loopback(self.host):
            own |= {socket.gethostname(), socket.getfqdn()}
        own |= {f"{name}.local" for name in own}
        object.__setattr__(self, "names", frozenset(name.lower() for name in own))

    def answers_to(self, host: str) -> bool:
        """Return whether the server goes by this name, as a ``Host`` header has it.

        Examples
        --------
        >>> from chainrule.insight.access import Door
        >>> Door().answers_to("localhost:8080"), Door().answers_to("evil.example:8080")
        (True, False)
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().rstrip(".")
        if is_loopback(self.host):
            return is_loopback(name)
        # Nobody can let an address lead elsewhere, only a name.
        return _address(name) is not None or name in self.names

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token: another for each server of a machine."""
        return f"chainrule_{hashlib.sha256((self.token or '').encode()).hexdigest()[:8]}"

    def opened_by(self, given: Iterable[str]) -> bool:
        """Return whether one of these is the token, in a time that does not tell how near it is."""
        if self.token is None:
            return True
        token = self.token.encode()
        return any(hmac.compare_digest(token, one.encode()) for one in given)


class Guard:
    """Lets through what may come in, and says on each answer what a browser must not do with it.

    Parameters
    ----------
    app : ASGI application
        What is behind the door.
    door : Door
        Where the server listens, and its token.
    """

    def __init__(self, app: App, door: Door) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        refused = self._refused(scope, headers)
        if refused:
            await _answer(send, refused, _REFUSED[refused])
        elif (place := self._signed_in(scope)) is not None:
            await _answer(send, 303, "", {"location": place, "set-cookie": self._cookie()})
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope, headers: Mapping[str, list[str]]) -> int:
        """Return the status with which a request is refused, or 0."""
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405
        host = headers.get("host", [])
        if len(host) != 1 or len(scope["query_string"]) > _LONGEST:
            return 400
        if not self.door.answers_to(host[0]) or _from_elsewhere(scope["method"], headers, host[0]):
            return 403
        return 0 if self.door.opened_by(self._given(scope, headers)) else 401

    def _given(self, scope: Scope, headers: Mapping[str, list[str]]) -> list[str]:
        """Return what may be the token: from the address, the cookie, or a header."""
        given = [value for name, value in _query(scope) if name == "token"]
        for line in headers.get("authorization", []):
            kind, _, value = line.partition(" ")
            given += [value.strip()] * (kind.lower() == "bearer")
        for line in headers.get("cookie", []):
            # Cookies of other servers of this machine come too, and some are not well-formed.
            pairs = [part.strip().partition("=") for part in line.split(";")]
            given += [value for name, _, value in pairs if name == self.door.cookie]
        return given

    def _signed_in(self, scope: Scope) -> str | None:
        """Return where to go with the token in a cookie, once the address has shown it."""
        query = _query(scope)
        rest = [(name, value) for name, value in query if name != "token"]
        if self.door.token is None or rest == query or scope["method"] != "GET":
            return None
        # The path of a request may begin with two slashes, which would lead to another machine.
        path = "/" + quote(str(scope["path"]).lstrip("/\\"))
        return path + (f"?{urlencode(rest)}" if rest else "")

    def _cookie(self) -> str:
        return f"{self.door.cookie}={self.door.token}; Path=/; HttpOnly; SameSite=Lax"


def _from_elsewhere(method: str, headers: Mapping[str, list[str]], host: str) -> bool:
    """Return whether another page than the dashboard's own sends a request; following a link from
    one is no harm."""
    origins = headers.get("origin", [])
    if any(origin.partition("://")[2].lower() != host.lower() for origin in origins):
        return True
    site = headers.get("sec-fetch-site", ["none"])[0]
    if site in ("same-origin", "none"):
        return False
    return method != "GET" or headers.get("sec-fetch-mode") != ["navigate"]


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            more = [pair for pair in _HEADERS if pair[0] not in there]
            message["headers"] = [*message.get("headers", []), *more]
        await send(message)

    return answer


async def _answer(send: Send, status: int, text: str, more: Mapping[str, str] = _NO_MORE) -> None:
    content = text.encode()
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(content)),
        "cache-control": "no-store",
        **more,
    }
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
    }
    answer = _with_headers(send)
    await answer(start)
    await answer({"type": "http.response.body", "body": content})
