"""All the state of a `fit` under way, as arrays and plain data, and back.

What decides how a run goes on: weights, slots, counters and the random key; the sums of loss and
metrics over the epoch so far; which epoch and batch come next (the order of the samples is a
function of seed and epoch); what the callbacks remember, the history among them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.data.source import Source
from chainrule.dtypes import Array
from chainrule.errors import FileError
from chainrule.graph import Variable
from chainrule.layers import Layer
from chainrule.training.hooks import Callback
from chainrule.training.loop import Run
from chainrule.training.trainer import Trainer

_ROWS = 64  # samples of which the fingerprint holds the content
_ARRAY = "$array"
# What a state that does not hold together can raise when it is followed.
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


def capture(run: Run, epoch: int, batch: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the state of a run whose next batch is this one of this epoch."""
    arrays = {name: v.value for name, v in variables_of(run.trainer).items()}
    words = {
        "epoch": epoch,
        "batch": batch,
        "order": run.trainer.epoch,
        "seed": run.trainer.seed,
        "stopping": run.stopping,
        "logs": run.logs,
        # Of what can only be read on, as much is dropped as was used before.
        "passes": [source.passes for source in _sources(run)],
    }
    words["callbacks"] = [
        [type(c).__name__, _packed(c.get_state(), arrays)] for c in _stateful(run)
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
    variables = variables_of(run.trainer)
    stateful = _stateful(run)
    try:
        stored = [a for name, a in arrays.items() if name.startswith("state/")]
        _compare("variables", _specs(stored), _specs([v.value for v in variables.values()]))
        _compare("callbacks", *_names(words["callbacks"], stateful))
        states = [_unpacked(state, arrays) for _, state in words["callbacks"]]
        place = [int(words[k]) for k in ("epoch", "batch", "order", "seed")]
        logs = {str(k): float(v) for k, v in words["logs"].items()}
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
    run.epoch, run.batch, run.trainer.epoch, run.trainer.seed = place
    run.logs, run.trainer.model.stop_training = logs, stopping
    for source, count in zip(_sources(run), passes, strict=False):
        source.passes = count


def _sources(run: Run) -> list[Source]:
    return [run.training] if run.validation is None else [run.training, run.validation]


def _stateful(run: Run) -> list[Callback]:
    return [c for c in run.hooks.callbacks if type(c).get_state is not Callback.get_state]


def variables_of(trainer: Trainer) -> dict[str, Variable]:
    """Return all that a step reads and writes, numbered: names count what a process has made."""
    sums = [trainer.loss_sum, trainer.samples]
    sums += [v for metric in trainer.measuring() for v in metric.state()]
    return {f"state/{i:03}": v for i, v in enumerate([*trainer.state(), *sums])}


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


def _packed(value: Any, arrays: dict[str, Array]) -> Any:
    """Return the value as JSON can hold it, its arrays put among the others."""
    if isinstance(value, np.ndarray):
        name = f"callbacks/{len(arrays):03}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, Mapping):
        return {str(k): _packed(v, arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(v, arrays) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, dict):
        if _ARRAY in value:
            return arrays[value[_ARRAY]].copy()
        return {k: _unpacked(v, arrays) for k, v in value.items()}
    return [_unpacked(v, arrays) for v in value] if isinstance(value, list) else value


def fingerprint(run: Run) -> dict[str, str]:
    """Return what a run must share with another to go on from its state, by name."""
    trainer, schedule = run.trainer, run.schedule
    leaves = list(run.training.sample.arrays().values())
    measured = [trainer.loss, *trainer.all_metrics]
    return {
        "architecture": _digest([_described(trainer.model), _shapes(trainer.model)]),
        "optimizer": _text(_optimizer(trainer)),
        "loss and metrics": ", ".join(str(getattr(m, "name", m)) for m in measured),
        "samples": ", ".join(f"{a.dtype}{list(a.shape[1:])}" for a in leaves),
        "content of the samples": _content(leaves),
        "batch_size": str(schedule.batch_size),
        "shuffle": str(schedule.shuffle),
        **run.training.about(),
    }


def _content(leaves: list[Array]) -> str:
    """Return the digest of some rows from all over the arrays."""
    digest = hashlib.sha256()
    for array in leaves:
        step = max(1, len(array) // _ROWS) if array.ndim else 1
        digest.update((array[::step][:_ROWS] if array.ndim else array).tobytes())
    return digest.hexdigest()[:16]


def _described(layer: Layer) -> list[Any]:
    """Return the class and arguments of a layer without names, which count what was made before."""
    config = _config(layer)
    parts = layer.sublayers()
    if parts:
        config = {k: v for k, v in config.items() if isinstance(v, int | float | str | None)}
    return [type(layer).__name__, config, *map(_described, parts)]


def _config(thing: Any) -> dict[str, Any]:
    try:
        config = thing.get_config()
    except (NotImplementedError, TypeError, AttributeError):
        return {}
    return {k: v for k, v in config.items() if k != "name"}


def _shapes(model: Any) -> list[Any]:
    return [[list(v.shape), v.dtype, v.trainable] for v in model.variables]


def _optimizer(trainer: Trainer) -> list[Any]:
    """Return the rule and its arguments, but for a rate that may have been moved on the way."""
    config = _config(trainer.optimizer)
    if isinstance(config.get("learning_rate"), float):
        del config["learning_rate"]
    return [type(trainer.optimizer).__name__, config]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda thing: type(thing).__name__)


def _digest(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()[:16]
