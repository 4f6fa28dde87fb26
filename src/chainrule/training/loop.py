"""The loops around the step: epochs, batches, validation, and who is told on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.data.batches import Batches, Order, permutation
from chainrule.dtypes import Array
from chainrule.training.hooks import CallbackList, Logs
from chainrule.training.progress import INTERVAL, Progress
from chainrule.training.step import Step, layout_of
from chainrule.training.trainer import Snapshot, Trainer


@dataclass(frozen=True)
class Schedule:
    """What `fit` was asked for."""

    batch_size: int
    epochs: int
    initial_epoch: int = 0
    shuffle: bool = True
    validation_batch_size: int = 32
    validation_freq: int | Sequence[int] = 1

    def validates(self, epoch: int) -> bool:
        """Return whether the model is validated after this epoch."""
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return epoch + 1 in self.validation_freq


class Watch:
    """Whoever is told about a run as it goes on, and how many batches may run between."""

    def __init__(
        self, trainer: Trainer, hooks: CallbackList, progress: Progress, kind: str
    ) -> None:
        self.trainer = trainer
        self.hooks = hooks
        self.progress = progress
        self.begin_hook = f"on_{kind}_batch_begin"
        self.end_hook = f"on_{kind}_batch_end"
        self.logs: Callable[[], Logs] = dict if kind == "predict" else trainer.logs
        self.each = hooks.wants(self.begin_hook, self.end_hook)
        self._pace = 1

    def stretch(self, left: int) -> int:
        """Return the number of batches to run before the next look."""
        if self.each:
            return 1
        return min(left, self._pace) if self.progress.live else left

    def begin(self, batch: int) -> None:
        """Tell of a batch to come."""
        if self.each:
            self.hooks.call(self.begin_hook, batch, {})

    def end(self, done: int, steps: int, seconds: float) -> None:
        """Tell of the last of `steps` batches, which took so many seconds."""
        if not self.each and not self.progress.live:
            return
        self._pace = max(1, min(int(INTERVAL * steps / max(seconds, 1e-9)), 8 * self._pace))
        logs = self.logs()
        self.progress.update(done, logs)
        if self.each:
            self.hooks.call(self.end_hook, done - 1, logs)


Prepare = Callable[[Step, int, int], None]


def sweep(
    watch: Watch,
    kind: str,
    batches: Batches,
    batch_size: int,
    order: Order | None = None,
    prepare: Prepare | None = None,
) -> None:
    """Run one step of this kind over every batch, the remaining part of a batch last."""
    full, rest = divmod(len(batches), batch_size)
    gathered = order is not None
    if full:
        step = watch.trainer.step(layout_of(kind, batch_size, batches, gathered))
    done = 0
    while done < full:
        steps = watch.stretch(full - done)
        _run(watch, step, batches, (done * batch_size, done, steps), order, prepare)
        done += steps
    if rest:
        step = watch.trainer.step(layout_of(kind, rest, batches, gathered))
        _run(watch, step, batches, (full * batch_size, full, 1), order, prepare)


def _run(
    watch: Watch,
    step: Step,
    batches: Batches,
    where: tuple[int, int, int],
    order: Order | None,
    prepare: Prepare | None,
) -> None:
    """Run a stretch: `where` is its first sample, its first batch and its number of batches."""
    first, done, steps = where
    watch.begin(done)
    if prepare is not None:
        prepare(step, first, steps)
    began = time.perf_counter()
    step.run(batches, first, steps, order)
    watch.end(done + steps, steps, time.perf_counter() - began)


def fit(
    trainer: Trainer,
    training: Batches,
    validation: Batches | None,
    schedule: Schedule,
    hooks: CallbackList,
    progress: Progress,
) -> None:
    """Run the epochs; a failure within the first leaves everything as it was.

    After the first epoch all the data has been looked at: what fails later (a callback, a full
    disk) should not cost the user what was learnt, so it leaves the weights of that moment. So
    does Ctrl-C at any time.
    """
    trainer.refresh()
    _plan_ahead(trainer, training, validation, schedule)
    snapshot = Snapshot(trainer)
    logs: Logs = {}
    try:
        with progress:
            hooks.call("on_train_begin", {})
            for epoch in range(schedule.initial_epoch, schedule.epochs):
                hooks.call("on_epoch_begin", epoch, {})
                logs = _epoch(trainer, training, validation, schedule, epoch, hooks, progress)
                hooks.call("on_epoch_end", epoch, logs)
                snapshot.drop()
                if trainer.model.stop_training:
                    break
            hooks.call("on_train_end", logs)
    except Exception:
        snapshot.restore()
        raise
    finally:
        trainer.release()


def _plan_ahead(
    trainer: Trainer, training: Batches, validation: Batches | None, schedule: Schedule
) -> None:
    """Load the programs, so that shapes that do not fit are told before anything runs."""
    size = schedule.batch_size
    trainer.step(layout_of("train", size, training, schedule.shuffle))
    if validation is not None:
        size = min(schedule.validation_batch_size, len(validation))
        trainer.step(layout_of("evaluate", size, validation))


def _epoch(
    trainer: Trainer,
    training: Batches,
    validation: Batches | None,
    schedule: Schedule,
    epoch: int,
    hooks: CallbackList,
    progress: Progress,
) -> Logs:
    """Train over all samples once, validate; return the numbers of both."""
    progress.begin(epoch, len(training), schedule.batch_size)
    order = None
    if schedule.shuffle:
        order = permutation(trainer.seed, trainer.epoch, len(training))
    trainer.reset_metrics()
    sweep(Watch(trainer, hooks, progress, "train"), "train", training, schedule.batch_size, order)
    trainer.epoch += 1
    logs = trainer.logs()
    if validation is not None and schedule.validates(epoch):
        quiet = Progress(0)
        measured = measure(trainer, validation, schedule.validation_batch_size, hooks, quiet)
        logs |= {f"val_{name}": number for name, number in measured.items()}
    progress.end(logs)
    return logs


def measure(
    trainer: Trainer, batches: Batches, batch_size: int, hooks: CallbackList, progress: Progress
) -> Logs:
    """Return the loss and metrics over all samples; the weights stay as they are."""
    hooks.call("on_test_begin", {})
    progress.begin(0, len(batches), batch_size)
    trainer.reset_metrics()
    sweep(Watch(trainer, hooks, progress, "test"), "evaluate", batches, batch_size)
    logs = trainer.logs()
    hooks.call("on_test_end", logs)
    return logs


def predict(
    trainer: Trainer, batches: Batches, batch_size: int, hooks: CallbackList, progress: Progress
) -> list[Array]:
    """Return the outputs for all samples, each written where it lies by the step."""
    n = len(batches)
    step = trainer.step(layout_of("predict", min(batch_size, n), batches))
    outputs = [np.empty((n, *value.shape[1:]), value.dtype) for value in step.program.plan.outputs]

    def prepare(step: Step, first: int, steps: int) -> None:
        step.write(outputs, first, steps)

    hooks.call("on_predict_begin", {})
    progress.begin(0, n, batch_size)
    watch = Watch(trainer, hooks, progress, "predict")
    sweep(watch, "predict", batches, batch_size, prepare=prepare)
    hooks.call("on_predict_end", {})
    return outputs
