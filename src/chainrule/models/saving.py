"""Models as files: architecture, weights, optimizer and counters in one, without pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chainrule import __version__
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleError, FileError, MissingMethodError
from chainrule.graph import room
from chainrule.layers import Layer, sharing
from chainrule.layers.budget import limited
from chainrule.models import container, keras_files, trained
from chainrule.named import custom, registered_name, scoped

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
    kind = keras_files.kind_of(path)
    _check_kind(model, kind)
    if kind is not None:
        return keras_files.save(model, path, kind)
    about = _about(model)
    arrays = trained.named("model", model.variables)
    if model._trainer is not None and model._trainer.optimizer is not None:
        more, about["state"] = trained.parts_of(model._trainer)
        arrays |= more
    elif model._training is not None:
        more, about["state"] = model._training.parts()
        arrays |= more
    container.write(path, arrays, about)


def check(model: Model, path: Path) -> None:
    """Refuse a model that a file of this name cannot hold, before there is anything to write."""
    kind = keras_files.kind_of(path)
    _check_kind(model, kind)
    if kind is not None:
        keras_files.description(model, path, kind)
    else:
        _about(model)


def _check_kind(model: Model, kind: str | None) -> None:
    if not _stack_or_graph(model) and (kind is not None or not _told_by_arguments(model)):
        raise FileError(
            f"{type(model).__name__} is a class of its own, whose code a file cannot hold.\n"
            "  fix: use save_weights(path), and load_weights(path) into a model made by that code"
        )
    if not model.built:
        raise FileError(
            "the model has no weights yet: build it with Input(...) as first layer, or fit it"
        )


def _stack_or_graph(model: Model) -> bool:
    """Return whether the model is what its layers are, without code of its own."""
    return type(model).__name__ in ("Sequential", "Functional") and trained.ours(model)


def _told_by_arguments(model: Model) -> bool:
    """Return whether the class, given again when the file is read, needs but the arguments that
    made the model and the shape of its input."""
    return model.takes_forms and (not model.built or model._input_shape is not None)


def _about(model: Model) -> dict[str, str]:
    try:
        with sharing():
            name, config = registered_name(type(model)), model.get_config()
            described: dict[str, Any] = {"class_name": name, "config": config}
            if not _stack_or_graph(model):
                described["input_shape"] = model._input_shape
            text = json.dumps(described)
    except (ArgumentError, MissingMethodError, TypeError) as error:
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
    if _usual_compile(model) and (compiled := trained.compiled(model)) is not None:
        about["compile"] = json.dumps(compiled)
    return about


def _usual_compile(model: Model) -> bool:
    """Return whether `compile` takes what is written down of it; one of the user's may not."""
    return type(model).compile.__module__.startswith("chainrule.")


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
    custom_objects : mapping of str to class or function, optional
        What of your own the model consists of and was compiled with, by the names of the classes
        and functions. A model is made again of the arguments that made it, or those that its
        ``get_config`` tells.
    compile : bool, default True
        Whether to restore optimizer, loss and metrics as well. Where one of them is of your own
        and not known, neither by `custom_objects` nor `saving.register_keras_serializable`, a
        warning says so; call `compile` with it: training then goes on where it was, at the rate
        that you give.

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
    with scoped(custom_objects or {}):
        return _loaded(path, custom_objects, compile)


def _loaded(path: Path, custom_objects: Mapping[str, type[Layer]] | None, compile: bool) -> Model:
    if (content := _of_keras(path)) is not None:
        return keras_files.load_model(path, content, custom_objects)  # type: ignore[no-any-return]
    arrays, about = _checked(path, "model")
    with room.limited(sum(a.nbytes for a in arrays.values())):
        with limited(sum(a.nbytes for name, a in arrays.items() if name.startswith("model/"))):
            model = _rebuilt(path, about, custom_objects)
        trained.fill(path, "model", model.variables, arrays)
        if compile:
            _go_on(path, model, about, arrays)
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
    try:
        with sharing():
            model = _made(json.loads(about["model"]), custom_objects)
        model.label_names = json.loads(about["label_names"])
        model.metadata = json.loads(about["metadata"])
    except _UNKNOWN as error:
        raise FileError(f"{os.fspath(path)!r} describes no model that is known: {error}") from error
    return model


def _made(described: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Model:
    from chainrule.models.functional import Functional
    from chainrule.models.model import Model
    from chainrule.models.sequential import Sequential

    name, config = described["class_name"], described["config"]
    if "input_shape" not in described:
        kinds: dict[str, Any] = {"Sequential": Sequential, "Functional": Functional}
        found: Model = kinds[name].from_config(config, custom_objects)
        return found
    kind = custom(name)
    if not isinstance(kind, type) or not issubclass(kind, Model):
        raise ArgumentError(
            f"unknown model {name!r}\n"
            f"  fix: give your class as custom_objects={{{name!r}: {name.split('>')[-1]}}}"
        )
    model: Model = kind.from_config(config)
    model.build(described["input_shape"])
    return model


def _go_on(path: Path, model: Model, about: Mapping[str, str], arrays: Mapping[str, Array]) -> None:
    """Compile the model as it was, and let it be as far trained; where the file does not hold how,
    that waits for `compile`."""
    try:
        if "compile" in about:
            trained.compile_as(model, about["compile"], path)
        if "compile" in about or "state" in about:
            training = trained.read(path, model, about["state"], arrays)
            if model._trainer is not None:
                training.put_into(model._trainer)
            else:
                model._training = training
    except FileError:
        raise
    except _UNKNOWN as error:
        raise FileError(f"how {os.fspath(path)!r} was compiled is not known: {error}") from error


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
    container.write(path, trained.named("model", model.variables), about)


def load_weights(model: Model, path: Path) -> None:
    """Read what `save_weights`, `save` or Keras wrote into a model of the same structure."""
    if (content := _of_keras(path)) is not None:
        return keras_files.load_weights(model, path, content)
    arrays, _ = _checked(path, "weights", "model")
    trained.fill(path, "model", model.variables, arrays)
