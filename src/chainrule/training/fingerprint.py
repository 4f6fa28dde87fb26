"""What a run must share with another to go on from its state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chainrule.data.source import Source
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError
from chainrule.graph import Variable
from chainrule.layers import Layer
from chainrule.layers.made import is_plain
from chainrule.optimizers.options import without_defaults
from chainrule.training.loop import Run
from chainrule.training.outputs import Losses
from chainrule.training.own_step import overridden
from chainrule.training.trainer import Trainer

_ROWS = 64  # samples of which the fingerprint holds the content


def fingerprint(run: Run) -> dict[str, str]:
    """Return what was asked of backups from the beginning, by name."""
    trainer, schedule = run.trainer, run.schedule
    leaves = list(run.training.sample.arrays().values())
    return {
        "architecture": _digest([_described(trainer.model), _shapes(trainer.model)]),
        "optimizer": _text(_optimizer(trainer.optimizer)),
        **_measured(trainer),
        "samples": ", ".join(f"{a.dtype}{list(a.shape[1:])}" for a in leaves),
        "content of the samples": _content(leaves),
        "batch_size": str(schedule.batch_size),
        "shuffle": str(schedule.shuffle),
        **run.training.about(),
    }


def details(run: Run) -> dict[str, str]:
    """Return what is asked of backups since their second version, by name."""
    trainer = run.trainer
    return {
        "connections of the layers": _digest(_wirings(trainer.model)),
        "loss": _text(_loss(trainer)),
        "loss_weights": _text(_loss_weights(trainer)),
        "metrics": _text(_asked(trainer)),
        "learning rate at the beginning": ", ".join(map(repr, first_rates(trainer))) or "none",
        "other optimizers": _text(
            [_optimizer(o) for o in trainer.all_optimizers if o is not trainer.optimizer]
        ),
        **_validation(run),
    }


def rates(trainer: Trainer) -> list[float]:
    """Return the learning rates that are numbers."""
    found = [optimizer.learning_rate for optimizer in trainer.all_optimizers]
    return [float(rate) for rate in found if isinstance(rate, Variable)]


def first_rates(trainer: Trainer) -> list[float]:
    """Return the rates that a run begins with: those of a run that it goes on from, unless they
    were set to others since."""
    now = rates(trainer)
    return trainer.left[0] if trainer.left is not None and trainer.left[1] == now else now


def _measured(trainer: Trainer) -> dict[str, str]:
    """Return the names of loss and metrics; in steps of the user's own these are made late."""
    if overridden(trainer.model, "train"):
        return {}
    measured = [trainer.loss, *trainer.all_metrics]
    return {"loss and metrics": ", ".join(str(getattr(m, "name", m)) for m in measured)}


def _validation(run: Run) -> dict[str, str]:
    if run.validation is None:
        return {}
    source: Source = run.validation
    leaves = list(source.sample.arrays().values())
    about = {
        "samples": ", ".join(f"{a.dtype}{list(a.shape[1:])}" for a in leaves),
        "content of the samples": _content(leaves),
        "batch_size": str(run.schedule.validation_batch_size),
        "frequency": str(run.schedule.validation_freq),
        **source.about(),
    }
    return {f"validation, {name}": text for name, text in about.items()}


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
    except ChainruleError:  # it holds code of the user's
        config = _attributes(thing)
    return {k: v for k, v in config.items() if k != "name"}


def _attributes(thing: Any) -> dict[str, Any]:
    """Return what something was made with, as far as it can be told, where not all of it can."""
    made = getattr(thing, "_made", None)
    if made is None:
        given = {k: v for k, v in vars(thing).items() if not k.startswith("_")}
        given["learning_rate_multiplier"] = getattr(thing, "learning_rate_multiplier", None)
    else:
        given = {**dict(enumerate(made.args)), **made.options}
    told = {str(k): _told(v) for k, v in given.items() if not isinstance(v, Layer | Variable)}
    return {k: v for k, v in told.items() if v is not None}


def _told(thing: Any) -> Any:
    """Return plain data as it is, an object as class and arguments, a function by its name."""
    if is_plain(thing):
        return thing
    if isinstance(thing, list | tuple):
        return [_told(part) for part in thing]
    if isinstance(thing, Mapping):
        return {str(k): _told(part) for k, part in thing.items()}
    if hasattr(thing, "get_config") and not isinstance(thing, type):
        config = {k: _told(v) for k, v in _config(thing).items()}
        return [type(thing).__name__, config]
    return getattr(thing, "__qualname__", type(thing).__name__)


def _wirings(layer: Layer) -> list[Any]:
    """Return which layers are called with what, in all graphs from this one on."""
    from chainrule.models.functional import Functional

    own = [layer.wiring()] if isinstance(layer, Functional) else []
    return [*own, *(found for part in layer.sublayers() for found in _wirings(part))]


def _loss(trainer: Trainer) -> Any:
    if isinstance(trainer.loss, Losses):
        return {output.name: _told(output.loss) for output in trainer.loss.outputs}
    return _told(trainer.loss)


def _loss_weights(trainer: Trainer) -> Any:
    if isinstance(trainer.loss, Losses):
        return [output.weight for output in trainer.loss.outputs]
    return trainer.loss_weight


def _asked(trainer: Trainer) -> Any:
    """Return the metrics that `compile` was given, those that heed sample weights behind."""
    if isinstance(trainer.loss, Losses):
        return [[_told(o.asked), _told(o.asked_weighted)] for o in trainer.loss.outputs]
    return [_told(asked) for asked in trainer.asked]


def _shapes(model: Any) -> list[Any]:
    return [[list(v.shape), v.dtype, v.trainable] for v in model.variables]


def _optimizer(optimizer: Any) -> list[Any]:
    """Return the rule and its arguments, but for a rate that may have been moved on the way."""
    config = without_defaults(_config(optimizer))
    if isinstance(config.get("learning_rate"), float):
        del config["learning_rate"]
    return [type(optimizer).__name__, config]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda thing: type(thing).__name__)


def _digest(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()[:16]
