"""Files fetched over HTTPS into the cache: checked, resumed where they were cut, written whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from chainrule.data.showing import Advance, advancing
from chainrule.datasets._places import Remote
from chainrule.errors import FileError

_TRIES = 3  # that one address is asked; each goes on where the last was cut
_TIMEOUT = 20.0  # seconds without a byte
_PART = 1 << 18
# What a network does when it does not work.
_FAILURES = (OSError, http.client.HTTPException)


def fetch(remote: Remote, folder: Path) -> Path:
    """Return the file in the folder, fetched where it is not there.

    What was fetched before a cut lies beside it under ``.part`` and is gone on from. Of several
    processes one fetches, and the others wait.

    Raises
    ------
    FileError
        Where no address gives the right file, or it cannot be written.
    """
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(part, "a+b") as file, _alone(file):
            if not target.exists():
                _fill(remote, file)
                file.flush()
                os.fsync(file.fileno())
                os.replace(part, target)
            else:
                part.unlink(missing_ok=True)
    except FileError:  # an OSError too
        with contextlib.suppress(OSError):
            if not part.stat().st_size:
                part.unlink()
        raise
    except OSError as error:
        raise FileError(f"cannot write {str(part)!r}: {error.strerror or error}") from error
    return target


@contextlib.contextmanager
def _alone(file: IO[bytes]) -> Iterator[None]:
    """Let only one process at a time go on."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _fill(remote: Remote, file: IO[bytes]) -> None:
    """Write the file from the first address that gives it."""
    faults = []
    for url in remote.urls:
        for _ in range(_TRIES):
            begin = file.seek(0, os.SEEK_END)
            try:
                with advancing(remote.name, remote.size, shown=True, size=True) as advance:
                    _receive(url, remote, file, advance)
            except FileError:  # the disk, not the network
                raise
            except _FAILURES as error:
                faults.append(f"{url}: {_told(error)}")
                if file.seek(0, os.SEEK_END) == begin:
                    break  # nothing came, and nothing will
                continue
            if _is_right(remote, file):
                return
            faults.append(f"{url}: it gives another file, by its SHA-256")
            file.truncate(0)
            if not begin:
                break
    raise FileError(f"{remote.name} cannot be fetched:\n  " + "\n  ".join(dict.fromkeys(faults)))


def _told(error: BaseException) -> str:
    reason = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else None
    return str(reason or error or type(error).__name__)


def _receive(url: str, remote: Remote, file: IO[bytes], advance: Advance) -> None:
    """Append what the address has to what is there.

    Raises
    ------
    OSError, HTTPException
        Where the network fails; what came until then is kept.
    """
    begin = file.seek(0, os.SEEK_END)
    if begin >= remote.size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "chainrule"})
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        if begin and not _goes_on(answer, begin):
            begin = 0
            file.truncate(0)
        advance(begin)
        while part := answer.read(min(_PART, remote.size + 1 - file.tell())):
            _write(part, file)
            advance(len(part))
    if file.tell() < remote.size:
        raise OSError(f"the connection was cut after {file.tell()} of {remote.size} bytes")


def _write(part: bytes, file: IO[bytes]) -> None:
    try:
        file.write(part)
        file.flush()
    except OSError as error:
        raise FileError(f"cannot write {file.name!r}: {error.strerror or error}") from error


def _goes_on(answer: Any, begin: int) -> bool:
    """Return whether the answer is the rest of the file, rather than all of it."""
    span = str(answer.headers.get("Content-Range", ""))
    return answer.status == 206 and span.startswith(f"bytes {begin}-")


def _is_right(remote: Remote, file: IO[bytes]) -> bool:
    """Return whether the file is whole, and the one that is meant."""
    if file.seek(0, os.SEEK_END) != remote.size:
        return False
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
    file.seek(0, os.SEEK_END)
    return digest.hexdigest() == remote.sha256
