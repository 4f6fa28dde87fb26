"""Weights of PyTorch modules: their `state_dict`s into a model, and a model's for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, FileError, ShapeError, closest
from chainrule.graph import Variable
from chainrule.interop.torch_recurrent import RecurrentPart, is_recurrent, split
from chainrule.layers import Dense, DepthwiseConv1D, DepthwiseConv2D, Layer, PReLU
from chainrule.layers.conv_base import _Convolving
from chainrule.layers.recurrent_cell import _Cell
from chainrule.layers.recurrent_fused import _Fused
from chainrule.models import container

__all__ = ["load_state_dict", "to_state_dict"]

# What PyTorch calls the weights of a layer; others have the same name on both sides.
_THEIRS = {
    "kernel": "weight",
    "embeddings": "weight",
    "gamma": "weight",
    "scale": "weight",
    "alpha": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_COUNT = "num_batches_tracked"  # of batches, in their batch normalization; it says nothing here
_PICKLES = (b"\x80", b"PK\3\4")
_Source = str | os.PathLike[str] | Mapping[str, Any]
# The weights of a layer or module by their names in PyTorch.
_Shapes = dict[str, tuple[int, ...]]


@dataclass
class _Part:
    """A layer with weights of its own, under its name within the model."""

    name: str
    layer: Layer

    def weights(self) -> dict[str, Variable]:
        """Return the weights by their names in PyTorch."""
        found = {}
        for variable in self.layer._own:
            own = variable.name.rsplit(".", 1)[-1]
            found[_THEIRS.get(own, own)] = variable
        return found

    def theirs(self, name: str, array: Any) -> Any:
        """Return a weight with its axes as PyTorch has them: the outputs' first, then the inputs'
        (of a transposed convolution the other way round), then those of space; a slope a channel
        as a vector."""
        if isinstance(self.layer, PReLU):
            return array.reshape(-1)
        if name != "weight" or not isinstance(self.layer, Dense | _Convolving):
            return array
        places = range(array.ndim - 2)
        if not isinstance(self.layer, DepthwiseConv1D | DepthwiseConv2D):
            return array.transpose(array.ndim - 1, array.ndim - 2, *places)
        *kernel, c, q = array.shape  # one group a channel
        return array.reshape(*kernel, 1, c * q).transpose(array.ndim - 1, array.ndim - 2, *places)

    def ours(self, name: str, array: Any) -> Any:
        """Return a weight of PyTorch's with its axes as they are here."""
        shape = self.weights()[name].shape
        if isinstance(self.layer, PReLU):
            return array.reshape(shape)
        if name != "weight" or not isinstance(self.layer, Dense | _Convolving):
            return array
        return array.transpose(*range(2, array.ndim), 1, 0).reshape(shape)

    def shapes(self) -> _Shapes:
        """Return the shapes of the weights as PyTorch has them."""
        named = self.weights().items()
        return {n: self.theirs(n, np.broadcast_to(0, v.shape)).shape for n, v in named}

    def state(self) -> dict[str, Any]:
        """Return the weights as PyTorch has them, by their names."""
        return {n: self.theirs(n, v.numpy()) for n, v in self.weights().items()}

    def taken(self, arrays: Mapping[str, Any]) -> list[tuple[Variable, Any]]:
        """Return the variables with what PyTorch's weights are here."""
        return [(v, self.ours(n, arrays[n])) for n, v in self.weights().items()]

    def placed(self, module: str, name: str) -> str:
        """Return the name of a weight of the module."""
        return _joined(module, name)


_Parts = Mapping[str, _Part | RecurrentPart]


def load_state_dict(model: Layer, source: _Source, names: Mapping[str, str] | None = None) -> None:
    """Put the weights of a PyTorch `state_dict` into a model of the same layers.

    The weights of a `Linear` and of convolutions have their axes put into our order; `weight` and
    `bias` of a normalization become gamma and beta, `running_mean` and `running_var` the moving
    mean and variance. Each layer and direction of an `LSTM`, `GRU` or `RNN` is a module of its own,
    ``lstm.l1`` or ``lstm.l0_reverse``, or ``lstm`` where it has one. Mind the settings that are not
    in a state_dict: PyTorch's epsilon is 1e-5, Keras's and ours 1e-3. And mind a `Linear` behind a
    `Flatten` of images: there PyTorch counts channels first, so put a ``Permute((3, 1, 2))`` in
    front of our `Flatten`.

    Parameters
    ----------
    model : Model or Layer
        Built. All its weights are taken from the source.
    source : path-like or mapping
        A ``.safetensors`` file, or arrays or tensors by name: what `state_dict()` returns.
    names : mapping of str to str, optional
        The name of each module in the source, and of the layer it stands for: ``{"fc1":
        "hidden"}``; a layer within a nested model is ``"inner.dense"``. Without it modules and
        layers of the same names belong together, else those of the same shapes; where several
        have the same shapes, the order decides that the source tells, if it tells one.

    Raises
    ------
    ArgumentError
        Where it is not clear which weights belong together, listing both sides, or a name is not
        known; the model stays as it was.
    ShapeError
        For weights of other shapes than the layer's; the model stays as it was.
    FileError
        For a file that is damaged, or a pickle (``.pt``, ``.pth``), which could run code.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.interop.torch import load_state_dict
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((3,)), Dense(2, name="out")])
    >>> state = {"fc.weight": np.ones((2, 3)), "fc.bias": np.zeros(2)}
    >>> load_state_dict(model, state, names={"fc": "out"})
    >>> model.predict(np.ones((1, 3)), verbose=0).tolist()
    [[3.0, 3.0]]
    """
    arrays, ordered = _arrays(source)
    arrays = split(arrays)
    modules = _modules(arrays)
    parts = {part.name: part for part in _parts(model)}
    pairs = _matched(modules, parts, ordered) if names is None else _named(names, modules, parts)
    taken = []
    for module, part in pairs.items():
        taken += _checked(module, modules[module], parts[part], arrays)
    for variable, array in taken:
        variable.assign(array)


def to_state_dict(model: Layer, names: Mapping[str, str] | None = None) -> dict[str, Array]:
    """Return the weights of a model as a PyTorch module of the same layers has them.

    Parameters
    ----------
    model : Model or Layer
        Built.
    names : mapping of str to str, optional
        Names of modules, and of the layers they stand for, as for `load_state_dict`; by default
        the modules are called as the layers.

    Returns
    -------
    dict of str to ndarray
        For ``module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})``, or
        ``safetensors.numpy.save_file(state, path)``.

    Raises
    ------
    ArgumentError
        For a name that is not known, or a layer that is not named.

    Examples
    --------
    >>> from chainrule.interop.torch import to_state_dict
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((3,)), Dense(2, name="out")])
    >>> {name: a.shape for name, a in to_state_dict(model, {"fc": "out"}).items()}
    {'fc.weight': (2, 3), 'fc.bias': (2,)}
    """
    parts = {part.name: part for part in _parts(model)}
    chosen = {name: name for name in parts} if names is None else names
    _check_names("layer", chosen.values(), parts)
    state: dict[str, Array] = {}
    for module, name in chosen.items():
        part = parts[name]
        for own, array in part.state().items():
            state[part.placed(module, own)] = np.ascontiguousarray(array)
        if "running_mean" in part.weights():
            state[_joined(module, _COUNT)] = np.array(0, np.int64)
    return state


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


def _parts(model: Layer) -> Iterator[_Part | RecurrentPart]:
    """Yield the layers that have weights of their own, each once, in the order of the model."""
    met: set[int] = set()
    waiting = [(model.name, model)]
    while waiting:
        name, layer = waiting.pop()
        if id(layer) in met:
            continue
        met.add(id(layer))
        if isinstance(layer, _Fused) and is_recurrent(layer.cell):
            if layer.cell._own:
                yield RecurrentPart(name, layer.cell)
            continue
        if layer._own:
            if isinstance(layer, _Cell) and is_recurrent(layer):
                yield RecurrentPart(name, layer, whole=False)
            else:
                yield _Part(name, layer)
        prefix = "" if layer is model else f"{name}."
        waiting += [(f"{prefix}{inner.name}", inner) for inner in layer.sublayers()[::-1]]


def _arrays(source: _Source) -> tuple[dict[str, Any], bool]:
    """Return arrays by name, and whether their order is that of the modules."""
    if isinstance(source, Mapping):
        return {str(name): _array(str(name), value) for name, value in source.items()}, True
    path = Path(source)
    try:
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError:
        begin = b""  # and it is told below
    if path.suffix in (".pt", ".pth", ".bin", ".ckpt") or begin.startswith(_PICKLES):
        raise FileError(
            f"{str(path)!r} is a pickle, which can run code when it is read\n"
            "  fix: where you trust it, write it with PyTorch as safetensors: "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'w.safetensors')"
        )
    return container.read_foreign(path), False


def _array(name: str, value: Any) -> Any:
    """Return a tensor's or an array's elements."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"the state_dict holds no numbers as {name!r}, but {type(value)}")
    return array


def _modules(arrays: Mapping[str, Any]) -> dict[str, _Shapes]:
    """Return the shapes of the weights of each module, in order."""
    found: dict[str, _Shapes] = {}
    for name, array in arrays.items():
        module, _, own = name.rpartition(".")
        if own != _COUNT:
            found.setdefault(module, {})[own] = tuple(array.shape)
    return found


def _named(
    names: Mapping[str, str], modules: Mapping[str, _Shapes], parts: _Parts
) -> dict[str, str]:
    _check_names("module", names, modules)
    _check_names("layer", names.values(), parts)
    missing = [name for name in parts if name not in names.values()]
    if missing or len(set(names.values())) < len(names):
        what = f"no module for {', '.join(missing)}" if missing else "two modules for one layer"
        raise ArgumentError(f"names has {what}\n{_sides(modules, parts)}")
    return dict(names)


def _check_names(what: str, given: Any, known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"names speaks of a {what} {name!r}, which there is not{closest(name, known)}\n"
                f"  known: {', '.join(known)}"
            )


def _matched(modules: Mapping[str, _Shapes], parts: _Parts, ordered: bool) -> dict[str, str]:
    """Return which module is which layer: by name, else by shape, else by order."""
    if set(modules) == set(parts):
        return {name: name for name in parts}
    theirs: dict[Any, list[str]] = {}
    mine: dict[Any, list[str]] = {}
    for name, shapes in modules.items():
        theirs.setdefault(frozenset(shapes.items()), []).append(name)
    for name, part in parts.items():
        mine.setdefault(frozenset(part.shapes().items()), []).append(name)
    if {k: len(v) for k, v in theirs.items()} != {k: len(v) for k, v in mine.items()}:
        raise ArgumentError(
            f"modules and layers do not fit each other by their shapes\n{_sides(modules, parts)}"
            "\n  fix: make the model of the same layers, or say which is which with names="
        )
    pairs: dict[str, str] = {}
    for key, alike in theirs.items():
        order = _in_order(alike, ordered)
        if order is None:
            raise ArgumentError(
                f"{', '.join(alike)} have the same shapes, and a file does not tell their order\n"
                f"{_sides(modules, parts)}\n  fix: say which is which: names={{{alike[0]!r}: "
                f"{mine[key][0]!r}, ...}}"
            )
        pairs |= dict(zip(order, mine[key], strict=True))
    return pairs


def _in_order(names: list[str], ordered: bool) -> Sequence[str] | None:
    """Return names in the order of their modules: as given, or as they are numbered."""
    if ordered or len(names) == 1:
        return names
    if len({re.sub(r"\d+", "", name) for name in names}) > 1:
        return None
    return sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def _sides(modules: Mapping[str, _Shapes], parts: _Parts) -> str:
    def told(shapes: _Shapes) -> str:
        return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items()))

    theirs = [f"    {name}: {told(shapes)}" for name, shapes in modules.items()]
    mine = [f"    {name}: {told(part.shapes())}" for name, part in parts.items()]
    return "\n".join(
        ["  state_dict:", *(theirs or ["    nothing"]), "  model:", *(mine or ["    nothing"])]
    )


def _checked(
    module: str, shapes: _Shapes, part: _Part | RecurrentPart, arrays: Mapping[str, Any]
) -> list[tuple[Variable, Any]]:
    """Return the variables of a layer with the arrays for them, once they fit."""
    if shapes != part.shapes():
        raise ShapeError(
            f"the weights of {module!r} do not fit {part.layer.label}\n"
            f"{_sides({module: shapes}, {part.name: part})}"
        )
    return part.taken({name: arrays[_joined(module, name)] for name in shapes})
