"""What the layers of a graph that Keras described are called with, and how much they put out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.errors import FileError
from chainrule.graph.symbol import leaves

Config = dict[str, Any]
Place = tuple[str, int, int]  # of a value: a layer's name, the number of its call and of the output

_STATES = {"LSTM": 2, "LSTMCell": 2}


@dataclass(frozen=True)
class Given:
    """The arguments of a call, places of values among them: the first, others, and those by
    name."""

    first: Any
    more: list[Any] = field(default_factory=list)
    named: Config = field(default_factory=dict)

    def places(self) -> list[Place]:
        """Return the places of all values."""
        return [*places_of((self.first, self.more, list(self.named.values())))]


def is_place(form: Any) -> bool:
    """Return whether this is the place of a value."""
    return (
        isinstance(form, list | tuple)
        and len(form) == 3
        and isinstance(form[0], str)
        and type(form[1]) is type(form[2]) is int
    )


def places_of(form: Any) -> Iterator[Place]:
    """Yield the places in lists and dicts, in order, among other things."""
    if is_place(form):
        yield str(form[0]), int(form[1]), int(form[2])
    elif isinstance(form, list | tuple):
        for part in form:
            yield from places_of(part)
    elif isinstance(form, Mapping):
        for part in form.values():
            yield from places_of(part)


def listed(form: Any) -> list[Place]:
    """Return the places in lists and dicts that hold nothing else, in order."""
    if is_place(form):
        return [*places_of(form)]
    parts = form.values() if isinstance(form, Mapping) else form
    if not isinstance(form, list | Mapping):
        raise FileError(f"has a graph with {form!r} in the place of a value")
    return [place for part in parts for place in listed(part)]


def given(node: Any, label: str) -> Given:
    """Return what a layer is called with."""
    if isinstance(node, list):  # as Keras 2 wrote it
        if any(part[3:] not in ([], [{}]) for part in node):
            raise FileError(f"{label} is called with arguments, which is not read")
        found = [part[:3] for part in node]
        return Given(found[0] if len(found) == 1 else found)
    args, options = node["args"], node["kwargs"].items()
    told = {k: v for k, v in options if k != "training" and any(x is not None for x in leaves(v))}
    first, *more = [_argument(x, label) for x in args] or [None]
    return Given(first, more, {str(k): _argument(v, label) for k, v in told.items()})


def _argument(x: Any, label: str) -> Any:
    """Return an argument: places of values, and plain data."""
    if x is None or isinstance(x, bool | int | float | str):
        return x
    return tensors(x, label)


def tensors(x: Any, label: str) -> Any:
    """Return places for the values in lists and dicts."""
    if isinstance(x, list):
        return [_argument(part, label) for part in x]
    if not isinstance(x, Mapping):
        raise FileError(f"{label} is called with {x!r}, which is no value of the graph")
    if x.get("class_name") == "__keras_tensor__":
        history = x["config"]["keras_history"]
        if not is_place(history):
            raise FileError(f"{label} is called with a value from nowhere")
        return history
    return {key: _argument(part, label) for key, part in x.items()}


def operand(x: Any, inputs: list[Place]) -> Any:
    """Return an argument of an operation: a number, or a value, noted in `inputs`."""
    if isinstance(x, Mapping) and x.get("class_name") == "__numpy__":
        return {"array": x["config"]["value"], "dtype": x["config"]["dtype"]}
    if isinstance(x, int | float):
        return x
    inputs.append(tensors(x, "an operation"))
    return {"symbol": len(inputs) - 1}


def options(described: Config) -> Config:
    """Return the arguments of an operation that stand beside its values: where masks are made, the
    axes of ``any``."""
    config = described["config"]
    if described["class_name"] != "Any":
        return {}
    return {k: config[k] for k in ("axis", "keepdims") if isinstance(config.get(k), bool | int)}


def outputs(described: Config, call: Given) -> int:
    """Return how many values a layer puts out."""
    if described["class_name"] == "Functional" and "config" in described:
        return _symbols(described["config"]["outputs"])
    if call.named.get("return_attention_scores"):
        return 2
    config = described.get("config", {})
    parts = 2 if config.get("merge_mode", "") is None else 1
    of_states = config["layer"]["config"] if "merge_mode" in config else config
    return parts + (_states(described) if of_states.get("return_state") else 0)


def _states(described: Config) -> int:
    """Return how many arrays the state of a recurrent layer has."""
    config = described["config"]
    if "layer" in config:  # in both directions
        return 2 * _states(config["layer"])
    if "cells" in config:
        return sum(map(_states, config["cells"]))
    if "cell" in config:
        return _states(config["cell"])
    return _STATES.get(described["class_name"], 1)


def _symbols(form: Any) -> int:
    if isinstance(form, Mapping):
        return 1 if "symbol" in form else sum(_symbols(part) for part in form.values())
    return sum(_symbols(part) for part in form)
