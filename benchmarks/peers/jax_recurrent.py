"""Recurrent layers in JAX: one product for the inputs of all steps, then ``lax.scan`` over time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..networks import Recurrent

Cell = Callable[..., Any]


def recurrent(layer: Recurrent, own: Any, x: jax.Array) -> jax.Array:
    """The last states of the directions, or with ``sequences`` all, side by side."""
    parts = zip(*[iter(own)] * 3, strict=True)
    found = [_direction(layer, one, x, bool(n)) for n, one in enumerate(parts)]
    return jnp.concatenate(found, axis=-1)


def _direction(layer: Recurrent, own: Any, x: jax.Array, reverse: bool) -> jax.Array:
    kernel, inner, bias = own
    given, kept = (bias[0], bias[1]) if bias.ndim == 2 else (bias, None)
    z = jnp.moveaxis(x, 1, 0) @ kernel + given
    zeros = jnp.zeros((len(x), layer.units))
    first = (zeros, zeros) if layer.kind == "LSTM" else (zeros,)
    cell = partial(_CELLS[layer.kind], inner, kept)

    def step(states: Any, z: jax.Array) -> Any:
        states = cell(z, *states)
        return states, states[0] if layer.sequences else None

    last, every = lax.scan(step, first, z, reverse=reverse)
    return jnp.moveaxis(every, 0, 1) if layer.sequences else last[0]


def _lstm(inner: Any, _: None, z: jax.Array, h: jax.Array, c: jax.Array) -> Any:
    add, keep, new, out = jnp.split(z + h @ inner, 4, axis=-1)
    c = jax.nn.sigmoid(keep) * c + jax.nn.sigmoid(add) * jnp.tanh(new)
    return jax.nn.sigmoid(out) * jnp.tanh(c), c


def _gru(inner: Any, bias: Any, z: jax.Array, h: jax.Array) -> Any:
    update, reset, new = jnp.split(z, 3, axis=-1)
    of_update, of_reset, of_new = jnp.split(h @ inner + bias, 3, axis=-1)
    keep = jax.nn.sigmoid(update + of_update)
    new = jnp.tanh(new + jax.nn.sigmoid(reset + of_reset) * of_new)
    return (keep * h + (1 - keep) * new,)


def _simple(inner: Any, _: None, z: jax.Array, h: jax.Array) -> Any:
    return (jnp.tanh(z + h @ inner),)


_CELLS: dict[str, Cell] = {"LSTM": _lstm, "GRU": _gru, "SimpleRNN": _simple}
