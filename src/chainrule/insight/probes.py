"""Whether targets have to do with samples at all: simple learners against permuted targets.

Each sample is predicted from the others: by its nearest neighbours, and by a linear and a cubic fit
with a penalty (leave-one-out in closed form). The same is done with the targets permuted, which
says what chance makes of it: what is better than that by `CERTAIN` standard deviations is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.case import Case, sampled
from chainrule.insight.entries import entries_of
from chainrule.insight.labels import labels_of
from chainrule.training.said import said
from chainrule.training.trace import is_sparse

CERTAIN = 4.0  # standard deviations of what permuted targets give: by chance once in 1,000
SURELY, BEYOND = 8.0, 0.05  # or so many, if it is less than this share of what is left above chance
_PERMUTATIONS = 20
_NEIGHBOURS = 5
_PENALTY = 0.3  # where the squared length of a sample is 1
_WORDS = 2048
_COLUMNS = 4096
_FEWEST, _MOST = 50, 1_000  # rows: what takes a tenth of a second


@dataclass(frozen=True)
class Probe:
    """How well simple learners predict targets of samples that they were not shown.

    Attributes
    ----------
    name : str
        The best: ``"the nearest neighbours"``, ``"a linear fit"`` or ``"a cubic fit"``.
    score : float
        Its share of right classes, or of the variance of a quantity that is explained.
    chance : float
        The mean score with permuted targets.
    certainty : float
        How many standard deviations of permuted ones the surest learner is above their mean.
    """

    name: str
    score: float
    chance: float
    certainty: float

    @property
    def related(self) -> bool:
        """Whether samples and targets have to do with each other, beyond chance."""
        base = max(self.chance, 0.0)
        beyond = (self.score - base) / max(1.0 - base, 1e-9)
        return self.certainty > (CERTAIN if beyond > BEYOND else SURELY)


def probe(case: Case) -> Probe | None:
    """Return what simple learners make of the sample; ``None`` where they cannot learn it."""
    if "probe" not in case.memo:
        case.memo["probe"] = _probed(case)
    found: Probe | None = case.memo["probe"]
    return found


def _probed(case: Case) -> Probe | None:
    case = replace(case, sample=sampled(case.sample, _MOST), memo=dict(case.memo))
    targets = _targets(case)
    if targets is None or len(targets) != len(case.x) or len(targets) < _FEWEST:
        return None
    gram = _products(case)
    if gram is None:
        return None
    scaled = gram / max(float(np.trace(gram)) / len(gram), 1e-12)
    learners = {
        said("the nearest neighbours"): _neighbours(gram),
        said("a linear fit"): _fit(1.0 + scaled),
        said("a cubic fit"): _fit((1.0 + scaled) ** 3 / 8.0),
    }
    rng = np.random.default_rng(0)
    orders = [np.arange(len(targets)), *(rng.permutation(len(gram)) for _ in range(_PERMUTATIONS))]
    many = targets[np.stack(orders, axis=1)]  # [n, 1 + permutations, k]
    found = [_tried(name, matrix, many) for name, matrix in learners.items()]
    best = max(found, key=lambda p: p.score)
    return replace(best, certainty=max(p.certainty for p in found))


def _tried(name: str, learner: Array, many: Array) -> Probe:
    """Return what a learner makes of the targets, which come first, and of permuted ones."""
    guessed = (learner @ many.reshape(len(many), -1)).reshape(many.shape)
    scores = np.array([_scores(guessed[:, i], many[:, i]) for i in range(many.shape[1])])
    by_chance = scores[1:]
    spread = np.maximum(by_chance.std(axis=0, ddof=1), 1e-9)
    certainty = (scores[0] - by_chance.mean(axis=0)) / spread
    return Probe(name, float(scores[0, 0]), float(by_chance[:, 0].mean()), float(certainty[1]))


def _targets(case: Case) -> Array | None:
    """Return one-hot classes [n, k], or quantities [n, k] at mean 0."""
    y = case.y
    labels = labels_of(case, y)
    if labels is not None:
        hot = np.zeros((len(labels.numbers), labels.classes), np.float32)
        hot[np.arange(len(hot)), labels.numbers] = 1
        return hot
    if is_sparse(case.trainer.loss):
        return None
    if not case.simple or y is None or y.dtype.kind not in "fiu" or np.prod(y.shape[1:]) > 64:
        return None
    flat = y.reshape(len(y), -1).astype(np.float32)
    spread = flat.std(axis=0)
    if not np.isfinite(flat).all() or not spread.all():
        return None
    return (flat - flat.mean(axis=0)) / spread  # type: ignore[no-any-return]


def _scores(guessed: Array, targets: Array) -> tuple[float, float]:
    """Return the share of right classes, or of the variance explained, in all columns; and the
    covariance of what is predicted with what is right, which sees rare classes too."""
    centered = targets - targets.mean(axis=0)
    together = float((guessed * centered).mean())
    if _are_classes(targets):
        return float((guessed.argmax(axis=1) == targets.argmax(axis=1)).mean()), together
    left = float(np.square(guessed - targets).mean())
    return 1.0 - left / float(np.square(targets).mean()), together


def _are_classes(targets: Array) -> bool:
    return targets.shape[1] > 1 and float(targets.min()) == 0.0 and float(targets.max()) == 1.0


def _products(case: Case) -> Array | None:
    """Return the products of all pairs of samples, each column at mean 0."""
    a = _words(case.x) if not entries_of(case) else case.x.reshape(len(case.x), -1)
    if a is None or not a.shape[1]:
        return None
    a = a[:, :: -(-a.shape[1] // _COLUMNS)].astype(np.float32)
    if not np.isfinite(a).all():
        return None
    a = a - a.mean(axis=0)
    if case.x.ndim == 2:  # columns of a table are in units of their own
        deviation = a.std(axis=0)
        a = a / np.where(deviation > 0.01 * deviation.max(initial=0.0), deviation, 1.0)
    return a @ a.T if a.any() else None


def _words(x: Array) -> Array | None:
    """Return how often each number occurs in a sample of tokens, rare ones counting more."""
    if x.ndim != 2 or x.dtype.kind not in "iuf" or len(x) < _FEWEST:
        return None
    tokens = x.astype(np.int64) % _WORDS
    counts = np.zeros((len(x), _WORDS), np.float32)
    np.add.at(counts, (np.arange(len(x))[:, None], tokens), 1.0)
    weight = np.log((1 + len(x)) / (1 + (counts > 0).sum(axis=0)))
    counts = np.minimum(counts, 1.0) * weight.astype(np.float32)
    length = np.sqrt(np.square(counts).sum(axis=1, keepdims=True))
    return counts / np.maximum(length, 1e-6)  # type: ignore[no-any-return]


def _neighbours(gram: Array) -> Array:
    """Return the matrix that averages over the nearest neighbours, the sample itself excepted."""
    squares = np.diagonal(gram)
    distance = squares[:, None] + squares[None, :] - 2 * gram
    np.fill_diagonal(distance, np.inf)
    k = min(_NEIGHBOURS, len(gram) - 1)
    near = np.argpartition(distance, k - 1, axis=1)[:, :k]
    matrix = np.zeros_like(gram)
    np.put_along_axis(matrix, near, np.float32(1 / k), axis=1)
    return matrix


def _fit(kernel: Array) -> Array:
    """Return the matrix of leave-one-out predictions of a fit with a penalty (kernel ridge).

    With ``H = K (K + c I)^-1`` the prediction of sample i by a fit to the others is ``(sum_j H_ij
    y_j - H_ii y_i) / (1 - H_ii)`` (Golub, Heath and Wahba, "Generalized Cross-Validation",
    Technometrics 21, 1979, section 1).
    """
    # In float32, at half the time: the penalty keeps the matrix far from singular.
    n = len(kernel)
    kernel = kernel.astype(np.float32)
    hat = np.linalg.solve(kernel + np.float32(_PENALTY) * np.eye(n, dtype=np.float32), kernel)
    own = np.diagonal(hat).copy()
    np.fill_diagonal(hat, 0.0)
    left: Array = hat / (1.0 - own)[:, None]
    return left
