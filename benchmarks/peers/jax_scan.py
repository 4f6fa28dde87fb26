"""JAX with Adam written out and the whole epoch in one compiled ``lax.scan``."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ..rows import EPSILON, RATE, Task

_ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def mean_loss(weights: Any, batch: Any, activation: str) -> jax.Array:
    """Softmax cross-entropy of the perceptron's logits, mean over the batch."""
    x, y = batch
    *hidden, (kernel, bias) = weights
    for k, b in hidden:
        x = _ACTIVATIONS[activation](x @ k + b)
    chosen = jax.nn.log_softmax(x @ kernel + bias)
    return -jnp.take_along_axis(chosen, y[:, None], axis=1).mean()


def adam(state: Any, gradient: Any) -> Any:
    """The next ``(weights, first moments, second moments, step)``."""
    weights, first, second, step = state
    step = step + 1
    rate = RATE * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradient)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradient)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, first, second
    )
    return weights, first, second, step


@partial(jax.jit, static_argnames="activation", donate_argnums=0)
def scan(state: Any, x: jax.Array, y: jax.Array, activation: str) -> Any:
    """A step for each batch; the last state and all losses."""

    def step(state: Any, batch: Any) -> Any:
        loss, gradient = jax.value_and_grad(mean_loss)(state[0], batch, activation)
        return adam(state, gradient), loss

    return jax.lax.scan(step, state, (x, y))


class Scan:
    """An epoch is one call of the compiled function."""

    def __init__(self, task: Task) -> None:
        self.activation = task.row.network.activation
        self.x = jnp.asarray(task.x.reshape(-1, task.row.batch, task.x.shape[1]))
        self.y = jnp.asarray(task.y.reshape(-1, task.row.batch))
        weights = [
            tuple(map(jnp.asarray, pair))
            for pair in zip(task.weights[::2], task.weights[1::2], strict=True)
        ]
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = (weights, *zeros, jnp.zeros((), jnp.float32))

    def losses(self, count: int) -> list[float]:
        return self._scan(self.x[:count], self.y[:count]).tolist()

    def epoch(self) -> None:
        self._scan(self.x, self.y).block_until_ready()

    def _scan(self, x: jax.Array, y: jax.Array) -> jax.Array:
        self.state, losses = scan(self.state, x, y, self.activation)
        return losses
