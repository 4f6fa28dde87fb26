"""A fused operation computes what its decomposition does: values and derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import ops
from chainrule.executors import run
from chainrule.graph import Value, Variable, constant, gradient, registry
from op_cases import CASES, Case

FUSED = [c for c in CASES if registry()[c.name].fused]


def leaves(case: Case) -> list[Value]:
    arrays = case.make(np.random.default_rng(11), "float64")
    return [Variable(np.asarray(a), dtype=np.asarray(a).dtype.name).leaf for a in arrays]


def both(case: Case, values: list[Value]) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    op = registry()[case.name]
    results = op.apply(values, dict(case.attributes)), op.decompose(*values, **case.attributes)
    whole, parts = (r if isinstance(r, tuple) else (r,) for r in results)
    return whole, parts


def test_there_are_fused_operations() -> None:
    assert len({c.name for c in FUSED}) >= 10


@pytest.mark.parametrize("case", FUSED, ids=lambda c: f"{c}-{c.attributes}"[:70])
def test_values(case: Case) -> None:
    for whole, part in zip(*both(case, leaves(case)), strict=True):
        np.testing.assert_allclose(*run([whole, part]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", FUSED, ids=lambda c: f"{c}-{c.attributes}"[:70])
def test_derivatives(case: Case) -> None:
    values = leaves(case)
    floats = [v for v in values if v.dtype == "float64"]
    rng = np.random.default_rng(1)
    totals = [constant(np.float64(0)), constant(np.float64(0))]
    for pair in zip(*both(case, values), strict=True):
        weights = rng.standard_normal(pair[0].shape)
        totals = [
            ops.add(t, ops.sum(ops.multiply(y, weights))) for t, y in zip(totals, pair, strict=True)
        ]
    for a, b in zip(gradient(totals[0], floats), gradient(totals[1], floats), strict=True):
        np.testing.assert_allclose(*run([a, b]), rtol=1e-9, atol=1e-11)


def test_arguments_that_are_one_or_depend_on_each_other() -> None:
    x = Variable([0.3, -0.7], dtype="float64")
    slope = registry()["tanh_gradient"]  # g (1 - y^2), by its decomposition
    np.testing.assert_allclose(
        gradient(ops.sum(slope(x.leaf, x.leaf)), [x])[0].numpy(), 1 - 3 * x.numpy() ** 2
    )
    double = ops.multiply(x, 2.0)
    np.testing.assert_allclose(
        gradient(ops.sum(slope(x.leaf, double)), [x])[0].numpy(), 1 - 12 * x.numpy() ** 2
    )
