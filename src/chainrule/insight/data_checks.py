"""What is wrong with samples: their scale, features that say nothing, one that says everything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.dtypes import Array, is_float
from chainrule.graph import Value, ordered
from chainrule.insight.case import LABELS, Case, rows_from
from chainrule.insight.heads import layer_of
from chainrule.insight.labels import labels_of
from chainrule.training.finding import Finding

# The curvature of the loss by the first weights, and so the largest step that does not overshoot,
# goes with the mean square of the inputs: LeCun, Bottou, Orr and Müller, "Efficient BackProp"
# (1998), sections 4.3 and 5, ask for a mean of 0 and a variance of 1. Ten times that size is a
# hundred times the curvature.
LARGE, COLUMN = 10.0, 30.0  # of all inputs, and of one column of a table: the quadratic mean
OFFSET = 20.0  # how many standard deviations the mean may lie from 0, where it is above 1
SMALL, SHORT = 1e-2, 0.1  # the quadratic mean, and the length of a sample, that are too small

# A column leaks where it tells classes apart almost without error (agreement of neighbours beyond
# chance, Cohen's kappa), with gaps between the classes (share of variance between them), and no
# other column does half as well.
KAPPA, BETWEEN, OTHERS = 0.95, 0.9, 0.6
RANK = 0.99  # of a quantity: the squared correlation of ranks
_FEWEST = 50  # rows
_COLUMNS = 3
_WIDE = 20_000  # columns that are looked at
_STEPS = 50_000  # of sequences

_PRODUCTS = {"matmul", "dense", "dense_of_parts", "batch_matmul"}
_CONVOLUTIONS = {"conv", "conv_bias", "conv_pool", "conv_transpose"}
_CELLS = {"rnn_layer", "gru_layer", "lstm_layer", "rnn", "gru", "lstm"}
_MULTIPLYING = _PRODUCTS | _CONVOLUTIONS | _CELLS
_FEATURE = "feature"


@dataclass(frozen=True)
class Entry:
    """What reaches the first weights on one way: before any of the network's work on it."""

    layer: str | None
    value: Value


def entries_of(case: Case) -> list[Entry]:
    """Return where numbers of the samples are first multiplied by weights that are trained."""
    if not case.traced.outputs:
        return []
    inputs = {value for name, value in case.traced.feeds.items() if name.split(":")[0] == "x"}
    weighed: set[Value] = set()
    found: dict[Value, Entry] = {}
    for node in ordered(case.traced.outputs):
        weights = [a for a in node.arguments if a in weighed or _is_weight(a)]
        raw = [a for a in node.arguments if a in inputs]
        if weights and raw and node.op.name in _MULTIPLYING:
            for value in raw:
                if is_float(value.dtype):
                    found.setdefault(value, Entry(layer_of(node), value))
        if weights:
            weighed.update(node.outputs)
        elif raw:
            inputs.update(node.outputs)
    return list(found.values())


def _is_weight(value: Value) -> bool:
    variable = value.variable
    return variable is not None and variable.trainable and variable.ndim > 1


def input_not_normalized(case: Case) -> list[Finding]:
    """Return where numbers that reach the first weights are far from the size of 1."""
    entries = entries_of(case)
    if not entries:
        return []
    for entry, values in zip(entries, case.values([e.value for e in entries]), strict=True):
        told = _off_scale(values.astype(np.float64))
        if told is not None:
            return [_not_normalized(case, entry, *told)]
    return []


def _off_scale(a: Array) -> tuple[str, dict[str, float]] | None:
    """Return what is wrong with the scale of inputs [n, *s], and the numbers of it."""
    if a.ndim < 2 or len(a) < 2 or not a.size or not np.isfinite(a).all():
        return None
    mean, deviation = float(a.mean()), float(a.std())
    size = float(np.sqrt(np.square(a).mean()))
    numbers = {"mean": mean, "std": deviation, "size": size}
    if size > LARGE:
        told = f"their quadratic mean is {size:.3g} (mean {mean:.3g}, "
        return told + f"standard deviation {deviation:.3g}, up to {np.abs(a).max():.4g})", numbers
    if a.ndim == 2:
        columns = np.sqrt(np.square(a).mean(axis=0))
        worst = int(columns.argmax())
        if columns[worst] > COLUMN:
            told = f"{_FEATURE} {worst} has a quadratic mean of {columns[worst]:.3g}, the median "
            numbers["column"] = float(worst)
            return told + f"of all features is {np.median(columns):.3g}", numbers
    spread = float(np.sqrt(a.var(axis=0).mean()))
    if abs(mean) > 1 and abs(mean) > OFFSET * spread:
        told = f"their mean is {mean:.4g}, but from sample to sample they differ by {spread:.2g}"
        return told, numbers
    length = size * float(np.sqrt(a[0].size))
    if 0 < size < SMALL and length < SHORT:
        told = f"their quadratic mean is {size:.2g}, and a whole sample has the length {length:.2g}"
        return told, numbers
    return None


def _not_normalized(case: Case, entry: Entry, told: str, numbers: dict[str, float]) -> Finding:
    low, high = float(case.few.x.min()), float(case.few.x.max())
    pixels = low >= 0 and 100 < high <= 255 and case.few.x.ndim > 1
    if pixels and float(np.abs(case.few.x - np.floor(case.few.x)).max()) == 0:
        remedy, change = "divide the samples by 255", {"x": "divide by 255"}
        cause = "pixels were left as they are in files, from 0 to 255"
    else:
        remedy = "bring each feature to mean 0 and standard deviation 1, e.g. by a Normalization "
        remedy += "layer adapted to the samples"
        change = {"x": "standardize"}
        cause = "the samples are in the units in which they were measured"
    told = f"of the numbers that reach its weights {told}"
    return Finding(
        "input_not_normalized",
        None,
        told.replace("its weights", f"the weights of {entry.layer!r}"),
        remedy,
        cause=cause,
        change=change,
        numbers=numbers,
    )


def constant_feature(case: Case) -> list[Finding]:
    """Return columns of a table, or channels of sequences, that are the same throughout.

    Pixels at the border of pictures, the padding of sequences and rare words are so by nature:
    next to columns that hardly ever change one that never does is not reported.
    """
    if case.x.ndim < 2 or len(case.x) < _FEWEST:
        return []
    if (case.x == case.x[:1]).all():
        return [_all_alike(case)]
    if not entries_of(case):
        return []
    x = _rows(case.x)
    if not 1 < x.shape[1] <= _WIDE or len(x) < _FEWEST:
        return []
    same = (x == x[:1]).all(axis=0)
    if not same.any() or same.all() or _by_nature(x, same):
        return []
    columns = [int(j) for j in np.flatnonzero(same) if _same_everywhere(case, int(j), x[0, j])]
    return [_constant(case, x, columns)] if columns else []


def _all_alike(case: Case) -> Finding:
    low, high = float(case.x.min()), float(case.x.max())
    numbers = f"{low:.4g}" if low == high else f"numbers from {low:.4g} to {high:.4g}"
    return Finding(
        "constant_feature",
        None,
        f"all {len(case.x):,} samples looked at are the same ({numbers} throughout), so the "
        "network can only learn one answer for all",
        "look at how the samples are read, and at some of them",
        cause="what was to be filled in stayed empty, or one sample was written over all",
        numbers={"constant": float(case.x[0].size), "features": float(case.x[0].size)},
    )


def _rows(x: Array) -> Array:
    """Return samples as a table: the steps of sequences below each other, without the padding."""
    if x.ndim == 2:
        return x
    flat = x.reshape(-1, x.shape[-1])
    flat = flat[rows_from(len(flat), _STEPS)]
    return flat[flat.any(axis=1)]


def _constant(case: Case, x: Array, columns: list[int]) -> Finding:
    shown = ", ".join(map(str, columns[:5])) + (", ..." if len(columns) > 5 else "")
    which = f"{_FEATURE} {shown} is" if len(columns) == 1 else f"features {shown} are"
    return Finding(
        "constant_feature",
        None,
        f"{which} the same in all {case.samples or len(case.x):,} samples ({len(columns)} of "
        f"{x.shape[1]}; the first is always {float(x[0, columns[0]]):.4g})",
        "remove such columns, or look at why they were not filled in",
        cause="a column that was not filled in, or rows chosen so that it is constant",
        change={"x": "remove columns", "columns": columns},
        numbers={"constant": float(len(columns)), "features": float(x.shape[1])},
    )


def _same_everywhere(case: Case, column: int, value: float) -> bool:
    """Return whether a column of a table is so in all rows that are at hand."""
    if case.source is None or case.x.ndim > 2:
        return True
    values = case.source.x[rows_from(len(case.source), LABELS), column]
    return bool((values == value).all())


def _by_nature(x: Array, same: Array) -> bool:
    """Return whether columns beside the constant ones hardly change, as in pictures, padded
    sequences and counts of words; or go with their neighbours, as in pictures and spectra."""
    beside = np.zeros_like(same)
    beside[1:] |= same[:-1]
    beside[:-1] |= same[1:]
    beside &= ~same
    rest = np.flatnonzero(~same)
    near = np.flatnonzero(beside)
    if _usual_share(x, near) >= 0.5 or _usual_share(x, rest[:: max(1, len(rest) // 64)]) >= 0.5:
        return True
    if len(rest) < 32:
        return False
    a = x[:, rest].astype(np.float64)
    a = (a - a.mean(axis=0)) / a.std(axis=0)
    return float(np.abs((a[:, 1:] * a[:, :-1]).mean(axis=0)).mean()) > 0.5


def _usual_share(x: Array, columns: Array) -> float:
    """Return the share of a column's most frequent number, in the median over the columns."""
    if not len(columns):
        return 0.0
    shares = [np.unique(x[:, j], return_counts=True)[1].max() / len(x) for j in columns[:256]]
    return float(np.median(shares))


def leaking_feature(case: Case) -> list[Finding]:
    """Return a feature that alone predicts the target almost perfectly, while no other does."""
    x, y = case.x.reshape(len(case.x), -1), case.y
    if not case.simple or y is None or len(x) < _FEWEST or not _COLUMNS <= x.shape[1] <= _WIDE:
        return []
    if not entries_of(case):
        return []  # tokens: that one of them decides is no leak
    order = np.random.default_rng(0).permutation(len(x))  # ties fall as chance will have it
    a = x[order].astype(np.float64)
    labels = labels_of(case, y)
    if not np.isfinite(a).all():
        return []
    if labels is not None and len(labels.numbers) == len(a):
        return _leaks_of_classes(a, labels.numbers[order])
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        return _leaks_of_quantity(a, y.reshape(-1)[order].astype(np.float64))
    return []


def _leaks_of_classes(a: Array, labels: Array) -> list[Finding]:
    between = _between(a, labels)
    best = np.flatnonzero(between >= BETWEEN)
    leaks = [int(j) for j in best if _agreement(a[:, j], labels) >= KAPPA]
    if not leaks or len(leaks) > max(1, a.shape[1] // 10):
        return []
    others = float(np.delete(between, leaks).max(initial=0.0))
    if others > OTHERS:
        return []
    kappa = _agreement(a[:, leaks[0]], labels)
    told = f"alone it tells the classes apart (agreement of neighbours {kappa:.3f} above chance)"
    return [_leak(leaks, told, float(between[leaks[0]]), others)]


def _leaks_of_quantity(a: Array, y: Array) -> list[Finding]:
    if np.ptp(y) == 0:
        return []
    rows = min(len(a), max(_FEWEST, 4_000_000 // a.shape[1]))
    ranks, target = _ranks(a[:rows]), _ranks(y[:rows, None])
    squared = np.square((ranks * target).mean(axis=0))
    leaks = [int(j) for j in np.flatnonzero(squared >= RANK)]
    if not leaks or len(leaks) > max(1, a.shape[1] // 10):
        return []
    others = float(np.delete(squared, leaks).max(initial=0.0))
    if others > OTHERS:
        return []
    told = f"its order is that of the targets (squared rank correlation {squared[leaks[0]]:.4f})"
    return [_leak(leaks, told, float(squared[leaks[0]]), others)]


def _leak(leaks: list[int], told: str, explained: float, others: float) -> Finding:
    shown = ", ".join(map(str, leaks[:5]))
    return Finding(
        "leaking_feature",
        None,
        f"{_FEATURE} {shown} nearly is the target: {told}, {explained:.1%} of its variance are "
        f"explained, of any other feature at most {others:.1%}",
        "leave it out, unless it will be known before the answer is when the model is used",
        cause="the feature was made from the target, or is only known together with it",
        change={"x": "remove columns", "columns": leaks},
        numbers={"explained": explained, "others": others},
    )


def _between(a: Array, labels: Array) -> Array:
    """Return for each column the share of its variance that lies between the classes."""
    total = np.square(a - a.mean(axis=0)).sum(axis=0)
    inside = np.zeros(a.shape[1])
    for k in np.unique(labels):
        part = a[labels == k]
        inside += np.square(part - part.mean(axis=0)).sum(axis=0)
    share: Array = 1.0 - np.divide(inside, total, out=np.ones_like(total), where=total > 0)
    return share


def _agreement(column: Array, labels: Array) -> float:
    """Return how often neighbours in the order of a column are of one class, beyond chance."""
    ordered_labels = labels[np.argsort(column, kind="stable")]
    same = float((ordered_labels[1:] == ordered_labels[:-1]).mean())
    chance = float(np.square(np.bincount(labels) / len(labels)).sum())
    return (same - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def _ranks(a: Array) -> Array:
    """Return the ranks of each column, at mean 0 and variance 1; ties fall as the rows lie."""
    ranks = np.argsort(np.argsort(a, axis=0, kind="stable"), axis=0).astype(np.float64)
    scaled: Array = (ranks - ranks.mean(axis=0)) / max(float(ranks[:, 0].std()), 1e-12)
    return scaled
