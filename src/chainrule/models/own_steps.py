"""The steps that `fit` and `evaluate` do, for classes of the user's to override."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule import ops
from chainrule.errors import ArgumentError, NotBuiltError
from chainrule.graph import Value, scope
from chainrule.graph.symbol import leaves
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.training.outputs import Losses, spread

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer


class OwnSteps(Layer):
    """What a class of the user's may do otherwise in each batch, as in Keras.

    Where `train_step` is not overridden, `fit` runs whole epochs in the engine; `compute_loss` is
    part of that. A class with a `train_step` of its own is called with each batch, in Python.
    """

    _trainer: Trainer | None = None

    @property
    def built_by_call(self) -> bool:  # type: ignore[override]
        """Whether the class says nothing of how it is built."""
        from chainrule.models.model import Model

        return type(self).build is Model.build

    def train_step(self, data: Any) -> dict[str, Any]:
        """Do one step on a batch and return the loss and metrics by name: override it for another.

        It may update the model's `metrics` and return their results: a mean named ``"loss"``, those
        given to `compile`, and those in attributes of the model. All begin anew in each epoch.

        Parameters
        ----------
        data : array, or tuple of ``(x, y)`` or ``(x, y, sample_weight)``
            The batch, as `fit` was given the data.

        Returns
        -------
        dict
            Numbers by name, shown and kept in the history; those of the last batch count.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> class Own(cr.Sequential):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         with cr.GradientTape() as tape:
        ...             loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        ...         gradients = tape.gradient(loss, self.trainable_variables)
        ...         self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        ...         return {"loss": loss}
        >>> model = Own([cr.Input((2,)), cr.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> model.fit(np.zeros((4, 2)), np.ones(4), verbose=0).history
        {'loss': [1.0]}
        """
        from chainrule.training.tape import GradientTape

        x, y, weights = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, weights, True)
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self._compiled().optimizer.apply_gradients(  # type: ignore[union-attr]
            zip(gradients, variables, strict=True)
        )
        return self._told(loss, x, y, y_pred, weights)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measure one batch and return the loss and metrics by name: override it for another.

        Parameters
        ----------
        data : array, or tuple of ``(x, y)`` or ``(x, y, sample_weight)``
            The batch, as `evaluate` was given the data.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> class Own(cr.Sequential):
        ...     def test_step(self, data):
        ...         x, y = data
        ...         return {"off": abs(self(x).numpy() - y).max()}
        >>> model = Own([cr.Input((2,)), cr.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse")
        >>> model.evaluate(np.zeros((4, 2)), 3 * np.ones((4, 1)), verbose=0, return_dict=True)
        {'off': 3.0}
        """
        x, y, weights = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, weights, False)
        return self._told(loss, x, y, y_pred, weights)

    def predict_step(self, data: Any) -> Any:
        """Return what `predict` returns for a batch: override it for something else.

        It is written in `ops`, and becomes the step that the engine runs.

        Parameters
        ----------
        data : Value, or several in a list or by name
            The samples of the batch.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> class Shares(cr.Sequential):
        ...     def predict_step(self, data):
        ...         return cr.ops.softmax(super().predict_step(data))
        >>> model = Shares([cr.Input((2,)), cr.layers.Dense(2, kernel_initializer="zeros")])
        >>> model.predict(np.ones((1, 2)), verbose=0).tolist()
        [[0.5, 0.5]]
        """
        return self(data, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Value:
        """Return the loss of a batch: that given to `compile`, and what layers and weights add.

        Override it, written in `ops`, to train with another: it becomes a part of the step that the
        engine runs, so nothing is slower.

        Parameters
        ----------
        x, y, sample_weight
            The batch; for several outputs, y and sample_weight in a list or by name.
        y_pred
            What the model put out for x.
        training : bool, default True
            Whether the weights are about to be moved.

        Raises
        ------
        NotBuiltError
            Where `compile` was given no loss.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> class Careful(cr.Sequential):
        ...     def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None,
        ...                      training=True):
        ...         usual = super().compute_loss(x, y, y_pred, sample_weight, training)
        ...         return usual + 0.5 * cr.ops.mean(y_pred ** 2)
        >>> model = Careful([cr.Input((2,)), cr.layers.Dense(1, bias_initializer="ones")])
        >>> model.compile(loss="mse")
        >>> model.evaluate(np.zeros((4, 2)), np.ones(4), verbose=0)
        0.5
        """
        loss = self._compiled().loss
        if loss is None:
            raise NotBuiltError("compute_loss needs a loss: call compile(loss=...), or override it")
        if isinstance(loss, Losses):
            total = _total(loss, y, y_pred, sample_weight)
        else:
            total = _mean(loss, y, y_pred, sample_weight)
        # In a step that is being traced the penalties are added behind.
        for penalty in self.losses if scope.idle() else ():
            total = ops.add(total, penalty)
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Take a batch into the metrics given to `compile`, and return them by name.

        Parameters
        ----------
        x, y, y_pred, sample_weight
            As in `compute_loss`.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> model = cr.Sequential([cr.Input((2,)), cr.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse", metrics=["mae"])
        >>> x, y = np.zeros((4, 2)), 2 * np.ones((4, 1))
        >>> model.compute_metrics(x, y, model(x))
        {'mae': 2.0}
        """
        trainer = self._compiled()
        if isinstance(trainer.loss, Losses):
            outputs = list(leaves(y_pred))
            trainer.resolve(outputs)
            hows = trainer.loss.outputs
            targets = spread("y", y, [how.name for how in hows])
            for how, target, output in zip(hows, targets, outputs, strict=True):
                for metric in (*how.metrics, *how.weighted):
                    metric.update_state(_fitting(how.loss, target, output), output)
        else:
            trainer.resolve([y_pred])
            target = _fitting(trainer.loss, y, y_pred)
            for metric in trainer.metrics:
                metric.update_state(target, y_pred)
            for metric in trainer.weighted:
                metric.update_state(target, y_pred, sample_weight)
        measured = trainer.logs(anew=True)
        del measured["loss"]
        return measured

    def reset_metrics(self) -> None:
        """Begin the means of the loss and of all metrics anew.

        `fit` and `evaluate` do so themselves; a loop written by hand does at the begin of an epoch.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> model = cr.Sequential([cr.Input((2,)), cr.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse", metrics=["mae"])
        >>> model.evaluate(np.zeros((4, 2)), np.ones(4), verbose=0)
        [1.0, 1.0]
        >>> model.reset_metrics()
        >>> model.metrics[0].result()
        0.0
        """
        if self._trainer is not None:
            self._trainer.reset_metrics()

    def _compiled(self) -> Trainer:
        if self._trainer is None:
            raise NotBuiltError("the model is not compiled: call compile(optimizer=..., loss=...)")
        return self._trainer

    def _told(self, loss: Value, x: Any, y: Any, y_pred: Any, weights: Any) -> dict[str, Any]:
        """Return the mean of the loss over the samples so far, and the metrics."""
        trainer, n = self._compiled(), float(next(iter(leaves(y_pred))).shape[0])
        trainer.loss_sum.assign(float(trainer.loss_sum) + n * float(loss))
        trainer.samples.assign(float(trainer.samples) + n)
        mean = float(trainer.loss_sum) / max(float(trainer.samples), 1.0)
        return {"loss": mean, **self.compute_metrics(x, y, y_pred, weights)}


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return x, y and the sample weights of what a step is given; ``None`` for what is not there.

    Raises
    ------
    ArgumentError
        For more than three parts.

    Examples
    --------
    >>> from chainrule.utils import unpack_x_y_sample_weight
    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    parts = data if isinstance(data, tuple) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ArgumentError(
            f"a batch is x, (x, y) or (x, y, sample_weight), not {len(parts)} parts"
        )
    x, y, weights = (*parts, None, None)[:3]
    return x, y, weights


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return a batch as a step is given it: x, ``(x, y)`` or ``(x, y, sample_weight)``.

    Examples
    --------
    >>> from chainrule.utils import pack_x_y_sample_weight
    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight(1, 2), pack_x_y_sample_weight(1, 2, 3)
    (1, (1, 2), (1, 2, 3))
    """
    if sample_weight is not None:
        return x, y, sample_weight
    return x if y is None else (x, y)


def _total(losses: Losses, y: Any, y_pred: Any, weights: Any) -> Value:
    """Return the weighted sum of the losses of several outputs."""
    names = [output.name for output in losses.outputs]
    total: Value | None = None
    given = [spread(*one, names) for one in (("y", y), ("y_pred", y_pred), ("weights", weights))]
    for how, target, output, weight in zip(losses.outputs, *given, strict=True):
        if how.loss is not None:
            part = ops.multiply(_mean(how.loss, target, output, weight), how.weight)
            total = part if total is None else ops.add(total, part)
    if total is None:
        raise NotBuiltError("compute_loss needs a loss for one output at least")
    return total


def _mean(loss: Loss, y: Any, y_pred: Any, weights: Any) -> Value:
    found = loss(_fitting(loss, y, y_pred), y_pred, weights)
    return ops.mean(found) if found.shape else found


def _fitting(loss: Loss | None, y: Any, y_pred: Any) -> Any:
    """Return the targets with an axis of size 1 behind where the output has one."""
    from chainrule.training.trace import is_sparse

    shape = getattr(y, "shape", None)
    if shape is None or is_sparse(loss):
        return y
    missing = len(shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1
    return ops.expand_dims(y, -1) if missing else y
