"""Progress as suits where it is shown: one live line in a terminal, else a line an epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.training.hooks import Logs

INTERVAL = 0.1  # seconds between two looks at a run: what the eye takes as steady


def mode_of(verbose: object) -> int:
    """Return 0 (silent), 1 (live line) or 2 (a line an epoch) for the argument `verbose`."""
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(f"verbose is {verbose!r}; expected 'auto', 0, 1 or 2")
    if verbose in ("auto", 1):
        return 1 if sys.stdout.isatty() else 2
    return 2 if verbose == 2 else 0


class Progress:
    """Shows epoch, batches, rate, time left, loss and metrics; silent in mode 0.

    `live` says whether it wants to be told of batches, about ten times a second.
    """

    def __init__(self, mode: int, epochs: int = 1, title: str = "epoch") -> None:
        self.mode = mode
        self.epochs = epochs
        self.title = title
        self.live = mode == 1
        self._display: Any = None
        self._begun = self._shown = 0.0
        self._epoch = self._batches = self._samples = self._batch = self._first = 0

    def __enter__(self) -> Progress:
        if self.live:
            from rich.live import Live

            self._display = Live(auto_refresh=False, transient=True)
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.stop()

    def begin(self, epoch: int, samples: int, batch: int, done: int = 0) -> None:
        """Start the clock of an epoch, of which some batches were done before."""
        self._epoch, self._samples, self._batch = epoch, samples, batch
        self._first = min(done * batch, samples)
        self._batches = -(-samples // batch)
        self._begun = time.perf_counter()

    def update(self, done: int, logs: Logs) -> None:
        """Show the state after `done` batches, unless it was shown a moment ago."""
        now = time.perf_counter()
        if self._display is None or now - self._shown < INTERVAL:
            return
        self._shown = now
        from rich.text import Text

        line = self._text(done, logs, now - self._begun)
        self._display.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)

    def end(self, logs: Logs) -> None:
        """Leave the line of a finished epoch."""
        if not self.mode:
            return
        line = self._text(self._batches, logs, time.perf_counter() - self._begun)
        if self._display is None:
            print(line, flush=True)
        else:
            self._display.update(
                "", refresh=True
            )  # else the last state would stand below the finished line
            self._display.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _text(self, done: int, logs: Logs, seconds: float) -> str:
        samples = min(done * self._batch, self._samples)
        rate = (samples - self._first) / max(seconds, 1e-9)
        parts = [self._heading(), f"{done:>{len(str(self._batches))}}/{self._batches} batches"]
        parts.append(f"{rate:,.0f} samples/s")
        if done < self._batches:
            parts.append(f"{duration((self._samples - samples) / max(rate, 1e-9))} left")
        else:
            parts.append(duration(seconds))
        parts += [f"{name} {number:.4g}" for name, number in logs.items()]
        return "  ".join(parts)

    def _heading(self) -> str:
        if self.title != "epoch":
            return self.title
        return f"epoch {self._epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"


def duration(seconds: float) -> str:
    """Return e.g. ``"0.31 s"``, ``"12 s"``, ``"3:05"`` or ``"1:02:09"``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
