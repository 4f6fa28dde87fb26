"""The seed from which initializers, dropout and shuffling draw theirs; NumPy's is not touched."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
# Every process begins here unless it sets a seed: a program run twice gives the same bits.
_DEFAULT = 2


def set_seed(seed: int) -> None:
    """From here on ``next_seed`` gives the sequence that belongs to ``seed`` (any integer)."""
    _inner.set(None)
    _begin(seed & _WORD, chosen=True)


def seed() -> int:
    """The seed in force: the one that was set, else the default, the same in every process."""
    return _seed


def next_seed() -> int:
    """63 bits for one consumer: a function of the seed and of how many came before."""
    # `next` on a counter cannot be interrupted by another thread: no lock, so none to hang a fork.
    base, counter = _inner.get() or (_base, _counter)
    return _mixed(base + next(counter) * _GOLDEN) >> 1


@contextmanager
def within(*words: int) -> Iterator[None]:
    """Inside, ``next_seed`` gives the sequence that belongs to these integers, whatever was drawn
    before; unless a seed is set there."""
    base = 0
    for word in words:
        base = _mixed(base + word + _GOLDEN)
    token = _inner.set((base, itertools.count(1)))
    try:
        yield
    finally:
        _inner.reset(token)


def _begin(seed: int, *, chosen: bool) -> None:
    """Start the sequence of ``seed``."""
    global _seed, _base, _counter, _chosen
    # The seed is mixed first: otherwise seeds that differ by a multiple of _GOLDEN would give
    # the same sequence, shifted.
    _seed, _base, _counter, _chosen = seed, _mixed(seed), itertools.count(1), chosen


def _mixed(word: int) -> int:
    """The finalizer of splitmix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195)."""
    word &= _WORD
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _WORD
    return word ^ (word >> 31)


def _renew() -> None:
    """Draw another seed, unless the user chose one: forked workers must not all do the same."""
    if not _chosen:
        _begin(int.from_bytes(os.urandom(8), "little"), chosen=False)


_seed: int
_base: int
_counter: Iterator[int]
_chosen = False
_inner: ContextVar[tuple[int, Iterator[int]] | None] = ContextVar("inner", default=None)
_begin(_DEFAULT, chosen=False)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
