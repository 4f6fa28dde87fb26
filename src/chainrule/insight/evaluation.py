"""What a network answered to samples that it did not learn: right, wrong, and the worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.png import as_picture

WORST = 12
_MOST_CLASSES = 300
_POINTS = 1000  # of predicted over true numbers
_LETTERS = 300  # of a text
Facts = tuple[dict[str, Any], dict[str, Array]]


def evaluated(
    y: Array,
    outputs: Array,
    part: str = "validation",
    classes: Sequence[str] | None = None,
    shown: Callable[[int], Any] | None = None,
    noun: str = "row",
    files: Sequence[str] | None = None,
    rows: Sequence[int] | Array | None = None,
) -> Facts | None:
    """Return facts and arrays about the answers, for `RunRecorder.conclude`.

    Parameters
    ----------
    y : ndarray
        Numbers of classes [n] (from 0; negative: not known), classes as one-hot [n, m], or numbers
        [n] or [n, 1].
    outputs : ndarray
        Of the network: probabilities or logits [n, m], or one number a sample.
    part : {"validation", "test", "training"}, default "validation"
        What the samples are.
    classes : sequence of str, optional
        Names of the classes, of as many as there are: else they are numbered. Without, one output
        of whole numbers 0 and 1 is two classes too where all outputs lie between.
    shown : callable, optional
        Returns a sample by its index: a picture, a text, or anything else, which is not shown.
    noun : {"image", "sound", "text", "row"}, default "row"
        What a sample is.
    files : sequence of str, optional
        Where the samples came from.
    rows : sequence of int, optional
        Their rows in what they were taken from; by default the samples are all of it, unless they
        come from `files`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.insight.evaluation import evaluated
    >>> facts, arrays = evaluated(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    >>> facts["accuracy"], facts["matrix"]
    (0.5, [[1, 0], [1, 0]])
    """
    y, outputs = np.asarray(y), np.asarray(outputs)
    if not len(y) or len(y) != len(outputs) or outputs.dtype.kind != "f" or outputs.ndim > 2:
        return None
    chances = _chances(y, outputs, classes)
    about: dict[str, Any] = {"part": part, "noun": noun}
    if chances is not None:
        numbers = y if y.size == len(y) else y.argmax(axis=1)
        facts, arrays = _classified(numbers.reshape(-1).astype(np.int64), chances, classes)
    elif outputs.size == len(outputs) and y.size == len(y) and y.dtype.kind in "fiub":
        facts, arrays = _measured(y.reshape(-1).astype(np.float64), outputs.reshape(-1))
    else:
        return None
    for place, error in enumerate(facts["worst"]):
        index = error.pop("row")
        if files is not None:
            error["file"] = str(files[index])
        if rows is not None or files is None:
            error["row"] = index if rows is None else int(rows[index])
        if shown is not None:
            _show(error, shown(index), place, arrays)
    return about | facts, arrays


def _show(error: dict[str, Any], sample: Any, place: int, arrays: dict[str, Array]) -> None:
    """Put a sample beside its error, where it can be shown."""
    if isinstance(sample, str):
        error["text"] = sample if len(sample) <= _LETTERS else f"{sample[:_LETTERS]}\u2026"
        return
    picture = as_picture(sample) if isinstance(sample, np.ndarray) else None
    if picture is not None:
        error["picture"] = f"picture/{place}"
        arrays[error["picture"]] = picture


def _chances(y: Array, outputs: Array, classes: Sequence[str] | None) -> Array | None:
    """Return the probability of each class [n, m]; ``None`` where the targets are no classes."""
    flat = outputs.size == len(outputs)
    whole = y.size == len(y) and (y.dtype.kind in "iub" or not np.mod(y, 1).any())
    if flat:
        one = outputs.reshape(-1, 1)
        inside = bool((one >= 0).all() and (one <= 1).all())
        two = whole and set(np.unique(y).tolist()) <= {0, 1} and (inside or classes is not None)
        if not two:
            return None
        one = one if inside else chances_of(one)
        return np.concatenate([1 - one, one], axis=1)
    if outputs.shape[1] > _MOST_CLASSES:
        return None
    one_hot = y.shape == outputs.shape and _is_one_hot(y)
    fits = whole and y.max(initial=0) < outputs.shape[1]
    return _probabilities(outputs) if one_hot or fits else None


def chances_of(logits: Array) -> Array:
    """Return ``1 / (1 + exp(-logits))``."""
    found: Array = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return found


def _is_one_hot(y: Array) -> bool:
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


def _probabilities(outputs: Array) -> Array:
    """Return rows that sum to 1: the outputs, or, where they are logits, their softmax."""
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    found: Array = powers / powers.sum(axis=1, keepdims=True)
    return found


def _classified(y: Array, chances: Array, classes: Sequence[str] | None) -> Facts:
    count = chances.shape[1]
    names = [str(k) for k in range(count)]
    if classes is not None and len(classes) == count:
        names = [str(name) for name in classes]
    predicted = np.nan_to_num(chances, nan=-1.0).argmax(axis=1)
    known = (y >= 0) & (y < count)
    cells = y[known] * count + predicted[known]
    matrix = np.bincount(cells, minlength=count * count).reshape(count, count)
    wrong = np.flatnonzero(known & (predicted != y))
    sure = chances[wrong, predicted[wrong]]
    worst = [
        {
            "row": int(row),
            "true": names[y[row]],
            "predicted": names[predicted[row]],
            "confidence": round(float(chances[row, predicted[row]]), 4),
        }
        for row in wrong[np.argsort(-sure, kind="stable")[:WORST]]
    ]
    facts = {
        "task": "classification",
        "samples": int(known.sum()),
        "classes": names,
        "accuracy": float(np.trace(matrix) / max(known.sum(), 1)),
        "matrix": matrix.tolist(),
        "worst": worst,
    }
    return facts, {}


def _measured(y: Array, outputs: Array) -> Facts:
    off = outputs.astype(np.float64) - y
    variance, mean_square = float(np.var(y)), float(np.mean(off**2))
    order = np.argsort(-np.abs(np.nan_to_num(off)), kind="stable")[:WORST]
    worst = [
        {"row": int(i), "true": float(y[i]), "predicted": float(outputs[i])} for i in order.tolist()
    ]
    picked = np.unique(np.linspace(0, len(y) - 1, min(len(y), _POINTS)).astype(int))
    facts = {
        "task": "regression",
        "samples": len(y),
        "r2": 1 - mean_square / variance if variance else None,
        "rmse": mean_square**0.5,
        "mae": float(np.mean(np.abs(off))),
        "worst": worst,
    }
    arrays = {
        "regression/true": y[picked].astype(np.float32),
        "regression/predicted": outputs[picked].astype(np.float32),
    }
    return facts, arrays
