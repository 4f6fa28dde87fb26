"""IDX files: what is written is read, and every wrong length is refused before it costs memory."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from chainrule.data import read_idx, write_idx
from chainrule.data.idx import idx_files, read_idx_folder
from chainrule.errors import DataError, FileError
from chainrule.layers import Dense, Flatten, Input
from chainrule.models import Sequential
from chainrule.utils import set_random_seed

KINDS = ["uint8", "int8", "int16", "int32", "float32", "float64"]
GOOD = struct.pack(">HBBII", 0, 8, 2, 2, 3) + bytes(range(6))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5,), (0,), (3, 0, 2), (2, 3, 4), (1, 1, 1, 1)])
def test_what_is_written_is_read(tmp_path, kind, shape, suffix):
    draw = np.random.default_rng(0)
    array = (draw.standard_normal(shape) * 50).astype(kind)
    write_idx(tmp_path / f"x{suffix}", array)
    found = read_idx(tmp_path / f"x{suffix}")
    assert found.dtype == kind and found.dtype.isnative and found.flags.writeable
    assert np.array_equal(found, array) and found.shape == shape


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "x", np.arange(6, dtype="uint8").reshape(2, 3))
    assert (tmp_path / "x").read_bytes() == GOOD
    write_idx(tmp_path / "y", np.array([1, -2], "int16"))
    assert (tmp_path / "y").read_bytes() == bytes.fromhex("00000b01 00000002 0001 fffe")
    # As other programs write it, big-endian.
    write_idx(tmp_path / "z", np.array([1, -2], ">i2"))
    assert read_idx(tmp_path / "z").tolist() == [1, -2]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends within its first 4 bytes"),
        (GOOD[:3], "ends within its first 4 bytes"),
        (GOOD[:9], "ends within its shape"),
        (GOOD[:-1], r"the uint8 array of shape \[2, 3\]"),
        (GOOD + b"x", "goes on after the uint8 array"),
        (b"PK\3\4" + GOOD, "no IDX file: it begins with b'PK"),
        (b"\0\0\7\1" + GOOD[4:], "no IDX file"),
        (b"\0\0\x08\0", "says that it has 0 axes"),
        (b"\0\0\x08\xff" + bytes(2000), "says that it has 255 axes"),
        (struct.pack(">HBB4I", 0, 14, 4, *[2**32 - 1] * 4), "too short for the float64 array"),
        (struct.pack(">HBBI", 0, 8, 1, 2**31), "too short for the uint8 array"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, words, packed):
    path = tmp_path / "x-idx3-ubyte"
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    if packed and content == GOOD[:-1]:
        words = "ends within the uint8 array"
    tracemalloc.start()
    with pytest.raises(FileError, match=words) as caught:
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert "x-idx3-ubyte" in str(caught.value)


def test_damage_within_the_packing(tmp_path):
    path = tmp_path / "x.gz"
    packed = gzip.compress(GOOD, mtime=0)
    for at in range(len(packed)):
        path.write_bytes(packed[:at])
        with pytest.raises(FileError):
            read_idx(path)
    for at in range(10, len(packed)):  # before are a name and a time, which nothing guards
        bad = bytearray(packed)
        bad[at] ^= 4
        path.write_bytes(bad)
        with pytest.raises(FileError):
            read_idx(path)


def test_what_cannot_be_written(tmp_path):
    for bad in (np.zeros(2, "int64"), np.float32(1), np.zeros(2, complex), np.array(["a"])):
        with pytest.raises(DataError, match="IDX files hold uint8"):
            write_idx(tmp_path / "x", bad)
    with pytest.raises(FileError, match="cannot write"):
        write_idx(tmp_path / "no" / "x", np.zeros(2, "uint8"))
    with pytest.raises(FileError, match=r"cannot read.*No such file"):
        read_idx(tmp_path / "none")
    with pytest.raises(FileError, match="directory"):
        read_idx(tmp_path)
    assert not list(tmp_path.iterdir())


def four(folder, names=("train", "t10k"), suffix=".gz", dot="-"):
    folder.mkdir(exist_ok=True)
    x, y = np.arange(24, dtype="uint8").reshape(6, 2, 2), np.arange(6, dtype="uint8")
    for name, n in zip(names, (4, 2), strict=True):
        write_idx(folder / f"{name}-images{dot}idx3-ubyte{suffix}", x[:n])
        write_idx(folder / f"{name}-labels{dot}idx1-ubyte{suffix}", y[:n])
    return folder


@pytest.mark.parametrize("names", [("train", "t10k"), ("train", "test")])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
def test_a_folder_in_the_form_of_mnist(tmp_path, names, suffix, dot):
    folder = four(tmp_path, names, suffix, dot)
    (x_train, y_train), (x_test, y_test) = read_idx_folder(folder)
    assert x_train.shape == (4, 2, 2) and y_train.tolist() == [0, 1, 2, 3]
    assert x_test.shape == (2, 2, 2) and y_test.tolist() == [0, 1]
    assert len(idx_files(folder)) == 4


def test_a_folder_that_lacks_or_mixes(tmp_path):
    folder = four(tmp_path / "a")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert idx_files(folder) == {}
    with pytest.raises(FileError, match=r"no file 't10k-labels-idx1-ubyte'\[.gz\]"):
        read_idx_folder(folder)
    folder = four(tmp_path / "b")
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(3, "uint8"))
    with pytest.raises(DataError, match="one label for each image"):
        read_idx_folder(folder)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fit_takes_their_names(tmp_path, suffix):
    draw = np.random.default_rng(1)
    x, y = draw.integers(0, 256, (40, 5, 4)).astype("uint8"), draw.integers(0, 3, 40)
    names = [f"{tmp_path}/{name}{suffix}" for name in ("a-idx3-ubyte", "b.idx")]
    for name, array in zip(names, (x, y.astype("uint8")), strict=True):
        write_idx(name, array)
    found = []
    for given in ((x, y), names):
        set_random_seed(1)
        model = Sequential([Input((5, 4)), Flatten(), Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        history = model.fit(*given, epochs=2, verbose=0, validation_split=0.25)
        found.append([history.history, *map(np.ndarray.tolist, model.get_weights())])
        assert model.predict(given[0], verbose=0).shape == (40, 3)
    assert found[0] == found[1]
    with pytest.raises(FileError, match="cannot read"):
        model.fit(f"{tmp_path}/none.idx", y, verbose=0)
