"""Layers that mix samples with each other, and their targets alike; all of it only in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError, DTypeError, GraphError, MissingMethodError
from chainrule.graph import Value, scope
from chainrule.graph.symbol import is_symbolic
from chainrule.layers.regularization import _Random

# Under these names a step says that it mixes targets too, and `MixUp` how it mixed the samples.
MIXES, MIXED = "mixes", "mixed"


@dataclass(frozen=True)
class Mixing:
    """``share[n] * x[n] + (1 - share[n]) * x[partner[n]]``, for whatever belongs to the samples.

    `share` is [n] in float64, `partner` [n] row numbers.
    """

    share: Value
    partner: Value

    def __call__(self, x: Value) -> Value:
        """Return x, of any float dtype, mixed along its first axis."""
        share = ops.reshape(ops.cast(self.share, x.dtype), (-1, *[1] * (x.ndim - 1)))
        other = ops.take(x, self.partner, axis=0)
        return ops.add(other, ops.multiply(share, ops.subtract(x, other)))


class _Mixer(_Random):
    """A layer that mixes samples with each other, and has the step mix their targets alike."""

    def __init__(
        self, seed: int | None = None, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(seed=seed, **options)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ArgumentError(
                f"data_format is {data_format!r}; expected 'channels_last' or 'channels_first'"
            )
        self.data_format = data_format

    def mixed(self, parts: list[Value]) -> tuple[list[Value], Mixing] | None:
        """Return samples mixed, and how whatever belongs to them is; ``None`` for not at all."""
        raise MissingMethodError(f"{type(self).__name__} has no mixed")

    def __call__(  # type: ignore[override]
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Return the inputs mixed; with ``{"images": x, "labels": y}`` both, unless told not to."""
        if not isinstance(inputs, Mapping) or "images" not in inputs or is_symbolic(inputs):
            return super().__call__(inputs, training=training)
        given = {name: self._mixable(name, part) for name, part in inputs.items()}
        with self.alone():
            found = None if training is False else self.mixed([given["images"]])
        if found is None:
            return given
        (images,), mixing = found
        rest = {name: mixing(part) for name, part in given.items() if name != "images"}
        return {**given, **rest, "images": images}

    def _mixable(self, name: str, given: Any) -> Value:
        """Return images or labels as floats."""
        kind = type(self).__name__
        if name not in ("images", "labels"):
            raise ArgumentError(f"{kind} mixes 'images' and 'labels', not {name!r}")
        value = ops.as_value(given)
        if name == "labels" and value.ndim == 1 and not dtypes.is_float(value.dtype):
            raise ArgumentError(
                "class numbers cannot be mixed: pass labels as one-hot vectors [n, k], "
                "e.g. by utils.to_categorical"
            )
        return value if dtypes.is_float(value.dtype) else ops.cast(value, self.dtype)

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the inputs mixed, or as they are."""
        if not training:
            return x
        many = isinstance(x, list | tuple)
        found = self.mixed(list(x) if many else [x])
        if found is None:
            return x
        parts, mixing = found
        self._announce(mixing)
        return type(x)(parts) if many else parts[0]

    def _announce(self, mixing: Mixing) -> None:
        """Leave word for the step of how targets are mixed."""
        kind = type(self).__name__
        if not scope.noted(MIXES):
            raise GraphError(
                f"{self.label} mixes targets with the samples, which fit does for the loss given "
                "to compile.\n"
                "  fix: with a loop, train_step or compute_loss of your own take it out of the "
                'model, and call it with {"images": x, "labels": y}'
            )
        if scope.noted(MIXED):
            raise GraphError(
                f"{self.label}: the samples of this step are mixed already.\n"
                f"  fix: use one {kind} in a model; give MixUp a list to mix several inputs"
            )
        scope.note(MIXED, mixing)

    def floats(self, part: Value) -> Value:
        """Return the samples; raises for whole numbers."""
        if not dtypes.is_float(part.dtype):
            kind = type(self).__name__
            raise DTypeError(
                f"whole numbers ({part.dtype}) cannot be mixed: put {kind} behind the layer "
                "that makes floats of them"
            )
        return part

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "data_format": self.data_format}


class MixUp(_Mixer):
    """``x'[n] = s[n] x[n] + (1 - s[n]) x[p[n]]``, the targets likewise, s from Beta(alpha, alpha).

    As a layer of a model, usually its first, it mixes samples in training and lets all pass
    otherwise. The step mixes what it compares the output with in the same way: targets, sample
    weights, and for losses that take class numbers the loss itself,
    ``s loss(y[n]) + (1 - s) loss(y[p[n]])``, which for cross-entropies is that of mixed one-hot
    vectors. In the middle of a model it mixes what the layers before put out (manifold mixup);
    given a list of inputs it mixes all alike. Metrics of class numbers compare with those of the
    sample that has the larger share.

    Called with ``{"images": x, "labels": y}`` it returns both mixed, for pipelines and loops of
    one's own.

    Shapes
    ------
    x : [n, *s]; labels : [n, *t], numbers or one-hot; returned : the same

    Parameters
    ----------
    alpha : float, default 0.2
        At least 0: how strongly is mixed. 0 leaves all as it is, 1 draws any share alike.
    data_format : str, optional
        "channels_last" or "channels_first": any layout is mixed alike.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an alpha below 0, or class numbers as labels.
    DTypeError
        For inputs that are no floats: put it behind the `Embedding`.
    GraphError
        Where it is called in training on samples alone outside of `fit`, or twice in a step, or
        in a model with a `compute_loss` of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Dense, MixUp
    >>> from chainrule.models import Sequential
    >>> model = Sequential([MixUp(0.2, input_shape=(4,)), Dense(3, activation="softmax")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> history = model.fit(np.eye(4), np.array([0, 1, 2, 2]), verbose=0)
    >>> mixed = MixUp(0.2)({"images": np.eye(4), "labels": np.eye(4)})
    >>> bool(np.allclose(mixed["images"].numpy(), mixed["labels"].numpy()))
    True

    Source
    ------
    Zhang et al., "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412, equation 1, with
    partners drawn by a permutation of the batch and a share for each sample, as in Keras 3. A
    share below 1/2 is exchanged for one minus it, which leaves the distribution of the mixtures
    as it is, since partners are drawn alike, and lets each sample lead one mixture. In the middle
    of a model: Verma et al., "Manifold Mixup", arXiv 1806.05236.
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        if not (isinstance(alpha, int | float) and 0 <= alpha < float("inf")):
            raise ArgumentError(f"alpha is {alpha!r}; expected a number of at least 0")
        self.alpha = float(alpha)

    def detail(self) -> str:
        """Return alpha."""
        return f"alpha {self.alpha:g}"

    def mixed(self, parts: list[Value]) -> tuple[list[Value], Mixing] | None:
        """Return the samples of all inputs mixed, and how."""
        if self.alpha == 0:
            return None
        mixing = self._drawn(parts[0])
        return [mixing(self.floats(part)) for part in parts], mixing

    def _drawn(self, x: Value) -> Mixing:
        """Return how the rows of x are mixed."""
        drawn = self.draw(wide, x, (3, x.shape[0]))
        share = symmetric_beta(drawn[0], drawn[1], self.alpha)
        return Mixing(ops.maximum(share, 1.0 - share), ops.argsort(drawn[2]))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "alpha": self.alpha}


def wide(shape: tuple[int, ...], dtype: str) -> Value:
    """Return uniform numbers in float64, finer than those of x, for shares and partners."""
    drawn: Value = ops.random.uniform(shape, dtype="float64")
    return drawn


def symmetric_beta(u: Value, v: Value, alpha: float | Value) -> Value:
    """Return numbers from Beta(alpha, alpha), from two that are uniform in [0, 1) each.

    ``1/2 + 1/2 * t / sqrt(2 alpha + t^2)``, t of Student's distribution with 2 alpha degrees of
    freedom: ``t^2 = 2 alpha * (u^(-1/alpha) - 1) * cos^2(2 pi v)`` (Bailey, "Polar generation of
    random variates with the t-distribution", Mathematics of Computation 62, 1994), with all
    multiplied by ``u^(1/alpha)``, which may be as small as 0.
    """
    small = ops.power(u, 1.0 / alpha)
    cosine = ops.cos(ops.multiply(v, 2.0 * np.pi))
    along = ops.multiply(ops.sqrt(1.0 - small), cosine)
    return 0.5 + 0.5 * along / ops.sqrt(small + ops.square(along))
