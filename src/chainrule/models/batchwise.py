"""One batch at a time: the calls that loops written by hand are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.data.batches import Batches
from chainrule.data.source import Arrays
from chainrule.dtypes import Array
from chainrule.models.prepared import Prepared
from chainrule.training import loop
from chainrule.training.hooks import CallbackList, Logs
from chainrule.training.progress import Progress
from chainrule.training.step import layout_of
from chainrule.training.trainer import Trainer


class Batchwise(Prepared):
    """Steps on single batches."""

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Do one step on one batch; return the loss and metrics of that batch before the step.

        Shapes
        ------
        x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As in `fit`.
        return_dict : bool, default False
            Whether to return the numbers by name.

        Returns
        -------
        float, list of float, or dict
            As `evaluate`. Keras returns means over the calls so far; these are the batch's own.

        Raises
        ------
        DataError, ShapeError, NotBuiltError
            As `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse")
        >>> model.train_on_batch(np.zeros((8, 2)), np.ones(8))
        1.0
        """
        trainer = self._compiled_trainer("train_on_batch")
        batches = self._collect_targets("train_on_batch", x, y, sample_weight, class_weight)
        return in_order(self._one("train", trainer, batches), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> float | list[float] | Logs:
        """Return the loss and metrics of one batch, with the weights as they are.

        Shapes
        ------
        x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

        Parameters
        ----------
        x, y, sample_weight, return_dict
            As in `train_on_batch`.

        Raises
        ------
        DataError, ShapeError, NotBuiltError
            As `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse")
        >>> model.test_on_batch(np.zeros((8, 2)), np.ones(8))
        1.0
        """
        trainer = self._compiled_trainer("test_on_batch")
        batches = self._collect_targets("test_on_batch", x, y, sample_weight)
        return in_order(self._one("evaluate", trainer, batches), return_dict)

    def _one(self, kind: str, trainer: Trainer, batches: Batches) -> Logs:
        """Run one step over all the samples."""
        self._build_for(batches.x)
        step = trainer.step(layout_of(kind, len(batches), batches))
        trainer.reset_metrics()
        counters = trainer.counters()
        try:
            step.run(batches, 0, 1)
        except Exception:
            # The weights are moved last, but the counters of steps may have been by then.
            for variable, value in counters:
                variable.value[...] = value
            raise
        finally:
            step.release()
        return trainer.logs()

    def predict_on_batch(self, x: Any) -> Array | list[Array]:
        """Return the model's output for one batch, run in one piece.

        Shapes
        ------
        x : [n, *s]; returned : [n, *t]

        Parameters
        ----------
        x : array_like
            Samples.

        Raises
        ------
        DataError, ShapeError
            For samples that are not numbers or do not fit the model.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> Sequential([Input((2,)), Dense(3)]).predict_on_batch(np.zeros((8, 2))).shape
        (8, 3)
        """
        batches = self._collect("predict_on_batch", x)
        trainer = self._any_trainer()
        self._build_for(batches.x)
        source = Arrays(batches)
        outputs = loop.predict(trainer, source, len(batches), CallbackList(), Progress(0))
        trainer.release()
        shaped: Array | list[Array] = self._model().shaped(outputs)
        return shaped


def in_order(logs: Logs, return_dict: bool) -> float | list[float] | Logs:
    """Return the numbers as Keras does: by name, the loss alone, or in a list."""
    if return_dict:
        return logs
    numbers = list(logs.values())
    return numbers[0] if len(numbers) == 1 else numbers
