"""Functions with a derivative of the user's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import is_float
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph import Value, Variable, ordered, placeholder
from chainrule.graph.own_gradient import Ends, OwnGradient, captured
from chainrule.graph.symbol import filled, is_symbolic, leaves
from chainrule.ops.convert import as_value, cast


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """``h(x) = f(x)[0]``, whose gradient is ``f(x)[1](dL/dh)`` and not what the chain rule finds.

    For a derivative that is known to be steadier or cheaper, or that is meant to be another one
    (a step that lets gradients through, a gradient turned round). `check_gradients` compares it
    with differences. The second derivative is that of what the function for the gradient computes.

    Parameters
    ----------
    f : callable
        ``f(*args)`` returns ``(output, grad)``. The output is an array or a list, tuple or dict of
        them. ``grad(upstream)`` is given dL/d(output), in the form of the output, and returns
        dL/d(arg) for each array among the arguments, in order: one, or a tuple, with ``None`` for
        those without a gradient. It may take ``upstream`` by name, or several outputs' as so many
        arguments.

    Returns
    -------
    callable
        The function ``h(*args)``. Weights that it reads must be among its arguments.

    Raises
    ------
    ArgumentError
        When called: where `f` does not return an output and a function, or where the number of
        gradients is not that of the arguments.
    GraphError
        When called: where `f` reads a trainable weight that is no argument, whose gradient would
        be lost. ``stop_gradient(weight)`` says that this is meant.
    ShapeError
        When called: for a gradient of another shape than its argument.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import ops
    >>> @ops.custom_gradient
    ... def log1pexp(x):
    ...     e = ops.exp(x)
    ...     def grad(upstream):
    ...         return upstream * (1.0 - 1.0 / (1.0 + e))
    ...     return ops.log(1.0 + e), grad
    >>> x = cr.Variable([0.0, 80.0])
    >>> with cr.GradientTape() as tape:
    ...     y = ops.sum(log1pexp(x))
    >>> tape.gradient(y, x).numpy().tolist()
    [0.5, 1.0]
    """

    @functools.wraps(f)
    def applied(*args: Any, **kwargs: Any) -> Any:
        if is_symbolic(list(args)):
            raise GraphError(
                "a function with a gradient of its own is applied to values, not to symbols\n"
                "  fix: make it a layer, Lambda(function), or call it in the call of your own"
            )
        parts = [as_value(x) if _is_array(x) else x for x in leaves(list(args))]
        given = [x for x in parts if isinstance(x, Value)]
        inputs = [placeholder(v.shape, v.dtype, "an argument") for v in given]
        stand_ins = iter(inputs)
        forms = iter([next(stand_ins) if isinstance(x, Value) else x for x in parts])
        returned = f(*filled(list(args), forms), **kwargs)
        name = getattr(f, "__name__", type(f).__name__)
        ends, form = _traced(name, inputs, returned)
        function = OwnGradient(name, ends)
        around = [v for v in ends.captured if v.variable is None]
        made = iter(function([*given, *around]))
        return filled(form, made)

    return applied


def _is_array(x: Any) -> bool:
    """Return whether an argument has a gradient, as words and truths have not."""
    if isinstance(x, bool | str) or x is None:
        return False
    return isinstance(x, int | float | Value | Variable | np.ndarray | np.generic)


def _traced(name: str, inputs: Sequence[Value], returned: Any) -> tuple[Ends, Any]:
    """Return what the function is made of, and the form of its output."""
    pair = isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])
    if not pair:
        raise ArgumentError(
            f"{name} must return (output, grad), grad a function that is given dL/d(output); "
            f"not {type(returned).__name__}"
        )
    form, rule = returned
    outputs = [as_value(y) for y in leaves(form)]
    cotangents = [placeholder(y.shape, y.dtype, "upstream") for y in outputs]
    found = _gradients(name, inputs, _asked(rule, form, cotangents))
    starts = [g for g in cotangents if is_float(g.dtype)]
    present = [g for g in found if g is not None]
    around = captured([*outputs, *present], [*inputs, *cotangents])
    _refuse_weights(name, outputs, inputs)
    return Ends(inputs, outputs, starts, found, around), form


def _asked(rule: Callable[..., Any], form: Any, cotangents: Sequence[Value]) -> Any:
    """Return what the user's function makes of the gradients by the outputs."""
    upstream = filled(form, iter(cotangents))
    parameters = inspect.signature(rule).parameters.values()
    needed = [p for p in parameters if p.default is p.empty]
    named = [p.name for p in needed if p.kind == p.KEYWORD_ONLY]
    if named == ["upstream"]:
        return rule(upstream=upstream)
    places = [p for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(places) == len(cotangents) > 1:
        return rule(*cotangents)
    return rule(upstream)


def _gradients(name: str, inputs: Sequence[Value], returned: Any) -> list[Value | None]:
    """Return the gradient by each input, checked."""
    parts = list(leaves(returned))
    if len(parts) != len(inputs):
        raise ArgumentError(
            f"the gradient of {name} has {len(parts)} parts, but {name} was given {len(inputs)} "
            "arrays\n  fix: return one for each, in a tuple, None where there is no gradient"
        )
    found: list[Value | None] = []
    for x, g in zip(inputs, parts, strict=True):
        if g is None or not is_float(x.dtype):
            found.append(None)
            continue
        g = cast(g, x.dtype)
        if g.shape != x.shape:
            raise ShapeError(
                f"the gradient of {name} has shape {list(g.shape)} for an argument of shape "
                f"{list(x.shape)}"
            )
        found.append(g)
    return found


def _refuse_weights(name: str, outputs: Sequence[Value], inputs: Sequence[Value]) -> None:
    """Raise where a weight goes into the outputs whose gradient nobody would know."""
    nodes = ordered(outputs)
    known = {y for node in nodes if node.op.name == "stop_gradient" for y in node.outputs}
    read = [a.variable for node in ordered(outputs, known) for a in node.arguments]
    for variable in [*read, *(y.variable for y in outputs)]:
        if variable is not None and variable.trainable and is_float(variable.dtype):
            raise GraphError(
                f"{name} reads the weight {variable.name!r}, which is none of its arguments, so "
                "nobody knows its gradient\n  fix: make it an argument of the function, or, if it "
                "is to have no gradient, read stop_gradient(weight)"
            )
