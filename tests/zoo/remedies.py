"""What a finding advises, applied to the plan, and whether the network learns after it.

Learning is this: of the skill (0 for guessing, 1 for no mistake, on rows set aside, against the
targets as they should be) of the same network without the fault, the mended run has at least
`ENOUGH`, and the doctor no longer names the fault. Where the fault is overfitting, instead of the
skill, which so few rows do not give, the loss on the rows set aside must be lower by a tenth.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import optimizers

from . import edits
from .all import zoo
from .data import Array, Data
from .plan import Edit, Part, Plan, part
from .run import Outcome, train, twin_skill

ENOUGH = 0.7
ROUNDS = 3  # advice on what the doctor says of the mended run is followed too
LONGER = (
    4  # times the epochs, at rates that were chosen low so that the sick run is not lost at once
)
_LOWER = 0.9


@dataclass(frozen=True)
class Mended:
    """How it went on after the advice was followed.

    Attributes
    ----------
    applied : bool
        Whether there was a change that a program can apply.
    works : bool
        Whether the network learns now.
    before, after, healthy : float
        Its skill, and that of the twin without the fault.
    rounds : int
        How often advice was followed.
    """

    applied: bool
    works: bool = False
    before: float = 0.0
    after: float = 0.0
    healthy: float = 0.0
    rounds: int = 0


def attended(name: str, seed: int, remedies: bool) -> tuple[Outcome, Mended | None]:
    """Return what came of the run of this name, and of the advice if that is asked for."""
    plan = _named()[name].but(seed=seed)
    outcome = train(plan)
    return outcome, mend(plan, outcome) if remedies and plan.fault else None


@functools.cache
def _named() -> dict[str, Plan]:
    return {plan.name: plan for plan in zoo()}


def mend(plan: Plan, outcome: Outcome) -> Mended:
    """Return what came of following the advice on the planted fault."""
    twin = plan.twin
    healthy = twin_skill(twin.name, twin.seed) if twin is not None else 0.0
    finding = outcome.named(plan)
    changed, result, rounds = plan, outcome, 0
    while rounds < ROUNDS and finding is not None and finding.change:
        try:
            changed = applied(changed, finding.change)
        except (KeyError, StopIteration):
            break  # an argument or a layer that the plan does not have
        result, rounds = train(changed), rounds + 1
        if _learns(plan, outcome, result, healthy):
            return Mended(True, True, outcome.skill, result.skill, healthy, rounds)
        finding = next((f for f in result.findings if f.change), None)
    mended = Mended(rounds > 0, False, outcome.skill, result.skill, healthy, rounds)
    return _longer(plan, changed, mended) if rounds else mended


def _longer(plan: Plan, changed: Plan, so_far: Mended) -> Mended:
    """Return what comes of more epochs, if the sick run does not learn in as many."""
    epochs = LONGER * plan.epochs
    before = train(plan.but(epochs=epochs), doctor=False)
    after = train(changed.but(epochs=epochs))
    if before.skill >= ENOUGH * so_far.healthy:
        return so_far
    works = _learns(plan, before, after, so_far.healthy)
    return Mended(True, works, before.skill, after.skill, so_far.healthy, so_far.rounds)


def _learns(plan: Plan, before: Outcome, after: Outcome, healthy: float) -> bool:
    if after.error or after.named(plan) is not None:
        return False
    if plan.fault == "overfitting":
        return _held_out(after) < _LOWER * _held_out(before)
    # What leaks makes the sick run better than it should be.
    return after.skill >= max(ENOUGH * healthy, min(before.skill, healthy) - 0.05)


def _held_out(outcome: Outcome) -> float:
    losses = outcome.history.get("val_loss", [float("nan")])
    return float(losses[-1])


def applied(plan: Plan, change: Mapping[str, Any]) -> Plan:
    """Return the plan with the changed arguments.

    Raises
    ------
    KeyError
        For an argument that is not known here.
    """
    change = dict(change)
    names = change.pop("layers", None) or ([change.pop("layer")] if "layer" in change else [])
    if isinstance(names, Mapping):
        for name, options in names.items():
            plan = _on_layer(plan, name, dict(options))
        names = []
    if names:
        options = {k: v for k, v in change.items() if "." not in k and k not in _FIELDS}
        change = {k: v for k, v in change.items() if k not in options}
        for name in names:
            plan = _on_layer(plan, name, options)
    if columns := change.pop("columns", None):
        change.pop("x")
        plan = plan.edit(edits.without(tuple(columns)))
    for key, value in change.items():
        plan = _one(plan, key, value)
    return plan


def _on_layer(plan: Plan, name: str, options: dict[str, Any]) -> Plan:
    name = name.split("/")[0]
    found = next(p for p in plan.parts if p.name == name)
    if options.get("activation") == "linear":
        options["activation"] = None
        if found.kind in ("Softmax", "Activation", "ReLU"):
            return plan.but(parts=tuple(p for p in plan.parts if p.name != name))
    if found.kind == "Embedding" and "kernel_initializer" in options:
        options["embeddings_initializer"] = options.pop("kernel_initializer")
    return plan.layer(name, **options)


def _one(plan: Plan, key: str, value: Any) -> Plan:
    if key.startswith("optimizer."):
        return plan.but(optimizer=plan.optimizer.but(**{key.removeprefix("optimizer."): value}))
    if key.startswith("loss.") and isinstance(plan.loss, Part):
        return plan.but(loss=plan.loss.but(**{key.removeprefix("loss."): value}))
    return _FIELDS[key](plan, value)


def _optimizer(plan: Plan, value: str) -> Plan:
    known = {name.lower(): name for name in dir(optimizers) if name[0].isupper()}
    return plan.but(optimizer=part(known[value.lower()]))


def _fit(key: str) -> Callable[[Plan, Any], Plan]:
    return lambda plan, value: plan.but(fit={**plan.fit, key: value})


_FIELDS: dict[str, Callable[[Plan, Any], Plan]] = {
    "batch_size": lambda plan, value: plan.but(batch_size=value),
    "epochs": lambda plan, value: plan.but(epochs=value),
    "loss": lambda plan, value: plan.but(loss=value),
    "optimizer": _optimizer,
    "class_weight": _fit("class_weight"),
    "shuffle": _fit("shuffle"),
    "x": lambda plan, value: plan.edit(_inputs(value)),
    "y": lambda plan, value: plan.edit(edits.scaled_targets),
}


def _inputs(how: str) -> Edit:
    """Return the edit of the inputs that words describe."""
    if how.startswith("divide by "):
        return edits.inputs(1 / float(how.removeprefix("divide by ")))
    return standardized


def standardized(data: Data) -> Data:
    """Columns of mean 0 and deviation 1; a constant one becomes 0."""
    axes = tuple(range(data.x.ndim - 1))
    mean, deviation = (
        data.x.mean(axis=axes, dtype="float64"),
        data.x.std(axis=axes, dtype="float64"),
    )

    def change(x: Array) -> Array:
        return ((x - mean) / np.where(deviation > 0, deviation, 1.0)).astype("float32")

    return data.inputs(change)
