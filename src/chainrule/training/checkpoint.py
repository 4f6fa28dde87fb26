"""All the state of a `fit` under way, as arrays and plain data, and back.

What decides how a run goes on: weights, slots, counters and the random key; the sums of loss and
metrics over the epoch so far; which epoch and batch come next (the order of the samples is a
function of seed and epoch); what the callbacks remember, the history among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.data.source import Source
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, FileError
from chainrule.graph import Variable
from chainrule.optimizers.base import at_places
from chainrule.training.hooks import Callback
from chainrule.training.loop import Run
from chainrule.training.trainer import Trainer

_ARRAY = "$array"
# What a state that does not hold together can raise when it is followed.
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


def capture(run: Run, epoch: int, batch: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the state of a run whose next batch is this one of this epoch."""
    trainer, weights = run.trainer, run.trainer.model.variables
    arrays = {name: v.value for name, v in variables_of(trainer).items()}
    words = {
        "epoch": epoch,
        "batch": batch,
        "order": trainer.epoch,
        "seed": trainer.seed,
        "stopping": run.stopping,
        "logs": run.logs,
        "said": trainer.said,
        "shapes": trainer.shapes,
        "slots": [optimizer.built_places(weights) for optimizer in trainer.all_optimizers],
        # Of what can only be read on, as much is dropped as was used before.
        "passes": [source.passes for source in _sources(run)],
    }
    words["callbacks"] = [
        [name := type(c).__name__, _packed(c.get_state(), arrays, name)] for c in _stateful(run)
    ]
    return arrays, words


def restore(run: Run, arrays: Mapping[str, Array], words: Mapping[str, Any]) -> None:
    """Make the run go on from a state, whose weights are used once all of it has been checked.

    Raises
    ------
    FileError
        Where the state is of other variables or callbacks than the run has; its variables stay as
        they were.
    """
    trainer, stateful = run.trainer, _stateful(run)
    try:
        variables = _made(trainer, words)
        stored = [a for name, a in arrays.items() if name.startswith("state/")]
        _compare("variables", _specs(stored), _specs([v.value for v in variables.values()]))
        _compare("callbacks", *_names(words["callbacks"], stateful))
        states = [_unpacked(state, arrays) for _, state in words["callbacks"]]
        place = [int(words[k]) for k in ("epoch", "batch", "order", "seed")]
        logs, said = _numbers(words["logs"]), words.get("said")
        said = None if said is None else _numbers(said)
        passes = [int(n) for n in words["passes"]]
        stopping = bool(words["stopping"])
        for callback, state in zip(stateful, states, strict=True):
            callback.set_state(state)
    except _WRONG as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"does not hold the state of a run: {error!r}") from error
    for variable, array in zip(variables.values(), stored, strict=True):
        variable.assign(array)
    if "slots" in words:
        _begin_others(trainer, variables)
    run.epoch, run.batch, trainer.epoch, trainer.seed = place
    run.logs, trainer.model.stop_training = logs, stopping
    trainer.said = said
    for source, count in zip(_sources(run), passes, strict=False):
        source.passes = count


def _sources(run: Run) -> list[Source]:
    return [run.training] if run.validation is None else [run.training, run.validation]


def _stateful(run: Run) -> list[Callback]:
    return [c for c in run.hooks.callbacks if type(c).get_state is not Callback.get_state]


def variables_of(
    trainer: Trainer, slots: Sequence[Sequence[int]] | None = None
) -> dict[str, Variable]:
    """Return all that a step reads and writes, numbered: names count what a process has made.

    `slots` are, for each optimizer, the places of the weights that it has slots for: by default all
    that have some.
    """
    weights = trainer.model.variables
    if slots is None:
        slots = [optimizer.built_places(weights) for optimizer in trainer.all_optimizers]
    held = [
        optimizer.state_of([weights[i] for i in places])
        for optimizer, places in zip(trainer.all_optimizers, slots, strict=False)
    ]
    found = [*weights, *trainer.model.carried(), *(held[0] if held else []), trainer.key]
    found += [trainer.loss_sum, trainer.samples]
    found += [v for metric in trainer.measuring() for v in metric.state()]
    found += [v for more in held[1:] for v in more]
    return {f"state/{i:03}": v for i, v in enumerate(found)}


def _made(trainer: Trainer, words: Mapping[str, Any]) -> dict[str, Variable]:
    """Return the variables that the stored ones go into, making what steps of the user's own make
    on their way only: slots, and metrics."""
    weights = trainer.model.variables
    if "slots" not in words:  # as backups were at first
        first = trainer.all_optimizers if trainer.optimizer is not None else []
        return variables_of(trainer, [o.built_places(weights) for o in first[:1]])
    if words["shapes"] and not trainer.resolved:
        trainer.resolve_for(words["shapes"])
    for optimizer, places in zip(trainer.all_optimizers, words["slots"], strict=True):
        chosen = at_places(weights, places)
        if optimizer.built_places(weights) != places:
            optimizer.build(chosen)
    return variables_of(trainer, words["slots"])


def _begin_others(trainer: Trainer, restored: Mapping[str, Variable]) -> None:
    """Let slots that the state does not have, since they were made after it, begin again."""
    known = {id(v) for v in restored.values()}
    for optimizer in trainer.all_optimizers:
        later = {id(v) for v in optimizer.state_of(trainer.model.variables)} - known
        if later:
            optimizer.restart({id(v) for v in optimizer.variables} - later)


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in logs.items()}


def _names(stored: Any, stateful: list[Callback]) -> tuple[list[str], list[str]]:
    return [str(name) for name, _ in stored], [type(c).__name__ for c in stateful]


def _specs(arrays: list[Array]) -> list[str]:
    return [f"{a.dtype}{list(a.shape)}" for a in arrays]


def _compare(what: str, stored: list[str], mine: list[str]) -> None:
    if stored != mine:
        raise FileError(
            f"is of a run with other {what}:\n"
            f"  backup : {', '.join(stored) or 'none'}\n  run    : {', '.join(mine) or 'none'}"
        )


def _packed(value: Any, arrays: dict[str, Array], whose: str) -> Any:
    """Return the value as JSON can hold it, its arrays put among the others.

    Raises
    ------
    ArgumentError
        For what is neither plain data nor an array.
    """
    if isinstance(value, np.ndarray):
        name = f"callbacks/{len(arrays):03}/{whose}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, Mapping):
        return {str(k): _packed(v, arrays, whose) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(v, arrays, whose) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, bool | int | float | str | None):
        raise ArgumentError(
            f"get_state of {whose} returns a {type(value).__name__}, which a backup cannot hold\n"
            "  fix: let it return numbers, texts, and lists, dicts and arrays of these"
        )
    return value


def _unpacked(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, dict):
        if _ARRAY in value:
            return arrays[value[_ARRAY]].copy()
        return {k: _unpacked(v, arrays) for k, v in value.items()}
    return [_unpacked(v, arrays) for v in value] if isinstance(value, list) else value
