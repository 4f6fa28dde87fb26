"""What the layers of a network did during a run, step by step: means, norms, shares, histograms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.ops.survey import BINS, MEASURES
from chainrule.training.step import WatchedStep
from chainrule.training.survey import LayerInfo, StepSurvey, WeightInfo

_NUMBERS = ("mean", "std", "norm", "min", "max", "zeros", "nonfinite", "saturated")
SUMMARY = np.dtype([*((name, np.float64) for name in _NUMBERS), ("histogram", np.uint16, BINS)])

DEAD_WINDOW = 10  # looks in which a unit that is dead puts out nothing
SNR_WINDOW = 8  # looks over which a gradient's mean and variance are taken

_MOST_BYTES = 64 * 2**20  # of what is kept; beyond, every other of the older looks goes
_MOST_LOOKS = 4096
_STRETCH = 4 * 2**20  # bytes of rows that are written before anybody looks at them
_LOOK = 200e3  # ns that a look costs beside the step: two more starts of the engine, colder caches
_EXTRA = 0.5  # and as a share of the step
_SHARE = 0.01  # of the time that looks may take, by default; measured it is up to twice that

Form = list[tuple[int, ...]]
TABLES = ("activation", "error", "weight", "gradient", "update")


class Statistics:
    """The measures of the steps looked at; each attribute below has a row for each look.

    Attributes
    ----------
    layers : tuple of LayerInfo
        Those measured, in forward order; empty before the first look.
    weights : tuple of WeightInfo
        Those that are trained.
    steps, epochs : array [looks]
        The number of the step, from 0 over all epochs, and that of its epoch.
    loss : array [looks]
        Of the batch.
    activation, error : structured array [looks, layers]
        Of each layer's output, and of the gradient of the loss by it. The fields are ``mean``,
        ``std`` (known to 1/1000 of the mean), ``norm``, ``min``, ``max``; ``zeros``, ``nonfinite``
        and ``saturated``, shares from 0 to 1; and ``histogram``, counts of a sample of the elements
        by size: bin i holds ``4**(i-18) <= |x| < 4**(i-17)``, zeros left out. NaN where a fusion
        left nothing to read.
    weight, gradient, update : structured array [looks, weights]
        The update is the new weight less the old one. Of weights of more than 32,768 elements in 64
        rows or more, and of their updates, every eighth row is measured, and of their gradients, in
        rows of at most 512 elements, every fourth group of eight; norms are scaled to the whole.
    ratio : array [looks, weights]
        The norm of the update over that of the weight.
    dead : array [looks, layers]
        The share of a relu layer's units that were 0 for all samples of the last 10 looks (as many
        as there are); NaN for others.
    snr : array [looks, weights]
        The gradient's signal-to-noise ratio over the last 8 looks, ``|mean g|^2 / sum var g``, of
        some of its elements; NaN before. Noise alone gives 1/8.
    """

    def __init__(self, every: int | str = "auto") -> None:
        if every != "auto" and not (isinstance(every, int) and every >= 1):
            raise ArgumentError(f'statistics is {every!r}; expected "auto" or a number of steps')
        self.every = every
        self.step = 0  # of the run, counted over all epochs
        self.layers: tuple[LayerInfo, ...] = ()
        self.weights: tuple[WeightInfo, ...] = ()
        self._survey: StepSurvey | None = None
        self._form: tuple[Form, Form] | None = None
        self._interval = every if isinstance(every, int) else 0
        self._pending: list[tuple[StepSurvey, Array, int, int]] = []
        self._held: dict[str, Array] = {}
        self._tails: dict[str, list[Array]] = {"alive": [], "probes": []}

    # While the run goes on.

    def span(self, steps: int) -> tuple[bool, int]:
        """Return whether the next step is looked at, and how many of `steps` are like it."""
        if self._interval == 1:
            return True, min(steps, self._room())
        due = self._due()
        return (True, 1) if due == self.step else (False, min(steps, due - self.step))

    def _due(self) -> int:
        """Return the next step to look at: by default the first ones at doubling distances."""
        k = self._interval or 2**62
        after = -(-self.step // k) * k
        if self.every == "auto" and 0 < self.step < k:
            after = min(after, 1 << (self.step - 1).bit_length())
        return after

    def _room(self) -> int:
        width = 1 if self._survey is None else max(self._width(), 1)
        return max(1, _STRETCH // (8 * width))

    def _width(self) -> int:
        columns = {} if self._survey is None else self._survey.columns
        return max((s.stop for s in columns.values()), default=0)

    def begin(self, step: WatchedStep, steps: int, epoch: int) -> None:
        """Have the next run of this step write what it measures."""
        survey = step.survey
        if not step.width:
            return
        if self._survey is not survey:
            self._take_up(survey, step)
        rows = np.zeros((steps, step.width))
        step.record(rows)
        # Batches of another length may be fused otherwise; tables have one form.
        if (_forms(survey.layers), _forms(survey.weights)) == self._form:
            self._pending.append((survey, rows, self.step, epoch))

    def _take_up(self, survey: StepSurvey, step: WatchedStep) -> None:
        """Note how the first step, or one of batches of another length, is measured."""
        self._survey = survey
        form = _forms(survey.layers), _forms(survey.weights)
        if self._form not in (None, form):
            return
        # A run that was taken up again may have numbered its layers otherwise.
        self.layers, self.weights = tuple(survey.layers), tuple(survey.weights)
        self._form = form
        if self.every == "auto":
            cost = sum(loop.cost for phase in step.program.plan.phases for loop in phase)
            self._interval = int(np.clip((_LOOK / cost + _EXTRA) / _SHARE, 10, 1000))

    # What was seen.

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def steps(self) -> Array:
        return self._array("steps", np.zeros(0, np.int64))

    @property
    def epochs(self) -> Array:
        return self._array("epochs", np.zeros(0, np.int64))

    @property
    def loss(self) -> Array:
        return self._array("loss", np.zeros(0))

    @property
    def activation(self) -> Array:
        return self._table("activation")

    @property
    def error(self) -> Array:
        return self._table("error")

    @property
    def weight(self) -> Array:
        return self._table("weight")

    @property
    def gradient(self) -> Array:
        return self._table("gradient")

    @property
    def update(self) -> Array:
        return self._table("update")

    @property
    def ratio(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.update["norm"] / self.weight["norm"])

    @property
    def dead(self) -> Array:
        return self._array("dead", np.zeros((0, len(self.layers))))

    @property
    def snr(self) -> Array:
        return self._array("snr", np.zeros((0, len(self.weights))))

    def _table(self, name: str) -> Array:
        count = len(self.layers) if name in ("activation", "error") else len(self.weights)
        return self._array(name, np.zeros((0, count), SUMMARY))

    def _array(self, name: str, nothing: Array) -> Array:
        self._settle()
        return self._held.get(name, nothing)

    # State, for a run that is resumed.

    def get_state(self) -> dict[str, Any]:
        """Return what was seen, as arrays and plain numbers."""
        self._settle()
        tails = {name: [a.copy() for a in arrays] for name, arrays in self._tails.items()}
        return {
            "step": self.step,
            "interval": self._interval,
            "held": {name: _bytes(array) for name, array in self._held.items()},
            "tails": tails,
            "layers": [_plain(one) for one in self.layers],
            "weights": [_plain(one) for one in self.weights],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned."""
        self._pending = []
        self.step, self._interval = int(state["step"]), int(state["interval"])
        self._held = {name: _table(name, array) for name, array in state["held"].items()}
        self._tails = {n: [np.asarray(a) for a in arrays] for n, arrays in state["tails"].items()}
        self.layers = tuple(
            LayerInfo(**{**one, "shape": tuple(one["shape"])}) for one in state["layers"]
        )
        self.weights = tuple(
            WeightInfo(**{**one, "shape": tuple(one["shape"])}) for one in state["weights"]
        )
        self._form = _forms(self.layers), _forms(self.weights)

    # From rows of numbers to tables.

    def _settle(self) -> None:
        """Work through the rows that were written since the last time."""
        pending, self._pending = self._pending, []
        for survey, group in itertools.groupby(pending, key=lambda one: one[0]):
            new = self._tables(survey, [(rows, first, epoch) for _, rows, first, epoch in group])
            if self._held:
                new = {name: np.concatenate([self._held[name], a]) for name, a in new.items()}
            self._held = _thinned(new)

    def _tables(
        self, survey: StepSurvey, looks: Sequence[tuple[Array, int, int]]
    ) -> dict[str, Array]:
        """Return the tables of steps that were measured alike."""
        rows = np.concatenate([rows for rows, _, _ in looks])
        lengths = [len(rows) for rows, _, _ in looks]
        new: dict[str, Array] = {
            "steps": np.concatenate([np.arange(first, first + len(r)) for r, first, _ in looks]),
            "epochs": np.repeat([epoch for _, _, epoch in looks], lengths),
            "loss": _column(rows, survey.columns.get(("loss", 0))),
        }
        for name in TABLES:
            new[name] = self._summaries(survey, rows, name)
        return {**new, "dead": self._dead(survey, rows), "snr": self._snr(survey, rows)}

    def _summaries(self, survey: StepSurvey, rows: Array, name: str) -> Array:
        """Return the fields of a table from the measures."""
        count = len(self.layers) if name in ("activation", "error") else len(self.weights)
        table = np.zeros((len(rows), count), SUMMARY)
        for field in _NUMBERS:
            table[field] = np.nan
        scale = survey.scale if name in ("error", "gradient") else 1.0
        for i in range(count):
            if (name, i) in survey.columns:
                measured = rows[:, survey.columns[name, i]]
                _fill(table[:, i], measured, survey.sizes[name, i], scale)
        return table

    def _windows(self, name: str, i: int, now: Array, width: int) -> Array:
        """Return for each row the last `width` rows of all looks, this one the last; fewer looks
        before the first row are filled up with NaN."""
        tails = self._tails[name]
        while len(tails) <= i:
            tails.append(np.zeros((0, 0)))
        before = tails[i] if tails[i].shape[1:] == now.shape[1:] else np.zeros((0, now.shape[1]))
        both = np.concatenate([before, now])
        tails[i] = both[-(width - 1) :]
        missing = width - 1 - len(before)
        filled = np.concatenate([np.full((max(missing, 0), now.shape[1]), np.nan), both])
        return np.lib.stride_tricks.sliding_window_view(filled, width, axis=0)[-len(now) :]

    def _dead(self, survey: StepSurvey, rows: Array) -> Array:
        found = np.full((len(rows), len(self.layers)), np.nan)
        columns = survey.columns
        for i in range(len(self.layers)):
            if ("most", i) in columns:
                alive = (rows[:, columns["most", i]] > 0).astype(np.float64)
                ever = np.nanmax(self._windows("alive", i, alive, DEAD_WINDOW), axis=-1)
                found[:, i] = 1.0 - ever.mean(axis=-1)
        return found

    def _snr(self, survey: StepSurvey, rows: Array) -> Array:
        found = np.full((len(rows), len(self.weights)), np.nan)
        columns = survey.columns
        for i in range(len(self.weights)):
            if ("probes", i) in columns:
                windows = self._windows("probes", i, rows[:, columns["probes", i]], SNR_WINDOW)
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    signal = np.square(windows.mean(axis=-1)).sum(axis=-1)
                    found[:, i] = signal / windows.var(axis=-1, ddof=1).sum(axis=-1)
        return found


def _forms(infos: Sequence[LayerInfo | WeightInfo]) -> Form:
    """Return what layers or weights have to share for their tables to be continued."""
    return [info.shape if isinstance(info, WeightInfo) else (info.units,) for info in infos]


def _bytes(array: Array) -> Array:
    """Return a table as bytes, which a checkpoint can hold; other arrays as they are."""
    if array.dtype != SUMMARY:
        return array
    return np.ascontiguousarray(array).view(np.uint8).reshape(*array.shape, SUMMARY.itemsize)


def _table(name: str, array: Any) -> Array:
    """Return the array that `_bytes` was given."""
    held = np.ascontiguousarray(array)
    return held.view(SUMMARY)[..., 0] if name in TABLES else held


def _plain(info: LayerInfo | WeightInfo) -> dict[str, Any]:
    return {**vars(info), "shape": list(info.shape)}


def _column(rows: Array, where: slice | None) -> Array:
    return np.full(len(rows), np.nan) if where is None else rows[:, where][:, 0].copy()


def _fill(table: Array, measured: Array, size: int, scale: float) -> None:
    """Write the fields from what was measured of some or all of `size` elements."""
    kept, total, squares, low, high, zeros, flat, lost = measured[:, :MEASURES].T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        taken = kept + lost
        mean = total / kept
        table["mean"] = mean / scale
        table["std"] = np.sqrt(np.maximum(squares / kept - mean * mean, 0.0)) / scale
        table["norm"] = np.sqrt(squares * (size / taken)) / scale
        table["min"], table["max"] = low / scale, high / scale
        table["zeros"], table["saturated"] = zeros / taken, flat / taken
        table["nonfinite"] = lost / taken
    table["histogram"] = measured[:, MEASURES:]


def _thinned(held: dict[str, Array]) -> dict[str, Array]:
    """Return the looks without every other one of the older half, where they are too many."""
    count = len(held["steps"])
    per_look = sum(array[:1].nbytes for array in held.values())
    most = max(64, min(_MOST_LOOKS, _MOST_BYTES // max(per_look, 1)))
    if count <= most:
        return held
    keep = np.ones(count, bool)
    keep[1 : count // 2 : 2] = False
    return {name: array[keep] for name, array in held.items()}
