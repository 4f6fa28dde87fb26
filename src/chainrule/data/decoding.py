"""Many files decoded in threads: each becomes an array of one shape, or the error that it has."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError

_AT_A_TIME = 8  # files that a thread decodes before it hands them over

File = str | os.PathLike[str] | bytes
Read = Callable[[Any], Array]


class Form(Protocol):
    """What files become: arrays of one shape and dtype."""

    @property
    def noun(self) -> str:
        """What one file holds: an image, a sound."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of each array."""

    @property
    def dtype(self) -> str:
        """The dtype of the arrays."""

    def read(self, path: File) -> Array:
        """Return what one file becomes; raises FileError for one that is broken."""


def attempts(
    paths: Sequence[File], read: Read, threads: int | None = None
) -> Generator[Array | FileError, None, None]:
    """Yield what `read` makes of each file, or the error that it raises, in their order."""
    threads = threads or default_threads()
    if threads == 1 or len(paths) < 2:
        for path in paths:
            yield _attempt(path, read)
        return
    # Pillow and libsndfile let other threads run while they decode. No more are under way than a
    # few a thread, so that one who does not take them does not fill the memory. They are handed
    # over several at a time: of images of 28 x 28 each takes 62 us in one thread, and of two 85 us
    # so, 110 one by one.
    step, ahead = min(max(len(paths) // (4 * threads), 1), _AT_A_TIME), 2 * threads
    parts = [paths[i : i + step] for i in range(0, len(paths), step)]
    with ThreadPoolExecutor(threads, "chainrule-decoder") as pool:
        waiting = deque(pool.submit(_attempt_all, part, read) for part in parts[:ahead])
        try:
            for part in [*parts[ahead:], *[()] * len(waiting)]:
                made = waiting.popleft().result()
                if part:
                    waiting.append(pool.submit(_attempt_all, part, read))
                yield from made
        finally:
            for one in waiting:
                one.cancel()


def default_threads() -> int:
    """Return the threads that decode unless told otherwise: as many as train."""
    from chainrule.executors import num_threads

    return num_threads()


def gathered(paths: Sequence[File], form: Form, threads: int | None = None) -> Array:
    """Return what files become as one array.

    Raises
    ------
    FileError
        For the first file that is broken.
    """
    found = np.empty((len(paths), *form.shape), form.dtype)
    with contextlib.closing(attempts(paths, form.read, threads)) as made:
        for i, one in enumerate(made):
            if isinstance(one, FileError):
                raise one
            found[i] = one
    return found


def _attempt_all(paths: Sequence[File], read: Read) -> list[Array | FileError]:
    return [_attempt(path, read) for path in paths]


def _attempt(path: File, read: Read) -> Array | FileError:
    try:
        return read(path)
    except FileError as error:
        return error
