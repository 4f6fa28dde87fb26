"""What can be wrong with data: functions that return others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .data import Array, Data
from .plan import Edit


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def inputs(factor: Any = 1.0, offset: Any = 0.0) -> Edit:
    """``x * factor + offset``, by columns too."""

    def edit(data: Data) -> Data:
        return data.inputs(
            lambda x: (x * np.asarray(factor) + np.asarray(offset)).astype("float32")
        )

    return edit


def mixed(spread: float, seed: int = 0) -> Edit:
    """Columns whose sizes lie so many powers of ten apart."""

    def edit(data: Data) -> Data:
        return inputs(10 ** _random(seed).uniform(0, spread, data.x.shape[-1]))(data)

    return edit


def constant(columns: tuple[int, ...], value: float = 0.0) -> Edit:
    """Columns that are the same in each row."""

    def change(x: Array) -> Array:
        x = x.copy()
        x[..., list(columns)] = value
        return x

    return lambda data: data.inputs(change)


def nothing(data: Data) -> Data:
    """All inputs 0."""
    return data.inputs(np.zeros_like)


def one_row(data: Data) -> Data:
    """The first row in the place of each."""
    return data.inputs(lambda x: np.broadcast_to(x[:1], x.shape).copy())


def without(columns: tuple[int, ...]) -> Edit:
    """Without these columns."""
    return lambda data: data.inputs(lambda x: np.delete(x, list(columns), axis=-1))


def leaking(noise: float, scale: float = 1.0) -> Edit:
    """A further column that says the target."""

    def edit(data: Data) -> Data:
        def more(x: Array, y: Array, seed: int) -> Array:
            hint = (y - data.y.mean()) / data.y.std()
            hint = hint + noise * _random(seed).standard_normal(len(y))
            return np.concatenate([x, scale * hint[:, None]], axis=1).astype("float32")

        return data.but(x=more(data.x, data.y, 1), vx=more(data.vx, data.vy, 2))

    return edit


def instead(column: int, noise: float) -> Edit:
    """A column that says the target, in the place of another."""

    def edit(data: Data) -> Data:
        more = leaking(noise)(data)

        def moved(x: Array) -> Array:
            x = x.copy()
            x[:, column] = x[:, -1]
            return np.ascontiguousarray(x[:, :-1])

        return more.inputs(moved)

    return edit


def shuffled(share: float = 1.0, seed: int = 0) -> Edit:
    """Targets that belong to other rows, of training and validation alike."""

    def change(y: Array, seed: int) -> Array:
        random = _random(seed)
        rows = random.permutation(len(y))[: round(share * len(y))]
        y = y.copy()
        y[rows] = y[random.permutation(rows)]
        return y

    return lambda data: data.but(y=change(data.y, seed), vy=change(data.vy, seed + 1))


def rare(share: float, label: int = 1) -> Edit:
    """Of one class only so large a share of all rows; those set aside stay as they are."""

    def edit(data: Data) -> Data:
        others, these = np.flatnonzero(data.y != label), np.flatnonzero(data.y == label)
        keep = these[: max(2, round(share / (1 - share) * len(others)))]
        rows = np.sort(np.concatenate([others, keep]))
        return data.but(x=data.x[rows], y=data.y[rows])

    return edit


def frequent(share: float, label: int = 0) -> Edit:
    """Of all other classes together only what leaves one class so large a share."""

    def edit(data: Data) -> Data:
        these, others = np.flatnonzero(data.y == label), np.flatnonzero(data.y != label)
        rest = max(1, round((1 - share) / share * len(these)))
        rows = np.sort(np.concatenate([these, others[:rest]]))
        return data.but(x=data.x[rows], y=data.y[rows])

    return edit


def first(rows: int) -> Edit:
    """Few rows."""
    return lambda data: data.but(x=data.x[:rows], y=data.y[:rows])


def sorted_by_target(data: Data) -> Data:
    """Rows in the order of their targets."""
    rows = np.argsort(data.y, kind="stable")
    return data.but(x=data.x[rows], y=data.y[rows])


def targets(factor: float = 1.0, offset: float = 0.0) -> Edit:
    """``y * factor + offset``."""
    return lambda data: data.targets(lambda y: (y * factor + offset).astype("float32"))


def scaled_targets(data: Data) -> Data:
    """Targets from 0 to 1."""
    low, high = float(data.y.min()), float(data.y.max())
    return targets(1 / (high - low), -low / (high - low))(data)


def numbered(factor: int = 1, offset: int = 0) -> Edit:
    """Class numbers with gaps, or not from 0."""

    def edit(data: Data) -> Data:
        return data.targets(lambda y: y * factor + offset).but(truth=data.truth * factor + offset)

    return edit


def one_hot(data: Data) -> Data:
    """A column for each class."""
    classes = np.eye(int(data.y.max()) + 1, dtype="float32")
    return data.targets(lambda y: classes[y])


def only_class(label: int) -> Edit:
    """Rows of one class alone, as after a wrong filter."""

    def edit(data: Data) -> Data:
        return data.but(y=np.full_like(data.y, label), vy=np.full_like(data.vy, label))

    return edit


def noisy(deviation: float, seed: int = 0) -> Edit:
    """Targets under noise."""

    def change(y: Array, seed: int) -> Array:
        return (y + deviation * _random(seed).standard_normal(y.shape)).astype("float32")

    return lambda data: data.but(y=change(data.y, seed), vy=change(data.vy, seed + 1))


def spoiled(rows: tuple[int, ...], value: float, column: int = 0) -> Edit:
    """Single rows with a value that an operation does not bear."""

    def edit(data: Data) -> Data:
        x = data.x.copy()
        x.reshape(len(x), -1)[list(rows), column] = value
        return data.but(x=x)

    return edit
