"""Running a step over the windows of an epoch, and telling whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from chainrule.data.prefetch import drawn
from chainrule.data.source import Source, Window
from chainrule.dtypes import Array
from chainrule.errors import ShapeError
from chainrule.training.hooks import Callback, CallbackList, Logs, room
from chainrule.training.own_step import OwnStep
from chainrule.training.progress import INTERVAL, Progress
from chainrule.training.statistics import Statistics
from chainrule.training.step import Step, WatchedStep, layout_of
from chainrule.training.trainer import Trainer


class Watch:
    """Whoever is told about a run as it goes on, and how many batches may run between."""

    def __init__(
        self,
        trainer: Trainer,
        hooks: CallbackList,
        progress: Progress,
        kind: str,
        statistics: Statistics | None = None,
    ) -> None:
        self.trainer = trainer
        self.statistics = statistics
        self.hooks = hooks
        self.progress = progress
        self.begin_hook = f"on_{kind}_batch_begin"
        self.end_hook = f"on_{kind}_batch_end"
        self.logs: Callable[[], Logs] = dict if kind == "predict" else trainer.logs
        self.each = hooks.wants_each(kind)
        self.patient: list[Callback] = hooks.due() if kind == "train" and not self.each else []
        self.stops = kind == "train" and bool(self.each or self.patient)
        self._pace = 1

    def stretch(self, left: int) -> int:
        """Return the number of batches to run before the next look."""
        if self.each:
            return 1
        counted, paced = room(self.patient)
        if paced or self.progress.live:
            left = min(left, self._pace)
        return int(min(left, counted))

    def span(self, steps: int) -> tuple[bool, int]:
        """Return whether the next batch is measured, and how many of `steps` are like it."""
        return (False, steps) if self.statistics is None else self.statistics.span(steps)

    def begin(self, batch: int) -> None:
        """Tell of a batch to come."""
        if self.each:
            self.hooks.call(self.begin_hook, batch, {})

    def measure(self, step: Step | OwnStep, steps: int) -> None:
        """Have the next batches write their measures, if they are to."""
        if self.statistics is not None:
            if isinstance(step, WatchedStep):
                self.statistics.begin(step, steps, self.trainer.epoch)
            self.statistics.step += steps

    def end(self, done: int, steps: int, seconds: float) -> bool:
        """Tell of the last of `steps` batches, which took so many seconds; return if it ends."""
        told = self.each or room(self.patient) != (math.inf, False)
        if not told and not self.progress.live:
            return False
        self._pace = max(1, min(int(INTERVAL * steps / max(seconds, 1e-9)), 8 * self._pace))
        logs = self.logs()
        self.progress.update(done, logs)
        if told:
            self.hooks.call(self.end_hook, done - 1, logs)
        return self.stops and self.trainer.model.stop_training


# Called before a stretch, with its first row and number of batches.
Prepare = Callable[[Step, int, int], None]


class Sweep:
    """One pass of a step of this kind over a source."""

    def __init__(self, watch: Watch, kind: str, prepare: Prepare | None = None) -> None:
        self.watch = watch
        self.kind = kind
        self.prepare = prepare
        self.done = self.rows = 0

    def run(
        self, source: Source, size: int, epoch: int = 0, done: int = 0, shuffle: bool = False
    ) -> None:
        """Run over the batches of an epoch from number `done` on.

        A thread reads ahead where the source asks for it, and ends with this call in any case.
        """
        self.done = done
        windows = source.windows(self.watch.trainer.seed, epoch, size, done, shuffle)
        with drawn(windows, source.slots) as ahead:
            self._over(ahead)
        source.passes += 1
        self.watch.progress.over(self.done)

    def _over(self, windows: Iterator[Window]) -> None:
        for window in windows:
            if self._within(window):
                return
            self.rows += len(window)

    def _within(self, window: Window) -> bool:
        """Run over a window, a last smaller batch by itself; return if a callback asks to end."""
        full, rest = divmod(len(window), window.size)
        found: dict[bool, Step | OwnStep] = {}
        first = 0
        while first < full:
            measured, steps = self.watch.span(self.watch.stretch(full - first))
            if measured not in found:
                found[measured] = self._step(window, window.size, measured)
            if self._stretch(found[measured], window, first * window.size, steps):
                return True
            first += steps
        if not rest:
            return False
        return self._stretch(self._step(window, rest), window, full * window.size, 1)

    def _step(self, window: Window, size: int, measured: bool = False) -> Step | OwnStep:
        gathered = window.order is not None
        layout = layout_of(self.kind, size, window.batches, gathered, measured)
        return self.watch.trainer.step(layout)

    def _stretch(self, step: Step | OwnStep, window: Window, first: int, steps: int) -> bool:
        self.watch.begin(self.done)
        if self.prepare is not None and isinstance(step, Step):
            self.prepare(step, self.rows + first, steps)
        self.watch.measure(step, steps)
        began = time.perf_counter()
        step.run(window.batches, first, steps, window.order)
        self.done += steps
        return self.watch.end(self.done, steps, time.perf_counter() - began)


class Outputs:
    """What `predict` writes into: arrays for all samples, or that grow where nobody knows.

    Where batches have outputs of different shapes (for each step of sequences of different
    lengths), those of one shape after the other are set aside, and filled up with zeros in the end.
    """

    def __init__(self, samples: int | None) -> None:
        self._rows = samples or 0
        self._arrays: list[Array] | None = None
        self._end = self._begin = 0
        self._aside: list[list[Array]] = []

    def prepare(self, step: Step, first: int, steps: int) -> None:
        """Let the step write the rows of its next batches where they belong."""
        specs = [(value.shape[1:], value.dtype) for value in step.program.plan.outputs]
        for value in step.program.plan.outputs:
            if value.shape[:1] != (step.layout.batch,):
                raise ShapeError(
                    f"predict: an output of the model has the shape {list(value.shape)}, which "
                    f"does not begin with the {step.layout.batch} samples of the batch.\n"
                    "  fix: let the model return arrays whose first axis counts the samples"
                )
        if [array.shape[1:] for array in self._arrays or ()] != [shape for shape, _ in specs]:
            self._set_aside(first)
        first -= self._begin
        self._end = first + steps * step.layout.batch
        if self._arrays is None:
            self._rows = self._rows or self._end
            self._arrays = [np.empty((self._rows, *shape), dtype) for shape, dtype in specs]
        if self._end > self._rows:
            more = max(self._end, 2 * self._rows) - self._rows
            self._arrays = [
                np.concatenate([array, np.empty((more, *array.shape[1:]), array.dtype)])
                for array in self._arrays
            ]
            self._rows += more
        step.write(self._arrays, first, steps)

    def _set_aside(self, first: int) -> None:
        """Begin new arrays at this row, in case there are some."""
        if self._arrays is not None:
            self._aside.append(self._cut())
            self._rows = max(self._rows - (first - self._begin), 0)
            self._arrays, self._begin = None, first

    def _cut(self) -> list[Array]:
        arrays = self._arrays or []
        return [a if len(a) == self._end else a[: self._end].copy() for a in arrays]

    def arrays(self) -> list[Array]:
        """Return the outputs of all samples."""
        if not self._aside:
            return self._cut()
        return [_joined(parts) for parts in zip(*self._aside, self._cut(), strict=True)]


def _joined(parts: Sequence[Array]) -> Array:
    """Return arrays one behind the other, filled up with zeros to the largest shape."""
    shape = np.max([part.shape[1:] for part in parts], axis=0)
    out = np.zeros((sum(map(len, parts)), *shape), parts[0].dtype)
    begin = 0
    for part in parts:
        rows = slice(begin, begin + len(part))
        out[(rows, *map(slice, part.shape[1:]))] = part
        begin += len(part)
    return out
