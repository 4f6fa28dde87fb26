"""The same bits for any number of threads and in any process; Ctrl-C at any moment."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from chainrule import executors, ops
from chainrule.callbacks import LambdaCallback
from chainrule.graph import constant
from chainrule.layers import Dense, Dropout, Input
from chainrule.models import Sequential, load_model
from chainrule.utils import set_random_seed

RANDOM = np.random.default_rng(11)


def trained(batch_size, steps=200, width=40):
    """Return the weights after so many steps of a network whose sizes are no round numbers."""
    set_random_seed(4)
    layers = [Input((33,)), Dense(width, activation="relu"), Dropout(0.2), Dense(7)]
    model = Sequential([*layers, Dense(5, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    random = np.random.default_rng(5)
    n = max(batch_size * 20, 20)
    x = random.standard_normal((n, 33)).astype("float32")
    model.fit(x, random.integers(0, 5, n), batch_size=batch_size, epochs=steps // 20, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_same_bits_for_any_number_of_threads(batch_size):
    results = []
    for threads in (1, 2, 3, 7):
        executors.set_num_threads(threads)
        results.append(trained(batch_size))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_nearer_to_zero_than_full_precision_are_zero(threads, dtype):
    """In all threads of the engine, and not in what others do with them."""
    least = np.finfo(dtype).smallest_normal
    x = constant(np.full((40000, 64), least, dtype))
    executors.set_num_threads(threads)
    for _ in range(3):  # a helper that wakes up late does nothing
        halved, kept = executors.run([ops.exp(x) * 0.5 * x, ops.exp(x) * x])
        assert not halved.any()
        assert (kept == least).all()
        assert (x.numpy() * 0.5).all()


def test_same_bits_in_two_processes():
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_threads as t\n"
        "print(hashlib.sha256(b''.join(w.tobytes() for w in t.trained(32))).hexdigest())"
    )
    command = [sys.executable, "-c", code, os.path.dirname(__file__)]
    results = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
    here = hashlib.sha256(b"".join(w.tobytes() for w in trained(32))).hexdigest()
    assert results == {here.encode() + b"\n"}


def large():
    set_random_seed(1)
    model = Sequential(
        [Input((64,)), Dense(256, activation="relu"), Dense(2, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    x = RANDOM.standard_normal((20_000, 64)).astype("float32")
    return model, x, (x[:, 0] > 0).astype(int)


def check_usable(model, x, y, path):
    """Evaluate, save, load, evaluate to the same number, train on."""
    loss = model.evaluate(x, y, verbose=0)
    assert np.isfinite(loss)
    model.save(path)
    assert load_model(path).evaluate(x, y, verbose=0) == loss
    model.fit(x[:640], y[:640], verbose=0)


def interrupt_in(seconds):
    timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
    timer.daemon = True
    timer.start()
    return timer


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.61])
def test_ctrl_c_leaves_usable_weights(seconds, tmp_path):
    model, x, y = large()
    before = model.get_weights()
    model.fit(x[:64], y[:64], verbose=0)
    timer = interrupt_in(seconds)
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=100_000, verbose=0)
    assert time.perf_counter() - began < seconds + 5
    timer.join()
    assert not np.array_equal(before[0], model.get_weights()[0])
    check_usable(model, x, y, tmp_path / "m.chainrule")


def test_ctrl_c_in_a_callback(tmp_path):
    model, x, y = large()

    def interrupt(batch, logs):
        if batch == 7:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, callbacks=[LambdaCallback(on_train_batch_end=interrupt)], verbose=0)
    assert int(model.optimizer.iterations) == 8
    check_usable(model, x, y, tmp_path / "m.chainrule")


INTERRUPTED = """
import sys, json
sys.path.insert(0, sys.argv[1])
import test_threads as t
model, x, y = t.large()
model.fit(x[:64], y[:64], verbose=0)
print("ready", flush=True)
try:
    model.fit(x, y, epochs=100_000, verbose=0)
except KeyboardInterrupt:
    model.save(sys.argv[2])
    print(json.dumps(model.evaluate(x, y, verbose=0)), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, os.path.dirname(__file__)]
    command.append(str(tmp_path / "m.chainrule"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        loss = json.loads(process.stdout.readline())
        assert process.wait(timeout=60) == 0
    assert np.isfinite(loss)
    assert load_model(tmp_path / "m.chainrule").count_params() == 64 * 256 + 256 + 512 + 2
