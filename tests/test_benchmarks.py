"""The benchmark program compares like with like; nothing here is timed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PERCEPTRONS = ["4-32-16-3/tanh/x16", *(f"784-128-10/relu/x{n}" for n in (1, 32, 128, 512))]
CONVOLUTIONS = ["LeNet-5/x32", "32c-BN-32c-pool-64c-64c-pool-256-10/x32"]
KINDS = ("biLSTM64", "biGRU64", "biSimpleRNN64")
RECURRENCES = [f"10000x64-{kind}-64-2/T100/x32" for kind in KINDS]


def run(*arguments):
    """What ``python -m benchmarks`` does with these arguments."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("peer", ["torch", "jax", "keras", "sklearn"])
def test_a_peer_computes_the_same(peer):
    if find_spec(peer) is None:  # not importorskip: Keras wants its backend chosen first
        pytest.skip(f"{peer} is not installed")
    done = run("--check", "--peers", "chainrule", "chainrule-batches", peer, "--rows", *PERCEPTRONS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"5 rows, peers chainrule, chainrule-batches, {peer}: 0 problems" in done.stdout


@pytest.mark.parametrize("peers", [("torch", "torch-last"), ("jax-steps",), ("keras",)])
def test_a_peer_convolves_the_same(peers):
    package = peers[0].split("-")[0]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    done = run("--check", "--peers", "chainrule", *peers, "--rows", *CONVOLUTIONS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"2 rows, peers chainrule, {', '.join(peers)}: 0 problems" in done.stdout


@pytest.mark.parametrize("peer", ["torch", "jax", "keras"])
def test_a_peer_recurs_the_same(peer):
    if find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    done = run("--check", "--peers", "chainrule", peer, "--rows", *RECURRENCES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"3 rows, peers chainrule, {peer}: 0 problems" in done.stdout


def test_each_layer_is_planned_and_run():
    command = [sys.executable, "-m", "benchmarks.layers", "--rounds", "1", "--threads", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # A layer of the one network, four of the other; of their first no gradient of the input.
    assert done.stdout.count("3x3") == 5 and done.stdout.count("not needed") == 2


def test_operations_and_parameters_are_counted_by_hand():
    code = (
        "from benchmarks.networks import perceptron\n"
        "network = perceptron((4, 3, 2), 'relu')\n"
        "print(network.parameters(), network.operations(5), network.traffic())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # Two products of 4 x 3 (none for the gradient of the data) and three of 3 x 2, batch 5.
    assert done.stdout.split() == [str(5 * 3 + 4 * 2), str(2 * 5 * (2 * 12 + 3 * 6)), str(23 * 24)]


def test_convolutions_are_counted_by_hand():
    code = (
        "from benchmarks.networks import Conv, Dense, Flatten, Network, Norm, Pool\n"
        "layers = (Conv(2, 3), Norm(), Pool(), Conv(5, 3, padding='same'), Flatten(), Dense(4))\n"
        "network = Network('small', (8, 6, 3), layers)\n"
        "print(network.parameters(), network.operations(7))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # 8 x 6 becomes 6 x 4, pooled 3 x 2: 24 sums of 27 for 2 channels, 6 of 18 for 5, 30 for 4.
    weights = (27 * 2 + 2) + 2 * 2 + (18 * 5 + 5) + (30 * 4 + 4)
    products = 2 * 24 * 27 * 2 + 3 * 6 * 18 * 5 + 3 * 30 * 4
    assert done.stdout.split() == [str(weights), str(7 * 2 * products)]


def test_recurrences_are_counted_by_hand():
    code = (
        "from benchmarks.networks import Dense, Embedding, Network, Recurrent\n"
        "first = Recurrent('GRU', 4, sequences=True)\n"
        "layers = (Embedding(9, 3), first, Recurrent('LSTM', 5, both=False), Dense(2))\n"
        "network = Network('small', (7,), layers)\n"
        "print(network.parameters(), network.operations(6))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # GRU has two biases, and two directions of 4 states here; LSTM reads both at once.
    weights = 9 * 3 + 2 * 3 * 4 * (3 + 4 + 2) + 4 * 5 * (8 + 5 + 1) + (5 * 2 + 2)
    # Three products of each: the vectors of the embedding are trained too.
    products = 7 * (2 * 3 * 4 * (3 + 4) + 4 * 5 * (8 + 5)) + 5 * 2
    assert done.stdout.split() == [str(weights), str(6 * 2 * 3 * products)]


def test_updates_move_each_array_once():
    code = (
        "from benchmarks.optimizers import RULES, passes\n"
        "print(*(f'{r.title}:{passes(r) - r.least:.0f}' for r in RULES if r.least), sep=',')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    more = {title: n for title, n in (one.split(":") for one in done.stdout.split(",")) if int(n)}
    # The sums over rows and over columns of Adafactor read the gradient once each, and what is
    # divided by the norm of the whole is stored in between.
    assert more == {"Adafactor": "2"}


def test_optimizers_end_where_pytorchs_do():
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    command = ["benchmarks.optimizers", "--processes", "1", "--rounds", "1", "--seconds", "0"]
    command += ["--sizes", "784-128-10 x128", "--rules", "Adam", "Lion", "LAMB", "L-BFGS"]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differ" not in done.stdout


def test_a_disagreement_is_a_problem():
    code = (
        "from benchmarks.measure import disagreements\n"
        "print(disagreements({'a': [2.0, 1.9], 'b': [2.00001, 1.9], 'c': [2.0, 1.8]}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "c computes something else than a" in done.stdout and "b computes" not in done.stdout
