"""Means of losses of margins, counts, shares and ratios, as metrics."""

from __future__ import annotations

from typing import Any

from chainrule import losses
from chainrule.metrics.base import MeanMetric, Metric


class _MeanLoss(MeanMetric):
    """The mean of a loss that takes no arguments."""

    direction = "min"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data: which loss it is, the class says."""
        return Metric.get_config(self)


class Hinge(_MeanLoss):
    """``mean_n mean_d max(0, 1 - t * y_pred[n, d])``, t = -1 or 1.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import Hinge
    >>> round(Hinge()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    1.0
    """

    def __init__(self, name: str | None = "hinge", dtype: str | None = None) -> None:
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(_MeanLoss):
    """``mean_n mean_d max(0, 1 - t * y_pred[n, d])^2``, t = -1 or 1.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import SquaredHinge
    >>> round(SquaredHinge()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    1.25
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: str | None = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(_MeanLoss):
    """``mean_n max(0, 1 + max_m (1 - t) y_pred - sum_m t * y_pred)``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import CategoricalHinge
    >>> round(CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.25]]), 4)
    1.25
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: str | None = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)


class KLDivergence(_MeanLoss):
    """``mean_n sum_m t ln(t / p)`` of target shares t and predicted shares p.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import KLDivergence
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: str | None = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


class Poisson(_MeanLoss):
    """``mean_n mean_d (y_pred - y_true * ln(y_pred + 1e-7))``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import Poisson
    >>> round(Poisson()([[2.0]], [[1.0]]), 4)
    1.0
    """

    def __init__(self, name: str | None = "poisson", dtype: str | None = None) -> None:
        super().__init__(losses.poisson, name, dtype)


class LogCoshError(_MeanLoss):
    """``mean_n mean_d ln cosh(y_pred - y_true)``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import LogCoshError
    >>> round(LogCoshError()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    def __init__(self, name: str | None = "logcosh", dtype: str | None = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


class MeanSquaredLogarithmicError(_MeanLoss):
    """``mean_n mean_d (ln(1 + y_pred) - ln(1 + y_true))^2``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import MeanSquaredLogarithmicError
    >>> round(MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
    0.4805
    """

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: str | None = None
    ) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class MeanAbsolutePercentageError(_MeanLoss):
    """``100 mean_n mean_d |y_true - y_pred| / max(|y_true|, 1e-7)``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import MeanAbsolutePercentageError
    >>> round(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]]), 4)
    25.0
    """

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: str | None = None
    ) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)
