"""Measuring what each layer does while it trains, for whoever wants the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.training.hooks import Callback, Logs
from chainrule.training.statistics import Statistics


class LayerStatistics(Callback):
    """``ratio = |update| / |weight|`` and more of each layer and weight, measured within the steps.

    For each step looked at: of every layer's activations and of the gradient of the loss by them,
    and of every weight, its gradient and its update, the mean, standard deviation, norm, smallest
    and largest element, the shares of zeros, of saturated and of non-finite elements, and a
    histogram of sizes. The measuring changes no bit of what is trained. The steps that measure are
    a second program, which takes about as much memory again as `model.memory` says of a step.

    Parameters
    ----------
    every : int or "auto", default "auto"
        Every so many steps; by default the first ones at doubling distances and then so seldom that
        it takes about 2 % of the time.

    Attributes
    ----------
    data : chainrule.training.statistics.Statistics
        What was measured, with a row for each look; grows while `fit` runs. Of more than 2,048
        looks, or 64 MiB of them, every other one of the older half is left out.

    Raises
    ------
    ArgumentError
        For an `every` that is neither. Steps of the user's own (`train_step`) and those of LBFGS
        cannot be measured: then `data` stays empty.

    Examples
    --------
    >>> import chainrule
    >>> from chainrule.callbacks import LayerStatistics
    >>> from chainrule.layers import Dense
    >>> hidden = Dense(8, "relu", input_shape=(4,), name="hidden")
    >>> model = chainrule.Sequential([hidden, Dense(1, name="out")])
    >>> model.compile("sgd", "mse")
    >>> measured = LayerStatistics(every=1)
    >>> history = model.fit([[1.0, 2, 3, 4]] * 64, [1.0] * 64, verbose=0, callbacks=[measured])
    >>> [layer.name for layer in measured.data.layers], len(measured.data)
    (['hidden', 'out'], 2)
    >>> measured.data.weights[0].name, bool(measured.data.ratio[0, 0] < 1)
    ('hidden.kernel', True)
    """

    def __init__(self, every: int | str = "auto") -> None:
        self.data = Statistics(every)
        self.statistics = self.data.every

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin with nothing."""
        measured = None if self.run is None else self.run.statistics
        self.data = Statistics(self.data.every) if measured is None else measured

    def get_state(self) -> dict[str, Any]:
        """Return what was measured."""
        return self.data.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned."""
        self.data.set_state(state)
