"""chainrule's models as Keras's configurations: what is in a `.keras` file as `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError, FileError
from chainrule.graph.symbol import Symbol
from chainrule.layers import InputLayer, Layer, Normalization, Operation
from chainrule.layers.symbolic import Call
from chainrule.models.keras_files import names

if TYPE_CHECKING:
    from chainrule.models.functional import Functional
    from chainrule.models.sequential import Sequential


class Describer:
    """Numbers the layers, so that one which stands in several models is made once."""

    def __init__(self) -> None:
        self._met: dict[int, dict[str, Any]] = {}

    def model(self, layer: Layer) -> dict[str, Any]:
        """Return Keras's description of a model or layer.

        Raises
        ------
        FileError
            For a layer that Keras does not have, by name.
        """
        known = self._met.get(id(layer))
        if known is None:
            known = self._described(layer)
            known["shared_object_id"] = len(self._met) + 1
            self._met[id(layer)] = known
        return known

    def _described(self, layer: Any) -> dict[str, Any]:
        kind = type(layer).__name__
        ours = type(layer).__module__.startswith("chainrule.")
        if ours and kind == "Sequential":
            return _wrapped("keras", kind, self._sequential(layer))
        if ours and kind == "Functional":
            return _wrapped("keras.src.models.functional", kind, self._functional(layer))
        if not ours or kind not in names.LAYERS:
            raise FileError(
                f"{layer.label} is not among the layers that a file of Keras's can hold.\n"
                "  fix: save as .chainrule, or the weights alone as .weights.h5"
            )
        try:
            return _wrapped("keras.layers", kind, self._within(layer, _config(layer)))
        except ArgumentError as error:
            raise FileError(f"{layer.label} cannot be written as a file: {error}") from error

    def _within(self, layer: Layer, config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration with Keras's descriptions of the layers among the arguments."""
        for name in (name for name in names.WITHIN if name in config):
            held = getattr(layer, name)
            many = isinstance(held, list)
            config[name] = [*map(self.model, held)] if many else self.model(held)
        return config

    def _sequential(self, model: Sequential) -> dict[str, Any]:
        stack = [self.model(layer) for layer in model.layers]
        if model.built:
            dtype = model.layers[0].dtype if model.layers else model.dtype
            given = [None, *model.input_shape[1:]]
            stack.insert(0, _input(f"{model.name}_input", given, dtype))
        return {"name": model.name, "trainable": model.trainable, "layers": stack}

    def _functional(self, model: Functional) -> dict[str, Any]:
        nodes = _Nodes(model)
        stack = []
        for layer in model.sublayers():
            if isinstance(layer, InputLayer):
                described = _input(layer.name, [None, *layer.shape], layer.dtype)
            elif isinstance(layer, Operation):
                described = _operation(layer)
            else:
                described = self.model(layer)
            stack.append({**described, "name": layer.name, "inbound_nodes": nodes.of(layer)})
        return {
            "name": model.name,
            "trainable": model.trainable,
            "layers": stack,
            "input_layers": nodes.places(model._ins),
            "output_layers": nodes.places(model._outs),
        }


def _wrapped(module: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    described = {"module": module, "class_name": kind, "config": dict(config)}
    return {**described, "registered_name": None}


def _input(name: str, shape: list[int | None], dtype: str) -> dict[str, Any]:
    return _wrapped(
        "keras.layers", "InputLayer", {"batch_shape": shape, "dtype": dtype, "name": name}
    )


def _config(layer: Layer) -> dict[str, Any]:
    config = {"trainable": layer.trainable, **layer.get_config()}
    refused = names.REFUSED if type(layer).__name__.startswith("SpatialDropout") else ()
    for name in (*names.OURS_ALONE, *refused):
        config.pop(name, None)
    if isinstance(layer, Normalization) and layer.adapted:
        config |= {"mean": None, "variance": None}
    return {key: _value(key, value) for key, value in config.items()}


def _value(key: str, value: Any) -> Any:
    """Return an argument; rules, which are described by class and arguments, with their module."""
    for ending, module in names.RULES.items():
        if key.endswith(ending) and isinstance(value, Mapping):
            return _wrapped(module, value["class_name"], value["config"])
    return value


def _operation(layer: Operation) -> dict[str, Any]:
    if layer.function not in names.OPERATIONS or layer.kwargs:
        raise FileError(
            f"{layer.label} cannot be written into a file of Keras's: of the operations, these "
            f"can: {', '.join(names.OPERATIONS)}.\n"
            "  fix: save as .chainrule, or the weights alone as .weights.h5"
        )
    module, kind = names.OPERATIONS[layer.function]
    described = _wrapped(f"keras.src.ops.{module}", kind, {"name": layer.name})
    return {**described, "registered_name": kind}


class _Nodes:
    """The calls in a graph as Keras numbers them: for each layer from 0."""

    def __init__(self, model: Functional) -> None:
        self.calls: dict[int, list[Call]] = {}
        self._place: dict[int, tuple[str, int, int]] = {}
        for symbol, entry in zip(model.inputs, model.entries, strict=True):
            self._place[id(symbol)] = (entry.name, 0, 0)
        for call in model.calls:
            number = len(self.calls.setdefault(id(call.layer), []))
            self.calls[id(call.layer)].append(call)
            for i, symbol in enumerate(call.outputs):
                self._place[id(symbol)] = (call.layer.name, number, i)

    def of(self, layer: Layer) -> list[dict[str, Any]]:
        """Return the calls of a layer."""
        return [self._node(call) for call in self.calls.get(id(layer), [])]

    def _node(self, call: Call) -> dict[str, Any]:
        if isinstance(call.layer, Operation):
            inputs = call.inputs()
            return {"args": [self._argument(x, inputs) for x in call.layer.args], "kwargs": {}}
        options = {} if call.training is None else {"training": call.training}
        args = [self._tensors(call.given), *map(self._further, call.more)]
        named = {name: self._further(x) for name, x in call.named.items()}
        return {"args": args, "kwargs": {**named, **options}}

    def _further(self, x: Any) -> Any:
        """Return an argument behind the first: symbols, and what JSON can hold."""
        if x is None or isinstance(x, bool | int | float | str):
            return x
        if isinstance(x, list | tuple):
            return [self._further(part) for part in x]
        if not isinstance(x, Symbol):
            raise FileError(f"a layer is called with {x!r}, which a file of Keras's cannot hold")
        return self._tensors(x)

    def _argument(self, x: Any, inputs: list[Symbol]) -> Any:
        """Return an argument of an operation: a number, or one of its inputs."""
        if isinstance(x, Mapping) and "symbol" in x:
            return self._tensors(inputs[x["symbol"]])
        if isinstance(x, Mapping) and "array" in x:
            held = {"value": x["array"], "dtype": x["dtype"]}
            return {"class_name": "__numpy__", "config": held}
        if not isinstance(x, int | float):
            raise FileError(f"an operation is given {x!r}, which a file of Keras's cannot hold")
        return x

    def _tensors(self, form: Any) -> Any:
        if isinstance(form, Symbol):
            shape, history = list(form.shape), list(self._place[id(form)])
            config = {"shape": shape, "dtype": form.dtype, "keras_history": history}
            return {"class_name": "__keras_tensor__", "config": config}
        if isinstance(form, Mapping):
            return {key: self._tensors(part) for key, part in form.items()}
        return [self._tensors(part) for part in form]

    def places(self, form: Any) -> Any:
        """Return where inputs or outputs come from, in their list or dict."""
        if isinstance(form, Symbol):
            return [list(self._place[id(form)])]
        if isinstance(form, Mapping):
            return {key: list(self._place[id(part)]) for key, part in form.items()}
        return [list(self._place[id(part)]) for part in form]


def described(model: Layer) -> dict[str, Any]:
    """Return Keras's description of a whole model."""
    return Describer().model(model)
