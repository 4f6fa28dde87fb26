"""Keras's own files: `.keras`, `.weights.h5` and the older `.h5`, written and read.

Architecture and weights go both ways; how a model was compiled, and its optimizer, do not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chainrule.errors import ArgumentError, ChainruleError, FileError
from chainrule.graph import room
from chainrule.layers import Layer, Normalization, sharing
from chainrule.layers.budget import limited
from chainrule.models import container
from chainrule.models.keras_files import archive, layout
from chainrule.models.keras_files.describe import described
from chainrule.models.keras_files.hdf5 import SIGNATURE, WRONG, Node, reading
from chainrule.models.keras_files.understand import understood

_WEIGHTS = "model.weights.h5"
_CONFIG = "config.json"
_METADATA = "metadata.json"
_ZIP = b"PK\3\4"
# What a description that does not hold together can raise when it is followed.
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
Custom = Mapping[str, type[Layer]] | None


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Return which of Keras's kinds of files the name asks for; ``None`` for ours.

    Examples
    --------
    >>> kind_of("best.weights.h5"), kind_of("best.h5"), kind_of("best.keras"), kind_of("best")
    ('.weights.h5', '.h5', '.keras', None)
    """
    name = os.fspath(path).lower()
    endings = {".weights.h5": ".weights.h5", ".h5": ".h5", ".hdf5": ".h5", ".keras": ".keras"}
    return next((kind for ending, kind in endings.items() if name.endswith(ending)), None)


def save(model: Any, path: str | os.PathLike[str], kind: str) -> None:
    """Write architecture and weights into a `.keras` or `.h5` file.

    Raises
    ------
    FileError
        For a layer that Keras does not have, or a file that cannot be written.
    MissingDependencyError
        Without h5py.
    """
    text = description(model, path, kind)
    if kind == ".keras":
        about = json.dumps({"keras_version": "3.15.0", "date_saved": "1980-01-01@00:00:00"})
        weights = archive.hdf5(layout.weights_tree(model))
        content: bytearray | memoryview = archive.archive(
            {_METADATA: about.encode(), _CONFIG: text.encode(), _WEIGHTS: weights}
        )
    else:
        tree = layout.legacy_tree(model)
        top = {"model_config": text, "backend": "tensorflow", "keras_version": "3.15.0"}
        content = archive.hdf5({layout.ATTRIBUTES: top, "model_weights": tree})
    _write(path, content)


def description(model: Any, path: str | os.PathLike[str], kind: str) -> str:
    """Return the architecture as such a file holds it.

    Raises
    ------
    FileError
        For a layer that Keras does not have, or the name of another kind of file.
    """
    if kind == ".weights.h5":
        raise FileError(
            f"{os.fspath(path)!r} is the name of a file of weights alone\n"
            "  fix: use save_weights(path), or a name that ends in .keras"
        )
    try:
        return json.dumps(described(model))
    except (ArgumentError, TypeError) as error:
        raise FileError(f"the model cannot be written as a file: {error}") from error


def save_weights(model: Any, path: str | os.PathLike[str], kind: str) -> None:
    """Write the weights into a `.weights.h5` file, or an `.h5` file of the older layout.

    Raises
    ------
    FileError
        For a file that cannot be written, or a name that ends in ``.keras``.
    MissingDependencyError
        Without h5py.
    """
    if kind == ".keras":
        raise FileError(
            f"{os.fspath(path)!r} is the name of a file of a whole model\n"
            "  fix: use save(path), or a name that ends in .weights.h5"
        )
    new = kind == ".weights.h5"
    tree = layout.weights_tree(model) if new else layout.legacy_tree(model)
    _write(path, archive.hdf5(tree))


def _write(path: str | os.PathLike[str], content: bytearray | memoryview) -> None:
    with container.replacing(path) as file:
        file.write(content)


def is_keras(begin: bytes) -> bool:
    """Return whether a file that begins so is one of Keras's."""
    return begin[:4] == _ZIP or begin[:8] == SIGNATURE


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the name of the file before what is wrong with it."""
    try:
        yield
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r} {error}") from error


def load_model(path: str | os.PathLike[str], content: bytes, custom_objects: Custom) -> Any:
    """Return the model in the content of a `.keras` or `.h5` file, not compiled.

    Raises
    ------
    FileError
        For a file that is damaged, or a layer that is not known, by name.
    """
    with _named(path):
        text: str | memoryview
        read: Callable[[Any, Node], list[layout.Deed]]
        if content[:4] == _ZIP:
            (root, text), read = _unzipped(content), layout.read_weights
        else:
            (root, text), read = _legacy_model(content), layout.read_legacy
        with limited(len(content)), room.limited(len(content)):
            model = _made(archive.parsed(text), custom_objects)
        _put(read, model, root)
    return model


def _unzipped(content: bytes) -> tuple[Node, memoryview]:
    parts = archive.members(content, (_CONFIG, _WEIGHTS))
    for name in (_CONFIG, _WEIGHTS):
        if name not in parts:
            raise FileError(f"is not a model of Keras's: it has no {name}")
    return archive.root_of(parts[_WEIGHTS]), parts[_CONFIG]


def _legacy_model(content: bytes) -> tuple[Node, str]:
    root = archive.root_of(archive.checked(content))
    try:
        text, group = root.attributes().get("model_config"), root.get("model_weights")
    except WRONG as error:
        raise reading(error) from error
    if not isinstance(text, str) or group is None:
        raise FileError(
            "holds weights alone\n  fix: make the model, and use its load_weights(path)"
        )
    return group, text


def _made(config: Any, custom_objects: Custom) -> Any:
    from chainrule.models.functional import Functional
    from chainrule.models.sequential import Sequential

    kinds: dict[str, Any] = {"Sequential": Sequential, "Functional": Functional}
    try:
        found = understood(config, custom_objects)
        with sharing():
            model = kinds[found["class_name"]].from_config(found["config"], custom_objects)
    except _UNKNOWN as error:
        raise FileError(f"describes no model that is known: {error}") from error
    _await_moments(model)
    return model


def _await_moments(model: Any) -> None:
    """Mark layers whose mean and variance are among the weights, as they are not given."""
    for store in layout.stores(model):
        if isinstance(store.layer, Normalization) and store.layer.mean is None:
            store.layer.adapted = True


def _put(read: Callable[[Any, Node], list[layout.Deed]], model: Any, root: Node) -> None:
    """Put weights into a model: all, or none where one does not fit."""
    try:
        deeds = read(model, root)
    except WRONG as error:
        raise reading(error) from error
    for deed in deeds:
        deed()


def load_weights(model: Any, path: str | os.PathLike[str], content: bytes) -> None:
    """Put the weights of any of Keras's files into a model of the same structure.

    Raises
    ------
    FileError
        For a file that is damaged or of another structure; the model stays as it was.
    """
    with _named(path):
        if content[:4] == _ZIP:
            return _put(layout.read_weights, model, _unzipped(content)[0])
        root = archive.root_of(archive.checked(content))
        try:
            inner = root.get("model_weights") or root
            legacy = "layer_names" in inner.attributes() or "layer_names0" in inner.attributes()
        except WRONG as error:
            raise reading(error) from error
        _put(layout.read_legacy if legacy else layout.read_weights, model, inner)
