"""What a doctor is shown: the model, a sample of what it learns from, and how it went so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.batches import Batches
from chainrule.data.order import rows_from
from chainrule.data.source import Arrays, Source
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError
from chainrule.graph import Value
from chainrule.layers.recurrent import states_aside
from chainrule.training import loop
from chainrule.training.aside import load, without_metrics
from chainrule.training.hooks import CallbackList
from chainrule.training.own_step import overridden, own_loss
from chainrule.training.progress import Progress
from chainrule.training.step import Layout, layout_of
from chainrule.training.trace import Traced, trace

if TYPE_CHECKING:
    from chainrule.models.model import Model
    from chainrule.training.loop import Run
    from chainrule.training.trainer import Trainer

MOST = 2_000  # rows of a sample: a share of them is known to about 1 % (a standard error)
FEW = 256  # rows of what layers are shown
LABELS = 200_000  # targets that are counted where they are numbers of classes
_AT_ONCE, _FEWEST_AT_ONCE = 256, 32
_FEWEST = 64
_BYTES = 64 * 2**20  # of a sample at most


@dataclass(frozen=True)
class Case:
    """A run as it is judged from outside, without a look into its steps.

    Attributes
    ----------
    trainer : Trainer
        Of the model, which it holds.
    sample : Batches
        At most 2,000 samples with targets and weights.
    batch_size : int
        Samples in a step.
    samples, steps : int or None
        How many there are in an epoch, where that is known.
    validation : Batches or None
        At most 2,000 of the samples held out, drawn from all over them.
    source : Batches or None
        All samples that are at hand, in memory or mapped; of data in files, those that were read.
    representative : bool
        Whether the sample is drawn from all over the data, and not the first of it: what shares it
        has of classes, and what is the same throughout, goes for the data too.
    history : mapping of str to sequence of float
        ``"loss"``, metrics and their ``"val_..."``, one number an epoch so far.
    restores : bool
        Whether the run goes back to its best weights in the end.
    memo : dict
        What was worked out of the sample; shared by all states of one run.
    """

    trainer: Trainer
    sample: Batches
    batch_size: int = 32
    samples: int | None = None
    steps: int | None = None
    validation: Batches | None = None
    source: Batches | None = None
    representative: bool = True
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    restores: bool = False
    memo: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_run(cls, run: Run) -> Case:
        """Return the case of a `fit` that begins."""
        size, source = run.schedule.batch_size, run.training
        drawn = _spread(source)
        held = None if run.validation is None else _spread(run.validation)
        return cls(
            run.trainer,
            sampled(drawn or source.sample),
            size,
            source.samples,
            source.steps(size),
            None if held is None else sampled(held),
            drawn or source.sample,
            drawn is not None,
            restores=any(getattr(c, "restore_best_weights", False) for c in run.hooks.callbacks),
        )

    @classmethod
    def of_batches(cls, trainer: Trainer, batches: Batches, batch_size: int = 32) -> Case:
        """Return the case of these samples, before any run."""
        n = len(batches)
        size = min(batch_size, n)
        return cls(trainer, sampled(batches), size, n, -(-n // size), source=batches)

    def after(self, history: Mapping[str, Sequence[float]], steps: int | None = None) -> Case:
        """Return the case after the epochs of this history, with what is known of their steps."""
        return replace(self, history=history, steps=self.steps if steps is None else steps)

    @property
    def model(self) -> Model:
        """The model that is trained."""
        return self.trainer.model

    @property
    def x(self) -> Array:
        """The samples, of the first input where there are several."""
        return self.sample.x

    @property
    def inputs(self) -> list[Array]:
        """The samples of all inputs."""
        return [a for name, a in self.sample.arrays().items() if name.split(":")[0] == "x"]

    @property
    def y(self) -> Array | None:
        """The targets, of the first output where there are several."""
        return self.sample.y

    @cached_property
    def targets(self) -> Array | None:
        """The targets of enough samples to count classes by; ``None`` where there are none."""
        if not self.representative:
            return None
        if self.source is None or self.source.y is None:
            return self.y
        return np.asarray(self.source.y[rows_from(len(self.source), LABELS)])

    @property
    def simple(self) -> bool:
        """Whether there is one input, one output with targets, and the loss given to `compile`."""
        one = not self.sample.more and self.sample.y is not None
        return one and len(self.model.output_names) < 2 and not own_loss(self.model)

    @property
    def own(self) -> bool:
        """Whether the user's class has steps of its own."""
        return overridden(self.model, "train")

    @property
    def epochs(self) -> int:
        """How many epochs have ended."""
        return len(self.history.get("loss", ()))

    def curve(self, name: str) -> Array:
        """Return one number an epoch, as float64; empty where it is not known."""
        return np.asarray(self.history.get(name, ()), np.float64)

    @property
    def few(self) -> Batches:
        """A part of the sample: enough for the range of what layers put out."""
        if "few" not in self.memo:
            self.memo["few"] = sampled(self.sample, FEW)
        found: Batches = self.memo["few"]
        return found

    @property
    def traced(self) -> Traced:
        """The prediction of `few` as a graph that is not run; without outputs where the model
        cannot be traced."""
        if "traced" not in self.memo:
            self.memo["traced"] = self._trace()
        found: Traced = self.memo["traced"]
        return found

    def _trace(self) -> Traced:
        if self.own:
            return Traced({})
        try:
            with states_aside(self.model):
                return trace(without_metrics(self.trainer), self.layout)
        except ChainruleError:
            return Traced({})  # what is wrong with data or shapes, the first step says

    @property
    def layout(self) -> Layout:
        """That of the prediction of `few`."""
        return layout_of("predict", len(self.few), self.few)

    def values(self, asked: Sequence[Value]) -> list[Array]:
        """Return values of the graph `traced`, for the weights as they are now."""
        step = load(self.layout, self.traced, asked)
        with states_aside(self.model):
            step.run(self.few, 0, 1)
        return [step.program.output(i).copy() for i in range(len(asked))]

    def predicted(self, batches: Batches | None = None) -> Array:
        """Return what the model puts out for the sample, or for others, as it is now."""
        lent = self.memo.setdefault("lent", without_metrics(self.trainer))
        given = self.sample if batches is None else batches
        # No more at once than take less memory than a step of training does.
        size = min(max(self.batch_size, _FEWEST_AT_ONCE), _AT_ONCE)
        with states_aside(self.model):
            found = loop.predict(lent, Arrays(given), size, CallbackList([]), Progress(0))
        lent.release()
        return found[0]


def _spread(source: Source) -> Batches | None:
    """Return samples from all over a source, if it has such."""
    try:
        return source.spread(_most(source.sample, MOST))
    except ChainruleError:
        return None  # what is wrong with data, the step that meets it says


def _most(batches: Batches, most: int) -> int:
    """Return how many rows like these are a sample: no more than take so much memory."""
    row = sum(a.nbytes for a in batches.arrays().values()) // len(batches)
    return min(most, max(_FEWEST, _BYTES // max(row, 1)))


def sampled(batches: Batches, most: int = MOST) -> Batches:
    """Return some rows of the batches, copied; all where there are no more."""
    most = _most(batches, most)
    if len(batches) <= most:
        return batches
    rows = rows_from(len(batches), most)
    return replace(
        batches,
        x=batches.x[rows],
        y=None if batches.y is None else batches.y[rows],
        weights=None if batches.weights is None else batches.weights[rows],
        more={name: array[rows] for name, array in batches.more.items()},
        where=None,
    )
