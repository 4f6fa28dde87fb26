"""Progress of work that is not training: files that are decoded, bytes that are fetched."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator

from chainrule.errors import DataWarning

Advance = Callable[[int], None]


def _nothing(amount: int) -> None:
    pass


@contextlib.contextmanager
def advancing(words: str, total: int | None, shown: bool, size: bool = False) -> Iterator[Advance]:
    """Yield what is called with each amount that is done; a bar with rate and time left shows it.

    Only a terminal has a bar, which is gone in the end; `size` says that amounts are bytes.
    """
    if not shown or not sys.stdout.isatty():
        yield _nothing
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amounts = (DownloadColumn(), TransferSpeedColumn()) if size else (MofNCompleteColumn(),)
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), *amounts, TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(words, total=total)

        def advance(amount: int) -> None:
            progress.advance(task, amount)

        yield advance


def warn(words: str) -> None:
    """Warn of data, at the line of the user's program that asked for it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith("chainrule."):
        frame, level = frame.f_back, level + 1
    warnings.warn(words, DataWarning, stacklevel=level)
