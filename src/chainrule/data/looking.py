"""Which of many files can be decoded: all are, once, and kept where they fit."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chainrule.data.batches import Order
from chainrule.data.decoding import Form, attempts
from chainrule.data.showing import advancing, warn
from chainrule.dtypes import Array
from chainrule.errors import DataError, FileError

_TOLD = 10  # broken files that a warning or error names


@dataclass(frozen=True)
class Seen:
    """The numbers of the good files, their arrays where kept, what is wrong with the others."""

    good: Order
    arrays: Array | None = None
    broken: dict[int, str] = field(default_factory=dict)

    def part(self, rows: Order) -> Seen:
        """Return what is known of these files, numbered anew."""
        mine = np.isin(rows, self.good)
        arrays = self.arrays
        if arrays is not None:
            arrays = arrays[np.searchsorted(self.good, rows[mine])]
        broken = {i: self.broken[k] for i, k in enumerate(rows.tolist()) if k in self.broken}
        return Seen(np.flatnonzero(mine), arrays, broken)


def look(
    paths: Sequence[Path], form: Form, on_error: str, memory_bytes: int, verbose: bool
) -> Seen:
    """Return what becomes of the files; broken ones are told in a warning, or refused.

    Arrays that would take more than `memory_bytes` are not kept; where broken ones are refused as
    they are met, they need not be looked at before either.

    Raises
    ------
    FileError
        For the first broken file where `on_error` is ``"raise"``.
    DataError
        Where not one file is good.
    """
    bytes_each = int(np.prod(form.shape)) * np.dtype(form.dtype).itemsize
    keeps = len(paths) * bytes_each <= memory_bytes
    if not keeps and on_error == "raise":
        return Seen(np.arange(len(paths)))
    arrays = np.empty((len(paths) if keeps else 0, *form.shape), form.dtype)
    good: list[int] = []
    broken: dict[int, str] = {}
    words = f"{'reading' if keeps else 'checking'} {form.noun}s"
    with (
        contextlib.closing(attempts(paths, form.read)) as made,
        advancing(words, len(paths), verbose) as advance,
    ):
        for i, one in enumerate(made):
            advance(1)
            if not isinstance(one, FileError):
                if keeps:
                    arrays[len(good)] = one
                good.append(i)
            elif on_error == "raise":
                raise one
            else:
                broken[i] = str(one)
    _tell(broken, len(paths), form.noun)
    return Seen(np.array(good, np.int64), arrays[: len(good)] if keeps else None, broken)


def _tell(broken: dict[int, str], total: int, noun: str) -> None:
    """Warn of broken files by name; refuse where there are no others."""
    if not broken:
        return
    told = list(broken.values())[:_TOLD]
    if len(broken) > _TOLD:
        told.append(f"and {len(broken) - _TOLD} more, in the attribute `broken`")
    lines = "\n  ".join(told)
    if len(broken) == total:
        raise DataError(f"none of the {total} {noun}s can be decoded:\n  {lines}")
    warn(f"{len(broken)} of {total} {noun}s cannot be decoded, and are left out:\n  {lines}")
