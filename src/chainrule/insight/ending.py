"""What a run leaves about its model at the end: answers, weights, time and memory by layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.callbacks.base import Callback
from chainrule.callbacks.early_stopping import EarlyStopping
from chainrule.data.batches import Batches, Order
from chainrule.data.order import rows_from
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError
from chainrule.insight.costs import layer_sizes, layer_times
from chainrule.insight.evaluation import Facts, chances_of, evaluated
from chainrule.losses import BinaryCrossentropy, BinaryFocalCrossentropy
from chainrule.models.model import Model
from chainrule.optimizers.schedules import LearningRateSchedule
from chainrule.training.loop import Run

ROWS = 2000  # of the validation that are predicted
_RATES = 200  # points of a schedule
_BINS = 40
_WEIGHTS = 40  # of which there are histograms
_SHARE, _MEASURED = 0.005, 0.5  # of the run's time, and from how many seconds: to time layers
_PIECE = 2**26  # bytes of samples that are predicted at a time
_LARGEST = 1 << 20  # elements of a first layer whose filters are kept


def about_model(run: Run, elapsed: float) -> Facts:
    """Return memory by layer, filters of the first layer and histograms of the weights of a run
    that took so many seconds; after a long one also the time of each layer."""
    model, size = run.trainer.model, run.schedule.batch_size
    layers = layer_sizes(model, size)
    if elapsed * _SHARE > _MEASURED:
        times = layer_times(model, size, elapsed * _SHARE)
        layers = [{**one, **times.get(one["name"], {})} for one in layers]
    facts: dict[str, Any] = {"layers": layers}
    memory = _memory(run)
    if memory:
        facts["memory"] = memory
    arrays = _filters(model) | _histograms(model)
    with contextlib.suppress(ChainruleError):
        shape = model.input_shape
        facts["filter_shape"] = _image(shape[1:] if isinstance(shape, tuple) else ())
    return facts, arrays


def _image(shape: Sequence[Any]) -> list[int] | None:
    """Return the shape of samples that are images of one or three channels."""
    whole = [n for n in shape if isinstance(n, int)]
    sized = len(whole) == len(shape) and min(whole[:2], default=0) >= 6
    fits = len(whole) == 2 or (len(whole) == 3 and whole[2] in (1, 3))
    return whole if sized and fits else None


def answers(run: Run, classes: Sequence[str] | None) -> Facts | None:
    """Return what the model answers to some of the validation; ``None`` where there is none, or
    the answers are neither classes nor numbers.

    The samples are from all over it, where they can be had without reading it all; ``of`` says of
    how many, where these are others: ``None`` where nobody knows.
    """
    source = run.validation
    if source is None:
        return None
    spread = source.spread(ROWS)
    sample = source.sample if spread is None else spread
    if sample.more or sample.y is None:
        return None
    there = len(sample) if source.samples is None else min(len(sample), source.samples)
    rows = rows_from(there, ROWS)
    outputs = _predicted(run.trainer.model, sample.x, rows)
    if outputs is None:
        return None
    if isinstance(run.trainer.loss, BinaryCrossentropy | BinaryFocalCrossentropy):
        classes = ("0", "1") if classes is None else classes
        alone = outputs.size == len(outputs) and run.trainer.loss.from_logits
        outputs = chances_of(outputs) if alone else outputs
    shown = (lambda i: sample.x[rows[i]]) if sample.x.ndim in (3, 4) else None
    noun = "image" if sample.x.ndim == 4 else "row"
    y, named = sample.y[rows], _named(sample, rows)
    found = evaluated(y, outputs, "validation", classes, shown, noun, **named)
    if found is not None and len(rows) != source.samples:
        found[0]["of"] = source.samples
    return found


def _predicted(model: Model, x: Array, rows: Order) -> Array | None:
    """Return the output for some rows; ``None`` where there are several, or none can be had."""
    count = rows.size * (x[:1].nbytes or 1) // _PIECE + 1
    try:
        found = [
            model.predict(x[some], verbose=0)
            for some in np.array_split(rows, min(count, len(rows)))
        ]
    except ChainruleError:
        return None
    if not all(isinstance(one, np.ndarray) for one in found):
        return None
    outputs: Array = np.concatenate(found)
    return outputs


def _named(sample: Batches, rows: Order) -> dict[str, Any]:
    """Return how the user finds the rows of a sample, as `evaluated` takes it."""
    if sample.where is None:
        return {"rows": sample.first + rows}
    return {"files": [sample.place(row) for row in rows.tolist()]}


def rates_of(run: Run, steps: int) -> Facts | None:
    """Return ``rates``: the learning rate that a schedule gave over the steps of a run, at some of
    them; ``None`` for a rate that is a number."""
    optimizer = run.trainer.optimizer
    schedule = None if optimizer is None else optimizer.learning_rate
    if optimizer is None or not isinstance(schedule, LearningRateSchedule) or not steps:
        return None
    at = np.unique(np.linspace(0, steps - 1, min(steps, _RATES)).astype(np.int64))
    done = int(optimizer.iterations) * (optimizer.gradient_accumulation_steps or 1)
    rates = schedule(at + max(done - steps, 0))
    return {"rates": {"steps": at.tolist(), "learning_rate": np.asarray(rates).tolist()}}, {}


def restored_by(callbacks: Iterable[Callback]) -> dict[str, Any]:
    """Return ``restored``: the epoch, from 0, whose weights a run that has ended went back to;
    nothing where it did not."""
    kept = [c for c in callbacks if isinstance(c, EarlyStopping) and c.best_weights is not None]
    return {"restored": kept[-1].best_epoch} if kept else {}


def _memory(run: Run) -> dict[str, int]:
    """Return the bytes of a training step, by the programs that were run."""
    trainer = run.trainer
    programs = [step.program for step in trainer.loaded("train")]
    if trainer.optimizer is None or not programs:
        return {}
    plan = max((program.plan for program in programs), key=lambda plan: plan.arena_bytes)
    weights = sum(v.value.nbytes for v in trainer.model.variables)
    slots = sum(v.value.nbytes for v in trainer.optimizer.variables)
    found = {"weights": weights, "optimizer": slots, "buffers": plan.arena_bytes}
    return {**found, "copy": weights + slots, "total": 2 * (weights + slots) + plan.arena_bytes}


def _filters(model: Model) -> dict[str, Array]:
    """Return the kernel of the first layer that has one."""
    for variable in model.trainable_variables:
        array = variable.value
        if array.ndim > 1 and array.dtype.kind == "f":
            if not str(variable.name).endswith(".kernel"):
                return {}  # a table of vectors, which looks at nothing
            name = str(variable.name).removesuffix(".kernel")
            small = array.size <= _LARGEST
            return {f"filters/{name}": array.astype(np.float32)} if small else {}
    return {}


def _histograms(model: Model) -> dict[str, Array]:
    """Return counts and edges of the elements of the first weights with several axes."""
    found: dict[str, Array] = {}
    kernels = [v for v in model.trainable_variables if v.value.ndim > 1]
    for variable in kernels[:_WEIGHTS]:
        x = variable.value.reshape(-1)
        x = x[:: max(1, x.size // 50_000)].astype(np.float64)
        x = x[np.isfinite(x)]
        if x.size:
            counts, edges = np.histogram(x, _BINS)
            found[f"histogram/{variable.name}/counts"] = counts.astype(np.int64)
            found[f"histogram/{variable.name}/edges"] = edges
    return found
