"""How many threads a run may use."""

from __future__ import annotations

import os
from functools import cache

import numpy as np

from chainrule.errors import ArgumentError

_threads: int | None = None


def set_num_threads(n: int) -> None:
    """Let runs use up to `n` threads; results are the same bits for every `n`.

    Parameters
    ----------
    n : int
        1 or more. Small steps use fewer, since handing out work costs time.
    """
    global _threads
    if not isinstance(n, int | np.integer) or n < 1:
        raise ArgumentError(f"the number of threads must be an integer >= 1, not {n!r}")
    _threads = int(n)


def num_threads() -> int:
    """Return the most threads a run may use: what was set, else ``CHAINRULE_NUM_THREADS`` as it was
    when first asked for, else the processors this process may run on."""
    return _by_default() if _threads is None else _threads


@cache
def _by_default() -> int:
    given = os.environ.get("CHAINRULE_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    from chainrule.executors import native

    return native.core_count()
