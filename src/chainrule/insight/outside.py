"""The doctor from outside: what data, output layer and learning curves tell, without the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.errors import ChainruleError
from chainrule.insight.case import Case
from chainrule.insight.curve_rules import (
    first_outputs,
    labels_shuffled,
    overfitting,
    underfitting,
)
from chainrule.insight.data_checks import (
    constant_feature,
    input_not_normalized,
    leaking_feature,
)
from chainrule.insight.head_rules import batch_too_small, loss_mismatch, softmax_rules
from chainrule.insight.labels import labels_imbalanced, labels_out_of_range
from chainrule.insight.strength_rules import (
    dropout_too_strong,
    first_weights,
    regularization_too_strong,
)
from chainrule.training.finding import Finding

Rule = Callable[[Case], list[Finding]]

BEFORE: Sequence[Rule] = (
    labels_out_of_range,
    softmax_rules,
    loss_mismatch,
    input_not_normalized,
    leaking_feature,
    constant_feature,
    labels_imbalanced,
    batch_too_small,
    first_outputs,
    first_weights,
)
AFTER: Sequence[Rule] = (
    labels_shuffled,
    dropout_too_strong,
    regularization_too_strong,
    overfitting,
    underfitting,
)


def before_training(case: Case) -> list[Finding]:
    """Return what can be told of data, output layer and loss before the first step.

    Nothing of the model is changed, and a rule that cannot look at this kind of model is silent.
    """
    return _asked(BEFORE, case)


def after_epoch(case: Case) -> list[Finding]:
    """Return what the learning curves tell, and the model as it is after the last epoch."""
    return _asked(AFTER, case) if case.epochs else []


def _asked(rules: Sequence[Rule], case: Case) -> list[Finding]:
    found: list[Finding] = []
    for rule in rules:
        try:
            found += rule(case)
        except ChainruleError:
            continue  # what is wrong with data or shapes, the first step says
    return found
