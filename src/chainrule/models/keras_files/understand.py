"""Keras's configurations as chainrule's: plain data becomes plain data, nothing is executed."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from chainrule import dtypes
from chainrule.errors import ArgumentError, DTypeError, FileError
from chainrule.layers import Layer, registry
from chainrule.models.keras_files import names
from chainrule.models.keras_files.calls import (
    Config,
    Given,
    Place,
    given,
    is_place,
    listed,
    operand,
    options,
    outputs,
)

Custom = Mapping[str, type[Layer]]


class Reader:
    """Turns Keras's descriptions into those that `from_config` takes; counts shared layers."""

    def __init__(self, custom: Custom) -> None:
        self.custom = custom
        self._count = 0
        self._shared: dict[Any, int] = {}

    def layer(self, described: Any) -> Config:
        """Return our description of a layer or model.

        Raises
        ------
        FileError
            For a layer, or an argument of one, that is not known here, by name.
        """
        kind, config, label = _parts(described)
        shared = described.get("shared_object_id")
        if shared in self._shared:
            return {"class_name": kind, "shared": self._shared[shared]}
        if kind == "Sequential":
            found: Config = {"class_name": kind, "config": self.sequential(config)}
        elif kind in ("Functional", "Model"):
            found = {"class_name": "Functional", "config": self.functional(config)}
        elif _is_operation(described):
            raise FileError(f"{label} is an operation, which stands in graphs alone")
        else:
            found = {"class_name": kind, "config": self._arguments(kind, config, label)}
        if shared is not None:
            self._shared[shared] = self._count
        self._count += 1
        return found

    def _arguments(self, kind: str, config: Config, label: str) -> Config:
        """Return the arguments of a layer, those left out that say nothing."""
        if kind in self.custom:
            return _of_own(self.custom[kind], config, label)
        if kind not in names.LAYERS:
            raise FileError(
                f"{label} is not one of the layers that are read from Keras's files; "
                "give its class in custom_objects"
                + (": code in a file is never run" if kind == "Lambda" else "")
            )
        taken = _parameters(registry[kind])
        found: Config = {}
        for key, value in config.items():
            if key in taken:
                found[key] = _dtype(config, label) if key == "dtype" else self._value(key, value)
            elif key not in names.THEIRS_ALONE or not _says_nothing(key, value):
                raise FileError(f"{label} has {key}={value!r}, which chainrule's {kind} does not")
        return found

    def _value(self, key: str, value: Any) -> Any:
        """Return an argument, which may be a layer or a list of them."""
        if key not in names.WITHIN or value is None:
            return _value(key, value)
        return [*map(self.layer, value)] if isinstance(value, list) else self.layer(value)

    def sequential(self, config: Config) -> Config:
        """Return the configuration of a `Sequential`."""
        layers = list(config["layers"])
        given = config.get("build_input_shape")
        if layers and _parts(layers[0])[0] == "InputLayer":
            given = _batch_shape(_parts(layers.pop(0)))
        elif layers:
            first = _parts(layers[0])[1]
            given = first.get("batch_input_shape") or first.get("batch_shape") or given
        stack = [self.layer(layer) for layer in layers]
        return {"name": config["name"], "input_shape": given, "layers": stack}

    def functional(self, config: Config) -> Config:
        """Return the configuration of a graph."""
        graph = _Graph()
        described = {str(x.get("name") or x["config"]["name"]): x for x in config["layers"]}
        if len(described) != len(config["layers"]):
            raise FileError("has two layers of one name")
        inputs = listed(config["input_layers"])
        entries = [_entry(_parts(described[name])) for name, _, _ in inputs]
        for place in inputs:
            graph.know(place)
        for name, layer in described.items():
            if _parts(layer)[0] != "InputLayer":
                self._add(graph, name, layer)
        graph.finish()
        ends = {}
        for key in ("input", "output"):
            listed(config[f"{key}_layers"])
            ends[key] = graph.form(config[f"{key}_layers"])
        return {
            "name": config["name"],
            "entries": entries,
            "layers": graph.layers,
            "calls": graph.calls,
            "inputs": ends["input"],
            "outputs": ends["output"],
        }

    def _add(self, graph: _Graph, name: str, layer: Any) -> None:
        nodes, label = layer["inbound_nodes"], _parts(layer)[2]
        if _is_operation(layer):
            for number, node in enumerate(nodes):
                graph.operation(name, number, layer, node["args"])
            return
        place = len(graph.layers)
        graph.layers.append(self.layer(layer))
        for number, node in enumerate(nodes):
            call = given(node, label)
            count = outputs(graph.layers[-1], call)
            graph.waiting.append(((name, number), place, call, count))


class _Graph:
    """The calls of a graph, put into an order in which each has what it takes."""

    def __init__(self) -> None:
        self.layers: list[Config] = []
        self.calls: list[Config] = []
        self.waiting: list[tuple[tuple[str, int], int, Given, int]] = []
        self._known: dict[Place, int] = {}

    def know(self, place: Place) -> None:
        """Give a value the next number."""
        if place in self._known:
            raise FileError(f"has two values at {list(place)}")
        self._known[place] = len(self._known)

    def operation(self, name: str, number: int, layer: Any, args: list[Any]) -> None:
        """Note an operation, as a layer that holds its arguments."""
        inputs: list[Place] = []
        held = {"args": [operand(x, inputs) for x in args], "kwargs": options(layer)}
        function = names.FUNCTIONS[layer["class_name"]]
        config = {"name": f"{name}_{number}" if number else name, "function": function}
        described = {"class_name": "Operation", "config": {**config, **held}}
        self.waiting.append(((name, number), len(self.layers), Given(inputs), 1))
        self.layers.append(described)

    def finish(self) -> None:
        """Put the calls in order: each once what it takes is there."""
        lacking: dict[Place, list[int]] = defaultdict(list)
        ready = []
        left = []
        for i, (_, _, call, _) in enumerate(self.waiting):
            missing = [p for p in set(call.places()) if p not in self._known]
            left.append(len(missing))
            for place in missing:
                lacking[place].append(i)
            if not missing:
                ready.append(i)
        for i in ready:
            (name, number), layer, call, count = self.waiting[i]
            self.calls.append({"layer": layer, **self._arguments(call)})
            for output in range(count):
                place = (name, number, output)
                self.know(place)
                for other in lacking.pop(place, ()):
                    left[other] -= 1
                    if left[other] == 0:
                        ready.append(other)
        if len(ready) < len(self.waiting):
            raise FileError(f"has a graph in which {list(next(iter(lacking)))} is missing")

    def _arguments(self, call: Given) -> Config:
        found = {"inputs": self.form(call.first)}
        if call.more:
            found["more"] = self.form(call.more)
        if call.named:
            found["named"] = self.form(call.named)
        return found

    def form(self, form: Any) -> Any:
        """Return places, in lists and dicts among other things, as our graphs write them down."""
        if is_place(form):
            return {"symbol": self._known[tuple(form)]}
        if isinstance(form, Mapping):
            return {"dict": {key: self.form(part) for key, part in form.items()}}
        return [self.form(part) for part in form] if isinstance(form, list) else form


def _parts(described: Any) -> tuple[str, Config, str]:
    """Return class, arguments, and how errors call a layer."""
    config, named = described["config"], described["class_name"]
    kind = next((k for k, name in names.CLASSES.items() if name == named), named)
    if isinstance(config, list):  # a Sequential of the first years
        config = {"name": "sequential", "layers": config}
    if not isinstance(kind, str) or not isinstance(config, Mapping):
        raise FileError("describes a layer without class or arguments")
    return kind, dict(config), f"layer {config.get('name')!r} ({kind})"


def _is_operation(described: Mapping[str, Any]) -> bool:
    """Return whether it is an operation; in the older files nothing but its arguments says so."""
    module, kind = described.get("module"), described["class_name"]
    if module is None and kind in names.FUNCTIONS:
        nodes = described.get("inbound_nodes") or [None]
        return set(described["config"]) == {"name"} and isinstance(nodes[0], Mapping)
    if not isinstance(module, str) or not module.startswith("keras.src.ops."):
        return False
    if kind not in names.FUNCTIONS:
        raise FileError(f"the graph holds the operation {kind}, which is not read")
    return True


def _parameters(kind: type[Layer]) -> set[str]:
    """Return the arguments of a layer's class, those of its bases and of its cell included."""
    return {
        name
        for base in (*kind.__mro__, *getattr(kind, "kind", kind).__mro__)
        if issubclass(base, Layer)
        for name in inspect.signature(base.__init__).parameters
    }


def _of_own(kind: type[Layer], config: Config, label: str) -> Config:
    """Return the arguments of a class of the user's, but for those of Keras's that mean nothing."""
    taken = _parameters(kind)
    found = {k: v for k, v in config.items() if k in taken or k not in names.THEIRS_ALONE}
    return {**found, "dtype": _dtype(config, label)} if "dtype" in found else found


def _dtype(config: Config, label: str) -> str:
    """Return the dtype of a layer from a name or a policy."""
    given = config["dtype"]
    policy = given.get("config", {}).get("name") if isinstance(given, Mapping) else given
    try:
        return dtypes.name_of(policy) if isinstance(policy, str) else dtypes.floatx()
    except DTypeError:
        raise FileError(f"{label} computes in {policy!r}, which is not supported") from None


def _value(key: str, value: Any) -> Any:
    """Return an argument; rules and functions, which are described by class, as ours are."""
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    if value["class_name"] in ("function", "__lambda__"):
        name = value.get("registered_name") or value.get("config")
        if value["class_name"] == "__lambda__" or not isinstance(name, str):
            raise FileError(f"has code as {key}, and code in a file is never run")
        return name
    if value["class_name"] == "__numpy__":
        return value["config"]["value"]
    config = {k: v for k, v in value["config"].items() if not _says_nothing(k, v)}
    if isinstance(config.get("seed"), Mapping):
        config["seed"] = None
    return {"class_name": value["class_name"], "config": config}


def _says_nothing(key: str, value: Any) -> bool:
    known = names.THEIRS_ALONE.get(key)
    return known is not None and (known == () or any(value is k or value == k for k in known))


def _batch_shape(parts: tuple[str, Config, str]) -> list[Any]:
    _, config, label = parts
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if not isinstance(shape, list):
        raise FileError(f"{label} has no shape: {shape!r}")
    return shape


def _entry(parts: tuple[str, Config, str]) -> Config:
    """Return the arguments of an input of a graph."""
    config = parts[1]
    if parts[0] != "InputLayer":
        raise FileError(f"{parts[2]} stands in the place of an input")
    dtype = config.get("dtype") or dtypes.floatx()
    return {"name": config["name"], "shape": _batch_shape(parts)[1:], "dtype": dtype}


def understood(described: Any, custom: Custom | None) -> Config:
    """Return our description of a model that Keras described.

    Raises
    ------
    ArgumentError
        For something else than a `Sequential` or a graph.
    """
    reader = Reader(custom or {})
    if not isinstance(described, Mapping) or described.get("class_name") not in (
        "Sequential",
        "Functional",
        "Model",
    ):
        kind = described.get("class_name") if isinstance(described, Mapping) else described
        raise ArgumentError(f"a {kind!r} is neither a Sequential nor a graph of layers")
    return reader.layer(described)
