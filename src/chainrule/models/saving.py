"""Models as files: architecture, weights, optimizer and counters in one, without pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chainrule import __version__
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleError, FileError
from chainrule.graph import Variable, room
from chainrule.layers import Layer, sharing
from chainrule.layers.budget import limited
from chainrule.models import container, keras_files
from chainrule.named import custom, registered_name
from chainrule.training.outputs import Losses

if TYPE_CHECKING:
    from chainrule.models.model import Model

_VERSION = 1
# What a description of a model that does not hold together can raise when it is followed.
_UNKNOWN = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    ChainruleError,
)
Path = str | os.PathLike[str]


def save(model: Model, path: Path) -> None:
    """Write the whole model; the optimizer's state too where it is compiled."""
    if type(model).__name__ not in ("Sequential", "Functional") or not _ours(model):
        raise FileError(
            f"{type(model).__name__} is a class of its own, whose code a file cannot hold.\n"
            "  fix: use save_weights(path), and load_weights(path) into a model made by that code"
        )
    if not model.built:
        raise FileError(
            "the model has no weights yet: build it with Input(...) as first layer, or fit it"
        )
    if (kind := keras_files.kind_of(path)) is not None:
        return keras_files.save(model, path, kind)
    about = _about(model)
    arrays = _named("model", model.variables)
    trainer = model._trainer
    if trainer is not None and trainer.optimizer is not None:
        arrays |= _named("optimizer", list(trainer.optimizer.variables))
        arrays["random_key"] = trainer.key.value
        about["state"] = json.dumps({"seed": trainer.seed, "epoch": trainer.epoch})
    container.write(path, arrays, about)


def _ours(thing: Any) -> bool:
    kind = type(thing)
    registered = custom(registered_name(kind)) is kind
    return registered or kind.__module__.startswith("chainrule.")


def _about(model: Model) -> dict[str, str]:
    try:
        with sharing():
            described = {"class_name": type(model).__name__, "config": model.get_config()}
            text = json.dumps(described)
    except (ArgumentError, TypeError) as error:
        raise FileError(f"the model cannot be written as a file: {error}") from error
    about = {
        "format": "chainrule",
        "version": str(_VERSION),
        "chainrule": __version__,
        "content": "model",
        "model": text,
        "label_names": json.dumps(model.label_names),
        "metadata": json.dumps(model.metadata),
    }
    if (compiled := _compiled(model)) is not None:
        about["compile"] = json.dumps(compiled)
    return about


def _named(prefix: str, variables: Sequence[Variable]) -> dict[str, Array]:
    """Return the elements by a name that says which variable they are; numbers keep it unique."""
    return {f"{prefix}/{i:03}/{v.name}": v.value for i, v in enumerate(variables)}


def _compiled(model: Model) -> dict[str, Any] | None:
    """Return how the model was compiled; ``None`` where that includes functions of the user's."""
    trainer = model._trainer
    if trainer is None or trainer.optimizer is None:
        return None
    names, weighted = trainer.asked
    try:
        if isinstance(trainer.loss, Losses):
            compiled = {"optimizer": _described(trainer.optimizer), **_given(trainer.loss)}
            return {**compiled, "memory_limit": trainer.memory_limit}
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
    if not _ours(thing) or not hasattr(thing, "get_config"):
        raise TypeError(f"{thing!r} cannot be described")
    described = {"class_name": registered_name(type(thing)), "config": thing.get_config()}
    json.dumps(described)
    return described


def load_model(
    path: Path, custom_objects: Mapping[str, type[Layer]] | None = None, compile: bool = True
) -> Model:
    """Return the model that `Model.save` or Keras wrote, ready to predict, evaluate or train on.

    Of Keras's files (`.keras`, and the older `.h5` of whole models) architecture and weights are
    taken: `compile` the model to evaluate or train it.

    Parameters
    ----------
    path : path-like
        The file.
    custom_objects : mapping of str to class, optional
        Layers of your own, by the name of their class.
    compile : bool, default True
        Whether to restore optimizer, loss and metrics as well.

    Raises
    ------
    FileError
        For a file that is missing, cut off, changed or of another kind, or one that needs a layer
        that is not known.

    Examples
    --------
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential, load_model
    >>> Sequential([Input((4,)), Dense(3)]).save("small.chainrule")
    >>> load_model("small.chainrule").count_params()
    15
    """
    if (content := _of_keras(path)) is not None:
        return keras_files.load_model(path, content, custom_objects)  # type: ignore[no-any-return]
    arrays, about = _checked(path, "model")
    with room.limited(sum(a.nbytes for a in arrays.values())):
        with limited(sum(a.nbytes for name, a in arrays.items() if name.startswith("model/"))):
            model = _rebuilt(path, about, custom_objects)
        _fill(path, "model", model.variables, arrays)
        if compile and "compile" in about:
            _recompile(path, model, about, arrays)
    return model


def _of_keras(path: Path) -> bytes | None:
    """Return the content of a file of Keras's, by how it begins; ``None`` for any other."""
    try:
        with open(path, "rb") as file:
            if not keras_files.is_keras(file.read(8)):
                return None
            file.seek(0)
            return file.read()
    except OSError:
        return None  # and it is told where the file is read


def _checked(path: Path, *content: str) -> tuple[dict[str, Array], dict[str, str]]:
    arrays, about = container.read(path)
    if about.get("format") != "chainrule":
        raise FileError(f"{os.fspath(path)!r} is not a chainrule file")
    version = about.get("version", "")
    if not version.isdigit() or int(version) > _VERSION:
        raise FileError(
            f"{os.fspath(path)!r} was written by a newer chainrule ({about.get('chainrule')}): "
            f"its format is {version}, this one reads up to {_VERSION}"
        )
    if about.get("content") not in content:
        raise FileError(f"{os.fspath(path)!r} holds {about.get('content')}, not a {content[0]}")
    return arrays, about


def _rebuilt(
    path: Path, about: Mapping[str, str], custom_objects: Mapping[str, type[Layer]] | None
) -> Model:
    from chainrule.models.functional import Functional
    from chainrule.models.sequential import Sequential

    try:
        described = json.loads(about["model"])
        kinds: dict[str, Any] = {"Sequential": Sequential, "Functional": Functional}
        with sharing():
            kind = kinds[described["class_name"]]
            model: Model = kind.from_config(described["config"], custom_objects)
        model.label_names = json.loads(about["label_names"])
        model.metadata = json.loads(about["metadata"])
    except _UNKNOWN as error:
        raise FileError(f"{os.fspath(path)!r} describes no model that is known: {error}") from error
    return model


def _fill(
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


def _list(specs: Sequence[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{kind}{list(shape)}" for shape, kind in specs) or "nothing"


def _recompile(
    path: Path, model: Model, about: Mapping[str, str], arrays: Mapping[str, Array]
) -> None:
    try:
        compiled, state = json.loads(about["compile"]), json.loads(about["state"])
        model.compile(
            compiled["optimizer"],
            compiled["loss"],
            loss_weights=compiled.get("loss_weights"),
            metrics=compiled["metrics"],
            weighted_metrics=compiled["weighted_metrics"],
            memory_limit=compiled.get("memory_limit"),
        )
        trainer = model._trainer
        if trainer is None or trainer.optimizer is None:
            return
        trainer.seed, trainer.epoch = int(state["seed"]), int(state["epoch"])
        trainer.key.assign(arrays["random_key"])
    except _UNKNOWN as error:
        raise FileError(f"how {os.fspath(path)!r} was compiled is not known: {error}") from error
    stored = [name for name in arrays if name.startswith("optimizer/")]
    if len(stored) > len(trainer.optimizer.variables):
        trainer.optimizer.build(model.trainable_variables)
    _fill(path, "optimizer", list(trainer.optimizer.variables), arrays)


def save_weights(model: Model, path: Path) -> None:
    """Write the weights alone."""
    if not model.built:
        raise FileError("the model has no weights yet: build or fit it first")
    if (kind := keras_files.kind_of(path)) is not None:
        return keras_files.save_weights(model, path, kind)
    about = {
        "format": "chainrule",
        "version": str(_VERSION),
        "chainrule": __version__,
        "content": "weights",
    }
    container.write(path, _named("model", model.variables), about)


def load_weights(model: Model, path: Path) -> None:
    """Read what `save_weights`, `save` or Keras wrote into a model of the same structure."""
    if (content := _of_keras(path)) is not None:
        return keras_files.load_weights(model, path, content)
    arrays, _ = _checked(path, "weights", "model")
    _fill(path, "model", model.variables, arrays)
