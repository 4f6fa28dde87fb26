"""Cross-entropies that count what is predicted badly more, or wrong labels less."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.losses.base import Loss
from chainrule.losses.functions import bernoulli, checked_smoothing, classes_last, log_probabilities
from chainrule.losses.logits import logits_of_sigmoid, logits_of_softmax
from chainrule.losses.shapes import EPSILON, at_least_zero, floats, inside, labels, matched
from chainrule.ops import fused


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Value:
    """``loss[n] = mean_d -(1 - q)^gamma ln q``, q the probability given to the target.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    ArgumentError
        For an argument out of range.

    Source
    ------
    Lin et al., arXiv 1708.02002, eq. 4 and 5.
    """
    smoothing = checked_smoothing(label_smoothing)
    t, p = matched("binary_focal_crossentropy", y_true, y_pred)
    if smoothing:
        t = ops.add(ops.multiply(t, 1.0 - smoothing), 0.5 * smoothing)
    logits = p if from_logits else logits_of_sigmoid(p)
    p = ops.clip(p if logits is None else ops.sigmoid(logits), EPSILON, 1.0 - EPSILON)
    each = bernoulli(t, p) if logits is None else fused.sigmoid_cross_entropy(logits, t)
    wrong = ops.add(ops.multiply(t, ops.subtract(1.0, p)), ops.multiply(ops.subtract(1.0, t), p))
    each = ops.multiply(ops.power(wrong, at_least_zero("gamma", gamma)), each)
    if apply_class_balancing:
        each = ops.multiply(ops.add(ops.multiply(t, 2.0 * alpha - 1.0), 1.0 - alpha), each)
    return ops.mean(each, axis=axis) if each.ndim > 1 else each


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Value:
    """``loss[n] = -alpha sum_m t (1 - p)^gamma ln p`` of one-hot targets t and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    ArgumentError
        For an argument out of range.

    Source
    ------
    Lin et al., arXiv 1708.02002, eq. 5, over several classes.
    """
    name, smoothing = "categorical_focal_crossentropy", checked_smoothing(label_smoothing)
    t, p = matched(name, y_true, y_pred)
    t, p = classes_last(name, t, axis), classes_last(name, p, axis)
    if smoothing:
        t = ops.add(ops.multiply(t, 1.0 - smoothing), smoothing / p.shape[-1])
    logits = p if from_logits else logits_of_softmax(p)
    logs = log_probabilities(p) if logits is None else ops.log_softmax(logits)
    wrong = ops.subtract(1.0, ops.clip(ops.exp(logs), EPSILON, 1.0 - EPSILON))
    focus = ops.power(wrong, at_least_zero("gamma", gamma))
    total = ops.sum(ops.multiply(focus, ops.multiply(t, logs)), axis=-1)
    return ops.multiply(total, -float(alpha))


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Value:
    """``loss[n] = (1 - p[n, y_true[n]]^q) / q``: between cross-entropy (q = 0) and error (q = 1).

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    ArgumentError
        For an argument out of range.

    Source
    ------
    Zhang and Sabuncu, arXiv 1805.07836, eq. 6. Probabilities count as 1e-7 at least, for a finite
    derivative (Keras: from 0).
    """
    q, name = inside("q", q), "categorical_generalized_cross_entropy"
    y_pred = floats(y_pred)
    hot = ops.one_hot(labels(name, y_true, y_pred), y_pred.shape[-1], dtype=y_pred.dtype)
    right = ops.maximum(ops.sum(ops.multiply(y_pred, hot), axis=-1), EPSILON)
    return ops.multiply(ops.subtract(1.0, ops.power(right, q)), 1.0 / q)


class BinaryFocalCrossentropy(Loss):
    """``L = mean_n mean_d -(1 - q)^gamma ln q``, q the probability given to the target.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    apply_class_balancing : bool, default False
        Whether the classes 1 and 0 are weighed by `alpha` and ``1 - alpha``.
    alpha : float, default 0.25
        The weight of class 1.
    gamma : float, default 2.0
        From 0: how much less a good prediction counts; 0 for the cross-entropy.
    from_logits : bool, default False
        Whether predictions are logits.
    label_smoothing : float, default 0.0
        From 0 to 1; moves targets to equal shares by this part.
    axis : int, default -1
        The axis of the mean.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import BinaryFocalCrossentropy
    >>> round(BinaryFocalCrossentropy()([[1.0]], [[0.5]]).item(), 4)
    0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = float(alpha)
        self.gamma = at_least_zero("gamma", gamma)
        self.from_logits = bool(from_logits)
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return binary_focal_crossentropy(
            y_true,
            y_pred,
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class CategoricalFocalCrossentropy(Loss):
    """``L = mean_n -alpha sum_m t (1 - p)^gamma ln p`` of one-hot targets t.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]

    Parameters
    ----------
    alpha : float, default 0.25
        A factor of the loss.
    gamma : float, default 2.0
        From 0: how much less a good prediction counts; 0 for the cross-entropy.
    from_logits : bool, default False
        Whether predictions are logits.
    label_smoothing : float, default 0.0
        From 0 to 1; moves targets to equal shares by this part.
    axis : int, default -1
        The axis of the classes.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import CategoricalFocalCrossentropy
    >>> round(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.0433
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.alpha = float(alpha)
        self.gamma = at_least_zero("gamma", gamma)
        self.from_logits = bool(from_logits)
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return categorical_focal_crossentropy(
            y_true,
            y_pred,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class CategoricalGeneralizedCrossEntropy(Loss):
    """``L = mean_n (1 - p[n, y_true[n]]^q) / q``: robust against wrong labels.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]

    Parameters
    ----------
    q : float, default 0.5
        Between 0 and 1: near 0 the cross-entropy, near 1 the mean error.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import CategoricalGeneralizedCrossEntropy
    >>> round(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]).item(), 4)
    1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.q = inside("q", q)

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "q": self.q}
