"""What a model does with arguments before anything runs: checked, converted, built for."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from chainrule.data.arrays import as_array
from chainrule.data.batches import Batches, collect, collect_many, with_class_weight
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, NotBuiltError
from chainrule.graph.symbol import are_shapes, filled
from chainrule.models.named import arranged, form_of, weights_of
from chainrule.models.own_steps import OwnSteps
from chainrule.training.outputs import Losses
from chainrule.training.own_step import overridden, own_loss
from chainrule.training.trainer import Trainer

if TYPE_CHECKING:
    from chainrule.models.model import Model

# Samples that `evaluate` and `predict` run at a time unless told otherwise: the results of rows
# do not depend on each other, and at 32 small networks wait for the hand-over between threads.
WIDE = 256


class Prepared(OwnSteps):
    """Holds the trainer, and makes batches of what users pass."""

    def _model(self) -> Model:
        """Return this object, which is a `Model` once it is made."""
        return cast("Model", self)

    def _compiled_trainer(self, call: str) -> Trainer:
        """Return the trainer of a compiled model."""
        if self._trainer is None or (self._trainer.loss is None and not own_loss(self)):
            raise NotBuiltError(
                f"{call} needs to know the loss: call compile(optimizer=..., loss=...) first"
            )
        return self._trainer

    def _any_trainer(self) -> Trainer:
        """Return the trainer, making one that can only predict where `compile` was not called."""
        if self._trainer is None:
            self._trainer = Trainer(self._model())
        return self._trainer

    def _preprocessed(self, x: Any) -> Any:
        """Return the samples after the layers that run before the step; see `Sequential`."""
        return as_array(x, "x")

    def _expected_rank(self) -> int | None:
        """Return the number of axes, the batch included, of samples the model was built for."""
        return None

    def _collect(self, call: str, x: Any, y: Any = None, weights: Any = None) -> Batches:
        """Return checked batches of what the user passed to `call`."""
        model, names = self._model(), self._target_names()
        if model.takes_forms and model._form is None and not _takes_one(model):
            self._take_several(x)
        if len(model.input_names) > 1 or len(names) > 1 or model._form is not None:
            return self._collect_many(call, x, y, weights)
        if model.input_names:
            x = arranged("x", x, model.input_names)[0]
            y = y if y is None else arranged("y", y, model.output_names)[0]
        batches = collect(self._preprocessed(x), y, weights, source=call)
        if batches.x.ndim == 1 and self._expected_rank() == 2:
            batches = replace(batches, x=batches.x[:, None])
        return batches

    def _target_names(self) -> Sequence[str]:
        """Return the names of the outputs, as far as they are known."""
        loss = None if self._trainer is None else self._trainer.loss
        if isinstance(loss, Losses):
            return [output.name for output in loss.outputs]
        return self._model().output_names

    def _take_several(self, x: Any) -> None:
        """Note how several inputs are given to a class of the user's, and make its weights."""
        model = self._model()
        model._form = form_of(x)
        if model._form is not None and not model.built:
            parts = x.values() if isinstance(x, Mapping) else x
            shapes = ((None, *as_array(part).shape[1:]) for part in parts)
            self._try_build(filled(model._form, shapes))

    def _collect_many(self, call: str, x: Any, y: Any, weights: Any) -> Batches:
        """Return checked batches of several inputs or outputs."""
        model = self._model()
        form = model._form
        names = list(form) if isinstance(form, Mapping) else model.input_names
        names = names or [f"input_{i + 1}" for i in range(len(form or [None]))]
        outputs = list(self._target_names()) or ["output"]
        ys = [None] * len(outputs) if y is None else arranged("y", y, outputs, some=True)
        return collect_many(
            dict(zip(names, arranged("x", x, names), strict=True)),
            dict(zip(outputs, ys, strict=True)),
            dict(zip(outputs, weights_of(weights, outputs), strict=True)),
            source=call,
        )

    def _collect_targets(
        self,
        call: str,
        x: Any,
        y: Any,
        weights: Any = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> Batches:
        """Return checked batches with targets."""
        if y is None and not own_loss(self):
            raise DataError(f"{call} needs targets: pass y")
        return with_class_weight(self._collect(call, x, y, weights), class_weight)

    def _build_for(self, x: Array) -> None:
        """Make the weights, where the shape of the samples was not known before."""
        if not self.built:
            self._try_build((None, *x.shape[1:]))

    def _try_build(self, shape: Any) -> None:
        """Build for inputs of this shape; a class that is trained by its own step may have a `call`
        that takes something else than the samples, or none."""
        try:
            self.build(shape)
        except Exception:
            if not overridden(self, "train"):
                raise

    def _wide(self, asked: int | None, least: int = 32) -> int:
        """Return how many samples to evaluate at a time: what was asked, else what is fast.

        Only a loss that is a mean over samples does not depend on how they are grouped; and states
        that go on from batch to batch say how many there are.
        """
        if asked is not None:
            return whole("batch_size", asked)
        if self.goes_on():
            held = self.carried()
            return held[0].shape[0] if held else least
        loss = None if self._trainer is None else self._trainer.loss
        free = loss is None or loss.reduction in ("sum_over_batch_size", "mean")
        return max(WIDE, least) if free else least


def _takes_one(model: Model) -> bool:
    """Return whether a model was built for a single input."""
    shape = model._input_shape
    return model.built and shape is not None and not are_shapes(shape)


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return an argument that must be an integer of at least `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or isinstance(value, bool):
        raise ArgumentError(f"{name} is {value!r}; expected an integer of at least {least}")
    return number
