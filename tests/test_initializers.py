"""Initializers: variances as the papers state them, Keras's counting of inputs, repeatability."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import initializers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.seeding import set_seed

SHAPE = (300, 200)
VARIANCES = {
    "glorot_uniform": 1 / 250, "glorot_normal": 1 / 250, "he_uniform": 2 / 300,
    "he_normal": 2 / 300, "lecun_uniform": 1 / 300, "lecun_normal": 1 / 300,
    "variance_scaling": 1 / 300, "random_normal": 0.05**2, "random_uniform": 0.1**2 / 12,
    "truncated_normal": (0.05 * 0.87962566) ** 2, "zeros": 0.0, "ones": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name: str) -> None:
    w = initializers.get(name)(SHAPE, "float64")
    assert w.shape == SHAPE
    assert w.var() == pytest.approx(VARIANCES[name], rel=0.03, abs=1e-12)
    assert w.mean() == pytest.approx(1.0 if name == "ones" else 0.0, abs=3e-3)


@pytest.mark.parametrize("name", [*sorted(VARIANCES), "orthogonal", "identity", "constant"])
def test_round_trip(name: str) -> None:
    first = initializers.get(name)
    again = initializers.get(initializers.serialize(first))
    assert type(again) is type(first)
    assert again.get_config() == first.get_config()
    assert first((4, 4)).dtype == np.float32


def test_seeds() -> None:
    make = initializers.GlorotUniform
    np.testing.assert_array_equal(make(seed=3)((5, 5)), make(seed=3)((5, 5)))
    set_seed(1)
    a, b = make()((5, 5)), make()((5, 5))
    set_seed(1)
    c = make()((5, 5))
    assert (a == c).all() and (a != b).any()


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (2, 3, 7)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    q = initializers.Orthogonal(2.0)(shape, "float64").reshape(-1, shape[-1])
    small = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_truncated_normal_stays_within_two_deviations() -> None:
    assert np.abs(initializers.TruncatedNormal(stddev=1.0)((10000,))).max() <= 2


def test_bad_arguments() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrm")
    with pytest.raises(ArgumentError, match="scale must be above 0"):
        initializers.VarianceScaling(0.0)
    with pytest.raises(ShapeError, match="two axes"):
        initializers.Identity()((3,))
    with pytest.raises(ShapeError, match="two axes"):
        initializers.Orthogonal()((3,))


@pytest.mark.parametrize("shape", [(), (7,), (7, 3), (3, 3, 4, 5)])
def test_fans_as_keras_counts_them(shape: tuple[int, ...]) -> None:
    random = pytest.importorskip("keras.src.initializers.random_initializers")
    assert initializers.fans(shape) == pytest.approx(random.compute_fans(shape))


def test_keras_other_names():
    assert initializers.he_normal is initializers.HeNormal
    first = initializers.glorot_uniform(seed=1)
    again = initializers.deserialize(initializers.serialize(first))
    np.testing.assert_array_equal(again((2, 3)), first((2, 3)))
    with pytest.raises(AttributeError, match="no attribute 'he_norm'"):
        _ = initializers.he_norm
