"""A small choice of the zoo: planted faults are named with the layer, healthy runs left alone.

All of it: `python -m tests.zoo`; its table is kept in `docs/zoo.md`.
"""

import hashlib
import os
import pathlib
import sys
from collections import Counter

import pytest

from chainrule.insight import KINDS
from zoo.__main__ import main
from zoo.all import zoo
from zoo.bases import BASES
from zoo.remedies import ENOUGH, Mended, applied, mend
from zoo.run import data_of, train
from zoo.table import Result, document, halves_table, kinds_table, line

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "zoo.md"
PLANS = zoo()
BY_NAME = {plan.name: plan for plan in PLANS}
# How many runs of each kind, of those that the rules were made on; a large number for all.
EACH = int(os.environ.get("CHAINRULE_ZOO_EACH", "1"))


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


@pytest.mark.parametrize("plan", some("", 6 * EACH), ids=str)
def test_healthy_runs_are_left_alone(plan):
    outcome = train(plan)
    assert not outcome.findings, line(Result(plan, outcome))


@pytest.mark.skipif(not PAGE.exists(), reason="python -m tests.zoo has not written docs/zoo.md")
def test_the_page_is_that_of_these_runs():
    text = PAGE.read_text(encoding="utf-8")
    assert not [p.name for p in PLANS if p.name.split(": ", 1)[-1] not in text]


def test_a_remedy_is_applied_and_the_network_learns():
    plan = some("dead_relu", 1)[0]
    mended = mend(plan, train(plan))
    assert mended.applied and mended.works and mended.rounds == 1
    assert mended.before < 0.2 < ENOUGH * mended.healthy <= mended.after


CHANGES = [
    ({"optimizer.learning_rate": 0.5}, lambda p: p.optimizer.options["learning_rate"] == 0.5),
    ({"layer": "h1", "activation": "tanh"}, lambda p: p.parts[1].options["activation"] == "tanh"),
    ({"layers": ["h1", "out"], "units": 3}, lambda p: p.parts[2].options["units"] == 3),
    ({"layers": {"h1": {"units": 7}}}, lambda p: p.parts[1].options["units"] == 7),
    ({"layer": "out", "activation": "linear"}, lambda p: "activation" not in p.parts[2].options),
    ({"batch_size": 64, "loss": "mse"}, lambda p: (p.batch_size, p.loss) == (64, "mse")),
    ({"class_weight": {0: 2.0}}, lambda p: "class_weight" in p.fit),
    (
        {"optimizer": "adam", "optimizer.learning_rate": 0.01},
        lambda p: p.optimizer.options == {"learning_rate": 0.01},
    ),
    ({"x": "divide by 255"}, lambda p: data_of(p).x.max() < 0.01),
    ({"x": "standardize"}, lambda p: abs(data_of(p).x.mean()) < 1e-3),
]


@pytest.mark.parametrize(("change", "holds"), CHANGES, ids=[str(c) for c, _ in CHANGES])
def test_changes_are_applied_to_the_plan_alone(change, holds):
    plan = BASES["perceptron on digits"]
    assert holds(applied(plan, change)) and not holds(plan)


def test_the_tables():
    plan = some("softmax_twice", 1)[0]
    results = [Result(plan, train(plan), Mended(True, True, 0.5, 0.9, 0.9, 1))]
    results.append(Result(BASES["linear on products"], train(BASES["linear on products"])))
    assert line(results[0]).startswith("ok") and "-> learns (0.50, 0.90 of 0.90)" in line(
        results[0]
    )
    assert "| `softmax_twice` | 1 | 1 | 1 | 100% | 0 | 1 | 1 (100%) |" in kinds_table(results)
    page = document(results)
    assert halves_table(results) in page and "Nothing." in page and "**healthy** (1)" in page


def test_the_command(capsys, monkeypatch):
    name = some("leaking_feature", 1)[0].name
    monkeypatch.setattr(sys, "argv", ["zoo", "--half", "tune", "--name", name])
    assert main() == 0
    printed = capsys.readouterr().out
    assert f"{name}: leaking_feature" in printed and "| tuned on | 1 | 1 (100.0%)" in printed
