"""How a model was compiled and how far it was trained, as its file holds it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleWarning, FileError
from chainrule.graph import Variable
from chainrule.named import custom, registered_name
from chainrule.optimizers import Optimizer
from chainrule.optimizers.base import at_places
from chainrule.optimizers.schedules import LearningRateSchedule
from chainrule.training.outputs import Losses
from chainrule.training.trainer import Trainer

if TYPE_CHECKING:
    from chainrule.models.model import Model

_REGISTERED = "registered"  # the key under which a function of the user's stands by its name
Path = str | os.PathLike[str]


def compiled(model: Model) -> dict[str, Any] | None:
    """Return how the model was compiled; ``None`` where that includes what no name tells."""
    told = _compiled(model)
    if told is not None and (own := sorted(_own_names(told))):
        told["own"] = own
    return told


def _own_names(told: Any) -> set[str]:
    """Return the names of classes and functions of the user's that are not registered."""
    if isinstance(told, list):
        return set().union(*map(_own_names, told))
    if not isinstance(told, dict):
        return set()
    names = {told["own"]} if "own" in told else set()
    if _REGISTERED in told and ">" not in told[_REGISTERED]:
        names = {told[_REGISTERED]}
    return names.union(*map(_own_names, told.values()))


def _compiled(model: Model) -> dict[str, Any] | None:
    trainer = model._trainer
    if trainer is None or trainer.optimizer is None:
        return None
    names, weighted = trainer.asked
    try:
        if isinstance(trainer.loss, Losses):
            given = {"optimizer": _described(trainer.optimizer), **_given(trainer.loss)}
            return {**given, "memory_limit": trainer.memory_limit}
        return {
            "optimizer": _described(trainer.optimizer),
            "loss": _described(trainer.loss),
            "loss_weights": None if trainer.loss_weight == 1 else trainer.loss_weight,
            "metrics": [_described(m) for m in names],
            "weighted_metrics": [_described(m) for m in weighted],
            "memory_limit": trainer.memory_limit,
        }
    except (TypeError, ArgumentError):
        return None


def _given(many: Losses) -> dict[str, Any]:
    """Return what `compile` was given for several outputs, by their names."""
    parts = many.outputs
    return {
        "loss": {o.name: None if o.loss is None else _described(o.loss) for o in parts},
        "loss_weights": {o.name: o.weight for o in parts},
        "metrics": {o.name: [_described(m) for m in o.asked] for o in parts},
        "weighted_metrics": {o.name: [_described(m) for m in o.asked_weighted] for o in parts},
    }


def _described(thing: Any) -> Any:
    """Return a name as it is, an object of the package as its class and configuration."""
    if thing is None or isinstance(thing, str):
        return thing
    if not hasattr(thing, "get_config"):
        return _named_code(thing)
    name = registered_name(type(thing))
    described = {"class_name": name, "config": thing.get_config()}
    if not ours(thing):
        type(thing).from_config(thing.get_config())  # or it cannot be described
        described["own"] = name
    return json.loads(json.dumps(described, default=_named_code))


def _named_code(thing: Any) -> dict[str, Any]:
    """Return the name of a function, or a schedule whose class is known."""
    if isinstance(thing, LearningRateSchedule) and ours(thing):
        return {"class_name": registered_name(type(thing)), "config": thing.get_config()}
    name = registered_name(thing)
    if not callable(thing) or not (custom(name) is thing or name.isidentifier()):
        raise TypeError(f"{thing!r} cannot be described")
    return {_REGISTERED: name}


def ours(thing: Any) -> bool:
    """Return whether a file can name the class of this, and whoever reads it knows what it is."""
    kind = type(thing)
    registered = custom(registered_name(kind)) is kind
    return registered or kind.__module__.startswith("chainrule.")


def compile_as(model: Model, text: str, path: Path) -> None:
    """Compile the model as a file describes it; warn where it is with what is not known here."""
    missing = [name for name in json.loads(text).get("own", ()) if custom(name) is None]
    if missing:
        given = ", ".join(f"{name!r}: {name}" for name in missing)
        told = (
            f"{os.fspath(path)!r} was compiled with {', '.join(missing)}, not known here: the "
            "model is loaded, but not compiled\n"
            f"  fix: load_model(path, custom_objects={{{given}}}), or compile it"
        )
        warnings.warn(ChainruleWarning(told), stacklevel=5)
        return
    told = json.loads(text, object_hook=_found)
    model.compile(
        told["optimizer"],
        told["loss"],
        loss_weights=told.get("loss_weights"),
        metrics=told["metrics"],
        weighted_metrics=told["weighted_metrics"],
        memory_limit=told.get("memory_limit"),
    )


def _found(told: dict[str, Any]) -> Any:
    """Return the user's function where one is named, and what is of a class of the user's."""
    if "own" in told and "class_name" in told:
        kind: Any = custom(told["own"])
        if kind is None:
            raise ArgumentError(f"it names the class {told['own']!r}, which is not known")
        return kind.from_config(told["config"])
    if [*told] != [_REGISTERED]:
        return told
    function = custom(told[_REGISTERED])
    if function is None:
        raise ArgumentError(
            f"it names the function {told[_REGISTERED]!r}, which is not registered.\n"
            "  fix: decorate it with saving.register_keras_serializable() before, as the program "
            "did that saved it; or load_model(path, compile=False)"
        )
    return function


@dataclass(frozen=True)
class Training:
    """How far a model was trained: counters, random key, and the state of its optimizer.

    `weights` are those that the optimizer had slots for, in their order; ``None`` where the file,
    which is an older one, does not tell.
    """

    path: str
    model: Model
    seed: int
    epoch: int
    key: Array
    weights: list[Variable] | None
    arrays: dict[str, Array]

    def put_into(self, trainer: Trainer) -> None:
        """Give a trainer, whose optimizer is of the same kind, this state.

        Raises
        ------
        FileError
            Where its optimizer has other variables.
        """
        optimizer = trainer.optimizer
        if optimizer is None:
            return
        weights = self._built(optimizer)
        fill(self.path, "optimizer", optimizer.state_of(weights), self.arrays)
        self._count(trainer)

    def go_on_in(self, trainer: Trainer) -> None:
        """Give the trainer that `compile` has made this state, but for the learning rate: that is
        the one which `compile` was given. Where its optimizer is of another kind, warn."""
        optimizer = trainer.optimizer
        if optimizer is None or int(optimizer.iterations) or optimizer.built_variables():
            return  # it has a state of its own
        mine = optimizer.state_of(self._built(optimizer))
        specs = [(_end(v.name), v.shape, v.dtype) for v in mine]
        if specs != [(_end(name), a.shape, a.dtype.name) for name, a in self.arrays.items()]:
            self._warn(
                "holds the state of another optimizer than the one given to compile, which begins "
                "anew.\n  fix: compile with the optimizer that the model was trained with; or, if "
                "it is to begin anew, load_model(path, compile=False)"
            )
            return
        for variable, array in zip(mine, self.arrays.values(), strict=True):
            if variable is not optimizer.learning_rate:
                variable.assign(array)
            elif not np.array_equal(array, variable.value):
                self._warn(
                    f"was written at a learning rate of {array}; the one given to compile holds, "
                    f"{variable.value}"
                )
        self._count(trainer)

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.path!r} {text}", stacklevel=4)

    def parts(self) -> tuple[dict[str, Array], str]:
        """Return all of it as arrays and words."""
        state: dict[str, Any] = {"seed": self.seed, "epoch": self.epoch}
        if self.weights is not None:
            place = {id(v): i for i, v in enumerate(self.model.variables)}
            places = [place[id(v)] for v in self.weights]
            if places == sorted(places):  # else it is of an older file, whose names tell
                state["slots"] = places
        return {**self.arrays, "random_key": self.key}, json.dumps(state)

    def _built(self, optimizer: Optimizer) -> list[Variable]:
        """Return the weights that have slots, once they have them in this optimizer."""
        weights = self.weights
        if weights is None:
            more = len(self.arrays) > len(optimizer.state_of([]))
            weights = self.model.trainable_variables if more else []
        if weights:
            optimizer.build(weights)
        return weights

    def _count(self, trainer: Trainer) -> None:
        trainer.seed, trainer.epoch = self.seed, self.epoch
        trainer.key.assign(self.key)


def parts_of(trainer: Trainer) -> tuple[dict[str, Array], str]:
    """Return how far a model was trained as arrays and words."""
    weights = trainer.model.variables
    if trainer.optimizer is None:
        return {}, ""
    arrays = named("optimizer", trainer.optimizer.state_of(weights))
    arrays["random_key"] = trainer.key.value
    slots = trainer.optimizer.built_places(weights)
    return arrays, json.dumps({"seed": trainer.seed, "epoch": trainer.epoch, "slots": slots})


def read(path: Path, model: Model, text: str, arrays: Mapping[str, Array]) -> Training:
    """Return what a file says in such words and arrays."""
    state = json.loads(text)
    held = {name: array for name, array in arrays.items() if name.startswith("optimizer/")}
    key, weights = arrays["random_key"], model.variables
    if (key.shape, key.dtype.name) != ((2,), "int64"):
        raise ArgumentError("its random key is none")
    slotted = at_places(weights, state["slots"]) if "slots" in state else _by_name(weights, held)
    return Training(
        os.fspath(path), model, int(state["seed"]), int(state["epoch"]), key, slotted, held
    )


def _by_name(weights: Sequence[Variable], arrays: Mapping[str, Array]) -> list[Variable] | None:
    """Return the weights whose slots an older file names, in its order: that of training."""
    ends = [name.split("/", 2)[2].rpartition("/")[0] for name in arrays]
    names = [name for name in dict.fromkeys(ends) if name]
    known = {v.name: v for v in weights}
    if not names or len(known) < len(weights) or not {*names} <= {*known}:
        return None
    return [known[name] for name in names]


def named(prefix: str, variables: Sequence[Variable]) -> dict[str, Array]:
    """Return the elements by a name that says which variable they are; numbers keep it unique."""
    return {f"{prefix}/{i:03}/{v.name}": v.value for i, v in enumerate(variables)}


def fill(
    path: Path, prefix: str, variables: Sequence[Variable], arrays: Mapping[str, Array]
) -> None:
    """Put the stored elements into variables of the same number, shapes and dtypes."""
    stored = [a for name, a in arrays.items() if name.startswith(prefix + "/")]
    mine = [(v.shape, v.dtype) for v in variables]
    theirs = [(a.shape, a.dtype.name) for a in stored]
    if mine != theirs:
        raise FileError(
            f"the weights in {os.fspath(path)!r} do not fit the model:\n"
            f"  file  : {_list(theirs)}\n  model : {_list(mine)}"
        )
    for variable, array in zip(variables, stored, strict=True):
        variable.assign(array)


def _end(name: str) -> str:
    return name.rpartition("/")[2]


def _list(specs: Sequence[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{kind}{list(shape)}" for shape, kind in specs) or "nothing"
