"""``ops.random``: random numbers that follow from the seed of the step being traced."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import dtypes
from chainrule.graph import Value, scope
from chainrule.ops import random as primitives
from chainrule.ops.convert import as_value, cast
from chainrule.ops.functions import add, less, multiply


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None
) -> Value:
    """Uniform in [minval, maxval)."""
    kind = dtypes.name_of(dtype or dtypes.floatx())
    u = primitives.random_uniform(
        scope.random_key(), shape=tuple(shape), stream=scope.next_stream(), dtype=kind
    )
    return u if (minval, maxval) == (0.0, 1.0) else add(multiply(u, maxval - minval), minval)


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None
) -> Value:
    """Normal with this mean and standard deviation."""
    kind = dtypes.name_of(dtype or dtypes.floatx())
    z = primitives.random_normal(
        scope.random_key(), shape=tuple(shape), stream=scope.next_stream(), dtype=kind
    )
    return add(multiply(z, stddev), mean)


def bernoulli(shape: Sequence[int], p: float = 0.5, dtype: str | None = None) -> Value:
    """1 with probability `p`, else 0."""
    kind = dtypes.name_of(dtype or dtypes.floatx())
    return cast(less(uniform(shape), as_value(p, dtypes.floatx())), kind)
