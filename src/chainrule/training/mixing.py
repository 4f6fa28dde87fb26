"""Targets in a step whose samples a `MixUp` has mixed."""

from __future__ import annotations

from chainrule import ops
from chainrule.graph import Value, scope
from chainrule.layers.augment import MIXED, Mixing
from chainrule.losses import Loss


def targets(y: Value, weights: Value | None, by_number: bool) -> tuple[Value, Value | None]:
    """Return targets and sample weights, mixed as the samples were.

    With `by_number` the targets stay: they are class numbers, and the loss is mixed instead.
    """
    mixing: Mixing | None = scope.noted(MIXED)
    if mixing is None:
        return y, weights
    return y if by_number else mixing(y), None if weights is None else mixing(weights)


def loss(how: Loss, y: Value, output: Value, weights: Value | None, by_number: bool) -> Value:
    """Return the loss: of targets that are mixed, or with `by_number` the mixed loss of both."""
    mixing: Mixing | None = scope.noted(MIXED)
    if mixing is None or not by_number:
        return how(y, output, sample_weight=weights)
    share = ops.cast(mixing.share, output.dtype)
    shares = [share, 1.0 - share]
    if weights is not None:
        shares = [ops.multiply(part, weights) for part in shares]
    both = [y, ops.take(y, mixing.partner, axis=0)]
    parts = [how(t, output, sample_weight=w) for t, w in zip(both, shares, strict=True)]
    if how.reduction == "mean_with_sample_weight":
        # Each was divided by the sum of its own weights; the mean is over those of both.
        sums = [ops.sum(w) for w in shares]
        parts = [ops.multiply(part, total) for part, total in zip(parts, sums, strict=True)]
        return ops.divide(ops.add(*parts), ops.add(*sums))
    return ops.add(*parts)
