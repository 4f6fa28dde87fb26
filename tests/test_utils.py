"""The helpers of ``chainrule.utils`` and the seeds behind them."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from chainrule import seeding
from chainrule.errors import DataError
from chainrule.utils import normalize, set_random_seed, to_categorical


def drawn(count=100):
    return [seeding.next_seed() for _ in range(count)]


def test_a_seed_repeats_its_sequence():
    set_random_seed(7)
    first = drawn()
    set_random_seed(7)
    assert drawn() == first
    assert seeding.seed() == 7


def test_seeds_are_63_bits_and_differ():
    set_random_seed(0)
    seeds = drawn(10_000)
    assert len(set(seeds)) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert 0.49 < np.mean([seed.bit_count() for seed in seeds]) / 63 < 0.51


def test_neighbouring_seeds_share_nothing():
    sequences = []
    for seed in (0, 1, 2, seeding._GOLDEN, -1):
        set_random_seed(seed)
        sequences.append(set(drawn()))
    assert len(set.union(*sequences)) == 500


def test_the_finalizer_is_that_of_splitmix64():
    """Outputs of the published generator started at 1234567."""
    words = [seeding._mixed(1234567 + i * seeding._GOLDEN) for i in (1, 2)]
    assert words == [6457827717110365317, 3203168211198807973]


def legacy_numpy_state():
    return np.random.get_state()[1].tolist()


def test_numpy_and_python_generators_are_left_alone():
    before = random.getstate(), legacy_numpy_state()
    set_random_seed(3)
    drawn()
    assert (random.getstate(), legacy_numpy_state()) == before


@pytest.mark.parametrize("seed", [1.5, "7", None])
def test_a_seed_must_be_an_integer(seed):
    with pytest.raises(DataError, match=r"seed is .* expected an integer"):
        set_random_seed(seed)


def test_numpy_integers_are_seeds():
    set_random_seed(np.int64(5))
    assert seeding.seed() == 5


def test_without_a_seed_processes_begin_alike():
    command = [sys.executable, "-c", "from chainrule import seeding; print(seeding.next_seed())"]
    results = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(results) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("chosen", [True, False])
def test_a_fork_renews_the_seed_unless_it_was_chosen(chosen):
    code = (
        "import os\nfrom chainrule import seeding\n"
        f"if {chosen}: seeding.set_seed(1)\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n    os.write(w, str(seeding.next_seed()).encode())\n    os._exit(0)\n"
        "os.wait()\nprint(int(os.read(r, 99)) == seeding.next_seed())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(chosen)


@pytest.mark.parametrize(
    ("x", "num_classes", "shape"),
    [
        ([0, 2, 1], None, (3, 3)),
        ([[0], [2]], 4, (2, 4)),
        ([[0, 1], [2, 3]], 4, (2, 2, 4)),
        (np.array([1.0, 0.0], "float32"), None, (2, 2)),
        (np.array([True, False]), None, (2, 2)),
        (2, 3, (3,)),
        ([], 5, (0, 5)),
    ],
)
def test_to_categorical(x, num_classes, shape):
    y = to_categorical(x, num_classes)
    assert y.shape == shape and y.dtype == np.float32
    labels = np.asarray(x, np.int64)
    assert np.array_equal(y.argmax(axis=-1).ravel(), labels.ravel())
    assert (y.sum(axis=-1) == 1).all()


@pytest.mark.parametrize(
    ("x", "num_classes", "message"),
    [
        ([0, 3], 3, r"element 1 of x is 3.*from 0 to 2"),
        ([0, -1], None, "element 1 of x is -1"),
        ([0.5], None, "not whole"),
        ([float("nan")], None, "not whole"),
        (["cat"], None, "dtype <U3"),
        ([], None, "empty"),
        ([0], 0, "num_classes is 0"),
        ([0], 2.0, "num_classes is 2.0, of type float"),
    ],
)
def test_to_categorical_refuses(x, num_classes, message):
    with pytest.raises(DataError, match=message):
        to_categorical(x, num_classes)


@pytest.mark.parametrize("order", [1, 2, np.inf])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize(axis, order):
    x = np.random.default_rng(0).standard_normal((4, 5))
    y = normalize(x, axis, order)
    assert np.allclose(np.linalg.norm(y, order, axis), 1)
    assert np.allclose(np.linalg.norm(x, order, axis, keepdims=True) * y, x)


def test_normalize_dtypes_and_zeros():
    x = np.zeros((2, 3), "float32")
    assert normalize(x).dtype == np.float32
    assert not normalize(x).any()
    assert normalize([[1, 2]]).dtype == np.float64


@pytest.mark.parametrize(("x", "axis"), [(["a"], 0), ([1.0], 1), (1.0, 0)])
def test_normalize_refuses(x, axis):
    with pytest.raises(DataError, match="normalize"):
        normalize(x, axis)
