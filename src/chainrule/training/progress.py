"""Progress as suits where it is shown: one live line in a terminal or a notebook, else lines."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from chainrule.errors import ArgumentError
from chainrule.training.hooks import Logs

INTERVAL = 0.1  # seconds between two looks at a run: what the eye takes as steady
_MINUTE = 60.0  # seconds between two lines about the same epoch in a log
_STANDING = 10  # finished epochs that a notebook goes on showing


def mode_of(verbose: object) -> int:
    """Return 0 (silent), 1 (live line) or 2 (a line an epoch) for the argument `verbose`."""
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(f"verbose is {verbose!r}; expected 'auto', 0, 1 or 2")
    if verbose in ("auto", 1):
        return 1 if sys.stdout.isatty() or in_notebook() else 2
    return 2 if verbose == 2 else 0


def in_notebook() -> bool:
    """Return whether what is printed goes to a notebook: a kernel runs, and took the output."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    taken = type(sys.stdout).__module__.partition(".")[0] == "ipykernel"
    return taken and getattr(shell, "kernel", None) is not None


class Screen(Protocol):
    """Where progress is shown."""

    def show(self, line: str) -> None:
        """Show the state of now in the place of the last one."""

    def leave(self, line: str) -> None:
        """Let a line stand, in the place of the state of now."""

    def close(self) -> None:
        """Take the state of now away."""


class Terminal:
    """A live line below those that stand."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(auto_refresh=False, transient=True)
        self._live.start()

    def show(self, line: str) -> None:
        """Show the state of now, cut at the width of the terminal."""
        from rich.text import Text

        self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)

    def leave(self, line: str) -> None:
        """Print a line above the live one, which is empty then."""
        self._live.update("", refresh=True)  # else the last state would stand below
        self._live.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the live line away."""
        self._live.stop()


class Notebook:
    """One output of a cell, written anew each time: the last finished lines and the live one.

    So a notebook that is saved holds a few lines, however many epochs there were.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""
        self._written = 0.0
        self._standing: list[str] = []
        self._before = 0

    def show(self, line: str) -> None:
        """Show the state of now below the lines that stand."""
        self._write([*self._lines(), line])

    def leave(self, line: str) -> None:
        """Let a line stand; of many only the last."""
        self._standing.append(line)
        if len(self._standing) > _STANDING:
            del self._standing[0]
            self._before += 1
        if time.perf_counter() - self._written >= INTERVAL:  # many short epochs are no flood
            self._write(self._lines())

    def close(self) -> None:
        """Take the state of now away."""
        if self._handle is not None or self._standing:
            self._write(self._lines())

    def _lines(self) -> list[str]:
        before = [f"... {self._before} before"] if self._before else []
        return [*before, *self._standing]

    def _write(self, lines: list[str]) -> None:
        text = "\n".join(lines)
        if text == self._shown:
            return
        self._shown, self._written = text, time.perf_counter()
        if self._handle is not None:
            self._handle.update({"text/plain": text}, raw=True)
            return
        from IPython.display import display

        self._handle = display({"text/plain": text}, raw=True, display_id=True)


class Log:
    """Lines one after another: one an epoch, and one a minute where an epoch takes longer."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def show(self, line: str) -> None:
        """Print the state of now, if nothing was printed for a minute."""
        if time.perf_counter() - self._last >= _MINUTE:
            self.leave(line)

    def leave(self, line: str) -> None:
        """Print a line."""
        self._last = time.perf_counter()
        print(line, flush=True)

    def close(self) -> None:
        """Do nothing: what is printed stays."""


def screen_of(mode: int) -> Screen | None:
    """Return where progress is shown in this mode; ``None`` in silence."""
    if mode == 0:
        return None
    if mode == 2:
        return Log()
    return Notebook() if in_notebook() else Terminal()


class Progress:
    """Shows epoch, batches, rate, time left, loss and metrics; silent in mode 0.

    `live` says whether it wants to be told of batches, about ten times a second. Of what is counted
    instead of batches, no rate is shown.
    """

    def __init__(
        self, mode: int, epochs: int = 1, title: str = "epoch", counted: str = "batches"
    ) -> None:
        self.mode = mode
        self.epochs = epochs
        self.title = title
        self.counted = counted
        # A log is told within the first epoch, and within later ones if that took long.
        self.live = mode != 0
        self._screen: Screen | None = None
        self._begun = 0.0
        self._shown: float | None = None
        self._epoch = self._batches = self._samples = self._batch = self._first = 0
        self._known = True

    def __enter__(self) -> Progress:
        self._screen = screen_of(self.mode)
        return self

    def __exit__(self, *_: object) -> None:
        if self._screen is not None:
            self._screen.close()

    def begin(self, epoch: int, samples: int | None, batch: int, done: int = 0) -> None:
        """Start the clock of an epoch, of which some batches were done before.

        Where nobody knows how many samples there are, batches are counted without an end.
        """
        self._known = samples is not None
        samples = done * batch if samples is None else samples
        self._epoch, self._samples, self._batch = epoch, samples, batch
        self._first = min(done * batch, samples)
        self._batches = -(-samples // batch)
        self._begun = time.perf_counter()
        if self._shown is None:
            self._shown = self._begun  # what is over in a moment is not shown under way

    def over(self, done: int) -> None:
        """Take in that there were so many batches, where nobody knew."""
        if not self._known:
            self._known, self._batches, self._samples = True, done, done * self._batch

    def update(self, done: int, logs: Logs) -> None:
        """Show the state after `done` batches, unless it was shown a moment ago."""
        now = time.perf_counter()
        if self._screen is None or now - (self._shown or 0.0) < INTERVAL:
            return
        self._shown = now
        self._screen.show(self._text(done, logs, now - self._begun))

    def end(self, logs: Logs, done: int | None = None) -> None:
        """Leave the line of a finished epoch, which may have ended after `done` batches."""
        if not self.mode:
            return
        seconds = time.perf_counter() - self._begun
        if self.mode == 2:
            self.live = seconds > _MINUTE / 2
        if done is not None:
            self._batches, self._samples = done, min(done * self._batch, self._samples)
        (self._screen or Log()).leave(self._text(self._batches, logs, seconds))

    def _text(self, done: int, logs: Logs, seconds: float) -> str:
        samples = min(done * self._batch, self._samples) if self._known else done * self._batch
        rate = (samples - self._first) / max(seconds, 1e-9)
        count = f"{done:>{len(str(self._batches))}}/{self._batches}" if self._known else f"{done}"
        parts = [self._heading(), f"{count} {self.counted}".rstrip()]
        if self.counted == "batches":
            parts.append(f"{rate:,.0f} samples/s")
        if self._known and done < self._batches:
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
