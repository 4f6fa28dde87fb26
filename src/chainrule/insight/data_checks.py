"""What is wrong with samples: their scale, features that say nothing, one that says everything."""

from __future__ import annotations

import numpy as np

from chainrule.data.order import rows_from
from chainrule.dtypes import Array
from chainrule.insight.case import LABELS, Case
from chainrule.insight.entries import entries_of
from chainrule.insight.labels import labels_of
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

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
_AT_ONCE = 256  # of which copies in float64 are made
_STEPS = 50_000  # of sequences


def input_not_normalized(case: Case) -> list[Finding]:
    """Return where numbers that reach the first weights are far from the size of 1."""
    entries = [entry for entry in entries_of(case) if not entry.normalized]
    if not entries:
        return []
    for entry, values in zip(entries, case.values([e.value for e in entries]), strict=True):
        told = _off_scale(values.astype(np.float64), entry.layer)
        if told is not None:
            return [_not_normalized(case, *told)]
    return []


def _off_scale(a: Array, layer: str | None) -> tuple[Said, dict[str, float]] | None:
    """Return what is wrong with the scale of a layer's inputs [n, *s], and the numbers of it."""
    if a.ndim < 2 or len(a) < 2 or not a.size or not np.isfinite(a).all():
        return None
    mean, deviation = float(a.mean()), float(a.std())
    size = float(np.sqrt(np.square(a).mean()))
    numbers = {"mean": mean, "std": deviation, "size": size}
    columns = np.sqrt(np.square(a).mean(axis=0)) if a.ndim == 2 else np.zeros(1)
    usual = float(np.median(columns))
    if columns.max() > COLUMN and usual <= LARGE:
        return _one_off(layer, columns, usual), numbers | {"column": float(columns.argmax())}
    if size > LARGE:
        told = said(
            "of the numbers that reach the weights of {layer!r} their quadratic mean is {size:.3g} "
            "(mean {mean:.3g}, standard deviation {std:.3g}, up to {most:.4g})",
            layer=layer,
            most=np.abs(a).max(),
            **numbers,
        )
        return told, numbers
    spread = float(np.sqrt(a.var(axis=0).mean()))
    if abs(mean) > 1 and abs(mean) > OFFSET * spread:
        told = said(
            "of the numbers that reach the weights of {layer!r} their mean is {mean:.4g}, but "
            "from sample to sample they differ by {spread:.2g}",
            layer=layer,
            mean=mean,
            spread=spread,
        )
        return told, numbers
    length = size * float(np.sqrt(a[0].size))
    if 0 < size < SMALL and length < SHORT:
        told = said(
            "of the numbers that reach the weights of {layer!r} their quadratic mean is "
            "{size:.2g}, and a whole sample has the length {length:.2g}",
            layer=layer,
            size=size,
            length=length,
        )
        return told, numbers
    return None


def _one_off(layer: str | None, columns: Array, usual: float) -> Said:
    return said(
        "of the numbers that reach the weights of {layer!r} feature {column} has a quadratic mean "
        "of {size:.3g}, the median of all features is {median:.3g}",
        layer=layer,
        column=int(columns.argmax()),
        size=columns.max(),
        median=usual,
    )


def _not_normalized(case: Case, told: Said, numbers: dict[str, float]) -> Finding:
    low, high = float(case.few.x.min()), float(case.few.x.max())
    pixels = low >= 0 and 100 < high <= 255 and case.few.x.ndim > 1
    if pixels and float(np.abs(case.few.x - np.floor(case.few.x)).max()) == 0:
        remedy, change = said("divide the samples by 255"), {"x": "divide by 255"}
        cause = said("pixels were left as they are in files, from 0 to 255")
    else:
        remedy = said(
            "bring each feature to mean 0 and standard deviation 1, e.g. by a Normalization layer "
            "adapted to the samples"
        )
        change = {"x": "standardize"}
        cause = said("the samples are in the units in which they were measured")
    return Finding(
        "input_not_normalized",
        None,
        told,
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
    if not case.representative or case.x.ndim < 2 or len(case.x) < _FEWEST:
        return []
    if all((a == a[:1]).all() for a in case.inputs):
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
    return Finding(
        "constant_feature",
        None,
        said(
            "all {samples:,} samples looked at are the same ({number:.4g} throughout), so the "
            "network can only learn one answer for all",
            samples=len(case.x),
            number=low,
        )
        if low == high
        else said(
            "all {samples:,} samples looked at are the same (numbers from {low:.4g} to {high:.4g} "
            "throughout), so the network can only learn one answer for all",
            samples=len(case.x),
            low=low,
            high=high,
        ),
        said("look at how the samples are read, and at some of them"),
        cause=said("what was to be filled in stayed empty, or one sample was written over all"),
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
    found = {
        "columns": [*columns[:5], *(["..."] if len(columns) > 5 else [])],
        "samples": len(case.source or case.sample),
        "count": len(columns),
        "features": x.shape[1],
        "value": float(x[0, columns[0]]),
    }
    return Finding(
        "constant_feature",
        None,
        said(
            "feature {columns} is the same in all {samples:,} samples ({count} of {features}; the "
            "first is always {value:.4g})",
            **found,
        )
        if len(columns) == 1
        else said(
            "features {columns} are the same in all {samples:,} samples ({count} of {features}; "
            "the first is always {value:.4g})",
            **found,
        ),
        said("remove such columns, or look at why they were not filled in"),
        cause=said("a column that was not filled in, or rows chosen so that it is constant"),
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
    if not case.representative or not case.simple or y is None:
        return []
    if len(x) < _FEWEST or not _COLUMNS <= x.shape[1] <= _WIDE:
        return []
    if not entries_of(case):
        return []  # tokens: that one of them decides is no leak
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        return []
    order = np.random.default_rng(0).permutation(len(x))  # ties fall as chance will have it
    labels = labels_of(case, y)
    if labels is not None and len(labels.numbers) == len(x):
        return _leaks_of_classes(x, labels.numbers, order)
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        return _leaks_of_quantity(x, y.reshape(-1).astype(np.float64), order)
    return []


def _leaks_of_classes(x: Array, labels: Array, order: Array) -> list[Finding]:
    firsts = range(0, x.shape[1], _AT_ONCE)
    between = np.concatenate([_between(x[:, i : i + _AT_ONCE], labels) for i in firsts])
    best = np.flatnonzero(between >= BETWEEN)
    leaks = [int(j) for j in best if _agreement(x[order, j], labels[order]) >= KAPPA]
    others = _others(between, leaks)
    if others is None:
        return []
    kappa = _agreement(x[order, leaks[0]], labels[order])
    explained = float(between[leaks[0]])
    told = said(
        "feature {columns} nearly is the target: alone it tells the classes apart (agreement of "
        "neighbours {kappa:.3f} above chance), {explained:.1%} of its variance are explained, of "
        "any other feature at most {others:.1%}",
        columns=leaks[:5],
        kappa=kappa,
        explained=explained,
        others=others,
    )
    return [_leak(leaks, told, explained, others)]


def _others(shares: Array, leaks: list[int]) -> float | None:
    """Return the largest share of the features that do not leak; ``None`` where none does, or too
    many, or others tell nearly as much."""
    if not leaks or len(leaks) > max(1, len(shares) // 10):
        return None
    others = float(np.delete(shares, leaks).max(initial=0.0))
    return None if others > OTHERS else others


def _leaks_of_quantity(x: Array, y: Array, order: Array) -> list[Finding]:
    if np.ptp(y) == 0:
        return []
    rows = order[: max(_FEWEST, 4_000_000 // x.shape[1])]
    target = _ranks(y[rows, None])
    parts = (_ranks(x[rows, i : i + _AT_ONCE]) for i in range(0, x.shape[1], _AT_ONCE))
    squared = np.square(np.concatenate([(part * target).mean(axis=0) for part in parts]))
    leaks = [int(j) for j in np.flatnonzero(squared >= RANK)]
    others = _others(squared, leaks)
    if others is None:
        return []
    explained = float(squared[leaks[0]])
    told = said(
        "feature {columns} nearly is the target: its order is that of the targets (squared rank "
        "correlation {squared:.4f}), {explained:.1%} of its variance are explained, of any other "
        "feature at most {others:.1%}",
        columns=leaks[:5],
        squared=explained,
        explained=explained,
        others=others,
    )
    return [_leak(leaks, told, explained, others)]


def _leak(leaks: list[int], told: Said, explained: float, others: float) -> Finding:
    return Finding(
        "leaking_feature",
        None,
        told,
        said("leave it out, unless it will be known before the answer is when the model is used"),
        cause=said("the feature was made from the target, or is only known together with it"),
        change={"x": "remove columns", "columns": leaks},
        numbers={"explained": explained, "others": others},
    )


def _between(a: Array, labels: Array) -> Array:
    """Return for each column the share of its variance that lies between the classes."""
    a = a.astype(np.float64)
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
