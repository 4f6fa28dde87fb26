"""Callbacks: what a run calls before and after its epochs and batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.models.model import Model
    from chainrule.training.loop import Run

Logs = dict[str, float]


class Callback:
    """Base of callbacks: override the hooks that are of interest.

    `model` is the model being run, `params` what the run was asked for (``epochs``, ``steps``,
    ``verbose``). Setting ``self.model.stop_training = True`` ends `fit` after the epoch, or in a
    hook for batches after the batch.

    A callback that overrides a hook for batches makes the engine stop after each batch to call it;
    without one, many batches run at a stretch. One that does not look at every batch says in
    `interval` how many may pass.

    A callback that remembers something from one epoch to the next gives `get_state` and
    `set_state`, so that `BackupAndRestore` can take it up again in another process.

    Examples
    --------
    >>> from chainrule.callbacks import Callback
    >>> class Printer(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> Printer().on_epoch_end(0, {"loss": 1.0})
    0 ['loss']
    """

    model: Model
    params: Mapping[str, Any]
    run: Run | None = None
    # Those that look at what others did are called after them: the greater, the later.
    last: int = False
    # How often the steps of training are measured for `run.statistics`: every so many, or "auto",
    # for about 2 % of the time; None where this callback does not look at them.
    statistics: int | str | None = None
    # Whether it judges the first weights itself, so that `fit` need not warn of them.
    judges_start = False
    # What it puts into the logs of an epoch, beside what is measured.
    adds: tuple[str, ...] = ()

    def set_model(self, model: Model) -> None:
        """Take the model of the run."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take what the run was asked for."""
        self.params = params

    def set_run(self, run: Run | None) -> None:
        """Take the run that begins, or ``None`` when it is over, in whatever way it has ended."""
        self.run = run

    def interval(self) -> float | None:
        """Return after how many more batches `on_train_batch_end` is to be called next.

        ``None`` stands for as many as run in about a tenth of a second, infinity for not at all.
        Where another callback or progress asks for more, it is called more often. Asked only of
        callbacks that override that hook; by default 1.
        """
        return 1

    def get_state(self) -> dict[str, Any]:
        """Return what a run that is resumed in another process must know: plain data and arrays."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned; called after `on_train_begin`."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch; they count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation, with the loss and metrics of both."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of training; they count from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of training, with the means over the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before `evaluate`, and before each validation of `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after `evaluate`, and after each validation of `fit`."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `evaluate` or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `evaluate` or validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `predict`."""


class CallbackList:
    """Several callbacks called as one, in order; those that are `last` after the others.

    Parameters
    ----------
    callbacks : iterable of Callback, or one Callback
        Whom to call.
    model : Model, optional
        Handed to each.
    params : mapping, optional
        Handed to each.

    Raises
    ------
    ArgumentError
        For something that is not a `Callback`.

    Examples
    --------
    >>> from chainrule.callbacks import CallbackList, LambdaCallback
    >>> hooks = CallbackList([LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))])
    >>> hooks.call("on_epoch_end", 3, {})
    3
    """

    def __init__(
        self,
        callbacks: Iterable[Callback] | Callback | None = None,
        model: Model | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(callbacks, Callback):
            callbacks = [callbacks]
        self.callbacks = sorted(map(_checked, callbacks or ()), key=lambda c: c.last)
        for callback in self.callbacks:
            callback.set_params(params or {})
            if model is not None:
                callback.set_model(model)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call the hook of this name of each callback."""
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def wants(self, *hooks: str) -> bool:
        """Return whether any callback does something at one of these hooks."""
        return any(_overrides(c, hook) for c in self.callbacks for hook in hooks)

    def due(self) -> list[Callback]:
        """Return those that are told of batches of training, but need not be told of each."""
        told = [c for c in self.callbacks if _overrides(c, "on_train_batch_end")]
        return [c for c in told if _overrides(c, "interval") and _of_one_mind(type(c))]

    def wants_each(self, kind: str) -> bool:
        """Return whether any callback must be told of each batch of this kind."""
        begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        patient = self.due() if kind == "train" else []
        return self.wants(begin) or any(
            _overrides(c, end) for c in self.callbacks if c not in patient
        )

    def statistics(self) -> int | str | None:
        """Return how often the steps are to be measured, for whoever asks most."""
        asked = [c.statistics for c in self.callbacks if c.statistics is not None]
        numbers = [n for n in asked if isinstance(n, int)]
        return min(numbers) if numbers else (asked[0] if asked else None)

    def set_run(self, run: Run | None) -> None:
        """Let each know the run that is under way, or that it is over."""
        for callback in self.callbacks:
            callback.set_run(run)


def room(patient: Iterable[Callback]) -> tuple[float, bool]:
    """Return how many batches may run before one of these is told, and if one goes by the clock."""
    asked = [c.interval() for c in patient]
    counted = min((n for n in asked if n is not None), default=math.inf)
    return max(1, counted), None in asked


def _checked(callback: object) -> Callback:
    if isinstance(callback, Callback):
        return callback
    made = " (a class; did you forget the parentheses?)" if isinstance(callback, type) else ""
    raise ArgumentError(f"callbacks must be Callback objects, not {callback!r}{made}")


def _of_one_mind(kind: type[Callback]) -> bool:
    """Return whether `interval` was written for the hook as it is, not for a base's."""
    for base in kind.__mro__:
        if "interval" in vars(base):
            return True
        if "on_train_batch_end" in vars(base):
            return False
    return False


def _overrides(callback: Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
