"""``ops.random``: random numbers that follow from the seed of the step being traced.

Within a step the same model draws the same numbers for the same seed, step and place, on any
executor and for any number of threads. Outside of one every call draws anew, from the global seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import dtypes
from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph import Value, scope
from chainrule.ops import random as primitives
from chainrule.ops.arrays import reshape
from chainrule.ops.compare import less
from chainrule.ops.convert import as_value, cast, floating, is_number, sizes
from chainrule.ops.curves import log
from chainrule.ops.functions import add, multiply
from chainrule.ops.reductions import argmax
from chainrule.ops.rounding import floor
from chainrule.ops.signs import negative

Shape = int | Sequence[int]


def _float_name(dtype: str | None, name: str) -> str:
    kind = dtypes.name_of(dtype or dtypes.floatx())
    if not dtypes.is_float(kind):
        raise DTypeError(f"{name} draws float32 or float64, not {kind}: use randint or cast")
    return kind


def uniform(
    shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None
) -> Value:
    """``y = minval + (maxval - minval) * u``, u uniform in [0, 1).

    u has 24 bits in float32, 53 in float64.

    Shapes
    ------
    returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
    minval, maxval : float, default 0 and 1
        May be values, with gradients.
    dtype : str, default `floatx()`
        float32 or float64.

    Raises
    ------
    DTypeError
        For another dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> y = ops.random.uniform((1000,), -1, 1).numpy()
    >>> bool(-1 <= y.min() < -0.9 and 0.9 < y.max() < 1)
    True
    """
    kind = _float_name(dtype, "uniform")
    u = primitives.random_uniform(
        scope.random_key(), shape=sizes(shape), stream=scope.next_stream(), dtype=kind
    )
    if is_number(minval) and is_number(maxval) and (minval, maxval) == (0.0, 1.0):
        whole: Value = u
        return whole
    return add(multiply(u, maxval - minval), minval)


def normal(shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None) -> Value:
    """``y = mean + stddev * z``, z normal with mean 0 and variance 1.

    Shapes
    ------
    returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
    mean, stddev : float, default 0 and 1
        May be values, with gradients.
    dtype : str, default `floatx()`
        float32 or float64.

    Raises
    ------
    DTypeError
        For another dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> y = ops.random.normal((10000,), mean=5).numpy()
    >>> bool(4.9 < y.mean() < 5.1 and 0.9 < y.std() < 1.1)
    True

    Source
    ------
    Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
    """
    kind = _float_name(dtype, "normal")
    z = primitives.random_normal(
        scope.random_key(), shape=sizes(shape), stream=scope.next_stream(), dtype=kind
    )
    return add(multiply(z, stddev), mean)


def bernoulli(shape: Shape, p: Any = 0.5, dtype: str | None = None) -> Value:
    """``y = 1`` with probability p, else 0.

    Shapes
    ------
    p : [*s] that broadcasts to `shape`; returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
    p : float or array_like, default 0.5
        From 0 to 1; it gets no gradient.
    dtype : str, default `floatx()`

    Raises
    ------
    ArgumentError
        For a number outside of [0, 1].

    Examples
    --------
    >>> from chainrule import ops
    >>> sorted(set(ops.random.bernoulli((100,), 0.5).numpy().tolist()))
    [0.0, 1.0]
    """
    if is_number(p) and not 0 <= p <= 1:
        raise ArgumentError(f"bernoulli: a probability is from 0 to 1, not {p}")
    kind = dtypes.name_of(dtype or dtypes.floatx())
    return cast(less(uniform(shape), as_value(p, dtypes.floatx())), kind)


def randint(shape: Shape, minval: int, maxval: int, dtype: str = "int32") -> Value:
    """``y = a whole number in [minval, maxval)``, each with the same probability.

    Shapes
    ------
    returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
    minval, maxval : int
        At most 2^53 apart.
    dtype : str, default "int32"

    Raises
    ------
    ArgumentError
        Where no number is in the range.

    Examples
    --------
    >>> from chainrule import ops
    >>> sorted(set(ops.random.randint((100,), 3, 5).numpy().tolist()))
    [3, 4]
    """
    if maxval <= minval:
        raise ArgumentError(f"randint: no whole number is in [{minval}, {maxval})")
    steps = floor(multiply(uniform(shape, dtype="float64"), float(maxval - minval)))
    return cast(add(cast(steps, "int64"), int(minval)), dtype)


def categorical(logits: Any, num_samples: int, dtype: str = "int32") -> Value:
    """``y[n, i] = k`` with the probability ``softmax(logits[n])[k]``, `num_samples` times.

    Shapes
    ------
    logits : [n, k]; returned : [n, num_samples]

    Parameters
    ----------
    logits : array_like
        They get no gradient.
    num_samples : int
        At least 0.
    dtype : str, default "int32"

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.random.categorical([[0.0, 1000.0]], 3).numpy().tolist()
    [[1, 1, 1]]

    Source
    ------
    Drawn as the argmax of logits and Gumbel noise: Gumbel, "Statistical Theory of Extreme Values
    and Some Practical Applications", 1954.
    """
    scores = floating(logits)
    n, k = scores.shape
    u = uniform((n, int(num_samples), k), dtype=scores.dtype)
    noise = negative(log(negative(log(u))))
    return cast(argmax(add(reshape(scores, (n, 1, k)), noise), axis=-1), dtype)
