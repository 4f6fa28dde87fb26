"""Keras's configurations as chainrule's: plain data becomes plain data, nothing is executed."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from chainrule import dtypes
from chainrule.errors import ArgumentError, DTypeError, FileError
from chainrule.graph.symbol import leaves
from chainrule.layers import Layer, registry
from chainrule.models.keras_files import names

Config = dict[str, Any]
Custom = Mapping[str, type[Layer]]
# Name of a layer, number of its call, number of the output.
Place = tuple[str, int, int]


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
                found[key] = _dtype(config, label) if key == "dtype" else _value(key, value)
            elif key not in names.THEIRS_ALONE or not _says_nothing(key, value):
                raise FileError(f"{label} has {key}={value!r}, which chainrule's {kind} does not")
        return found

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
        inputs = _listed(config["input_layers"])
        entries = [_entry(_parts(described[name])) for name, _, _ in inputs]
        for place in inputs:
            graph.know(place)
        for name, layer in described.items():
            if _parts(layer)[0] != "InputLayer":
                self._add(graph, name, layer)
        graph.finish()
        ends = {key: graph.form(config[f"{key}_layers"]) for key in ("input", "output")}
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
                graph.operation(name, number, names.FUNCTIONS[layer["class_name"]], node["args"])
            return
        place = len(graph.layers)
        graph.layers.append(self.layer(layer))
        outputs = _outputs(graph.layers[-1])
        for number, node in enumerate(nodes):
            graph.waiting.append(((name, number), place, _given(node, label), outputs))


class _Graph:
    """The calls of a graph, put into an order in which each has what it takes."""

    def __init__(self) -> None:
        self.layers: list[Config] = []
        self.calls: list[Config] = []
        self.waiting: list[tuple[tuple[str, int], int, Any, int]] = []
        self._known: dict[Place, int] = {}

    def know(self, place: Place) -> None:
        """Give a value the next number."""
        if place in self._known:
            raise FileError(f"has two values at {list(place)}")
        self._known[place] = len(self._known)

    def operation(self, name: str, number: int, function: str, args: list[Any]) -> None:
        """Note an operation, as a layer that holds its arguments."""
        inputs: list[Place] = []
        held = [_argument(x, inputs) for x in args]
        config = {"name": f"{name}_{number}" if number else name, "function": function}
        described = {"class_name": "Operation", "config": {**config, "args": held, "kwargs": {}}}
        self.waiting.append(((name, number), len(self.layers), inputs, 1))
        self.layers.append(described)

    def finish(self) -> None:
        """Put the calls in order: each once what it takes is there."""
        lacking: dict[Place, list[int]] = defaultdict(list)
        ready = []
        left = []
        for i, (_, _, given, _) in enumerate(self.waiting):
            missing = [p for p in set(_places(given)) if p not in self._known]
            left.append(len(missing))
            for place in missing:
                lacking[place].append(i)
            if not missing:
                ready.append(i)
        for i in ready:
            (name, number), layer, given, outputs = self.waiting[i]
            self.calls.append({"layer": layer, "inputs": self.form(given)})
            for output in range(outputs):
                place = (name, number, output)
                self.know(place)
                for other in lacking.pop(place, ()):
                    left[other] -= 1
                    if left[other] == 0:
                        ready.append(other)
        if len(ready) < len(self.waiting):
            raise FileError(f"has a graph in which {list(next(iter(lacking)))} is missing")

    def form(self, form: Any) -> Any:
        """Return places, in lists and dicts, as our graphs write values down."""
        if _is_place(form):
            return {"symbol": self._known[tuple(form)]}
        if isinstance(form, Mapping):
            return {"dict": {key: self.form(part) for key, part in form.items()}}
        if not isinstance(form, list):
            raise FileError(f"has a graph with {form!r} in the place of a value")
        return [self.form(part) for part in form]


def _parts(described: Any) -> tuple[str, Config, str]:
    """Return class, arguments, and how errors call a layer."""
    kind, config = described["class_name"], described["config"]
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
    """Return the arguments of a layer's class, those of its bases included."""
    return {
        name
        for base in kind.__mro__
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
    if not isinstance(shape, list) or any(n is None for n in shape[1:]):
        raise FileError(f"{label} leaves sizes open: {shape!r}")
    return shape


def _entry(parts: tuple[str, Config, str]) -> Config:
    """Return the arguments of an input of a graph."""
    config = parts[1]
    if parts[0] != "InputLayer":
        raise FileError(f"{parts[2]} stands in the place of an input")
    dtype = config.get("dtype") or dtypes.floatx()
    return {"name": config["name"], "shape": _batch_shape(parts)[1:], "dtype": dtype}


def _is_place(form: Any) -> bool:
    return (
        isinstance(form, list | tuple)
        and len(form) == 3
        and isinstance(form[0], str)
        and type(form[1]) is type(form[2]) is int
    )


def _listed(form: Any) -> list[Place]:
    """Return the places in lists and dicts, in order."""
    return [(str(p[0]), int(p[1]), int(p[2])) for p in _places(form)]


def _places(form: Any) -> list[Any]:
    if _is_place(form):
        return [tuple(form)]
    parts = form.values() if isinstance(form, Mapping) else form
    if not isinstance(form, list | Mapping):
        raise FileError(f"has a graph with {form!r} in the place of a value")
    return [place for part in parts for place in _places(part)]


def _given(node: Any, label: str) -> Any:
    """Return what a layer is called with: places, in lists and dicts."""
    if isinstance(node, list):  # as Keras 2 wrote it
        if any(part[3:] not in ([], [{}]) for part in node):
            raise FileError(f"{label} is called with arguments, which is not read")
        found = [part[:3] for part in node]
        return found[0] if len(found) == 1 else found
    options = node["kwargs"].items()
    extra = [k for k, v in options if k != "training" and any(x is not None for x in leaves(v))]
    if extra or len(node["args"]) != 1:
        raise FileError(f"{label} is called with {', '.join(extra) or 'several arguments'}")
    return _tensors(node["args"][0], label)


def _tensors(x: Any, label: str) -> Any:
    if isinstance(x, list):
        return [_tensors(part, label) for part in x]
    if not isinstance(x, Mapping):
        raise FileError(f"{label} is called with {x!r}, which is no value of the graph")
    if x.get("class_name") == "__keras_tensor__":
        history = x["config"]["keras_history"]
        if not _is_place(history):
            raise FileError(f"{label} is called with a value from nowhere")
        return history
    return {key: _tensors(part, label) for key, part in x.items()}


def _argument(x: Any, inputs: list[Place]) -> Any:
    """Return an argument of an operation: a number, or a value, noted in `inputs`."""
    if isinstance(x, Mapping) and x.get("class_name") == "__numpy__":
        return {"array": x["config"]["value"], "dtype": x["config"]["dtype"]}
    if isinstance(x, int | float):
        return x
    inputs.append(_tensors(x, "an operation"))
    return {"symbol": len(inputs) - 1}


def _outputs(described: Config) -> int:
    """Return how many values a layer puts out."""
    if described["class_name"] != "Functional" or "config" not in described:
        return 1
    return _symbols(described["config"]["outputs"])


def _symbols(form: Any) -> int:
    if isinstance(form, Mapping):
        return 1 if "symbol" in form else sum(_symbols(part) for part in form.values())
    return sum(_symbols(part) for part in form)


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
