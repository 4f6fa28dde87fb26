"""Arrays for several inputs or outputs, as users give them: one, in a list, or by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainrule.errors import DataError


def arranged(what: str, given: Any, names: Sequence[str], some: bool = False) -> list[Any]:
    """Return what was given (one, a list in order, or a dict by name) as a list in order.

    With `some`, not all names need be given; ``None`` stands for the others.

    Raises
    ------
    DataError
        For another number, or other names, saying which were expected.
    """
    if isinstance(given, Mapping):
        wrong = set(given) - set(names) if some else set(given) ^ set(names)
        if wrong:
            raise DataError(
                f"{what} is given by the names {told(given)}; the model's are {told(names)}"
            )
        return [given.get(name) for name in names]
    if len(names) == 1:
        single = isinstance(given, list | tuple) and len(given) == 1
        return [given[0]] if single and hasattr(given[0], "shape") else [given]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        count = f"{len(given)}" if isinstance(given, list | tuple) else "one array"
        raise DataError(
            f"{what} must be {len(names)} arrays, in a list or by name ({told(names)}), "
            f"but {count} {'is' if count in ('1', 'one array') else 'are'} given"
        )
    return list(given)


def weights_of(given: Any, names: Sequence[str]) -> list[Any]:
    """Return the sample weights of each output; one array alone counts for each."""
    if given is None:
        return [None] * len(names)
    each = isinstance(given, Mapping) or (
        isinstance(given, list | tuple) and any(w is None or hasattr(w, "__len__") for w in given)
    )
    return arranged("sample_weight", given, names, some=True) if each else [given] * len(names)


def form_of(x: Any) -> Mapping[str, None] | list[None] | None:
    """Return how several inputs are given to a class of the user's; ``None`` for one alone.

    Lists of rows are one array; lists of arrays with two axes or more are several.
    """
    if isinstance(x, Mapping):
        return dict.fromkeys(x)
    if not isinstance(x, list | tuple) or not x:
        return None
    several = all(len(getattr(part, "shape", ())) >= 2 for part in x)
    return [None] * len(x) if several else None


def told(names: Iterable[Any]) -> str:
    """Return names as errors list them."""
    return ", ".join(repr(str(name)) for name in names) or "none"
