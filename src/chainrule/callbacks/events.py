"""TensorBoard's event files, written byte by byte: records of protocol buffers with checksums."""

from __future__ import annotations

import functools
import os
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError

_BUCKETS = 30
_POLYNOMIAL = 0x82F63B78  # of CRC-32C, its bits reversed


class EventFile:
    """A file of events in a folder; each is on its way to the disk when `write` returns.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.callbacks.events import EventFile, scalar
    >>> file = EventFile(tempfile.mkdtemp())
    >>> file.write(0, [scalar("epoch_loss", 0.5)])
    >>> file.path.stat().st_size == file.position
    True
    """

    def __init__(self, folder: str | os.PathLike[str], name: str = "", position: int = 0) -> None:
        host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
        made = f"events.out.tfevents.{time.time():.6f}.{host}.{os.getpid()}"
        self.path = Path(folder) / (name or made)
        self.position = position

    def write(self, step: int, values: Sequence[bytes]) -> None:
        """Add the values of a step."""
        event = _number(1, time.time()) + _integer(2, step)
        event += _bytes(5, b"".join(_bytes(1, value) for value in values))
        records = _record(event)
        if not self.position:
            records = _record(_number(1, time.time()) + _bytes(3, b"brain.Event:2")) + records
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Opened each time: no handle is left open where a run ends with an error.
            with open(self.path, "r+b" if self.path.exists() else "wb") as file:
                # What a run that was killed wrote after its backup is written again.
                file.truncate(min(self.position, file.seek(0, os.SEEK_END)))
                file.seek(0, os.SEEK_END)
                file.write(records)
                self.position = file.tell()
        except OSError as error:
            raise FileError(f"cannot write {str(self.path)!r}: {error}") from error


def scalar(tag: str, number: float) -> bytes:
    """Return a number under a name."""
    with np.errstate(over="ignore"):
        return _bytes(1, tag.encode()) + b"\x15" + np.array(number).astype("<f4").tobytes()


def histogram(tag: str, values: Array) -> bytes:
    """Return the distribution of the finite elements of an array under a name."""
    x = np.asarray(values, np.float64).reshape(-1)
    x = x[np.isfinite(x)]
    counts, edges = np.histogram(x, _BUCKETS) if x.size else (np.zeros(1), np.zeros(2))
    low, high = (x.min(), x.max()) if x.size else (0.0, 0.0)
    numbers = (low, high, x.size, x.sum(), (x * x).sum())
    text = b"".join(_number(i + 1, float(n)) for i, n in enumerate(numbers))
    text += _bytes(6, edges[1:].astype("<f8").tobytes())
    text += _bytes(7, counts.astype("<f8").tobytes())
    return _bytes(1, tag.encode()) + _bytes(5, text)


def _varint(n: int) -> bytes:
    """Return a whole number of at least 0 in groups of 7 bits, the lowest first."""
    parts = []
    while n > 127:
        parts.append(n & 127 | 128)
        n >>= 7
    return bytes([*parts, n])


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _integer(field: int, n: int) -> bytes:
    return _varint(field << 3) + _varint(n)


def _number(field: int, number: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", number)


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def _masked(content: bytes) -> bytes:
    """Return the checksum of a record's part, turned as the format has it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _table()[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    turned = (crc >> 15 | crc << 17) + 0xA282EAD8
    return struct.pack("<I", turned & 0xFFFFFFFF)


@functools.cache
def _table() -> list[int]:
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (_POLYNOMIAL if n & 1 else 0)
        table.append(n)
    return table
