"""Steps of the user's own: `train_step` and `test_step` of a model, called for each batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import seeding
from chainrule.data.batches import Batches, Order, key
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer

_METHODS = {"train": "train_step", "evaluate": "test_step"}


def overridden(model: Any, kind: str) -> bool:
    """Return whether the class of the model has written this kind of step itself."""
    from chainrule.models.own_steps import OwnSteps

    name = _METHODS.get(kind)
    return name is not None and getattr(type(model), name) is not getattr(OwnSteps, name)


def own_loss(model: Any) -> bool:
    """Return whether the class of the model says itself what the loss is."""
    from chainrule.models.own_steps import OwnSteps

    own = type(model).compute_loss is not OwnSteps.compute_loss
    return own or overridden(model, "train") or overridden(model, "evaluate")


class OwnStep:
    """Runs like a loaded program, but by the user's method, which is given arrays."""

    def __init__(self, trainer: Trainer, kind: str, batch: int) -> None:
        self.trainer = trainer
        self.batch = batch
        self.method: Callable[[Any], Any] = getattr(trainer.model, _METHODS[kind])

    def run(self, batches: Batches, first: int, steps: int, order: Order | None = None) -> None:
        """Call the method with each batch, and remember what it returned.

        Raises
        ------
        ArgumentError
            Where it returns something else than numbers by name.
        """
        for step in range(steps):
            begin = first + step * self.batch
            rows: Any = slice(begin, begin + self.batch)
            rows = rows if order is None else order[rows]
            data, key = data_of(self.trainer.model, batches, rows), self.trainer.key
            # As in the engine: what is drawn depends on the model's seed and the batch alone.
            with seeding.within(*key.value.tolist()):
                said = self.method(data)
            key.assign(key.value + np.array([0, 1]))
            self.trainer.said = _numbers(said, self.method.__name__)

    def release(self) -> None:
        """Do nothing: such a step holds no arrays."""


def data_of(model: Any, batches: Batches, rows: Any) -> Any:
    """Return what is given to a step: x, ``(x, y)`` or ``(x, y, sample_weight)``; several inputs
    and outputs as the model takes them."""
    parts = []
    for kind, first in (("x", batches.x), ("y", batches.y), ("weights", batches.weights)):
        arrays = [] if first is None else [first]
        while (more := batches.more.get(key(kind, len(arrays)))) is not None:
            arrays.append(more)
        found = [array[rows] for array in arrays]
        if kind == "x":
            parts.append(model.formed(found))
        elif found:
            parts.append(found[0] if len(found) == 1 else found)
    return parts[0] if len(parts) == 1 else tuple(parts)


def _numbers(said: Any, method: str) -> dict[str, float]:
    """Return what a step has returned as numbers by name."""
    if not isinstance(said, Mapping):
        raise ArgumentError(
            f"{method} must return a dict of numbers by name, e.g. {{'loss': loss}}, "
            f"not {type(said).__name__}"
        )
    found = {}
    for name, value in said.items():
        number = np.asarray(value)
        if number.size != 1:
            raise ArgumentError(
                f"{method} returned an array of shape {list(number.shape)} as {name!r}; "
                "expected one number"
            )
        found[str(name)] = float(number.item())
    return found
