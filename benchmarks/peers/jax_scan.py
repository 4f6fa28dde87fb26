"""JAX with Adam written out: the whole epoch in one compiled ``lax.scan``, or a step a call.

In a loop XLA does not give its convolutions to all cores, so that a step a call can be faster;
steps over time are loops of their own in either.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..networks import Conv, Dense, Embedding, Flatten, Layer, Network, Norm, Pool, Recurrent
from ..rows import EPSILON, Row, Task
from .jax_recurrent import recurrent

_ACTIVATIONS: dict[str | None, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    None: lambda x: x,
}


def logits(network: Network, weights: Any, moving: Any, x: jax.Array) -> Any:
    """The logits, and the moving statistics behind this batch."""
    after = []
    for layer, own, past in zip(network.layers, weights, moving, strict=True):
        if isinstance(layer, Norm):
            x, past = _normalized(layer, own, past, x)
        else:
            x = _applied(layer, own, x)
        after.append(past)
    return x, after


def _applied(layer: Layer, own: Any, x: jax.Array) -> jax.Array:
    match layer:
        case Dense(_, activation):
            kernel, bias = own
            return _ACTIVATIONS[activation](x @ kernel + bias)
        case Conv(_, _, activation, padding):
            kernel, bias = own
            axes = ("NHWC", "HWIO", "NHWC")
            y = lax.conv_general_dilated(x, kernel, (1, 1), padding.upper(), dimension_numbers=axes)
            return _ACTIVATIONS[activation](y + bias)
        case Embedding():
            return own[0][x]
        case Recurrent():
            return recurrent(layer, own, x)
        case Pool(size):
            window = (1, size, size, 1)
            return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
        case Flatten():
            return x.reshape(len(x), -1)
    raise TypeError(f"no function for {layer}")


def _normalized(layer: Norm, own: Any, past: Any, x: jax.Array) -> Any:
    (gamma, beta), axes, keep = own, tuple(range(x.ndim - 1)), layer.momentum
    mean, variance = x.mean(axes), x.var(axes)
    y = gamma * (x - mean) * lax.rsqrt(variance + layer.epsilon) + beta
    now = (mean, variance)
    return y, tuple(keep * old + (1 - keep) * new for old, new in zip(past, now, strict=True))


def mean_loss(weights: Any, moving: Any, batch: Any, network: Network) -> Any:
    """Softmax cross-entropy of the logits, mean over the batch; the moving statistics."""
    x, y = batch
    z, after = logits(network, weights, moving, x)
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean(), after


def adam(state: Any, gradient: Any, rate: float) -> Any:
    """The next ``(weights, first moments, second moments, step)``."""
    weights, first, second, step = state
    step = step + 1
    rate = rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradient)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradient)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, first, second
    )
    return weights, first, second, step


def _step(state: Any, batch: Any, row: Row) -> Any:
    trained, moving = state
    slopes = jax.value_and_grad(mean_loss, has_aux=True)
    (loss, moving), gradient = slopes(trained[0], moving, batch, row.network)
    return (adam(trained, gradient, row.rate), moving), loss


@partial(jax.jit, static_argnames="row", donate_argnums=0)
def scan(state: Any, x: jax.Array, y: jax.Array, row: Row) -> Any:
    """A step for each batch; the last state and all losses."""
    return lax.scan(partial(_step, row=row), state, (x, y))


step = jax.jit(_step, static_argnames="row", donate_argnums=0)


class Scan:
    """An epoch is one call of the compiled function."""

    def __init__(self, task: Task) -> None:
        self.row, network = task.row, task.row.network
        self.x = jnp.asarray(task.x.reshape(-1, task.row.batch, *network.shape))
        self.y = jnp.asarray(task.y.reshape(-1, task.row.batch))
        split = [
            (arrays[: len(arrays) - layer.moving], arrays[len(arrays) - layer.moving :])
            for layer, arrays in zip(network.layers, task.layers, strict=True)
        ]
        weights, moving = (
            [tuple(map(jnp.array, arrays)) for arrays in part] for part in zip(*split, strict=True)
        )
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = ((weights, *zeros, jnp.zeros((), jnp.float32)), moving)

    def losses(self, count: int) -> list[float]:
        return self._run(self.x[:count], self.y[:count]).tolist()

    def epoch(self) -> None:
        self._run(self.x, self.y).block_until_ready()

    def _run(self, x: jax.Array, y: jax.Array) -> jax.Array:
        self.state, losses = scan(self.state, x, y, self.row)
        return losses


class Steps(Scan):
    """An epoch is a loop in Python over a compiled step, on batches that are JAX's already."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.batches = list(zip(self.x, self.y, strict=True))

    def losses(self, count: int) -> list[float]:
        return [float(self._one(batch)) for batch in self.batches[:count]]

    def epoch(self) -> None:
        for batch in self.batches:
            loss = self._one(batch)
        loss.block_until_ready()

    def _one(self, batch: Any) -> jax.Array:
        self.state, loss = step(self.state, batch, self.row)
        return loss
