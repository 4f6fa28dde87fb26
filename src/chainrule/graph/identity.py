"""Whether values are the very same: ``==`` compares their elements."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence


def same(values: Sequence[object], others: Sequence[object]) -> bool:
    """Return whether these are the very same, one by one, in lists or tuples."""
    return len(values) == len(others) and all(map(operator.is_, values, others))


def among(value: object, values: Iterable[object]) -> bool:
    """Return whether the very same value is one of these, as ``in`` tells of a set or dict."""
    return any(v is value for v in values)
