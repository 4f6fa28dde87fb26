"""Gradients in loops written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value, Variable
from chainrule.graph.derivative import gradients
from chainrule.graph.pending import keep


class GradientTape:
    """``tape.gradient(y, x)``: d(sum of y)/dx for what was computed from x.

    Values remember how they were made, so a tape holds nothing: it may be asked as often as wanted,
    inside its block or after it, and for the derivative of a derivative.

    Parameters
    ----------
    persistent : bool, default False
        Taken for TensorFlow's sake; every tape may be asked more than once.
    watch_accessed_variables : bool, default True
        Taken for TensorFlow's sake; what `gradient` is asked for is what counts.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import ops
    >>> x = cr.Variable([3.0])
    >>> with cr.GradientTape() as outer:
    ...     with cr.GradientTape() as inner:
    ...         y = ops.sum(x * x * x)
    ...     first = inner.gradient(y, x)
    >>> first.numpy().tolist(), outer.gradient(first, x).numpy().tolist()
    ([27.0], [18.0])
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables

    def __enter__(self) -> GradientTape:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the block; the tape can still be asked."""

    def watch(self, tensor: Any) -> None:
        """Do nothing but check: a value can be differentiated by without being announced.

        Raises
        ------
        ArgumentError
            For something that is no value or variable: make one with ``ops.as_value`` first.
        """
        for one in _flat(tensor):
            _source(one)

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Return d(sum of target)/d(source) for each source.

        Parameters
        ----------
        target : Value
            What to differentiate; of one with axes, the elements are added up.
        sources : Variable, Value, or a list, tuple or dict of them
            What to differentiate by.
        output_gradients : array_like, optional
            The factor of each element of `target` in the sum, of its shape; by default 1.
        unconnected_gradients : {"none", "zero"}, default "none"
            What stands for a source that the target does not depend on: ``None``, or zeros.

        Returns
        -------
        Value, None, or a structure as `sources`
            Gradients of the shapes of the sources.

        Raises
        ------
        ShapeError
            Where `output_gradients` has another shape than `target`.
        ArgumentError
            For a source that is no value or variable.

        Examples
        --------
        >>> import chainrule as cr
        >>> from chainrule import ops
        >>> w, b = cr.Variable([1.0, 2.0]), cr.Variable(0.5)
        >>> with cr.GradientTape() as tape:
        ...     y = ops.sum(ops.square(w))
        >>> [g if g is None else g.numpy().tolist() for g in tape.gradient(y, [w, b])]
        [[2.0, 4.0], None]
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ArgumentError(
                f"unconnected_gradients is {unconnected_gradients!r}; expected 'none' or 'zero'"
            )
        of = target if isinstance(target, Value) else ops.as_value(target)
        plain = type(sources) is list and {*map(type, sources)} == {Variable}
        leaves = [s.leaf for s in sources] if plain else [_source(s) for s in _flat(sources)]
        keep(of)
        found = gradients(of, leaves, _start(of, output_gradients))
        if unconnected_gradients == "zero":
            pairs = zip(found, leaves, strict=True)
            found = [ops.zeros(x.shape, x.dtype) if g is None else g for g, x in pairs]
        return found if plain else _like(sources, iter(found))


def _start(of: Value, given: Any) -> Value | None:
    """Return the cotangent of the target; ``None`` for a scalar's, which is 1."""
    if given is not None:
        start = ops.cast(given, of.dtype)
        if start.shape != of.shape:
            raise ShapeError(
                f"output_gradients has shape {list(start.shape)}, the target {list(of.shape)}"
            )
        return start
    return ops.ones(of.shape, of.dtype) if of.shape else None


def _source(source: Any) -> Value:
    leaf = source.leaf if isinstance(source, Variable) else source
    if not isinstance(leaf, Value):
        raise ArgumentError(
            f"a gradient is taken by variables and values, not by {type(source).__name__}; "
            "make a value of an array with ops.as_value(array) and compute with that"
        )
    return leaf


def _flat(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, list | tuple):
        return [one for part in structure for one in _flat(part)]
    return [structure]


def _like(structure: Any, found: Any) -> Any:
    """Return what was found in the places of the structure."""
    if isinstance(structure, Mapping):
        return {key: _like(part, found) for key, part in structure.items()}
    if isinstance(structure, list | tuple):
        return [_like(part, found) for part in structure]
    return next(found)
