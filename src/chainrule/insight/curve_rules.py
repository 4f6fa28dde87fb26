"""What learning curves tell: overfitting, underfitting, targets that have nothing to do with the
samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.case import Case
from chainrule.insight.head_rules import leaves
from chainrule.insight.heads import head_of
from chainrule.insight.labels import labels_of
from chainrule.insight.probes import Probe, probe
from chainrule.insight.standing import Standing, chance_of, standing
from chainrule.layers import Layer
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

# Prechelt, "Early Stopping - But When?" (1998): the generalization loss is by how much
# the validation loss is above its least so far. His most patient criterion stops at 5 %.
RISE = 0.05
GAP = 0.08  # of right classes, or of explained variance: between training and validation
_LATE = 3  # epochs
TIMES = 2.0  # the loss in validation as a multiple of that in training
_CERTAIN = 3.0  # standard errors

# A network underfits where simple learners do better on samples that they were not shown than it
# does on those that it learns from: by so much, and with so many times fewer errors; and where the
# loss falls no more by so much an epoch.
BEHIND, ERRORS = 0.06, 1.4
STILL = 0.03
WELL = 0.8  # of the way from a constant answer to no loss: who has come so far does not underfit
_EPOCHS = 5
_NEAR = 0.5  # of the variance of targets: how far from the samples they may be to be copies
NARROW = 8  # units or filters: layers with fewer are named as the probable cause

# Where nothing can be learnt the loss of samples that are new to the network, in the first epoch
# and in validation, is that of a constant answer at best.
NOTHING = 0.97
# Cover, "Geometrical and Statistical Properties of Systems of Linear Inequalities" (IEEE Trans.
# Electronic Computers 14, 1965): a threshold unit learns two random labels for each weight.
_BITS = 2.0
_ENOUGH, _STEPS = 200, 60  # samples, and steps, before nothing learnt is held against targets
_ONE_SIDED = 0.85  # the share of one class from which on too few others are there to tell
_MOVED = 0.5  # by how much outputs have changed, of their deviation over the samples


def overfitting(case: Case) -> list[Finding]:
    """Return that the network does well on what it learns from, and ever worse on the rest."""
    train, held = case.curve("loss"), case.curve("val_loss")
    if case.validation is None or len(held) < 3 or len(train) != len(held):
        return []
    if not np.isfinite(held).all() or not held[-1] > TIMES * train[-1]:
        return []
    best = int(held.argmin())
    late = float(held[-_LATE:].min())  # each of the last epochs is so much above the best
    risen = late / float(held[best]) - 1.0 if held[best] > 0 else 0.0
    if case.restores and best < len(held) - 1:
        return []  # the run goes back to its best weights: the remedy is at work
    here, there = standing(case), standing(case, case.validation)
    if here is None or there is None:
        return []
    gap = here.skill - there.skill
    certain = _CERTAIN * float(np.hypot(here.error, there.error))
    falls = train[-1] < train[best] or best == len(held) - 1
    if gap < max(GAP, certain) or not falls or not (risen > RISE or gap > 2 * GAP):
        return []
    return [_overfitting(case, (here, there), best, risen)]


def _overfitting(case: Case, found: tuple[Standing, Standing], best: int, risen: float) -> Finding:
    here, there = found
    return Finding(
        "overfitting",
        None,
        _apart(here, there, best, risen),
        said(
            "stop early (EarlyStopping with restore_best_weights=True), or get more samples or "
            "vary them (augmentation), or use dropout, a weight penalty or fewer units"
        ),
        step=None if case.steps is None else (best + 1) * case.steps,
        cause=said(
            "{weights:,} weights learn {samples:,} samples by heart",
            weights=case.model.count_params(),
            samples=case.samples or len(case.x),
        ),
        change={"epochs": best + 1},
        numbers={
            "training": here.skill,
            "validation": there.skill,
            "best_epoch": float(best + 1),
            "risen": risen,
        },
    )


def _apart(here: Standing, there: Standing, best: int, risen: float) -> Said:
    """Return how far training and validation are from each other."""
    skills = {"training": here.skill, "validation": there.skill}
    if here.classes:
        shown = said(
            "{training:.0%} of the classes right in training, {validation:.0%} in validation",
            **skills,
        )
    else:
        shown = said(
            "{training:.0%} of the variance explained in training, {validation:.0%} in validation",
            **skills,
        )
    if risen > RISE:
        return said(
            "{skills}; the validation loss was least after epoch {epoch} and is {risen:.0%} above "
            "that",
            skills=shown,
            epoch=best + 1,
            risen=risen,
        )
    times = there.loss / max(here.loss, 1e-12)
    return said(
        "{skills}; the validation loss is {times:.1f} times the other", skills=shown, times=times
    )


def underfitting(case: Case) -> list[Finding]:
    """Return that simple learners do better than the network, which learns no more."""
    train = case.curve("loss")
    if len(train) < _EPOCHS or not np.isfinite(train).all() or not _still(train):
        return []
    chance = chance_of(case)
    if chance is None or train[-1] < (1 - WELL) * chance or _copies(case):
        return []
    if case.sample.weights is not None:
        return []  # simple learners make no difference between samples
    now = standing(case)
    if now is None or now.skill > 1.0 - BEHIND or now.learnt > WELL:
        return []
    simple = probe(case)
    if simple is None or not simple.related:
        return []
    behind = simple.score - now.skill
    fewer = (1.0 - now.skill) / max(1.0 - simple.score, 1e-9)
    if behind < max(BEHIND, _CERTAIN * now.error) or fewer < ERRORS:
        return []
    return [_underfitting(case, now, simple)]


def _copies(case: Case) -> bool:
    """Return whether the targets are the samples, or near to them: an autoencoder, which is to
    have little room."""
    x, y = case.x, case.y
    if y is None or y.size != x.size or y.ndim < 2:
        return False
    a, b = x.reshape(len(x), -1).astype(np.float64), y.reshape(len(y), -1).astype(np.float64)
    return float(np.square(a - b).mean()) < _NEAR * float(b.var())


def _underfitting(case: Case, now: Standing, simple: Probe) -> Finding:
    narrow = _narrow(case)
    found = {
        "skill": now.skill,
        "epochs": case.epochs,
        "simple": simple.name,
        "score": simple.score,
    }
    return Finding(
        "underfitting",
        None,
        said(
            "{skill:.0%} of the classes right on what it learns from, after {epochs} epochs of "
            "which the last bring hardly anything; {simple} would get {score:.0%}, on samples not "
            "shown before",
            **found,
        )
        if now.classes
        else said(
            "{skill:.0%} of the variance explained on what it learns from, after {epochs} epochs "
            "of which the last bring hardly anything; {simple} would get {score:.0%}, on samples "
            "not shown before",
            **found,
        ),
        said(
            "give the network more units or layers, or fewer penalties; train longer where the "
            "learning rate falls too soon"
        ),
        step=None if case.steps is None else case.epochs * case.steps - 1,
        cause=_too_little(narrow),
        change=_wider(case, narrow) if narrow else None,
        numbers={"skill": now.skill, "simple": simple.score, "chance": simple.chance},
    )


def _too_little(narrow: dict[str, int]) -> Said:
    if not narrow:
        return said("the network has too little room for what is to be learnt")
    return said(
        "the network has too little room for what is to be learnt; narrowest is {layers}",
        layers=[said("{layer!r} with {width}", layer=k, width=v) for k, v in narrow.items()],
    )


def _narrow(case: Case) -> dict[str, int]:
    """Return the layers, but for the last, that put out fewer than a few numbers."""
    head = head_of(case)
    last = "" if head is None or head.layer is None else head.layer.split("/")[0]
    found = {layer.name: width for layer in leaves(case.model) if (width := _width(layer))}
    return {name: width for name, width in found.items() if width < NARROW and name != last}


def _wider(case: Case, narrow: dict[str, int]) -> dict[str, Any]:
    kinds = {layer.name: layer for layer in leaves(case.model)}
    word = {name: "filters" if hasattr(kinds[name], "filters") else "units" for name in narrow}
    return {"layers": {name: {word[name]: 4 * NARROW} for name in narrow}}


def _width(layer: Layer) -> int:
    """Return how many numbers a layer with a choice of them puts out; 0 for others."""
    width = getattr(layer, "units", None) or getattr(layer, "filters", None)
    return width if isinstance(width, int) else 0


def _still(train: Array) -> bool:
    """Return whether the last quarter of the epochs has brought next to nothing."""
    last = max(1, len(train) // 4)
    gained = float(train[-1 - last] - train[-1])
    return gained < STILL * last * abs(float(train[-1]))


def labels_shuffled(case: Case) -> list[Finding]:
    """Return that targets have nothing to do with the samples.

    Three things must come together. What the network was not shown before, the samples of the
    first epoch and those of the validation, it does not predict better than a constant answer. It
    does move: its outputs are no longer those of the beginning, so it is not the rate that is to
    blame. And simple learners (`probe`) find no relation beyond chance.
    """
    train, held = case.curve("loss"), case.curve("val_loss")
    chance = chance_of(case)
    if chance is None or not chance > 0 or not len(train) or case.model.regularization():
        return []
    if len(case.x) < _ENOUGH or len(train) * (case.steps or _STEPS) < _STEPS:
        return []
    if not train[0] > NOTHING * chance or not _nothing_held(case, held):
        return []
    labels = labels_of(case, case.y)
    if labels is not None and labels.chance > _ONE_SIDED:
        return []  # too few of the other classes to tell
    if not _moved(case) or (labels is not None and not len(held) and _beyond_memory(case, chance)):
        return []
    simple = probe(case)
    if simple is None or simple.related:
        return []
    return [_shuffled(case, chance, simple)]


def _nothing_held(case: Case, held: Array) -> bool:
    """Return whether the validation, if there is one, was never below its own constant answer."""
    if not len(held):
        return True
    chance = chance_of(case, case.validation) if case.validation is not None else None
    return chance is not None and bool(np.nanmin(held) > NOTHING * chance)


def _beyond_memory(case: Case, chance: float) -> bool:
    """Return whether more of the labels is known than the weights could hold by heart."""
    known = max(chance - float(case.curve("loss")[-1]), 0.0) / np.log(2)
    return bool(known * (case.samples or len(case.x)) > _BITS * case.model.count_params())


def first_outputs(case: Case) -> list[Finding]:
    """Keep some outputs of the beginning for later; return nothing."""
    if case.simple:
        outputs = case.predicted(case.few)
        case.memo["first outputs"] = outputs.reshape(len(outputs), -1)
    return []


def _moved(case: Case) -> bool:
    """Return whether outputs differ otherwise over the samples than in the beginning: the means do
    not count."""
    before: Array | None = case.memo.get("first outputs")
    if before is None:
        return False
    now = case.predicted(case.few).reshape(before.shape)
    a, b = before - before.mean(axis=0), now - now.mean(axis=0)
    size = float(np.sqrt(np.square(a).mean()))
    return float(np.sqrt(np.square(b - a).mean())) > _MOVED * size


def _shuffled(case: Case, chance: float, simple: Probe) -> Finding:
    first = float(case.curve("loss")[0])
    held = case.curve("val_loss")
    found = {
        "first": first,
        "constant": chance,
        "simple": simple.name,
        "score": simple.score,
        "permuted": simple.chance,
        "certainty": simple.certainty,
    }
    return Finding(
        "labels_shuffled",
        None,
        said(
            "the loss of the first epoch, of samples seen for the first time, is {first:.4g}, that "
            "of the validation at best {held:.4g}, and a constant answer has {constant:.4g}; "
            "{simple} would get {score:.3f} on samples not shown before, with permuted targets "
            "{permuted:.3f} ({certainty:.1f} standard deviations apart)",
            held=np.nanmin(held),
            **found,
        )
        if len(held)
        else said(
            "the loss of the first epoch, of samples seen for the first time, is {first:.4g}, and "
            "a constant answer has {constant:.4g}; {simple} would get {score:.3f} on samples not "
            "shown before, with permuted targets {permuted:.3f} ({certainty:.1f} standard "
            "deviations apart)",
            **found,
        ),
        said(
            "look at some samples with their targets; samples and targets must be shuffled, "
            "sorted and filtered together"
        ),
        step=0,
        cause=said("the targets are in another order than the samples, or are of others"),
        numbers={
            "first": first,
            "constant": chance,
            "score": simple.score,
            "chance": simple.chance,
            "certainty": simple.certainty,
        },
    )
