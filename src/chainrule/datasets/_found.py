"""Data sets that do not ship: looked for where systems keep them, else fetched, always checked."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.data.showing import warn
from chainrule.datasets._places import Remote, cache
from chainrule.errors import ChainruleError, DataError, FileError

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Pairs = tuple[tuple[Images, Labels], tuple[Images, Labels]]
# From a place to the arrays in it; nothing where it has none.
Read = Callable[[Path], Pairs | None]


def load(
    name: str, places: Sequence[Path], read: Read, remotes: Sequence[Remote], hint: str = ""
) -> Pairs:
    """Return the arrays from the first place that has them, else fetch them into the cache.

    A place whose files are damaged, or others, is passed over with a warning.

    Raises
    ------
    FileError
        Where they are nowhere and cannot be fetched: with what to put where.
    """
    own = cache(name)
    for place in (own, *places):
        try:
            found = read(place)
        except (ChainruleError, OSError) as error:
            warn(f"{str(place)!r} is passed over: {error}")
            if place == own:
                _remove(own, remotes)
            continue
        if found is not None:
            return found
    _fetch_all(name, own, places, remotes, hint)
    found = read(own)
    if found is None:
        raise FileError(f"{str(own)!r} lacks files that were just fetched")
    return found


def _remove(folder: Path, remotes: Sequence[Remote]) -> None:
    """Remove damaged files of the cache, so that good ones can take their place."""
    for remote in remotes:
        (folder / remote.name).unlink(missing_ok=True)


def _fetch_all(
    name: str, own: Path, places: Sequence[Path], remotes: Sequence[Remote], hint: str
) -> None:
    from chainrule.datasets._fetch import fetch  # what it needs takes a while to import

    megabytes = sum(remote.size for remote in remotes) / 1e6
    print(f"{name} is not on this machine: fetching {megabytes:.0f} MB into {str(own)!r}")
    try:
        for remote in remotes:
            fetch(remote, own)
    except FileError as error:
        raise FileError(_not_to_be_had(name, own, places, remotes, hint, error)) from None


def _not_to_be_had(
    name: str,
    own: Path,
    places: Sequence[Path],
    remotes: Sequence[Remote],
    hint: str,
    error: FileError,
) -> str:
    lines = [f"{name} is not on this machine, and {error}"]
    lines.append("  looked in: " + "\n             ".join(str(place) for place in (own, *places)))
    lines.append(f"  fix: {hint}put into {str(own)!r}")
    for remote in remotes:
        lines.append(f"       {remote.name} ({remote.size} bytes) from {remote.urls[0]}")
    return "\n".join(lines)


def check(array: NDArray[np.uint8], sha256: str, words: str) -> None:
    """Refuse an array that is not the one that is meant: by the SHA-256 of its plain IDX file.

    Raises
    ------
    DataError
        For another array.
    """
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    digest = hashlib.sha256(head)
    digest.update(np.ascontiguousarray(array).data)
    if array.dtype != np.uint8 or digest.hexdigest() != sha256:
        raise DataError(f"{words} are not those that were published, by their SHA-256")
