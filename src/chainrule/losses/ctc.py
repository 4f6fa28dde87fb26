"""The loss of strings of labels without a place in time."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.losses.base import Loss
from chainrule.losses.logits import logits_of_softmax
from chainrule.losses.shapes import check_classes, floats
from chainrule.ops.transcripts import front


def ctc(y_true: Any, y_pred: Any, mask_index: int = 0, zero_infinity: bool = False) -> Value:
    """``loss[n] = -ln p(y_true[n])``: of all frame-wise paths that stand for the labels.

    All frames are used, or, where the predictions have a mask, those that it leaves in.
    Probabilities that come out of a softmax are taken back to its logits.

    Shapes
    ------
    y_true : [n, l]; y_pred : [n, t, m]; returned : [n]

    Parameters
    ----------
    y_true : array_like of int
        The labels, from 0 to m - 1; `mask_index` stands for none and fills up shorter strings.
    y_pred : array_like
        Logits.
    mask_index : int, default 0
        The class of the blank.
    zero_infinity : bool, default False
        Whether a string that the frames are too few for has the loss 0 instead of infinity; its
        gradient is 0 in any case.

    Raises
    ------
    ShapeError
        For shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import losses
    >>> losses.ctc([[1, 0], [1, 1]], np.zeros((2, 3, 2))).numpy().round(4).tolist()
    [0.2877, 2.0794]

    Source
    ------
    See `chainrule.ops.ctc_loss`.
    """
    labels, logits = ops.as_value(y_true), floats(y_pred)
    mask = ops.as_value(y_pred).mask
    _check_ranks(labels, logits)
    if (unscaled := logits_of_softmax(logits)) is not None:
        logits = unscaled
    labels = ops.cast(labels, "int64")
    given = ops.not_equal(labels, mask_index)
    lengths = ops.sum(ops.cast(given, "int64"), axis=1)
    frames = ops.full(logits.shape[:1], logits.shape[1], dtype="int64") if mask is None else mask
    return ops.ctc_loss(
        front(labels, given, mask_index), logits, lengths, frames, mask_index, zero_infinity
    )


def _check_ranks(y_true: Value, y_pred: Value) -> None:
    if y_true.ndim != 2 or y_pred.ndim != 3 or y_true.shape[0] != y_pred.shape[0]:
        raise ShapeError(
            "ctc: expected strings of labels [n, l] and logits of each frame [n, t, m].\n"
            f"  y_true : {list(y_true.shape)}\n"
            f"  y_pred : {list(y_pred.shape)}"
        )


class CTC(Loss):
    """``L = mean_n -ln p(y_true[n])``: strings of labels, of which it is not said in which frames
    they are (connectionist temporal classification).

    All frames are used, or, where the predictions have a mask, those that it leaves in. A string
    that the frames are too few for has the loss infinity and the gradient 0.

    Shapes
    ------
    y_true : [n, l]; y_pred : [n, t, m]

    Parameters
    ----------
    reduction, name, dtype
        As in `Loss`.
    mask_index : int, default 0
        The class of the blank, which also fills up shorter strings in the targets.
    zero_infinity : bool, default False
        Whether a string that the frames are too few for has the loss 0.

    Raises
    ------
    ShapeError
        When called, for shapes that do not fit.
    DataError
        When called, for a label out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.losses import CTC
    >>> logits = np.zeros((1, 3, 2))  # 8 paths, of which 6 stand for "1"
    >>> round(CTC()([[1, 0]], logits).item(), 4)
    0.2877

    Source
    ------
    See `chainrule.ops.ctc_loss`. `mask_index` and `zero_infinity` are not in Keras, where a string
    that is too long has a large loss.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: str | None = None,
        mask_index: int = 0,
        zero_infinity: bool = False,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.mask_index = int(mask_index)
        self.zero_infinity = bool(zero_infinity)

    def _check(self, y_true: Value, y_pred: Value) -> None:
        """Raise where a label that is known already is no class."""
        _check_ranks(y_true, y_pred)
        if y_true.constant is not None:
            check_classes(self.name, y_true.constant, y_pred.shape[2])

    def _total(self, y_true: Value, y_pred: Value, sample_weight: Value | None = None) -> Value:
        frames = floats(y_pred, self.dtype)
        frames.mask = y_pred.mask
        return super()._total(y_true, frames, sample_weight)

    def _of_steps(self, mask: Value | None, losses: Value) -> Value | None:
        """Return ``None``: the frames that a mask leaves out are not in the losses at all."""
        return None

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return ctc(y_true, y_pred, self.mask_index, self.zero_infinity)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = {**super().get_config(), "mask_index": self.mask_index}
        return {**config, "zero_infinity": self.zero_infinity}
