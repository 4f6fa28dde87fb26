"""Runs in a browser, live while they train in other processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from pathlib import Path

from chainrule.errors import ArgumentError, missing_package, unknown_name
from chainrule.insight.access import App, Door, is_loopback

PORT = 8765
_TRIED = 20  # ports from the usual one on, where that is taken


def serve(
    folder: str | os.PathLike[str] = "runs",
    host: str = "127.0.0.1",
    port: int | None = None,
    language: str | None = None,
) -> None:
    """Serve the runs in a folder to browsers, until Ctrl-C.

    Training never waits for the server, and goes on without it. By default only this machine
    reaches it; with another `host` an address with a token is printed, and whoever has that can
    see the runs, stop them and lower their learning rates.

    Parameters
    ----------
    folder : path-like, default "runs"
        Of runs, or of one; runs that begin later are shown too.
    host : str, default "127.0.0.1"
        Where to listen; ``"0.0.0.0"`` for all networks of this machine.
    port : int, optional
        By default 8765, or the next that is free.
    language : {"en", "zh"}, optional
        Of the pages, where no other is chosen there; by default what the browser prefers.

    Raises
    ------
    ArgumentError
        For a host that is none of this machine's, or a port that is taken.
    FileError
        For a file in the place of the folder.
    MissingDependencyError
        Where a package of the extra ``insight`` is missing.
    """
    if not isinstance(host, str):
        raise ArgumentError(f"host is {host!r}; expected a name or address")
    door = Door(host, None if is_loopback(host) else secrets.token_urlsafe(32))
    app = make_app(folder, door, language)
    with _listening(host, port) as listening:
        for line in _said(folder, door, listening.getsockname()[1]):
            print(line, flush=True)
        _run(app, listening)


def make_app(
    folder: str | os.PathLike[str], door: Door | None = None, language: str | None = None
) -> App:
    """Return the ASGI application that `serve` runs, to run it otherwise.

    Parameters
    ----------
    folder : path-like
        Of runs, or of one.
    door : Door, optional
        Where it is reached and its token; by default at this machine's own names, without one.
    language : {"en", "zh"}, optional
        Of the pages, where no other is chosen there.

    Raises
    ------
    MissingDependencyError
        Where a package of the extra ``insight`` is missing.
    """
    for package in ("starlette", "plotly"):
        _needed(package)
    from chainrule.insight import server
    from chainrule.insight.collection import Runs

    if language not in (None, "en", "zh"):
        raise unknown_name("language", language, ("en", "zh"))
    return server.make_app(Runs(folder), door or Door(), language)


def _needed(package: str) -> None:
    try:
        __import__(package)
    except ImportError:
        raise missing_package(package, "the dashboard", "insight") from None


def _listening(host: str, port: int | None) -> socket.socket:
    """Return a socket on the port, or on the first that is free."""
    if port is not None and not (isinstance(port, int) and 0 <= port < 65_536):
        raise ArgumentError(f"port is {port!r}; expected a number from 0 to 65535")
    ports = range(PORT, PORT + _TRIED) if port is None else [port]
    for number in ports:
        try:
            found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)
            family, address = found[0][0], found[0][4]
            return socket.create_server((str(address[0]), number), family=family)
        except socket.gaierror:
            raise ArgumentError(f"host is {host!r}, which is no name or address here") from None
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
    raise ArgumentError(
        f"cannot listen on {host} at port {ports[0]}: {why}\n  fix: choose another with --port"
    )


def _said(folder: str | os.PathLike[str], door: Door, port: int) -> list[str]:
    """Return what is printed as the server begins."""
    name = door.host
    if name in ("0.0.0.0", "::", ""):
        name = socket.gethostname()
    address = f"http://{f'[{name}]' if ':' in name else name}:{port}/"
    if door.token is None:
        return [f"runs in {Path(folder)}: {address}  (Ctrl-C to end; training goes on)"]
    return [
        f"runs in {Path(folder)}: {address}?token={door.token}",
        "whoever has this address can see and stop the runs; nothing on its way is encrypted",
    ]


def _run(app: App, listening: socket.socket) -> None:
    try:
        import uvicorn
    except ImportError:
        raise missing_package("uvicorn", "the dashboard", "insight") from None

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=64,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
    )
    with contextlib.suppress(KeyboardInterrupt):  # raised again once all has ended in order
        uvicorn.Server(config).run(sockets=[listening])
