"""Random numbers as a function of seed, step, operation and element.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.3):
the key is the seed, the counter (block of elements, step, stream), so that threads, executors and
resumed runs draw the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Spec, Value, primitive

_MASK = np.uint64(0xFFFFFFFF)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_HALF = np.uint64(32)


def philox(counter: Sequence[Array], key: tuple[int, int]) -> list[Array]:
    """Return the four 32-bit words (in uint64) of each counter."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _HALF) ^ c1 ^ k0,
            p1 & _MASK,
            (p0 >> _HALF) ^ c3 ^ k1,
            p0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return [c0, c1, c2, c3]


def _words(key: Array, blocks: int, stream: int) -> list[Array]:
    seed, step = (int(k) & 0xFFFFFFFFFFFFFFFF for k in np.asarray(key).tolist())
    block = np.arange(blocks, dtype=np.uint64)
    counter = [
        block & _MASK,
        block >> _HALF,
        np.full(blocks, step & 0xFFFFFFFF, np.uint64),
        np.full(blocks, (stream ^ (step >> 32)) & 0xFFFFFFFF, np.uint64),
    ]
    return philox(counter, (seed & 0xFFFFFFFF, seed >> 32))


def _wide(high: Array, low: Array) -> Array:
    return ((high.astype(np.uint64) << _HALF) | low.astype(np.uint64)) >> np.uint64(11)


def _flat(parts: Sequence[Array], shape: tuple[int, ...], dtype: str) -> Any:
    size = int(np.prod(shape, dtype=np.int64))
    return np.stack(parts, axis=1).ravel()[:size].reshape(shape).astype(dtype)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


@primitive("two:int -> ?", cost=4)
def random_uniform(
    key: Array, *, shape: tuple[int, ...], stream: int, dtype: str = "float32"
) -> Any:
    """Uniform in [0, 1): 24 bits in float32, 53 in float64; `key` is {seed, step}."""
    if dtype == "float32":
        words = _words(key, -(-_size(shape) // 4), stream)
        return _flat([(w >> np.uint64(8)) * 2.0**-24 for w in words], shape, dtype)
    w = _words(key, -(-_size(shape) // 2), stream)
    return _flat([_wide(w[1], w[0]) * 2.0**-53, _wide(w[3], w[2]) * 2.0**-53], shape, dtype)


def _random(key: Spec, *, shape: tuple[int, ...], stream: int, dtype: str) -> Spec:
    return Spec(tuple(shape), dtype)


def _whole_key(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return (False,)


def _no_derivative(g: Value, y: Value, key: Value, **_: Any) -> Any:
    return (None,)


random_uniform.shape_rule(_random)
random_uniform.tiling(_whole_key)
random_uniform.vjp(_no_derivative)


def _box_muller(u1: Array, u2: Array) -> tuple[Array, Array]:
    r = np.sqrt(-2.0 * np.log(u1))
    return r * np.cos(2 * np.pi * u2), r * np.sin(2 * np.pi * u2)


@primitive("two:int -> ?", cost=20)
def random_normal(
    key: Array, *, shape: tuple[int, ...], stream: int, dtype: str = "float32"
) -> Any:
    """Normal with mean 0 and variance 1, by Box and Muller from two uniform numbers each pair."""
    one, eight = np.uint64(1), np.uint64(8)
    if dtype == "float32":
        w = _words(key, -(-_size(shape) // 4), stream)
        first = _box_muller(((w[0] >> eight) + one) * 2.0**-24, (w[1] >> eight) * 2.0**-24)
        second = _box_muller(((w[2] >> eight) + one) * 2.0**-24, (w[3] >> eight) * 2.0**-24)
        return _flat([*first, *second], shape, dtype)
    w = _words(key, -(-_size(shape) // 2), stream)
    pair = _box_muller((_wide(w[1], w[0]) + one) * 2.0**-53, _wide(w[3], w[2]) * 2.0**-53)
    return _flat(pair, shape, dtype)


random_normal.shape_rule(_random)
random_normal.tiling(_whole_key)
random_normal.vjp(_no_derivative)
