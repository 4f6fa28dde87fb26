"""Callbacks: what a run calls before and after its epochs and batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.models.model import Model

Logs = dict[str, float]


class Callback:
    """Base of callbacks: override the hooks that are of interest.

    `model` is the model being run, `params` what the run was asked for (``epochs``, ``steps``,
    ``verbose``). Setting ``self.model.stop_training = True`` ends `fit` after the epoch.

    A callback that overrides a hook for batches makes the engine stop after each batch to call it;
    without one, many batches run at a stretch.

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

    def set_model(self, model: Model) -> None:
        """Take the model of the run."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take what the run was asked for."""
        self.params = params

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
    """Several callbacks called as one, in order.

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
        self.callbacks = [_checked(c) for c in callbacks or ()]
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


def _checked(callback: object) -> Callback:
    if isinstance(callback, Callback):
        return callback
    made = " (a class; did you forget the parentheses?)" if isinstance(callback, type) else ""
    raise ArgumentError(f"callbacks must be Callback objects, not {callback!r}{made}")


def _overrides(callback: Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
