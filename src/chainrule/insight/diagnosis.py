"""A check before a long run: data, first weights and a few dozen steps, all on the side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.callbacks.gradient_doctor import GradientDoctor
from chainrule.data.batches import Batches
from chainrule.data.source import Arrays
from chainrule.errors import ArgumentError, InitializationWarning
from chainrule.insight.case import Case, sampled
from chainrule.insight.finding import ranked
from chainrule.insight.outside import before_training
from chainrule.insight.posed import trainer_of
from chainrule.models.prepared import whole
from chainrule.training import loop
from chainrule.training.aside import aside
from chainrule.training.finding import Finding
from chainrule.training.hooks import CallbackList, Logs
from chainrule.training.progress import Progress
from chainrule.training.trainer import Trainer

if TYPE_CHECKING:
    from chainrule.models.model import Model

_LATE = ("overfitting", "underfitting")  # what a few steps cannot tell
_EPOCHS = 3  # so many times the samples are gone through, where there are enough of them


@dataclass(frozen=True)
class Diagnosis:
    """What keeps a network from learning; printed, it is a paragraph for each finding.

    Attributes
    ----------
    findings : tuple of Finding
        The worst first; empty where nothing was found.
    steps : int
        How many steps were trained on the side; 0 for models whose steps cannot be taken back.
    samples : int
        How many samples these went over; of the data, all or many more are looked at.
    """

    findings: tuple[Finding, ...]
    steps: int
    samples: int

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        looked = f"{self.steps} steps over {self.samples} samples"
        if self.healthy:
            return f"nothing was found wrong in {looked}"
        return "\n".join([*map(str, self.findings), f"(found in {looked})"])

    def __repr__(self) -> str:
        kinds = ", ".join(finding.kind for finding in self.findings) or "healthy"
        return f"<Diagnosis: {kinds}>"


def diagnose(
    model: Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int = 32,
    steps: int = 96,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
) -> Diagnosis:
    """``findings = doctor(fit(model, some of x, y))``: what would keep this network from learning.

    Looks at the data, the output layer and the first weights, and trains a few dozen steps on some
    of the samples, with a `GradientDoctor` beside it. The model stays as it is: weights,
    optimizer, counters and random numbers. One that has no weights yet gets them.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight, class_weight
        As in `fit`, in memory.
    batch_size : int, default 32
        That of the training to come.
    steps : int, default 96
        At least 1: about how many steps are trained.

    Returns
    -------
    Diagnosis
        The findings; printing it says them in words.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    DataError, ShapeError, NotBuiltError
        As `fit`.

    Examples
    --------
    >>> import chainrule
    >>> from chainrule.datasets import digits
    >>> from chainrule.layers import Dense, Flatten
    >>> (x, y), _ = digits.load_data()
    >>> model = chainrule.Sequential(
    ...     [Flatten(input_shape=(28, 28)), Dense(32, "relu"), Dense(10, "softmax")])
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> chainrule.diagnose(model, x, y)
    <Diagnosis: input_not_normalized>
    >>> chainrule.diagnose(model, x / 255, y)
    <Diagnosis: healthy>
    """
    trainer = trainer_of("diagnose", model)
    size, most = whole("batch_size", batch_size), whole("steps", steps)
    batches = model._collect_targets("diagnose", x, y, sample_weight, class_weight)
    model._build_for(batches.x)
    few = _whole(sampled(batches, max(size * -(-most // _EPOCHS), 2 * size)), size)
    before = before_training(Case.of_batches(trainer, batches, size))
    stopping = model.stop_training
    sums = [(v, v.numpy()) for metric in trainer.measuring() for v in metric.variables]
    try:
        found, done = _treated(trainer, few, size, most, before)
    except ArgumentError:  # steps of the user's own, or of L-BFGS: what they change stays changed
        found, done = before, 0
    finally:
        model.stop_training = stopping
        for variable, value in sums:
            variable.assign(value)
    told = [finding for finding in ranked(found) if finding.kind not in _LATE]
    return Diagnosis(tuple(told), done, len(few))


def _whole(batches: Batches, size: int) -> Batches:
    """Return whole batches, if there is one: states that go on are of so many sequences."""
    rows = len(batches) // size * size
    return batches.part(0, rows) if rows else batches


class _Beside(GradientDoctor):
    """A doctor beside a run over a part of the data, who was told what the whole of it is like."""

    def __init__(self, before: Sequence[Finding]) -> None:
        super().__init__(statistics=4)
        self._before = before

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Look at the first weights."""
        super().on_train_begin(logs)
        if self._doctor is not None:
            self._doctor.before = [*self._before]


def _treated(
    trainer: Trainer, few: Batches, size: int, most: int, before: Sequence[Finding]
) -> tuple[list[Finding], int]:
    """Return what the doctor says of a short run that is taken back, and its steps."""
    source = Arrays(few)
    size = source.batch(size)
    each = source.steps(size)
    epochs = max(most // each, 1)
    doctor = _Beside(before)
    with aside(trainer) as lent, warnings.catch_warnings():
        warnings.simplefilter("ignore", InitializationWarning)
        trainer.model.stop_training = False
        hooks = CallbackList(doctor, trainer.model, {"epochs": epochs, "steps": each, "verbose": 0})
        schedule = loop.Schedule(size, epochs)
        loop.fit(lent, source, None, schedule, hooks, Progress(0))
    return doctor.findings, epochs * each
