"""How many samples a step should take: what fits, what is fast, what the gradient's noise says."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.batches import Batches
from chainrule.errors import ArgumentError
from chainrule.models.memory import memory, size
from chainrule.models.prepared import whole
from chainrule.optimizers.schedules.base import number
from chainrule.training.aside import aside, rounds, training_step
from chainrule.training.progress import Progress, mode_of
from chainrule.training.step import Step, layout_of
from chainrule.training.trainer import Trainer
from chainrule.tuning.noise import gradient_noise_scale

if TYPE_CHECKING:
    from chainrule.models.model import Model

_CLOSE = 1.05  # a smaller batch that takes up to so many times the shortest time is preferred


@dataclass(frozen=True)
class Row:
    """What was found for one size.

    Attributes
    ----------
    batch_size : int
        Samples in a step.
    memory : int
        Bytes that training takes; see `Model.memory`.
    rate : float or None
        Samples a second; ``None`` where the memory is over the limit.
    time : float or None
        To reach the same loss, as a multiple of the shortest.
    """

    batch_size: int
    memory: int
    rate: float | None = None
    time: float | None = None


@dataclass(frozen=True)
class BatchSizes:
    """What `find_batch_size` found; printing it shows the table and the reason.

    Attributes
    ----------
    rows : tuple of Row
        The sizes, rising.
    noise_scale : float or None
        The gradient noise scale in samples; infinity where the mean gradient is lost in noise,
        ``None`` where there are too few samples to tell.
    suggestion : int
        The size to train with.
    reason : str
        Why, in words.
    """

    rows: tuple[Row, ...]
    noise_scale: float | None
    suggestion: int
    reason: str

    def __str__(self) -> str:
        heads = ("batch size", "memory", "samples/s", "time to the same loss")
        lines = [heads, *(self._line(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
        table = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
        told = [f"batch size {self.suggestion}: {self.reason}", *table]
        return "\n".join(line.rstrip() for line in told)

    def _line(self, row: Row) -> tuple[str, ...]:
        rate = "over the limit" if row.rate is None else f"{row.rate:,.0f}"
        times = "" if row.time is None else f"{row.time:.2f}"
        mark = " <" if row.batch_size == self.suggestion else ""
        return (f"{row.batch_size}", size(row.memory), rate, times + mark)

    def __repr__(self) -> str:
        return f"<BatchSizes of {len(self.rows)} sizes, suggestion {self.suggestion}>"


def find_batch_size(
    model: Model,
    x: Any,
    y: Any,
    *,
    batch_sizes: Iterable[int] | None = None,
    memory_limit: int | None = None,
    seconds: float = 0.2,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    verbose: str | int = "auto",
) -> BatchSizes:
    """``time(b) = (b + noise) / rate(b)``: the batch that reaches the same loss soonest.

    ``rate`` (samples a second) is measured, with the threads in use; ``noise`` is the gradient
    noise scale at the weights as they are. It grows while a network learns: for the size that
    suits most of a long training, ask after the first epochs. The size found goes with a learning
    rate of its own (`find_learning_rate`).

    The model stays as it is: weights, optimizer, counters and random numbers. One that has no
    weights yet gets them.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight, class_weight
        As in `fit`.
    batch_sizes : iterable of int, optional
        From 1 to n; by default the powers of 2 from 8 to 1024, as far as there are samples.
    memory_limit : int, optional
        Bytes that training may take; sizes that need more are not run.
    seconds : float, default 0.2
        For how long, about, each size is run.
    verbose : {"auto", 0, 1, 2}, default "auto"
        As in `fit`.

    Returns
    -------
    BatchSizes
        A row for each size, the noise scale, a suggestion and its reason.

    Raises
    ------
    ArgumentError
        For sizes that are none, or where no size is within the memory limit.
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
    >>> found = chainrule.find_batch_size(
    ...     model, x / 255, y, batch_sizes=[16, 64], seconds=0.01, verbose=0)
    >>> found.suggestion in (16, 64)
    True

    Source
    ------
    McCandlish et al., "An Empirical Model of Large-Batch Training", arXiv 1812.06162: the samples
    that a loss takes, ``E_min * (1 + b / noise)``, from equation 2.11, and the simple noise scale,
    equation 2.9, by the estimates of appendix A.1.
    """
    trainer = model._compiled_trainer("find_batch_size")
    batches = model._collect_targets("find_batch_size", x, y, sample_weight, class_weight)
    sizes = _sizes(batch_sizes, len(batches))
    limit = None if memory_limit is None else whole("memory_limit", memory_limit)
    seconds = number("seconds", seconds, open_below=True)
    model._build_for(batches.x)
    with (
        aside(trainer) as lent,
        Progress(mode_of(verbose), title="batch size", counted="sizes") as progress,
    ):
        progress.begin(0, len(sizes), 1)
        needs = [memory(model, trainer, b).total for b in sizes]
        _check_limit(sizes, needs, limit)
        noise = gradient_noise_scale(trainer, lent, batches)
        rows = []
        for b, need in zip(sizes, needs, strict=True):
            fits = limit is None or need <= limit
            rate = _rate(lent, batches, b, seconds) if fits else None
            rows.append(Row(b, need, rate))
            progress.update(len(rows), {})
        progress.end({})
    return judged(rows, noise, limit)


def _sizes(asked: Iterable[int] | None, n: int) -> list[int]:
    """Return the sizes to try, rising."""
    if asked is None:
        return [b for b in (2**i for i in range(3, 11)) if b <= n] or [n]
    sizes = sorted({whole("a batch size", b) for b in asked})
    if not sizes or sizes[-1] > n:
        raise ArgumentError(f"batch_sizes is {sizes}; expected sizes from 1 to {n}, the samples")
    return sizes


def _check_limit(sizes: Sequence[int], needs: Sequence[int], limit: int | None) -> None:
    least = min(needs)
    if limit is not None and least > limit:
        raise ArgumentError(
            f"training with batches of {sizes[needs.index(least)]} takes {least:,} bytes, more "
            f"than the memory_limit of {limit:,}.\n"
            "  fix: try smaller batch_sizes, an optimizer with fewer slots, or a smaller network"
        )


def _rate(trainer: Trainer, batches: Batches, b: int, seconds: float) -> float:
    """Return the samples a second of training with batches of this size."""
    step = training_step(trainer, layout_of("train", b, batches, gathered=True))
    order = rounds(trainer, batches, len(batches) // b * b)
    most, steps, best = len(order) // b, 1, 0.0
    _run(step, batches, 1, order)  # the first finds nothing in the caches
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        _run(step, batches, steps, order)
        took = max(time.perf_counter() - began, 1e-9)
        best = max(best, steps * b / took)
        if took < seconds / 8:
            steps = min(2 * steps, most)
    step.release()
    return best


def _run(step: Step, batches: Batches, steps: int, order: Any) -> None:
    losses = np.empty(steps, step.program.plan.outputs[0].dtype)
    step.program.bind_output(0, losses, losses.itemsize)
    step.run(batches, 0, steps, order)


def judged(rows: Sequence[Row], noise: float | None, limit: int | None = None) -> BatchSizes:
    """Return the result of these measurements, of which at least one has a rate."""
    far = noise is None or math.isinf(noise)
    # Of endless noise the size of the batch is no part, and the rate alone decides.
    times = {
        r.batch_size: (1.0 if far else r.batch_size + (noise or 0.0)) / r.rate
        for r in rows
        if r.rate
    }
    best = min(times.values())
    rows = [
        Row(r.batch_size, r.memory, r.rate, times[r.batch_size] / best if r.rate else None)
        for r in rows
    ]
    close = [r.batch_size for r in rows if r.time is not None and r.time <= _CLOSE]
    return BatchSizes(tuple(rows), noise, close[0], _reason(rows, noise, close, limit))


def _reason(
    rows: Sequence[Row], noise: float | None, close: Sequence[int], limit: int | None
) -> str:
    """Return why the first of the close ones is suggested."""
    known = {
        None: "the gradient's noise is not known, so the rate alone counts",
        math.inf: "the gradient is lost in noise, so the rate alone counts",
    }
    parts = [known.get(noise, f"the gradient's noise scale is about {noise or 0:.3g} samples")]
    chosen, ran = close[0], [r.batch_size for r in rows if r.rate is not None]
    if len(close) > 1:
        parts.append(f"{close[-1]} would be no more than 5 % faster")
    if chosen > ran[0]:
        parts.append("smaller batches run fewer samples a second")
    if close[-1] < ran[-1]:
        parts.append("larger ones need more samples for the same loss than their speed makes good")
    if len(ran) < len(rows) and limit is not None:
        parts.append(f"from {rows[len(ran)].batch_size} on the limit of {size(limit)} is passed")
    return "; ".join(parts)
