"""Strings of labels without a place in time: connectionist temporal classification under Keras's
names. The primitives stand in `chainrule.ops.ctc` and `chainrule.ops.ctc_search`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DataError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.ops import compare as c
from chainrule.ops import ctc, ctc_search, signs, truths
from chainrule.ops.arrays import expand_dims, transpose
from chainrule.ops.convert import as_value, cast, floating
from chainrule.ops.creation import arange, full, zeros
from chainrule.ops.gather import take_along_axis
from chainrule.ops.joins import concatenate, cut
from chainrule.ops.orders import argsort
from chainrule.ops.reductions import argmax, max, sum

Like = Any

STRATEGIES = ("greedy", "beam_search")
PADDING = -1  # behind the end of a decoded string


def ctc_loss(
    target: Like,
    output: Like,
    target_length: Like,
    output_length: Like,
    mask_index: int = 0,
    zero_infinity: bool = False,
) -> Value:
    """``loss[n] = -ln p(target[n])``: of all frame-wise paths that stand for the labels, from
    logits.

    A path stands for the labels that are left when runs of one class are made one class and the
    blanks are taken out. A string without labels stands for blanks alone. One that has no path,
    since it is longer than the frames, counting one more where a label is repeated, has the loss
    infinity and the gradient 0.

    Shapes
    ------
    target : [n, l]; output : [n, t, m]; target_length : [n]; output_length : [n], or a mask [n, t];
    returned : [n]

    Parameters
    ----------
    target : array_like of int
        The labels, from 0 to m - 1 without the blank; what is behind the length is not looked at.
    output : array_like
        Logits, not probabilities; frames that are not used are not looked at.
    target_length : array_like of int
        How many labels each string has, from 0 to l.
    output_length : array_like of int, or of bool
        How many frames each sample has, from 0 to t, or which of them are used.
    mask_index : int, default 0
        The class of the blank.
    zero_infinity : bool, default False
        Whether a string without a path has the loss 0 instead of infinity.

    Raises
    ------
    ShapeError
        For shapes that do not fit each other.
    DataError
        For a label or a length out of range that is known already; a label that a step computes
        makes the loss NaN.
    ArgumentError
        Where the blank is none of the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> logits = np.zeros((1, 2, 3))  # 9 paths; "1" stands behind "1 1", "1 blank" and "blank 1"
    >>> round(float(np.exp(-ops.ctc_loss([[1]], logits, [1], [2]).numpy()[0])), 4)
    0.3333

    Source
    ------
    Graves et al., "Connectionist Temporal Classification", ICML 2006, eqs. 3, 8 and 16. Keras gives
    a string without a path a large loss instead, PyTorch the gradient NaN.
    """
    labels, logits = _whole(target), floating(output)
    lengths, frames = _whole(target_length), as_value(output_length)
    _check_shapes(labels, logits, lengths, frames)
    _check_known(labels, logits, lengths, mask_index)
    used = _used("ctc_loss: output_length", frames, logits.shape[1])
    losses: Value = ctc.ctc_loss(logits, labels, used, lengths, blank=int(mask_index))
    return c.where(c.equal(losses, np.inf), 0.0, losses) if zero_infinity else losses


def _whole(x: Like) -> Value:
    x = as_value(x)
    return x if x.dtype in ("int32", "int64") else cast(x, "int64")


def _used(name: str, frames: Value, t: int) -> Value:
    """Return which frames are used, given that or how many there are."""
    if frames.dtype == "bool" and frames.ndim == 2:
        return frames
    _check_lengths(name, frames, t)
    return c.less(arange(t), expand_dims(_whole(frames), 1))


def _check_shapes(labels: Value, logits: Value, lengths: Value, frames: Value) -> None:
    n, steps = logits.shape[:1], logits.shape[: 2 if frames.dtype == "bool" else 1]
    ranks = labels.ndim == 2 and logits.ndim == 3
    if ranks and labels.shape[:1] == lengths.shape == n and frames.shape == steps:
        return
    raise ShapeError(
        "ctc_loss: expected labels [n, l], logits [n, t, m] and two lengths for each sample.\n"
        f"  target        : {list(labels.shape)}\n"
        f"  output        : {list(logits.shape)}\n"
        f"  target_length : {list(lengths.shape)}\n"
        f"  output_length : {list(frames.shape)}"
    )


def _check_lengths(name: str, lengths: Value, most: int) -> None:
    given = lengths.constant
    if given is not None and ((given < 0) | (given > most)).any():
        wrong = given[(given < 0) | (given > most)][0]
        raise DataError(f"{name} has {wrong}; expected numbers from 0 to {most}")


def _check_known(labels: Value, logits: Value, lengths: Value, blank: int) -> None:
    """Raise for lengths and labels that are known already and out of range."""
    m = logits.shape[2]
    _check_lengths("ctc_loss: target_length", lengths, labels.shape[1])
    if labels.constant is None or lengths.constant is None:
        return
    used = labels.constant[np.arange(labels.shape[1]) < lengths.constant[:, None]]
    wrong = (used < 0) | (used >= m) | (used == blank)
    if wrong.any():
        raise DataError(
            f"ctc_loss: label {used[wrong][0]} is not one of the classes.\n"
            f"  expected: whole numbers from 0 to {m - 1} without {blank}, the blank"
        )


def front(x: Value, kept: Value, fill: int = PADDING) -> Value:
    """Return the elements that are kept at the beginning of each line [n, k], in order."""
    if not x.shape[1]:
        return x
    order = argsort(cast(truths.logical_not(kept), "int64"), axis=1)
    return take_along_axis(c.where(kept, x, fill), order, axis=1)


def _greedy(x: Value, frames: Value, used: Value, blank: int, merge: bool) -> tuple[Value, Value]:
    """Return the labels of the likeliest class of each frame, and minus the sum of its logits."""
    n, t, _ = x.shape
    if not t:
        return full((1, n, 0), PADDING, dtype="int64"), zeros((n, 1), dtype=x.dtype)
    best = argmax(x, axis=2)
    # Frames that are left out may stand between others, and part nothing there.
    best = front(best, used, blank) if frames.ndim == 2 else c.where(used, best, blank)
    kept = c.not_equal(best, blank)
    if merge:
        before = concatenate([full((n, 1), blank, dtype="int64"), cut(best, 1, 0, t - 1)], axis=1)
        kept = truths.logical_and(kept, c.not_equal(best, before))
    score = sum(c.where(used, max(x, axis=2), 0.0), axis=1, keepdims=True)
    return expand_dims(front(best, kept), 0), signs.negative(score)


def ctc_decode(
    inputs: Like,
    sequence_lengths: Like,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Value, Value]:
    """``(labels, scores)`` of the likeliest strings.

    With "greedy", those of the likeliest path, and minus the sum of its logits. With "beam_search",
    those of the likeliest strings, each by all of its paths, and the logarithms of their
    probabilities, the likeliest first. Behind the end of a string stands -1.

    Shapes
    ------
    inputs : [n, t, m]; sequence_lengths : [n], or a mask [n, t]; returned : [1, n, t] and [n, 1]
    for "greedy", [top_paths, n, t] and [n, top_paths] for "beam_search"; the labels are int64

    Parameters
    ----------
    inputs : array_like
        Logits, not probabilities.
    sequence_lengths : array_like of int, or of bool
        How many frames each sample has, from 0 to t, or which of them are used.
    strategy : {"greedy", "beam_search"}, default "greedy"
    beam_width : int, default 100
        At least 1: so many beginnings are followed from frame to frame.
    top_paths : int, default 1
        From 1 to `beam_width`: so many strings are returned; of those that there are not, the
        score is ``-inf``.
    merge_repeated : bool, default True
        Whether a class in several frames in a row is one label; for "greedy" alone.
    mask_index : int, default 0
        The class of the blank.

    Raises
    ------
    ShapeError
        For shapes that do not fit each other.
    ArgumentError
        For an argument out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> logits = np.log([[[0.6, 0.4], [0.6, 0.4]]])  # the likeliest path is all blanks
    >>> labels, scores = ops.ctc_decode(logits, [2])
    >>> labels.numpy().tolist()
    [[[-1, -1]]]
    >>> labels, scores = ops.ctc_decode(logits, [2], strategy="beam_search", top_paths=2)
    >>> labels.numpy().tolist(), np.exp(scores.numpy()).round(2).tolist()
    ([[[1, -1]], [[-1, -1]]], [[0.64, 0.36]])

    Source
    ------
    Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2, and
    `chainrule.ops.ctc_search`.
    """
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    x, frames = floating(inputs), as_value(sequence_lengths)
    if x.ndim != 3 or frames.shape != x.shape[: 2 if frames.dtype == "bool" else 1]:
        raise ShapeError(
            "ctc_decode: expected logits [n, t, m] and a length for each sample.\n"
            f"  inputs           : {list(x.shape)}\n"
            f"  sequence_lengths : {list(frames.shape)}"
        )
    blank = int(mask_index)
    if not 0 <= blank < x.shape[2]:
        raise ArgumentError(f"ctc_decode: mask_index is {blank}; there are {x.shape[2]} classes")
    used = _used("ctc_decode: sequence_lengths", frames, x.shape[1])
    if strategy == "greedy":
        return _greedy(x, frames, used, blank, merge_repeated)
    labels, scores = ctc_search.ctc_beam_search(
        x, used, blank=blank, width=int(beam_width), paths=int(top_paths)
    )
    return transpose(labels, (1, 0, 2)), scores
