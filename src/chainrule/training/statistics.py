"""What the layers of a network did during a run, step by step: means, norms, shares, histograms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.plan.plan import nbytes
from chainrule.training.looks import (
    NUMBERS,
    SUMMARY,
    TABLES,
    Part,
    Tables,
    as_bytes,
    from_bytes,
    in_one,
    joined,
    most_looks,
    squared,
    summarized,
    thinned,
)
from chainrule.training.step import WatchedStep
from chainrule.training.survey import WIDTH, LayerInfo, StepSurvey, WeightInfo

DEAD_WINDOW = 10  # looks in which a unit that is dead puts out nothing
SNR_WINDOW = 8  # looks over which a gradient's mean and variance are taken

_STRETCH = 2 * 2**20  # bytes of rows that are written before they become tables
_UNWRITTEN = -1.0  # in the first place of a row, which is a number of elements
_LOOK = 200e3  # ns that a look costs beside the step: two more starts of the engine, colder caches
_EXTRA = 0.5  # and as a share of the step
_SHARE = 0.01  # of the time that looks may take, by default; measured it is up to twice that

Form = list[tuple[int, ...]]


class Statistics:
    """The measures of the steps looked at; each attribute below has a row for each look.

    Of more than 2,048 looks, or 64 MiB of them, every other one of the older half is left out, as
    often as need be: the older, the wider apart they are.

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
        rows or more every eighth row is measured (where rows have at most 512 elements every eighth
        group of eight), and so of their gradients and updates; norms are scaled to the whole.
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
        self.every = every = checked_every("every", every)
        self.step = 0  # of the run, counted over all epochs
        self.layers: tuple[LayerInfo, ...] = ()
        self.weights: tuple[WeightInfo, ...] = ()
        self._survey: StepSurvey | None = None
        self._form: tuple[Form, Form] | None = None
        self._interval = every if isinstance(every, int) else 0
        self._rows = np.zeros((0, 0))  # what steps write to; the first `_used` are `_pending`
        self._used = 0
        self._pending: list[tuple[StepSurvey, Array, int, int]] = []
        self._held: list[Part] = []  # one after the other
        self._tails: dict[str, list[Array]] = {"alive": [], "probes": []}

    # While the run goes on.

    def span(self, steps: int) -> tuple[bool, int]:
        """Return whether the next step is looked at, and how many of `steps` are like it."""
        if self._interval == 1:
            return True, min(steps, max(len(self._rows), 1))
        due = self._due()
        return (True, 1) if due == self.step else (False, min(steps, due - self.step))

    def _due(self) -> int:
        """Return the next step to look at: by default the first ones at doubling distances."""
        k = self._interval or 2**62
        after = -(-self.step // k) * k
        if self.every == "auto" and 0 < self.step < k:
            after = min(after, 1 << (self.step - 1).bit_length())
        return after

    def begin(self, step: WatchedStep, steps: int, epoch: int) -> None:
        """Have the next run of this step write what it measures."""
        survey = step.survey
        if step.row is None or not survey.blocks:
            return
        if self._survey is not survey:
            self._take_up(survey, step)
        rows = self._next_rows(steps, step.row)
        step.record(rows)
        # Batches of another length may be fused otherwise; tables have one form.
        if (_forms(survey.layers), _forms(survey.weights)) == self._form:
            self._pending.append((survey, rows, self.step, epoch))

    def _next_rows(self, steps: int, row: Value) -> Array:
        """Return rows for so many steps to write to; when all are used, from the beginning."""
        fits = self._rows.shape[1:] == row.shape[1:] and self._rows.dtype == row.dtype
        if not fits or self._used + steps > len(self._rows):
            self._settle()
        if not fits or steps > len(self._rows):
            most = max(steps, _STRETCH // nbytes(row.spec))
            self._rows = np.zeros((most, row.size), row.dtype)
        rows = self._rows[self._used : self._used + steps]
        rows[:, 0] = _UNWRITTEN  # a run may stop on the way
        self._used += steps
        return rows

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
        return _ratio(self.update, self.weight)

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
        return self._whole().get(name, nothing)

    def _whole(self) -> Tables:
        """Return the tables of all looks."""
        self._settle()
        self._held = thinned(self._held, self._most, self._made)
        if self._held:
            self._held = [Part(in_one([self._made(part).tables for part in self._held]))]
        return self._held[0].tables if self._held else {}

    def after(self, step: int) -> Tables:
        """Return what the attributes hold of the looks after a step, at the cost of these alone.

        The attributes put the tables of all looks together first, which takes time as they grow.
        """
        self._settle()
        held = self._held
        old = next((i for i, part in enumerate(held) if part.tables["steps"][-1] > step), len(held))
        held[old:] = [self._made(part) for part in held[old:]]
        if old == len(held):
            return {}
        tables = in_one([part.tables for part in held[old:]])
        first = np.searchsorted(tables["steps"], step, "right")
        tables = {name: array[first:] for name, array in tables.items()}
        return tables | {"ratio": _ratio(tables["update"], tables["weight"])}

    @property
    def _most(self) -> int:
        return most_looks(len(self.layers), len(self.weights))

    # State, for a run that is resumed.

    def get_state(self) -> dict[str, Any]:
        """Return what was seen, as arrays and plain numbers."""
        held = self._whole()
        tails = {name: [a.copy() for a in arrays] for name, arrays in self._tails.items()}
        return {
            "step": self.step,
            "interval": self._interval,
            "held": {name: as_bytes(array) for name, array in held.items()},
            "tails": tails,
            "layers": [_plain(one) for one in self.layers],
            "weights": [_plain(one) for one in self.weights],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned."""
        self._pending, self._used = [], 0
        self.step, self._interval = int(state["step"]), int(state["interval"])
        held = {name: from_bytes(name, array) for name, array in state["held"].items()}
        self._held = [Part(held)] if held else []
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
        pending, self._pending, self._used = self._pending, [], 0
        for survey, group in itertools.groupby(pending, key=lambda one: one[0]):
            looks = [(_written(rows), first, epoch) for _, rows, first, epoch in group]
            looks = [look for look in looks if len(look[0])]  # none: the step ended with an error
            if looks:
                self._held.append(self._part(survey, looks))
        if sum(map(len, self._held)) > 2 * self._most:
            self._held = thinned(self._held, self._most, self._made)

    def _part(self, survey: StepSurvey, looks: Sequence[tuple[Array, int, int]]) -> Part:
        """Return what is kept of steps that were measured alike."""
        rows = looks[0][0] if len(looks) == 1 else np.concatenate([rows for rows, _, _ in looks])
        lengths = [len(rows) for rows, _, _ in looks]
        tables = {
            "steps": np.concatenate([np.arange(first, first + len(r)) for r, first, _ in looks]),
            "epochs": np.repeat([epoch for _, _, epoch in looks], lengths),
            "loss": _column(rows, survey.extras.get(("loss", 0))),
            "rows": rows[:, : WIDTH * len(survey.blocks)].copy(),
            "dead": self._dead(survey, rows),
            "snr": self._snr(survey, rows),
        }
        return Part(tables, survey)

    def _made(self, part: Part) -> Part:
        """Return a part with the tables of its measures."""
        survey, others = part.survey, {**part.tables}
        if survey is None:
            return part
        rows = others.pop("rows")
        slopes = [name in ("error", "gradient") for name, _ in survey.blocks]
        scales = np.where(slopes, survey.scale, 1.0)
        found = summarized(rows.reshape(len(rows), -1, WIDTH), np.array(survey.sizes), scales)
        tables: Tables = {}
        for name in TABLES:
            count = len(self.layers) if name in ("activation", "error") else len(self.weights)
            here = [k for k, key in enumerate(survey.blocks) if key[0] == name]
            if len(here) == count:
                tables[name] = found[:, here[0] : here[0] + count] if here else found[:, :0]
                continue
            table = tables[name] = np.zeros((len(rows), count), SUMMARY)
            for field in NUMBERS:
                table[field] = np.nan
            table[:, [survey.blocks[k][1] for k in here]] = found[:, here]
        return Part(others | tables)

    def _with_tail(self, name: str, i: int, now: Array, count: int, filling: Any) -> Array:
        """Return the rows behind the `count` before them, which are filled up where there were
        fewer looks."""
        tails = self._tails[name]
        while len(tails) <= i:
            tails.append(np.zeros((0, 0), now.dtype))
        before = tails[i] if tails[i].shape[1:] == now.shape[1:] else now[:0]
        missing = np.full((count - len(before), now.shape[1]), filling, now.dtype)
        tails[i] = np.concatenate([before, now[-count:]])[-count:]
        return np.concatenate([missing, before, now])

    def _dead(self, survey: StepSurvey, rows: Array) -> Array:
        found = np.full((len(rows), len(self.layers)), np.nan)
        for i in range(len(self.layers)):
            if ("most", i) in survey.extras:
                alive = rows[:, survey.extras["most", i]] > 0
                alive = self._with_tail("alive", i, alive, DEAD_WINDOW - 1, False)
                found[:, i] = 1.0 - joined(alive, DEAD_WINDOW, np.logical_or).mean(axis=1)
        return found

    def _snr(self, survey: StepSurvey, rows: Array) -> Array:
        found = np.full((len(rows), len(self.weights)), np.nan)
        n = SNR_WINDOW
        for i in range(len(self.weights)):
            if ("probes", i) in survey.extras:
                probes = rows[:, survey.extras["probes", i]].astype(np.float64)
                probes = self._with_tail("probes", i, probes, n - 1, np.nan)
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    signal = squared(joined(probes, n, np.add)) / n**2
                    squares = joined(squared(probes), n, np.add)
                    noise = (squares - n * signal) / (n - 1)
                    # Rounding alone is no noise: then it is all signal.
                    found[:, i] = signal / np.where(noise > 1e-12 * signal, noise, 0.0)
        return found


def checked_every(name: str, given: Any) -> str | int:
    """Return after how many steps one is looked at, as it was given under this name: an int, or
    ``"auto"``."""
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool) and given >= 1
    if not whole and not (isinstance(given, str) and given == "auto"):
        raise ArgumentError(
            f"{name} is {given!r}; expected 'auto' or a number of steps of at least 1"
        )
    return int(given) if whole else "auto"


def _written(rows: Array) -> Array:
    """Return the rows that steps came to write."""
    return rows[: np.count_nonzero(rows[:, 0] != _UNWRITTEN)]


def _forms(infos: Sequence[LayerInfo | WeightInfo]) -> Form:
    """Return what layers or weights have to share for their tables to be continued."""
    return [info.shape if isinstance(info, WeightInfo) else (info.units,) for info in infos]


def _plain(info: LayerInfo | WeightInfo) -> dict[str, Any]:
    return {**vars(info), "shape": list(info.shape)}


def _ratio(update: Array, weight: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(update["norm"] / weight["norm"])


def _column(rows: Array, where: slice | None) -> Array:
    return np.full(len(rows), np.nan) if where is None else rows[:, where][:, 0].astype(np.float64)
