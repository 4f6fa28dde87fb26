"""Where Keras keeps which weight: the paths of `.weights.h5`, the names of the older `.h5`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError
from chainrule.graph import Variable
from chainrule.layers import Layer, Normalization, Operation
from chainrule.layers.regularization import _Random
from chainrule.models.keras_files.hdf5 import Node
from chainrule.models.keras_files.names import CLASSES

# A file as nested dicts: groups, arrays, and under this key the attributes of a group.
Tree = dict[str, Any]
ATTRIBUTES = "@"

# What is to be put into a model once all of a file has been found good.
Deed = Callable[[], None]


@dataclass
class Store:
    """The weights that one layer holds itself, at a path like ``layers/dense``."""

    path: str
    layer: Layer

    def variables(self) -> list[Variable]:
        """Return them in Keras's order: those that training may move first."""
        return sorted(self.layer._own, key=lambda v: not v.trainable)

    def where(self) -> str:
        """Return the path of the group of the weights."""
        return f"{self.path}/vars" if self.path else "vars"


def stores(model: Layer) -> list[Store]:
    """Return the layers of a model, each once, by the paths that Keras gives them."""
    found: list[Store] = []
    _visit(model, "", found, {})
    return found


def _visit(layer: Layer, path: str, found: list[Store], met: dict[int, Layer]) -> None:
    if id(layer) in met:
        return
    met[id(layer)] = layer
    found.append(Store(path, layer))
    if type(layer).__name__ in ("Sequential", "Functional"):
        children: Any = [("layers", [x for x in layer.sublayers() if not _unseen(x)])]
    else:
        held = dict(vars(layer))
        if hasattr(layer, "layers"):  # a model's own list, which takes its turn among the others
            held["layers"] = layer.layers
        children = sorted(held.items(), key=lambda item: _late(item[0]))
    for name, child in children:
        inner = f"{path}/{name}" if path else name
        if isinstance(child, Layer):
            _visit(child, inner, found, met)
        elif isinstance(child, list | tuple | dict):
            _visit_all(child, inner, found, met)


def _visit_all(many: Any, path: str, found: list[Store], met: dict[int, Layer]) -> None:
    used: dict[str, int] = {}
    for child in many.values() if isinstance(many, dict) else many:
        if isinstance(child, Layer):
            kind = type(child).__name__
            place = _numbered(snake(CLASSES.get(kind, kind)), used)
            _visit(child, f"{path}/{place}", found, met)
        elif isinstance(child, list | tuple | dict):
            _visit_all(child, f"{path}/{_numbered('container', used)}", found, met)


def _unseen(layer: Layer) -> bool:
    return isinstance(layer, Operation)  # which are no layers in Keras


def _late(name: str) -> str:
    return f"~{name}" if name.startswith("_") else name


def _numbered(name: str, used: dict[str, int]) -> str:
    count = used[name] = used.get(name, -1) + 1
    return f"{name}_{count}" if count else name


def snake(name: str) -> str:
    """Return the name of a class as Keras writes it in paths.

    Examples
    --------
    >>> snake("SpatialDropout1D"), snake("RMSNormalization")
    ('spatial_dropout1d', 'rms_normalization')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def weights_tree(model: Layer) -> Tree:
    """Return the content of a `.weights.h5` file."""
    tree: Tree = {}
    for store in stores(model):
        group = _group(tree, store.where())
        group[ATTRIBUTES] = {"name": store.layer.name}
        group |= {str(i): array for i, array in enumerate(_arrays(store))}
        if draws(store.layer):
            inner = f"{store.path}/seed_generator/vars".lstrip("/")
            seed = (getattr(store.layer, "seed", None) or 0) % 2**32
            _group(tree, inner)["0"] = np.array([seed, 0], np.uint32)
    return tree


def _group(tree: Tree, path: str) -> Tree:
    for name in path.split("/"):
        tree = tree.setdefault(name, {})
    return tree


def _arrays(store: Store) -> list[Array]:
    if adapted(store.layer):
        layer: Any = store.layer
        moments = [np.asarray(m, store.layer.dtype) for m in (layer.mean, layer.variance)]
        return [*moments, np.asarray(0, np.int32)]
    return [v.value for v in store.variables()]


def adapted(layer: Layer) -> bool:
    """Return whether the layer has learnt its mean and variance, which then are weights."""
    return isinstance(layer, Normalization) and layer.adapted


def draws(layer: Layer) -> bool:
    """Return whether Keras's layer has a generator of random numbers, whose state it wants."""
    if not isinstance(layer, _Random):
        return False
    return any(getattr(layer, word, 0) for word in ("rate", "stddev", "dropout"))


def read_weights(model: Layer, root: Node) -> list[Deed]:
    """Return what puts the arrays of a `.weights.h5` file into the model.

    Raises
    ------
    FileError
        Where the file has other weights than the model.
    """
    deeds: list[Deed] = []
    for store in stores(model):
        group = root.get(store.where())
        names = sorted(group.children(), key=_number) if group is not None else []
        held = [group.get(name) for name in names] if group is not None else []
        arrays = [node.array() for node in held if node is not None]
        deeds += _deeds(store.path or "the model", store.layer, store.variables(), arrays)
    return deeds


def _number(name: str) -> int:
    if not name.isdecimal() or len(name) > 9:
        raise FileError(f"is damaged: a weight is called {name[:50]!r}")
    return int(name)


def _deeds(
    path: str, layer: Layer, variables: Sequence[Variable], arrays: Sequence[Array]
) -> list[Deed]:
    if isinstance(layer, Normalization) and (arrays or _learns(layer)):
        return [_moments(path, layer, arrays)]
    mine, theirs = [v.shape for v in variables], [a.shape for a in arrays]
    if mine != theirs:
        raise FileError(
            f"holds weights that do not fit {layer.label}:\n"
            f"  file  : {_told(theirs)} at {path}\n  model : {_told(mine)}"
        )
    return [_assign(v, a) for v, a in zip(variables, arrays, strict=True)]


def _assign(variable: Variable, array: Array) -> Deed:
    if (array.dtype.kind == "f") != (variable.value.dtype.kind == "f"):
        raise FileError(f"holds {array.dtype} for {variable.name!r}, which is {variable.dtype}")
    return lambda: variable.assign(array)


def _moments(path: str, layer: Normalization, arrays: Sequence[Array]) -> Deed:
    shapes = [a.shape for a in arrays]
    if len(arrays) != 3 or shapes[0] != shapes[1] or shapes[2] != ():
        raise FileError(
            f"holds {_told(shapes)} at {path}, not mean, variance and count of {layer.label}"
        )
    mean, variance = (np.array(a, np.float64) for a in arrays[:2])
    if layer.mean is not None and layer.mean.shape != mean.shape:
        raise FileError(f"holds {mean.size} means at {path}; {layer.label} has {layer.mean.size}")

    def put() -> None:
        layer.mean, layer.variance, layer.adapted = mean, variance, True

    return put


def _told(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes) or "nothing"


def legacy_tree(model: Layer) -> Tree:
    """Return the content of an `.h5` file of weights in the layout before Keras 3."""
    layers = [x for x in model.sublayers() if not _unseen(x)]
    tree: Tree = {
        ATTRIBUTES: {
            "layer_names": [layer.name for layer in layers],
            "backend": "tensorflow",
            "keras_version": "3.15.0",
        }
    }
    for layer in sorted(layers, key=lambda x: x.name):
        tree[layer.name] = _legacy_group(layer.name, layer, _legacy(layer))
    tree["top_level_model_weights"] = _legacy_group(model.name, model, _own(model))
    return tree


def _legacy_group(name: str, layer: Layer, variables: Sequence[Variable]) -> Tree:
    named: dict[str, Array] = {}
    for variable in variables:
        path = base = ("" if layer._own else f"{name}/") + variable.name.replace(".", "/")
        while path in named:
            path = f"{base}_{len(named)}"
        named[path] = variable.value
    if adapted(layer):
        kinds = ("mean", "variance", "count")
        values = _arrays(Store("", layer))
        named = {f"{name}/{kind}": a for kind, a in zip(kinds, values, strict=True)}
    tree: Tree = {ATTRIBUTES: {"weight_names": list(named)}}
    for path, array in named.items():
        *groups, last = path.split("/")
        (_group(tree, "/".join(groups)) if groups else tree)[last] = array
    return tree


def _legacy(layer: Layer) -> list[Variable]:
    """Return the weights in the order of these files: what training moves first."""
    return [*layer.trainable_variables, *layer.non_trainable_variables]


def _own(model: Layer) -> list[Variable]:
    return sorted(model._own, key=lambda v: not v.trainable)


def read_legacy(model: Layer, root: Node) -> list[Deed]:
    """Return what puts the arrays of such a file into the model: by order, as Keras does.

    Raises
    ------
    FileError
        Where the file has other weights than the model.
    """
    layers = [x for x in model.sublayers() if _has_weights(x)]
    stored = [(name, root.get(name)) for name in _texts(root, "layer_names")]
    held = [(name, node) for name, node in stored if node and _texts(node, "weight_names")]
    if len(layers) != len(held):
        raise FileError(
            f"has {len(held)} layers with weights, the model {len(layers)}:\n"
            f"  file  : {', '.join(name for name, _ in held) or 'none'}\n"
            f"  model : {', '.join(layer.name for layer in layers) or 'none'}"
        )
    deeds: list[Deed] = []
    for layer, (name, node) in zip(layers, held, strict=True):
        deeds += _deeds(name, layer, _legacy(layer), _listed(node))
    if model._own:
        group = root.get("top_level_model_weights")
        deeds += _deeds(
            "top_level_model_weights", model, _own(model), _listed(group) if group else []
        )
    return deeds


def _has_weights(layer: Layer) -> bool:
    return _learns(layer) if isinstance(layer, Normalization) else bool(layer.variables)


def _learns(layer: Normalization) -> bool:
    """Return whether mean and variance are weights; those given as arguments are none."""
    return layer.mean is None or layer.adapted


def _listed(group: Node) -> list[Array]:
    arrays = []
    for name in _texts(group, "weight_names"):
        node = group.get(name)
        if node is None:
            raise FileError(f"is damaged: it has no weight {name!r}, though it names it")
        arrays.append(node.array())
    return arrays


def _texts(group: Node, name: str) -> list[str]:
    """Return a list in the attributes of a group, which Keras cuts where it is too long."""
    held: Mapping[str, Any] = group.attributes()
    if name in held:
        return _checked(held[name])
    found: list[str] = []
    for part in _while(held, name):
        found += _checked(part)
    return found


def _while(held: Mapping[str, Any], name: str) -> Iterator[Any]:
    number = 0
    while f"{name}{number}" in held:
        yield held[f"{name}{number}"]
        number += 1


def _checked(value: Any) -> list[str]:
    if value is None:
        return []  # an empty list is one of numbers
    if not isinstance(value, list):
        raise FileError("is damaged: a list of names is none")
    return value
