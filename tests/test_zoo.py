"""A small choice of the zoo: planted faults are named with the layer, healthy runs left alone.

All of it: `python -m tests.zoo`; its table is kept in `docs/zoo.md`.
"""

import hashlib
import os
import pathlib
from collections import Counter

import pytest

from chainrule.insight import KINDS
from zoo.all import zoo
from zoo.bases import BASES
from zoo.run import train
from zoo.table import Result, line

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "zoo.md"
PLANS = zoo()
BY_NAME = {plan.name: plan for plan in PLANS}
# How many runs of each kind, of those that the rules were made on; a large number for all.
EACH = int(os.environ.get("CHAINRULE_ZOO_EACH", "2"))


def some(kind, count):
    """Return a few runs of a kind, drawn by the hashes of their names."""
    plans = [p for p in PLANS if p.fault == kind and p.half == "tune"]
    return sorted(plans, key=lambda p: hashlib.sha256(p.name.encode()).digest())[:count]


def test_there_are_enough_runs_of_each_kind_in_both_halves():
    assert len(BY_NAME) == len(PLANS)
    planted = Counter((p.fault, p.half) for p in PLANS if p.fault)
    assert sum(planted.values()) >= 150 and {kind for kind, _ in planted} == set(KINDS)
    assert all(planted[kind, half] >= 2 for kind in KINDS for half in ("tune", "test"))
    assert sum(not p.fault for p in PLANS) >= 60
    assert len({p.data for p in PLANS}) >= 10
    for plan in PLANS:
        assert not plan.fault or plan.twin.name in BASES
        assert set(plan.layers) <= set(plan.names)


@pytest.mark.parametrize("plan", [p for kind in KINDS for p in some(kind, EACH)], ids=str)
def test_planted_faults_are_named(plan):
    outcome = train(plan)
    assert outcome.right(plan), line(Result(plan, outcome))


@pytest.mark.parametrize("plan", some("", 4 * EACH), ids=str)
def test_healthy_runs_are_left_alone(plan):
    outcome = train(plan)
    assert not outcome.findings, line(Result(plan, outcome))


def test_the_page_is_that_of_these_runs():
    text = PAGE.read_text(encoding="utf-8")
    for plan in PLANS:
        assert plan.name.split(": ", 1)[-1] in text
