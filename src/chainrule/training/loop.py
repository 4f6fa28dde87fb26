"""The loops around the step: epochs, validation, prediction, and who is told on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data.buckets import BucketSource
from chainrule.data.source import Source
from chainrule.dtypes import Array
from chainrule.optimizers import LBFGS
from chainrule.training.hooks import Callback, CallbackList, Logs
from chainrule.training.initialization import forewarn
from chainrule.training.own_step import overridden
from chainrule.training.progress import Progress
from chainrule.training.statistics import Statistics
from chainrule.training.step import layout_of
from chainrule.training.sweep import Outputs, Sweep, Watch
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
    callback that sets them in ``on_train_begin`` makes the run begin there. `statistics` is what
    was measured of the steps, where a callback asks for it and the steps are chainrule's own.
    """

    trainer: Trainer
    training: Source
    validation: Source | None
    schedule: Schedule
    hooks: CallbackList
    progress: Progress
    epoch: int = 0
    batch: int = 0
    logs: Logs = field(default_factory=dict)
    statistics: Statistics | None = None

    @property
    def stopping(self) -> bool:
        """Whether a callback asked for the end."""
        return self.trainer.model.stop_training

    def foreseen(self, told: Callback) -> Logs | None:
        """Return logs with the names that this callback will be told after a validated epoch.

        ``None`` where no epoch is to come, or where the user's code may put in names of its own: a
        step, a metric, a callback called before this one, or a subclass that this one is of.
        """
        trainer, hooks = self.trainer, self.hooks.callbacks
        place = next((i for i, callback in enumerate(hooks) if callback is told), None)
        if place is None or self.epoch >= self.schedule.epochs:
            return None
        before = hooks[: place + 1]
        code: list[Any] = [callback.on_epoch_end for callback in before]
        code += [callback.on_test_end for callback in hooks]
        code += [call for m in trainer.all_metrics for call in (m.result, m.logged)]
        own = any(overridden(trainer.model, kind) for kind in ("train", "evaluate"))
        if own or not all(map(_is_ours, code)):
            return None
        logs = _trained(trainer, anew=True)
        if self.validation is not None:
            logs |= {f"val_{name}": number for name, number in trainer.logs(anew=True).items()}
        return logs | {name: 0.0 for callback in before for name in callback.adds}


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("chainrule.")


def fit(
    trainer: Trainer,
    training: Source,
    validation: Source | None,
    schedule: Schedule,
    hooks: CallbackList,
    progress: Progress,
) -> None:
    """Run the epochs; a failure within the first leaves everything as it was.

    After the first epoch all the data has been looked at: what fails later (a callback, a full
    disk), from the end of that epoch on, should not cost the user what was learnt, so it leaves the
    weights of that moment. So does Ctrl-C at any time.
    """
    trainer.refresh()
    # What the look at the beginning takes in memory is there again for the slots of the optimizer.
    if not any(callback.judges_start for callback in hooks.callbacks):
        forewarn(trainer, training.sample)
    _plan_ahead(trainer, training, validation, schedule)
    run = Run(trainer, training, validation, schedule, hooks, progress, schedule.initial_epoch)
    run.statistics = _statistics(trainer, hooks)
    snapshot = Snapshot(trainer)
    hooks.set_run(run)
    try:
        with progress:
            hooks.call("on_train_begin", {})
            # An epoch that was stopped within and then resumed still has its end before it.
            while run.epoch < schedule.epochs and (run.batch or not run.stopping):
                hooks.call("on_epoch_begin", run.epoch, {})
                run.logs = _epoch(run)
                snapshot.drop()
                run.epoch, run.batch = run.epoch + 1, 0
                hooks.call("on_epoch_end", run.epoch - 1, run.logs)
            _finish(run)
            hooks.call("on_train_end", run.logs)
    except Exception:
        snapshot.restore()
        raise
    finally:
        hooks.set_run(None)
        trainer.release()


def _statistics(trainer: Trainer, hooks: CallbackList) -> Statistics | None:
    """Return what measures the steps, where it is asked for and they can be measured."""
    every = hooks.statistics()
    own = overridden(trainer.model, "train") or isinstance(trainer.optimizer, LBFGS)
    return None if every is None or own else Statistics(every)


def _finish(run: Run) -> None:
    """Let the optimizer leave the weights as they are to be used: their averages, if it has any."""
    if run.trainer.optimizer is not None and run.logs:
        run.trainer.optimizer.finalize_variable_values(run.trainer.model.trainable_variables)


def _plan_ahead(
    trainer: Trainer, training: Source, validation: Source | None, schedule: Schedule
) -> None:
    """Load the programs, so that shapes that do not fit are told before anything runs."""
    size = schedule.batch_size
    gathered = schedule.shuffle and training.gathered
    trainer.step(layout_of("train", size, training.sample, gathered))
    if validation is not None:
        size = validation.batch(schedule.validation_batch_size)
        trainer.step(layout_of("evaluate", size, validation.sample))


def _epoch(run: Run) -> Logs:
    """Train over the samples of an epoch once, validate; return the numbers of both."""
    trainer, schedule, progress = run.trainer, run.schedule, run.progress
    size, source = schedule.batch_size, run.training
    _begin(progress, source, size, run.epoch, run.batch)
    if not run.batch:
        trainer.reset_metrics()
    if not run.stopping:
        watch = Watch(trainer, run.hooks, progress, "train", run.statistics)
        sweep = Sweep(watch, "train")
        sweep.run(source, size, trainer.epoch, run.batch, schedule.shuffle)
    trainer.epoch += 1
    logs = _trained(trainer)
    if run.validation is not None and schedule.validates(run.epoch):
        quiet = Progress(0)
        wide = schedule.validation_batch_size
        measured = measure(trainer, run.validation, wide, run.hooks, quiet)
        logs |= {f"val_{name}": number for name, number in measured.items()}
    progress.end(logs)
    return logs


def _trained(trainer: Trainer, anew: bool = False) -> Logs:
    """Return the numbers of the batches trained on in an epoch."""
    logs = trainer.logs(anew)
    if trainer.optimizer is not None and trainer.optimizer.skip_nonfinite:
        logs["skipped"] = trainer.optimizer.skipped
    return logs


def _begin(progress: Progress, source: Source, size: int, epoch: int = 0, done: int = 0) -> None:
    """Start the clock of an epoch; of what is drawn from the user's code, batches are counted."""
    steps = source.steps(size)
    samples = source.samples
    if samples is None and steps is not None:
        samples = steps * size
    progress.begin(epoch, samples, size, done)


def measure(
    trainer: Trainer, source: Source, batch_size: int, hooks: CallbackList, progress: Progress
) -> Logs:
    """Return the loss and metrics over all samples; the weights stay as they are."""
    hooks.call("on_test_begin", {})
    size = source.batch(batch_size)
    _begin(progress, source, size)
    trainer.reset_metrics()
    Sweep(Watch(trainer, hooks, progress, "test"), "evaluate").run(source, size)
    logs = trainer.logs()
    hooks.call("on_test_end", logs)
    return logs


def predict(
    trainer: Trainer, source: Source, batch_size: int, hooks: CallbackList, progress: Progress
) -> list[Array]:
    """Return the outputs for all samples, each written where it lies by the step."""
    size = source.batch(batch_size)
    outputs = Outputs(source.samples)
    hooks.call("on_predict_begin", {})
    _begin(progress, source, size)
    watch = Watch(trainer, hooks, progress, "predict")
    Sweep(watch, "predict", outputs.prepare).run(source, size)
    hooks.call("on_predict_end", {})
    arrays = outputs.arrays()
    if not isinstance(source, BucketSource):
        return arrays
    back = np.argsort(source.order(size))
    return [array[back] for array in arrays]
