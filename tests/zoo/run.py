"""Train a plan, with the doctor beside it."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule
from chainrule import callbacks, layers, losses, optimizers
from chainrule.models import Sequential
from chainrule.utils import set_random_seed

from .data import Array, Data, load
from .plan import Part, Plan


@dataclass(frozen=True)
class Outcome:
    """What came of a run: what the doctor said, and how well the network does on other rows."""

    findings: tuple[Any, ...]
    skill: float
    history: Mapping[str, list[float]]
    seconds: float
    error: str = ""

    def named(self, plan: Plan) -> Any:
        """Return the finding that names the planted fault, in whatever layer, or None."""
        wanted = (plan.fault, *plan.also)
        found = [f for f in self.findings if f.kind in wanted]
        right = [f for f in found if not plan.layers or f.layer in plan.layers]
        return (right or found or [None])[0]

    def right(self, plan: Plan) -> bool:
        """Return whether the fault is named, with one of the right layers."""
        finding = self.named(plan)
        return finding is not None and (not plan.layers or finding.layer in plan.layers)


def made(given: Part, where: Any) -> Any:
    """Return the layer, optimizer or callback that is described."""
    kind = getattr(where, given.kind) if isinstance(given.kind, str) else given.kind
    options = {k: made(v, where) if isinstance(v, Part) else v for k, v in given.options.items()}
    return kind(**options)


def build(plan: Plan, data: Data) -> Any:
    """Return the compiled model."""
    set_random_seed(plan.seed)
    words = data.x.dtype.kind == "i"
    inputs = layers.Input(data.x.shape[1:], **({"dtype": "int64"} if words else {}))
    model = Sequential([inputs, *(made(p, layers) for p in plan.parts)])
    loss = made(plan.loss, losses) if isinstance(plan.loss, Part) else plan.loss
    model.compile(optimizer=made(plan.optimizer, optimizers), loss=loss, **plan.compile)
    return model


def data_of(plan: Plan) -> Data:
    """Return the data after the edits."""
    data = load(plan.data)
    for edit in plan.edits:
        data = edit(data)
    return data


def train(plan: Plan, doctor: bool = True) -> Outcome:
    """Return the outcome of a run, trained here and now."""
    data = data_of(plan)
    begun = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model = build(plan, data)
        watching = [made(p, callbacks) for p in plan.callbacks]
        if doctor:
            watching.append(callbacks.GradientDoctor())
        history, error = _fitted(model, plan, data, watching)
        skill = 0.0 if error else _skill(model, data)
    findings = tuple(watching[-1].findings) if doctor else ()
    return Outcome(findings, skill, history, time.process_time() - begun, error)


def _fitted(
    model: Any, plan: Plan, data: Data, watching: list[Any]
) -> tuple[Mapping[str, list[float]], str]:
    validation = {"validation_data": (data.vx, data.vy)} if plan.validation else {}
    try:
        history = model.fit(
            data.x, data.y, batch_size=plan.batch_size, epochs=plan.epochs, verbose=0,
            callbacks=watching, **validation, **plan.fit,
        )  # fmt: skip
    except chainrule.errors.ChainruleError as error:
        return {}, f"{type(error).__name__}: {error}".splitlines()[0]
    return history.history, ""


@functools.cache
def twin_skill(name: str, seed: int) -> float:
    """Return the skill of a healthy plan, trained without a doctor."""
    from .bases import BASES

    return train(BASES[name].but(seed=seed), doctor=False).skill


def _skill(model: Any, data: Data) -> float:
    """Return 0 for guessing and 1 for no mistake, on the rows set aside."""
    p = np.asarray(model.predict(data.vx, verbose=0), "float64").reshape(len(data.vx), -1)
    if not np.isfinite(p).all():
        return 0.0
    if data.task == "numbers":
        return _explained(p, data.truth.reshape(len(p), -1).astype("float64"))
    guesses = p.argmax(axis=1) if p.shape[1] > 1 else _split(p[:, 0], model)
    classes = np.unique(data.truth)
    recall = np.mean([(guesses[data.truth == c] == c).mean() for c in classes])
    return float((recall - 1 / len(classes)) / (1 - 1 / len(classes)))


def _split(p: Array, model: Any) -> Array:
    """Return 1 where probabilities, or logits, speak for it."""
    probable = getattr(getattr(model.layers[-1], "activation", None), "__name__", "") == "sigmoid"
    return (p > (0.5 if probable else 0.0)).astype(int)


def _explained(p: Array, truth: Array) -> float:
    """Return the squared correlation, in the mean over the outputs."""
    p, t = p - p.mean(axis=0), truth - truth.mean(axis=0)
    with np.errstate(all="ignore"):
        r = (p * t).sum(axis=0) / np.sqrt(np.square(p).sum(axis=0) * np.square(t).sum(axis=0))
    return float(np.square(np.nan_to_num(r)).mean())
