"""The fuzzer in brief, that it sees what it looks for, and files on disks that fail."""

import os
import random
import resource
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import fuzz
import fuzz_data
import fuzz_mutations
import fuzz_targets
from chainrule import layers, models
from chainrule.errors import ChainruleError, FileError
from chainrule.models import container, load_model
from chainrule.models.keras_files import archive
from peers import peer

peer("h5py")
COUNT = int(os.environ.get("CHAINRULE_FUZZ", "500"))


def apart(code):
    """Run code in a process of its own: the fuzzer forks, which a process with JAX must not."""
    folder = os.path.dirname(__file__)
    paths = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_mutated_files():
    apart(f"import test_fuzz; test_fuzz.check_files({COUNT})")


def check_files(count):
    failures, counts = fuzz.run(1, range(count), fuzz_targets.make(fuzz_targets.NAMES))
    assert not failures, failures
    refused = sum(n for name, n in counts.items() if name.endswith("refused"))
    assert count * 0.6 < refused < count


def test_mutated_arrays_and_images():
    peer("PIL")
    apart(f"import test_fuzz; test_fuzz.check_data({COUNT})")


def check_data(count):
    failures, counts = fuzz.run(1, range(count), fuzz_data.make())
    assert not failures, failures
    assert sum(n for name, n in counts.items() if name.endswith("refused")) > count * 0.3


def test_a_case_is_always_the_same():
    chosen = fuzz_targets.make(["keras", "h5"])
    for number in range(20):
        assert fuzz.case(4, number, chosen)[1:] == fuzz.case(4, number, chosen)[1:]


@pytest.mark.parametrize("name", ["model", "backup", "h5"])
def test_it_sees_a_checksum_that_is_not_checked(name):
    apart(f"import test_fuzz; test_fuzz.check_checksum({name!r})")


def check_checksum(name):
    (target,) = fuzz_targets.make([name])
    container._check_digest = lambda content: None
    archive.checked = lambda content: content
    target.lies = None
    failures, _ = fuzz.run(1, range(150), [target])
    assert any("another model" in words for _, _, words in failures)


def crash(path):
    os.abort()


def hang(path):
    while True:
        pass


def swell(path):
    return len([0] * 10**6)


def fail(path):
    raise KeyError("what")


def execute(path):
    exec("1 + 1")


def write(path):
    path.with_suffix(".more").write_text("")


def test_it_sees_what_it_looks_for():
    apart("import test_fuzz; test_fuzz.check_sight()")


def check_sight():
    fuzz.LONGEST = 0.2
    for load, words in (
        (crash, "the process ended with status"),
        (hang, "TooLong"),
        (swell, "bytes of memory for a file"),
        (fail, "KeyError: 'what'"),
        (execute, "Forbidden: compile"),
        (write, "Forbidden: open"),
    ):
        (target,) = fuzz_targets.make(["safetensors"])
        bad = fuzz.case(1, 2, [target])[1]
        target.load = one_bad(load, target.load, bad)
        failures, counts = fuzz.run(1, range(4), [target])
        assert [number for number, _, _ in failures] == [2], (load, failures)
        assert words in failures[0][2] and sum(counts.values()) in (1, 3), (load, failures)


def one_bad(load, good, bad):
    return lambda path: load(path) if path.read_bytes() == bad else good(path)


def large():
    stack = [layers.Input((300,)), layers.Dense(500, name="a"), layers.Dense(600, name="b")]
    return models.Sequential(stack)


@pytest.mark.parametrize("name", ["m.chainrule", "m.keras", "m.h5", "m.weights.h5"])
def test_memory_is_within_twice_the_size_of_the_file(tmp_path, name):
    path, model, choose = tmp_path / name, large(), random.Random(3)
    alone = name == "m.weights.h5"
    (model.save_weights if alone else model.save)(path)
    load = model.load_weights if alone else load_model
    content = path.read_bytes()
    load(path)
    tracemalloc.start()
    for i in range(12):
        path.write_bytes(fuzz_mutations.of_bytes(content, choose) if i else content)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            load(path)
        except ChainruleError:
            assert i
        assert tracemalloc.get_traced_memory()[1] - before < 2 * len(content) + 300_000
    tracemalloc.stop()


@pytest.mark.parametrize("size", [10**6, 10**8])
def test_an_archive_that_would_unpack_to_far_more(tmp_path, size):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("config.json", b"[" * size)
        file.writestr("model.weights.h5", bytes(size))
    tracemalloc.start()
    with pytest.raises(FileError, match="far more than its own"):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 100_000
    tracemalloc.stop()


NAMES = ("m.chainrule", "m.keras", "m.h5", "m.weights.h5")


def save(model, path):
    (model.save_weights if ".weights." in path.name else model.save)(path)


def loaded(path):
    if ".weights." not in path.name:
        return load_model(path)
    model = large()
    model.load_weights(path)
    return model


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [0, 10, 100_000, 1_000_000])
def test_a_disk_that_is_full_leaves_the_old_file(tmp_path, monkeypatch, name, part):
    path, model = tmp_path / name, large()
    save(model, path)
    before = path.read_bytes()

    class Full:
        """A file on a disk with room for so many bytes."""

        def __init__(self, file):
            self.file, self.left = file, part

        def write(self, data):
            data = memoryview(data).cast("B")
            self.left -= len(data)
            if self.left < 0:
                self.file.write(data[: self.left])
                raise OSError(28, "No space left on device")
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *about):
            self.file.close()

    opened = os.fdopen
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", lambda *given: Full(opened(*given)))
        with pytest.raises(FileError, match="No space left"):
            save(large(), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [name]
    assert np.array_equal(loaded(path).get_weights()[0], model.get_weights()[0])


FULL = """
import os, resource, sys, warnings
from chainrule import layers, models
from chainrule.errors import FileError
stack = [layers.Input((300,)), layers.Dense(500, name="a"), layers.Dense(600, name="b")]
model = models.Sequential(stack)
path = sys.argv[1]
save = model.save_weights if ".weights." in path else model.save
save(path)
before = open(path, "rb").read()
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))
try:
    save(path)
except FileError as error:
    assert "File too large" in str(error), error
else:
    raise SystemExit("no error")
assert open(path, "rb").read() == before
assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_of_the_system_leaves_the_old_file(tmp_path, name):
    assert resource.RLIMIT_FSIZE is not None
    result = subprocess.run([sys.executable, "-c", FULL, tmp_path / name], capture_output=True)
    assert result.returncode == 0, result.stderr.decode()


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_in_each_region_and_every_cut_is_seen(tmp_path, name):
    path = tmp_path / name
    model = models.Sequential([layers.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2)])
    alone = ".weights." in name
    (model.save_weights if alone else model.save)(path)
    content, weights = path.read_bytes(), model.get_weights()
    load = model.load_weights if alone else load_model
    for at in range(0, len(content), max(7, len(content) // 400)):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        found = outcome(load, path, model)
        if found is not None:  # it was not in what counts
            same = zip(found.get_weights(), weights, strict=True)
            assert all(np.array_equal(a, b) for a, b in same)
        path.write_bytes(content[:at])
        assert outcome(load, path, model) is None


def outcome(load, path, model):
    try:
        return load(path) or model
    except FileError as error:
        assert str(error)
        return None
