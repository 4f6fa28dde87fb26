"""The data of the zoo: those that ship with chainrule, and generated ones; small, and cached."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_PIECES = re.compile(r"[a-z']+")


@dataclass(frozen=True)
class Data:
    """Rows to learn from, and others. `truth` is what belongs to `vx`, whatever an edit did to the
    targets that `fit` is given."""

    x: Array
    y: Array
    vx: Array
    vy: Array
    truth: Array
    task: str  # "classes", "binary" or "numbers"

    def but(self, **changes: Any) -> Data:
        """Return the data with other arrays."""
        return replace(self, **changes)

    def inputs(self, change: Callable[[Array], Array]) -> Data:
        """Return the data with all inputs changed."""
        return self.but(x=change(self.x), vx=change(self.vx))

    def targets(self, change: Callable[[Array], Array]) -> Data:
        """Return the data with the targets that `fit` is given changed."""
        return self.but(y=change(self.y), vy=change(self.vy))


def _made(x: Array, y: Array, train: int, task: str) -> Data:
    x = np.ascontiguousarray(x, "float32" if x.dtype.kind == "f" else x.dtype)
    y = y.astype("float32") if task == "numbers" else y.astype("int64")
    return Data(x[:train], y[:train], x[train:], y[train:], y[train:], task)


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def _digits() -> Data:
    from chainrule.datasets import digits

    (x, y), _ = digits.load_data()
    return _made(x / np.float32(255), y, 3000, "classes")


def _small_digits() -> Data:
    """Return digits of 14 x 14 pixels, with a channel."""
    big = _digits()

    def halved(x: Array) -> Array:
        return x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))[..., None]

    return big.inputs(halved).but(x=halved(big.x[:1500]), y=big.y[:1500])


def _spoken() -> Data:
    """Return recordings of 30 frames, of mean 0 and deviation 1; what is missing is 0."""
    from chainrule.datasets import spoken_digits

    (recordings, y), _ = spoken_digits.load_data()
    frames = np.concatenate(recordings)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    x = np.zeros((2000, 30, frames.shape[1]), "float32")
    for row, one in zip(x, recordings[:2000], strict=True):
        row[: len(one)] = ((one - mean) / deviation)[:30]
    return _made(x, y[:2000], 1500, "classes")


def _reviews() -> Data:
    """Return sentences as the numbers of their words, the 1,500 most frequent; 0 is no word."""
    from chainrule.datasets import movie_reviews

    (texts, y), _ = movie_reviews.load_data()
    words = [_PIECES.findall(str(text).lower()) for text in texts]
    common = Counter(word for sentence in words for word in sentence).most_common(1500)
    number = {word: i + 1 for i, (word, _) in enumerate(common)}
    x = np.zeros((len(words), 20), "int64")
    for row, sentence in zip(x, words, strict=True):
        known = [number[word] for word in sentence if word in number][:20]
        row[: len(known)] = known
    return _made(x, y, 6500, "binary")


def _blobs() -> Data:
    """Five overlapping clouds in 12 dimensions."""
    random = _random(1)
    centers = random.standard_normal((5, 12)) * 0.9
    y = random.integers(0, 5, 2000)
    return _made(centers[y] + random.standard_normal((2000, 12)), y, 1500, "classes")


def _rings() -> Data:
    """Two arms of a spiral."""
    random = _random(2)
    y, t = random.integers(0, 2, 2000), random.uniform(0.25, 1.0, 2000)
    angle = 3.5 * t * np.pi / 1.6 + y * np.pi
    x = 2.0 * t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _made(x + 0.08 * random.standard_normal((2000, 2)), y, 1500, "binary")


def _credit() -> Data:
    """A table of 15 columns, some of which say, together, how likely a 1 is."""
    random = _random(3)
    x = random.standard_normal((2500, 15))
    score = 2 * x[:, 0] - 1.5 * x[:, 1] * x[:, 2] + x[:, 3] ** 2 - 1 + 0.8 * x[:, 4]
    return _made(x, random.uniform(size=2500) < 1 / (1 + np.exp(-2 * score)), 1800, "binary")


def _friedman() -> Data:
    """Friedman (1991), equation 56: 10 columns, 5 of which count; standardized."""
    random = _random(4)
    u = random.uniform(size=(2000, 10))
    y = 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2
    y += 10 * u[:, 3] + 5 * u[:, 4] + random.standard_normal(2000)
    return _made((u - 0.5) * 12**0.5, (y - y.mean()) / y.std(), 1500, "numbers")


def _waves() -> Data:
    """A curve over one column, and a slope over another."""
    random = _random(5)
    x = random.uniform(-1.7, 1.7, (1800, 2))
    y = np.sin(3 * x[:, 0]) + 0.5 * x[:, 1] + 0.1 * random.standard_normal(1800)
    return _made(x, y / y.std(), 1300, "numbers")


def _products() -> Data:
    """Four numbers that are linear in four columns of equal weight, without noise."""
    random = _random(6)
    turn, _ = np.linalg.qr(random.standard_normal((4, 4)))
    x = random.standard_normal((1500, 4))
    x -= x[:1000].mean(axis=0)
    x = np.linalg.solve(np.linalg.cholesky(np.cov(x[:1000].T, bias=True)), x.T).T
    return _made(x, x @ turn, 1000, "numbers")


def _tones() -> Data:
    """Sine waves of four frequencies under noise: 40 steps of one channel."""
    random = _random(7)
    y = random.integers(0, 4, 1600)
    cycles = np.array([2.0, 4.0, 6.0, 9.0])[y, None] + random.normal(0, 0.2, (1600, 1))
    phase = random.uniform(0, 2 * np.pi, (1600, 1))
    x = np.sin(2 * np.pi * cycles * np.arange(40) / 40 + phase)
    return _made((1.2 * x + 0.5 * random.standard_normal(x.shape))[..., None], y, 1200, "classes")


def _sums() -> Data:
    """The sum of those of 12 numbers that a second channel marks."""
    random = _random(8)
    x = np.stack([random.standard_normal((2000, 12)), random.uniform(size=(2000, 12)) < 0.4], -1)
    y = (x[..., 0] * x[..., 1]).sum(axis=1)
    return _made(x, y / y.std(), 1500, "numbers")


def _bars() -> Data:
    """Pictures of 12 x 12 with a bar: lying, standing, rising or falling."""
    random = _random(9)
    y = random.integers(0, 4, 1600)
    h, w = np.mgrid[:12, :12] - 5.5
    off = random.uniform(-3, 3, (1600, 1, 1))
    along = np.stack([h, w, (h - w) / 2**0.5, (h + w) / 2**0.5])[y]
    x = np.exp(-((along - off) ** 2)) + 0.2 * random.standard_normal((1600, 12, 12))
    return _made(x[..., None], y, 1200, "classes")


_MAKERS = {
    "digits": _digits,
    "small digits": _small_digits,
    "spoken": _spoken,
    "reviews": _reviews,
    "blobs": _blobs,
    "rings": _rings,
    "credit": _credit,
    "friedman": _friedman,
    "waves": _waves,
    "products": _products,
    "tones": _tones,
    "sums": _sums,
    "bars": _bars,
}


@functools.cache
def load(name: str) -> Data:
    """Return the data of this name; arrays that nobody may write to."""
    data = _MAKERS[name]()
    for array in (data.x, data.y, data.vx, data.vy, data.truth):
        array.flags.writeable = False
    return data
