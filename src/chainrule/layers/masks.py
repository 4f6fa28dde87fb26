"""How masks travel through networks: beside the values they belong to, from layer to layer."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.graph.symbol import filled, leaves
from chainrule.layers.arguments import names_of

if TYPE_CHECKING:
    from chainrule.layers.base import Layer


def mask_of(form: Any) -> Any:
    """Return the mask of a value, or those of several in their lists and dicts; None for none.

    Examples
    --------
    >>> from chainrule.layers import Masking
    >>> from chainrule.layers.masks import mask_of
    >>> mask_of(Masking()([[[0.0], [2.0]]])).numpy().tolist()
    [[False, True]]
    """
    if isinstance(form, Value):
        return form.mask
    found = [getattr(x, "mask", None) for x in leaves(form)]
    return filled(form, iter(found)) if any(m is not None for m in found) else None


def given(
    layer: Layer, inputs: Any, more: Sequence[Any], named: Mapping[str, Any]
) -> tuple[dict[str, Any], Any]:
    """Return the arguments by name with the masks that the layer's `call` asks for and was not
    told, and the mask that `compute_mask` is given.

    As in Keras, `mask` is that of the only argument with values; where there are several, each has
    its mask under its own name, as ``query_mask``.
    """
    names = names_of(type(layer).call)
    options = dict(named)
    values = {**dict(zip(names, (inputs, *more), strict=False)), **named}
    held = {name: x for name, x in values.items() if _are_values(x)}
    wanted = {"mask": inputs} if len(held) == 1 else {f"{k}_mask": x for k, x in held.items()}
    for name, x in wanted.items():
        if name in names and values.get(name) is None:
            _fill(options, name, x, names, len(more))
    told = options.get("mask", values.get("mask"))
    return options, mask_of(inputs) if told is None else told


def _are_values(x: Any) -> bool:
    parts = list(leaves(x))
    return bool(parts) and all(isinstance(part, Value) for part in parts)


def _fill(
    options: dict[str, Any], name: str, x: Any, names: Sequence[str], positional: int
) -> None:
    """Give the mask of x under this name, unless something stands there by its position."""
    mask = mask_of(x)
    if mask is not None and name not in names[: positional + 1]:
        options[name] = mask


def pass_on(layer: Layer, inputs: Any, outputs: Any, mask: Any) -> None:
    """Put the masks that the layer computes beside its outputs, as far as they have none."""
    known = list(leaves(outputs))
    if not layer.supports_masking:
        if any(m is not None for m in leaves(mask)):
            warnings.warn(_lost(layer), stacklevel=2)
        return
    if all(not isinstance(y, Value) or y.mask is not None for y in known):
        return
    found = layer.compute_mask(inputs, mask)
    if found is not None:
        for y, m in zip(known, leaves(found), strict=False):
            _put(y, m)


def _put(y: Any, mask: Any) -> None:
    # Variables and arrays of the user's live longer than the step that the mask belongs to.
    passing = isinstance(y, Value) and y.variable is None and y.constant is None
    if passing and y.mask is None and mask is not None:
        y.mask = ops.as_value(mask)


def _lost(layer: Layer) -> str:
    return (
        f"{layer.label} is given inputs with a mask, of which it knows nothing: the layers behind "
        "it do not see which steps count.\n"
        "  fix: set its supports_masking if its outputs have the same steps, or write compute_mask"
    )


def put_on(values: Any, mask: Any) -> None:
    """Put masks that were given beside their values, one or several in the same order."""
    for x, m in zip(leaves(values), leaves(mask), strict=False):
        if isinstance(x, Value) and m is not None:
            x.mask = ops.as_value(m)


def checked(mask: Any, steps: tuple[int, ...]) -> Value | None:
    """Return a mask [n, t] as truths.

    Raises
    ------
    ShapeError
        Where its shape is not that of the batch's steps.
    """
    if mask is None:
        return None
    found = ops.as_value(mask)
    if tuple(found.shape) != tuple(steps):
        raise ShapeError(
            f"the mask has shape {list(found.shape)}; expected {list(steps)}, one truth for each "
            "step of each sample"
        )
    return found if found.dtype == "bool" else ops.cast(found, "bool")


def either(masks: Any) -> Value | None:
    """Return where one mask or another is true; None where one of the inputs has no mask."""
    known = [m for m in leaves(masks) if m is not None]
    if len(known) < len(list(leaves(masks))) or not known:
        return None
    found: Value = known[0]
    for m in known[1:]:
        found = ops.logical_or(found, m)
    return found


def joined(inputs: Sequence[Value], masks: Sequence[Any] | None, axis: int) -> Value | None:
    """Return the masks of inputs that are joined along an axis: one after the other along time,
    else where a step counts in any. An input without a mask counts throughout."""
    given = list(masks or ())
    if all(m is None for m in given):
        return None
    known = [
        ops.ones(x.shape[:2], "bool") if m is None else m
        for x, m in zip(inputs, given, strict=True)
    ]
    place = axis % inputs[0].ndim
    return ops.concatenate(known, axis=place) if place < known[0].ndim else either(known)


def competing(chosen: Any, inputs: Sequence[Value]) -> Value:
    """Return the chosen of the inputs; one that is masked at a step does not compete there."""
    y = inputs[0]
    counts = y.mask
    for x in inputs[1:]:
        other = x if x.mask is None else ops.where(over(x.mask, x), x, y)
        y = y if counts is None else ops.where(over(counts, y), y, other)
        counts = either([counts, x.mask])
        y = chosen(y, other)
    return y


def product(inputs: Sequence[Value]) -> Value:
    """Return the product of the inputs, each 1 at the steps that its mask leaves out; where all
    have masks, 0 at steps that none of them lets count."""
    y = functools.reduce(
        ops.multiply,
        (x if x.mask is None else ops.where(over(x.mask, x), x, 1.0) for x in inputs),
    )
    counts = either([x.mask for x in inputs])
    return y if counts is None else ops.where(over(counts, y), y, 0.0)


def over(mask: Value, x: Value) -> Value:
    """Return the mask with as many axes as x."""
    return ops.reshape(mask, (*mask.shape, *[1] * (x.ndim - mask.ndim)))
