"""What a run is, in plain data: the model, how it learns, from what, and on which machine."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import __version__
from chainrule.data.source import Source
from chainrule.errors import ChainruleError
from chainrule.executors import native, num_threads
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.models.model import Model
from chainrule.models.plotting import Words, svg
from chainrule.models.summary import shown
from chainrule.optimizers.options import without_defaults
from chainrule.training.loop import Run
from chainrule.training.trainer import Trainer

_DRAWN = 120  # layers; of more, no picture is made


def described(run: Run, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be known of a run that begins; `more` is added, and has precedence."""
    model = run.trainer.model
    return {
        "name": model.name,
        "clock": time.time(),
        "model": _model(model),
        "training": _training(run),
        "data": _data(run),
        "machine": _machine(),
        "command": shlex.join(sys.orig_argv),
        **more,
    }


def _model(model: Model) -> dict[str, Any]:
    trained = sum(v.size for v in model.trainable_variables)
    return {
        "name": model.name,
        "kind": type(model).__name__,
        "parameters": sum(v.size for v in model.weights),
        "trainable": trained,
        "layers": [_layer(model, layer) for layer in model.layers],
        "svg": _drawn(model),
    }


def _layer(model: Model, layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": type(layer).__name__,
        "detail": layer.detail(),
        "activation": getattr(getattr(layer, "activation", None), "__name__", ""),
        "shape": shown(model.layer_shapes().get(layer.name)),
        "parameters": layer.count_params() if layer.built else 0,
        "trainable": bool(layer.trainable),
    }


def _drawn(model: Model) -> str | None:
    """Return the network as SVG; of a class of the user's that nothing is known of, none."""
    if not model.built or len(model.layers) > _DRAWN:
        return None
    with contextlib.suppress(ChainruleError):
        return svg(model, Words())
    return None


def _training(run: Run) -> dict[str, Any]:
    trainer, schedule = run.trainer, run.schedule
    return {
        "optimizer": _optimizer(trainer),
        "loss": _loss(trainer),
        "metrics": [m.name for m in trainer.all_metrics],
        "batch_size": schedule.batch_size,
        "epochs": schedule.epochs,
        "initial_epoch": schedule.initial_epoch,
        "shuffle": schedule.shuffle,
        "steps": run.training.steps(schedule.batch_size),
        "seed": trainer.seed,
    }


def _optimizer(trainer: Trainer) -> dict[str, Any]:
    config: dict[str, Any] = {}
    with contextlib.suppress(NotImplementedError, TypeError, AttributeError):
        config = trainer.optimizer.get_config() if trainer.optimizer is not None else {}
    return {"class": type(trainer.optimizer).__name__, **without_defaults(config)}


def _loss(trainer: Trainer) -> dict[str, Any]:
    """Return the loss by name, or those of several outputs."""
    outputs = getattr(trainer.loss, "outputs", None)
    if outputs:
        return {"name": ", ".join(str(getattr(o.loss, "name", o.loss)) for o in outputs)}
    config: dict[str, Any] = {}
    with contextlib.suppress(NotImplementedError, TypeError, AttributeError):
        config = trainer.loss.get_config() if isinstance(trainer.loss, Loss) else {}
    return {**config, "name": str(getattr(trainer.loss, "name", ""))}


def _data(run: Run) -> dict[str, Any]:
    return {"training": _source(run.training), "validation": _source(run.validation)}


def _source(source: Source | None) -> dict[str, Any] | None:
    if source is None:
        return None
    arrays = source.sample.arrays()
    return {
        "samples": source.samples,
        "arrays": {n: f"{a.dtype}{list(a.shape[1:])}" for n, a in arrays.items()},
    }


def _machine() -> dict[str, Any]:
    return {
        "chainrule": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "instruction set": native.instruction_set(),
        "cores": f"{native.core_count()} usable of {os.cpu_count()}",
        "threads": num_threads(),
    }
