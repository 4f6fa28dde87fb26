"""The kinds of finding, which of them are worse, and which are but consequences of others."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.training.finding import Finding as Finding

# The worst first: what stops training, what spoils it from the start, the data, then the rest.
KINDS = (
    "non_finite",
    "labels_out_of_range",
    "loss_mismatch",
    "softmax_twice",
    "softmax_with_logits",
    "symmetric_initialization",
    "dead_relu",
    "exploding_gradient",
    "vanishing_gradient",
    "bad_initialization_scale",
    "saturated_activation",
    "input_not_normalized",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "labels_shuffled",
    "leaking_feature",
    "regularization_too_strong",
    "dropout_too_strong",
    "batch_too_small",
    "labels_imbalanced",
    "constant_feature",
    "saddle_point",
    "plateau",
    "oscillation",
    "loss_not_decreasing",
    "overfitting",
    "underfitting",
)

_SLOW = frozenset({"loss_not_decreasing", "plateau", "saddle_point", "underfitting"})
_RATE = frozenset({"learning_rate_too_high", "learning_rate_too_low", "oscillation"})
_STILL = frozenset({"loss_not_decreasing", "underfitting", "learning_rate_too_low"})
_FLAT = frozenset({"dead_relu", "saturated_activation"})
_LOST = frozenset({"exploding_gradient", "vanishing_gradient", "bad_initialization_scale"})
# What the first weights bring about, or too large steps later.
_SIGNALS = frozenset(
    {
        "dead_relu",
        "saturated_activation",
        "exploding_gradient",
        "vanishing_gradient",
        "bad_initialization_scale",
    }
)
# What needs no finding of its own where the kind in front was found.
_EXPLAINS = {
    "labels_out_of_range": _SLOW | _RATE,
    "loss_mismatch": _SLOW | _RATE,
    "softmax_twice": _SLOW | _RATE,
    "softmax_with_logits": _SLOW | _RATE,
    "symmetric_initialization": _SLOW | _RATE | {"vanishing_gradient", "bad_initialization_scale"},
    "dead_relu": _SLOW | _RATE | {"vanishing_gradient"},
    "exploding_gradient": _SLOW | _RATE | _FLAT,
    "vanishing_gradient": _SLOW | _RATE | _FLAT,
    "bad_initialization_scale": _SLOW | _RATE | _FLAT,
    "saturated_activation": _SLOW | _RATE | {"vanishing_gradient", "exploding_gradient"},
    "input_not_normalized": _SLOW | _RATE | _SIGNALS,
    "learning_rate_too_high": _SLOW | _SIGNALS | {"oscillation"},
    "learning_rate_too_low": frozenset({"loss_not_decreasing", "underfitting"}),
    "constant_feature": _SLOW | _RATE | _SIGNALS | {"labels_shuffled"},  # where all are
    "labels_shuffled": _SLOW | _RATE,
    "regularization_too_strong": _SLOW | _RATE,
    "dropout_too_strong": _SLOW | _RATE,
    "saddle_point": _STILL,
    "plateau": _STILL,
    "oscillation": frozenset({"loss_not_decreasing", "underfitting"}),
}


def explains(cause: Finding, effect: Finding) -> bool:
    """Return whether one finding is but a consequence of the other.

    What layers suffered from at the first step is not of the learning rate; what came later does
    not explain it. Signals that were lost at the first step explain layers that died later.
    """
    if effect.kind not in _EXPLAINS.get(cause.kind, ()):
        return False
    if cause.kind == "constant_feature":
        return cause.numbers.get("constant", 0.0) == cause.numbers.get("features", 1.0)
    if cause.kind in _SIGNALS and cause.step != 0:
        return effect.kind in _SLOW
    if cause.kind in _LOST and effect.kind in _FLAT:
        return effect.step != 0
    return not (cause.kind in _RATE and effect.kind in _SIGNALS and effect.step == 0)


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return each kind and layer once, the worst first, without those that another explains.

    Examples
    --------
    >>> from chainrule.insight.finding import Finding, ranked
    >>> found = [Finding("loss_not_decreasing"), Finding("learning_rate_too_low")]
    >>> [finding.kind for finding in ranked(found)]
    ['learning_rate_too_low']
    """
    once: dict[tuple[str, str | None], Finding] = {}
    for finding in findings:
        once.setdefault((finding.kind, finding.layer), finding)
    left = [f for f in once.values() if not any(explains(cause, f) for cause in once.values())]
    return sorted(left, key=lambda finding: KINDS.index(finding.kind))
