"""What each layer of a network takes: time forward and backward, bytes of weights and outputs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import dropwhile
from typing import Any

import numpy as np

from chainrule.dtypes import Array, is_float
from chainrule.errors import ChainruleError
from chainrule.executors import Fault, native
from chainrule.graph import Value, Variable, gradient, placeholder, scope
from chainrule.graph.symbol import leaves
from chainrule.layers import Input
from chainrule.layers.symbolic import Call, sized
from chainrule.models.functional import Functional
from chainrule.models.model import Model
from chainrule.models.sequential import Sequential
from chainrule.plan import make_plan

Times = dict[str, dict[str, float]]  # of layers by name
_RUNS = 3  # of each program; the fastest counts
_MOST = 100  # layers


def layer_times(model: Model, batch_size: int, seconds: float = 10.0) -> Times:
    """Return for each layer by its name the seconds ``forward`` and ``backward`` for a batch.

    Each layer is measured by itself on random numbers. Of a model that is no graph nothing is
    returned, nor where it would take longer than `seconds`, or a layer cannot be run alone.

    Parameters
    ----------
    model : Model
        Built.
    batch_size : int
        Samples of a batch.
    seconds : float, default 10
        The time that all of it may take.

    Examples
    --------
    >>> from chainrule.insight.costs import layer_times
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((4,)), Dense(8, name="hidden")])
    >>> [*layer_times(model, 32)["hidden"]]
    ['forward', 'backward']
    """
    until = time.monotonic() + seconds
    found: Times = {}
    try:
        calls = _calls(model)
    except ChainruleError:
        return {}
    for call in calls if len(calls) <= _MOST else []:
        if time.monotonic() > until:
            return {}
        try:
            forward, backward = _times(call, batch_size)
        except (ChainruleError, Fault):
            return {}
        known = found.setdefault(call.layer.name, {"forward": 0.0, "backward": 0.0})
        known["forward"] += forward  # a layer that is shared is called several times
        known["backward"] += backward
    return found


def layer_sizes(model: Model, batch_size: int) -> list[dict[str, Any]]:
    """Return for each layer its name, and the bytes of its ``weights`` and of the ``activations``
    that it puts out for a batch.

    Examples
    --------
    >>> from chainrule.insight.costs import layer_sizes
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> layer_sizes(Sequential([Input((4,)), Dense(8, name="hidden")]), 32)
    [{'name': 'hidden', 'weights': 160, 'activations': 1024}]
    """
    shapes = model.layer_shapes()
    return [
        {
            "name": layer.name,
            "weights": sum(v.value.nbytes for v in layer.variables),
            "activations": _bytes(shapes.get(layer.name), batch_size),
        }
        for layer in model.layers
    ]


def _bytes(shape: Any, batch_size: int) -> int:
    """Return the bytes of float32 outputs of this shape, or of several."""
    if not isinstance(shape, tuple | list):
        return 0
    if any(isinstance(part, tuple | list) for part in shape):
        return sum(_bytes(part, batch_size) for part in shape)
    return 4 * math.prod([batch_size, *(n or 1 for n in shape[1:])])


def _calls(model: Model) -> list[Call]:
    if isinstance(model, Functional):
        return list(model.calls)
    if not isinstance(model, Sequential):
        return []
    inside = list(dropwhile(lambda layer: layer.on_host, model.layers))
    before = model.layers[: len(model.layers) - len(inside)]
    if before and inside:  # what is looked up on the host is no part of the step
        shape = model.layer_shapes().get(before[-1].name)
        return _calls(Sequential([Input(shape[1:]), *inside])) if shape else []
    return [symbol.call for symbol in model.graph()[1:]] if inside else []


def _times(call: Call, batch_size: int) -> tuple[float, float]:
    given = [placeholder(sized(s.shape, batch_size), s.dtype, "x") for s in call.inputs()]
    with scope.tracing(None, training=False, probe=True):
        made = [*leaves(call.again(iter(given), call.training))]
    forward = _seconds(made, given)
    both = _seconds([*made, *_slopes(call, made, given)], given)
    return forward, max(both - forward, 0.0)


def _slopes(call: Call, made: Sequence[Value], given: Sequence[Value]) -> list[Value]:
    """Return the gradients of a layer by its weights and inputs."""
    wanted: list[Value | Variable]
    wanted = [*call.layer.trainable_variables, *(x for x in given if is_float(x.dtype))]
    floats = [y for y in made if is_float(y.dtype)]
    if not wanted or not floats:
        return []
    return [g for y in floats for g in gradient(y, wanted, y)]


def _seconds(outputs: Sequence[Value], given: Sequence[Value]) -> float:
    """Return the least time of a few runs of a program."""
    program = native.load(make_plan([*outputs], []))
    random = np.random.default_rng(0)
    for x in given:
        program.bind(x, _numbers(random, x))
    program.run()
    times = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        program.run()
        times.append(time.perf_counter() - began)
    return min(times)


def _numbers(random: np.random.Generator, x: Value) -> Array:
    if not is_float(x.dtype):
        return np.zeros(x.shape, x.dtype)
    return random.random(x.shape).astype(x.dtype)  # as rows of a table of vectors, the first
