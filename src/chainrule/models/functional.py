"""Models as graphs of layers, made of the symbols that layers put out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph import Spec, Value
from chainrule.graph.symbol import Symbol, filled, leaves
from chainrule.layers import InputLayer, Layer, deserialize, serialize, sharing
from chainrule.layers.masks import put_on
from chainrule.layers.symbolic import Call, check_plain, decoded, encoded
from chainrule.models.model import Model
from chainrule.models.named import arranged


class Functional(Model):
    """A graph of layers from `inputs` to `outputs`: what ``Model(inputs, outputs)`` returns.

    Parameters
    ----------
    inputs : Symbol, or list or dict of them
        What `Input` returned, or a value in the middle of another graph.
    outputs : Symbol, or list or dict of them
        What layers returned that were called with symbols.
    name : str, optional
        Shown in the summary.
    recompute : bool, default False
        Whether training keeps only the input of this model, where it is a block of another, and
        computes what is inside again for the backward pass: less memory, the same bits.

    Attributes
    ----------
    input_names, output_names : list of str
        By which data, targets, losses and metrics are given in dicts: the keys of the dicts given
        here, else the names of the layers.

    Raises
    ------
    GraphError
        For an output that depends on an input that is not given, or an input that no output
        depends on.
    ArgumentError
        For two layers of one name, or inputs or outputs that are no symbols.

    Examples
    --------
    >>> from chainrule.layers import Add, Dense, Input
    >>> from chainrule.models import Model
    >>> x = Input((4,))
    >>> hidden = Dense(8, activation="relu")(x)
    >>> deep = Dense(8, activation="relu")(hidden)
    >>> model = Model(x, Dense(3)(Add()([hidden, deep])))
    >>> model.output_shape, model.count_params()
    ((None, 3), 139)
    """

    takes_forms = False

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, recompute: bool = False
    ) -> None:
        super().__init__(name=name, recompute=recompute)
        self._ins, self._outs = _unpacked(inputs, "inputs"), _unpacked(outputs, "outputs")
        self.inputs: list[Symbol] = list(leaves(self._ins))
        self.outputs: list[Symbol] = list(leaves(self._outs))
        self.takes_many = len(self.inputs) > 1
        self.entries = [_entry(symbol) for symbol in self.inputs]
        self.calls = self._reached()
        self._stack = _by_depth(self.inputs, self.entries, self.outputs)
        self._unique = [layer for layer in self._stack if layer not in self.entries]
        _check_names(self._stack)
        self.input_names = _names(self._ins, self.inputs)
        self.output_names = _names(self._outs, self.outputs)
        self._note_shapes()

    def _reached(self) -> list[Call]:
        """Return the calls between inputs and outputs, in the order they were made."""
        given = {id(symbol) for symbol in self.inputs}
        found: dict[int, Call] = {}
        used: set[int] = set()
        waiting = list(self.outputs)
        while waiting:
            symbol = waiting.pop()
            if id(symbol) in given:
                used.add(id(symbol))
            elif symbol.call.given is None:
                raise self._missing(symbol)
            elif id(symbol.call) not in found:
                found[id(symbol.call)] = symbol.call
                waiting += symbol.call.inputs()
        for symbol in self.inputs:
            if id(symbol) not in used:
                raise GraphError(f"no output of the model depends on the input {symbol.name!r}")
        return sorted(found.values(), key=lambda call: call.number)

    def _missing(self, symbol: Symbol) -> GraphError:
        given = ", ".join(repr(s.name) for s in self.inputs)
        return GraphError(
            f"the graph is disconnected: the outputs depend on the input {symbol.name!r}, "
            f"which is not among the model's inputs ({given}).\n"
            f"  fix: add it: Model(inputs=[..., {symbol.name}], outputs=...)"
        )

    def _note_shapes(self) -> None:
        shapes = [tuple(s.shape) for s in self.inputs]
        self._input_shape = shapes[0] if len(shapes) == 1 else None
        self._output_shape = tuple(self.outputs[0].shape) if len(self.outputs) == 1 else None
        self._shapes = {e.name: (None, *e.shape) for e in self.entries}
        for call in self.calls:
            self._shapes[call.layer.name] = tuple(call.outputs[0].shape)
        self.built = True

    def build(self, input_shape: Any) -> None:
        """Do nothing: the layers were built when the graph was made."""

    @property
    def input(self) -> Any:
        """The symbol that the graph begins with; of several, their list or dict."""
        return self._ins

    @property
    def output(self) -> Any:
        """The symbol that the graph ends in; of several, their list or dict."""
        return self._outs

    @property
    def input_shape(self) -> Any:
        """The shape of the input, its first axis ``None``; of several, in their list or dict."""
        return filled(self._ins, (tuple(s.shape) for s in self.inputs))

    @property
    def output_shape(self) -> Any:
        """The shape of the output, its first axis ``None``; of several, in their list or dict."""
        return filled(self._outs, (tuple(s.shape) for s in self.outputs))

    def sublayers(self) -> list[Layer]:
        """The layers, those farthest from the outputs first: the order of weights, as in Keras."""
        return list(self._stack)

    def input_specs(self) -> list[Spec]:
        """Return shape (of one sample) and dtype of each input."""
        return [Spec(tuple(n or 0 for n in s.shape[1:]), s.dtype) for s in self.inputs]

    @property
    def input_dtype(self) -> str | None:  # type: ignore[override]
        """What a single input is given arrays in."""
        return self.inputs[0].dtype if len(self.inputs) == 1 else None

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Return the outputs for these inputs: a list in order, or a dict by the inputs' names;
        masks stand in the same form."""
        given = arranged("the input", inputs, self.input_names)
        put_on(
            given, [mask.get(n) for n in self.input_names] if isinstance(mask, Mapping) else mask
        )
        known: dict[int, Value] = {}
        for symbol, value in zip(self.inputs, given, strict=True):
            known[id(symbol)] = self._fitting(symbol, value)
        for call in self.calls:
            chosen = training if call.training is None else call.training
            made = leaves(call.again((known[id(s)] for s in call.inputs()), chosen))
            known |= {id(s): value for s, value in zip(call.outputs, made, strict=True)}
        return filled(self._outs, (known[id(s)] for s in self.outputs))

    def _fitting(self, symbol: Symbol, value: Value) -> Value:
        expected, given = tuple(symbol.shape[1:]), tuple(value.shape[1:])
        fits = len(given) == len(expected)
        if not fits or any(m not in (None, n) for n, m in zip(given, expected, strict=True)):
            raise ShapeError(
                f"the input {symbol.name!r} has samples of shape {list(expected)}, "
                f"but is given {list(value.shape[1:])}"
            )
        return value

    def formed(self, inputs: list[Value]) -> Any:
        """Return the inputs as `call` takes them."""
        return inputs[0] if len(inputs) == 1 else inputs

    def shaped(self, outputs: list[Array]) -> Any:
        """Return the outputs in the list or dict that the model was made with."""
        return filled(self._outs, iter(outputs))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same graph of, without its weights; for a class that
        is made with other arguments than inputs and outputs, those."""
        if self._made is not None:
            common = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
            return self._made.config(self, common)
        with sharing():
            stack = [serialize(layer) for layer in self._unique]
        wiring = self.wiring()
        check_plain([wiring["inputs"], wiring["outputs"], wiring["calls"]], self.label)
        entries = [layer.get_config() for layer in self.entries]
        again = {"recompute": True} if self.recompute else {}
        return {"name": self.name, "entries": entries, "layers": stack, **wiring, **again}

    def wiring(self) -> dict[str, Any]:
        """Return what each call is of and what it is given, by the places of layers and values."""
        place = {id(layer): i for i, layer in enumerate(self._unique)}
        symbols: list[Symbol] = list(self.inputs)
        calls = []
        for call in self.calls:
            given = _placed(call.given, symbols)
            calls.append({"layer": place[id(call.layer)], "inputs": given})
            if call.more or call.named:
                calls[-1]["more"] = _placed(list(call.more), symbols)
                calls[-1]["named"] = _placed(dict(call.named), symbols)
            if call.training is not None:
                calls[-1]["training"] = call.training
            symbols += call.outputs
        ins, outs = _placed(self._ins, symbols), _placed(self._outs, symbols)
        return {"calls": calls, "inputs": ins, "outputs": outs}

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, type[Layer]] | None = None,
    ) -> Functional:
        """Return the graph that `get_config` described; `custom_objects` are your own layers."""
        if "entries" not in config:
            return cls(**config)
        symbols = [InputLayer(**entry).symbol() for entry in config["entries"]]
        with sharing():
            stack = [deserialize(c, custom_objects) for c in config["layers"]]
        for call in config["calls"]:
            given = decoded(call["inputs"], symbols)
            more = decoded(call.get("more", []), symbols)
            named = decoded(call.get("named", {"dict": {}}), symbols)
            made = stack[call["layer"]](given, *more, training=call.get("training"), **named)
            symbols += leaves(made)
        ins, outs = decoded(config["inputs"], symbols), decoded(config["outputs"], symbols)
        model = cls(ins, outs, name=config["name"])
        model.recompute = bool(config.get("recompute", False))
        return model


_grown: dict[type[Model], type[Functional]] = {Model: Functional}


def grown(kind: type[Model]) -> type[Functional]:
    """Return a class for the graphs of a class of the user's that says nothing about its `call`."""
    if issubclass(kind, Functional):
        return kind
    if kind not in _grown:
        told = {"__module__": kind.__module__, "__doc__": kind.__doc__}
        told["__qualname__"] = kind.__qualname__
        _grown[kind] = type(kind.__name__, (kind, Functional), told)
    return _grown[kind]


def _by_depth(
    inputs: Sequence[Symbol], entries: Sequence[InputLayer], outputs: Sequence[Symbol]
) -> list[Layer]:
    """Return the layers by their greatest number of calls from an output, the largest first.

    Those of one depth stand in the order in which a walk up from the outputs meets them.
    """
    entry = {id(symbol): layer for symbol, layer in zip(inputs, entries, strict=True)}
    place: dict[int, Layer] = {}
    finished = _walked([_node(symbol, entry) for symbol in outputs], entry, place)
    depths: dict[int, int] = {}
    for node in reversed(finished):
        layer = _layer(node)
        depth = max(depths.get(id(node), 0), depths.get(id(layer), 0))
        depths[id(node)] = depths[id(layer)] = depth
        for above in _above(node, entry):
            depths[id(above)] = max(depth + 1, depths.get(id(above), 0))
    return sorted(place.values(), key=lambda layer: -depths[id(layer)])


def _walked(
    ends: list[Call | InputLayer], entry: Mapping[int, InputLayer], met: dict[int, Layer]
) -> list[Call | InputLayer]:
    """Return inputs and calls, each after what it takes from; note layers in `met` on the way."""
    finished: dict[int, Call | InputLayer] = {}
    for end in ends:
        open_ = [(end, iter(_above(end, entry)))]
        while open_:
            node, rest = open_[-1]
            met.setdefault(id(_layer(node)), _layer(node))
            above = next((a for a in rest if id(a) not in finished), None)
            if above is None:
                finished.setdefault(id(node), node)
                open_.pop()
            else:
                open_.append((above, iter(_above(above, entry))))
    return list(finished.values())


def _node(symbol: Symbol, entry: Mapping[int, InputLayer]) -> Call | InputLayer:
    node: Call | InputLayer = entry.get(id(symbol), symbol.call)
    return node


def _layer(node: Call | InputLayer) -> Layer:
    return node.layer if isinstance(node, Call) else node


def _above(node: Call | InputLayer, entry: Mapping[int, InputLayer]) -> list[Call | InputLayer]:
    return [_node(s, entry) for s in node.inputs()] if isinstance(node, Call) else []


def _placed(form: Any, symbols: list[Symbol]) -> Any:
    """Return lists, tuples and dicts of symbols as plain data, each as its place in `symbols`."""
    place = {id(symbol): i for i, symbol in enumerate(symbols)}
    found: list[Symbol] = []
    return _renumbered(encoded(form, found), [place[id(symbol)] for symbol in found])


def _renumbered(x: Any, places: list[int]) -> Any:
    if isinstance(x, list):
        return [_renumbered(part, places) for part in x]
    if isinstance(x, dict):
        if "symbol" in x and isinstance(x["symbol"], int):
            return {"symbol": places[x["symbol"]]}
        return {key: _renumbered(part, places) for key, part in x.items()}
    return x


def _unpacked(form: Any, what: str) -> Any:
    """Return the symbols checked; a list of one as that one."""
    found = list(leaves(form))
    if not found:
        raise ArgumentError(f"{what} is empty: a model has at least one")
    for part in found:
        if not isinstance(part, Symbol):
            raise ArgumentError(
                f"{what} must be symbols: what Input(...) returns, or a layer called with one; "
                f"not {part!r}"
            )
    if isinstance(form, list | tuple) and len(found) == 1 and form[0] is found[0]:
        return found[0]
    return form


def _entry(symbol: Symbol) -> InputLayer:
    """Return the input's layer; for a value in the middle of a graph, a new one."""
    layer = symbol.call.layer
    if isinstance(layer, InputLayer):
        return layer
    return InputLayer(symbol.shape[1:], f"{symbol.name}_input", symbol.dtype)


def _check_names(found: Iterable[Layer]) -> None:
    known: dict[str, Layer] = {}
    for layer in found:
        if known.setdefault(layer.name, layer) is not layer:
            raise ArgumentError(
                f"two layers are called {layer.name!r}: {known[layer.name].label} and "
                f"{layer.label}; give them other names"
            )


def _names(form: Any, symbols: Sequence[Symbol]) -> list[str]:
    """Return the names of inputs or outputs, each once."""
    if isinstance(form, Mapping) and len(form) == len(symbols):
        return [str(key) for key in form]
    names: list[str] = []
    for symbol in symbols:
        name, count = symbol.name, 1
        while name in names:
            name, count = f"{symbol.name}_{count}", count + 1
        names.append(name)
    return names
