"""The loops around the step: epochs, batches, validation, and who is told on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.data.batches import Batches, Order, permutation
from chainrule.dtypes import Array
from chainrule.training.hooks import Callback, CallbackList, Logs, room
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


@dataclass
class Run:
    """A `fit` under way: what it was given, and where it goes on.

    `epoch` is the one under way and `batch` where it began: 0, or where a resumed run goes on. A
    callback that sets them in ``on_train_begin`` makes the run begin there.
    """

    trainer: Trainer
    training: Batches
    validation: Batches | None
    schedule: Schedule
    hooks: CallbackList
    progress: Progress
    epoch: int = 0
    batch: int = 0
    logs: Logs = field(default_factory=dict)

    @property
    def order(self) -> Order | None:
        """The order in which the epoch under way visits the samples."""
        if not self.schedule.shuffle:
            return None
        return permutation(self.trainer.seed, self.trainer.epoch, len(self.training))

    @property
    def stopping(self) -> bool:
        """Whether a callback asked for the end."""
        return self.trainer.model.stop_training


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

    def begin(self, batch: int) -> None:
        """Tell of a batch to come."""
        if self.each:
            self.hooks.call(self.begin_hook, batch, {})

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


Prepare = Callable[[Step, int, int], None]


def sweep(
    watch: Watch,
    kind: str,
    batches: Batches,
    batch_size: int,
    order: Order | None = None,
    prepare: Prepare | None = None,
    done: int = 0,
) -> None:
    """Run one step of this kind over the batches from `done` on, what remains of one last."""
    full, rest = divmod(len(batches), batch_size)
    gathered = order is not None
    if done < full:
        step = watch.trainer.step(layout_of(kind, batch_size, batches, gathered))
    while done < full:
        steps = watch.stretch(full - done)
        if _run(watch, step, batches, (done * batch_size, done, steps), order, prepare):
            return
        done += steps
    if rest and done == full:
        step = watch.trainer.step(layout_of(kind, rest, batches, gathered))
        _run(watch, step, batches, (full * batch_size, full, 1), order, prepare)


def _run(
    watch: Watch,
    step: Step,
    batches: Batches,
    where: tuple[int, int, int],
    order: Order | None,
    prepare: Prepare | None,
) -> bool:
    """Run a stretch: `where` is its first sample, its first batch and its number of batches.

    Return whether a callback asked for the end.
    """
    first, done, steps = where
    watch.begin(done)
    if prepare is not None:
        prepare(step, first, steps)
    began = time.perf_counter()
    step.run(batches, first, steps, order)
    return watch.end(done + steps, steps, time.perf_counter() - began)


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
    run = Run(trainer, training, validation, schedule, hooks, progress, schedule.initial_epoch)
    snapshot = Snapshot(trainer)
    hooks.set_run(run)
    try:
        with progress:
            hooks.call("on_train_begin", {})
            # An epoch that was stopped within and then resumed still has its end before it.
            while run.epoch < schedule.epochs and (run.batch or not run.stopping):
                hooks.call("on_epoch_begin", run.epoch, {})
                run.logs = _epoch(run)
                run.epoch, run.batch = run.epoch + 1, 0
                hooks.call("on_epoch_end", run.epoch - 1, run.logs)
                snapshot.drop()
            _finish(run)
            hooks.call("on_train_end", run.logs)
    except Exception:
        snapshot.restore()
        raise
    finally:
        hooks.set_run(None)
        trainer.release()


def _finish(run: Run) -> None:
    """Let the optimizer leave the weights as they are to be used: their averages, if it has any."""
    if run.trainer.optimizer is not None and run.logs:
        run.trainer.optimizer.finalize_variable_values(run.trainer.model.trainable_variables)


def _plan_ahead(
    trainer: Trainer, training: Batches, validation: Batches | None, schedule: Schedule
) -> None:
    """Load the programs, so that shapes that do not fit are told before anything runs."""
    size = schedule.batch_size
    trainer.step(layout_of("train", size, training, schedule.shuffle))
    if validation is not None:
        size = min(schedule.validation_batch_size, len(validation))
        trainer.step(layout_of("evaluate", size, validation))


def _epoch(run: Run) -> Logs:
    """Train over the samples of an epoch once, validate; return the numbers of both."""
    trainer, schedule, progress = run.trainer, run.schedule, run.progress
    progress.begin(run.epoch, len(run.training), schedule.batch_size, run.batch)
    if not run.batch:
        trainer.reset_metrics()
    if not run.stopping:
        watch = Watch(trainer, run.hooks, progress, "train")
        size = schedule.batch_size
        sweep(watch, "train", run.training, size, run.order, done=run.batch)
    trainer.epoch += 1
    logs = trainer.logs()
    if trainer.optimizer is not None and trainer.optimizer.skip_nonfinite:
        logs["skipped"] = trainer.optimizer.skipped
    if run.validation is not None and schedule.validates(run.epoch):
        quiet = Progress(0)
        wide = schedule.validation_batch_size
        measured = measure(trainer, run.validation, wide, run.hooks, quiet)
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
