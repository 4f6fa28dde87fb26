"""Data sets that do not ship: found in each place, fetched from a server of our own, else told."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import pathlib
import pickle
import re
import tarfile
import threading

import numpy as np
import pytest

from chainrule.data import write_idx
from chainrule.datasets import _cifar_files, _fetch, _places, cifar10, fashion_mnist, mnist
from chainrule.datasets._fetch import fetch
from chainrule.datasets._of_mnist import _NAMES, Published
from chainrule.datasets._places import Remote
from chainrule.errors import DataError, DataWarning, FileError

RANDOM = np.random.default_rng(6)
BYTES = RANDOM.integers(0, 256, 700_000).astype("uint8").tobytes()


class Server(http.server.ThreadingHTTPServer):
    """Gives files that lie in memory; can be told to break off, or to know no ranges."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = files, []
        self.cuts, self.ranges = [], True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.files.get(self.path[1:])
        span = self.headers.get("Range")
        self.server.asked.append((self.path[1:], span))
        if content is None:
            self.send_error(404)
            return
        begin = (
            int(re.match(r"bytes=(\d+)-$", span)[1]) if span and self.server.ranges is True else 0
        )
        self.send_response(206 if begin or self.server.ranges == "another" else 200)
        if begin or self.server.ranges == "another":
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {begin}-{last}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        rest = content[begin:]
        if self.server.cuts:
            self.wfile.write(rest[: self.server.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    started = []

    def start(**files):
        server = Server(files)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Nothing of the machine is found, written to, or asked for."""
    monkeypatch.setenv("CHAINRULE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    for module in (mnist, fashion_mnist):
        monkeypatch.setattr(module, "_SYSTEM", tmp_path / "system")
    for module in (mnist, fashion_mnist, cifar10):
        monkeypatch.setattr(module, "_MIRRORS", ("http://127.0.0.1:9/",))  # nobody is there


def remote(*urls, content=BYTES, name="file.bin"):
    digest = hashlib.sha256(content).hexdigest()
    return Remote(name, len(content), digest, tuple(url + name for url in urls))


# Fetching


def test_a_file_is_fetched_once(tmp_path, serve):
    server = serve(**{"file.bin": BYTES})
    for _ in range(2):
        path = fetch(remote(server.url), tmp_path / "a" / "b")
        assert path.read_bytes() == BYTES and os.listdir(path.parent) == ["file.bin"]
    assert server.asked == [("file.bin", None)]


def test_what_is_cut_is_gone_on_from(tmp_path, serve):
    server = serve(**{"file.bin": BYTES})
    server.cuts = [100_000, 1]
    path = fetch(remote(server.url), tmp_path)
    assert path.read_bytes() == BYTES
    assert [span for _, span in server.asked] == [None, "bytes=100000-", "bytes=100001-"]
    # Between two processes too.
    path.unlink()
    server.cuts, server.asked = [200_000, 0], []
    with pytest.raises(FileError, match="cut after 200000 of 700000 bytes"):
        fetch(remote(server.url), tmp_path)
    assert (tmp_path / "file.bin.part").stat().st_size == 200_000
    assert fetch(remote(server.url), tmp_path).read_bytes() == BYTES
    assert server.asked[-1] == ("file.bin", "bytes=200000-")


def test_a_server_that_knows_no_ranges(tmp_path, serve):
    for answers in (False, "another"):
        server = serve(**{"file.bin": BYTES})
        server.ranges, server.cuts = answers, [300_000]
        assert fetch(remote(server.url), tmp_path).read_bytes() == BYTES
        assert len(server.asked) == 2
        (tmp_path / "file.bin").unlink()


def test_another_file_is_refused_and_the_next_address_asked(tmp_path, serve):
    other = bytearray(BYTES)
    other[-1] ^= 1
    bad, short, long, good = (
        serve(**{"file.bin": content})
        for content in (bytes(other), BYTES[:-1], BYTES + b"x", BYTES)
    )
    none = serve()
    wrong = [bad.url, short.url, long.url, none.url, "http://127.0.0.1:9/"]
    assert fetch(remote(*wrong, good.url), tmp_path).read_bytes() == BYTES
    (tmp_path / "file.bin").unlink()
    with pytest.raises(FileError) as caught:
        fetch(remote(*wrong), tmp_path)
    told = str(caught.value)
    assert told.startswith("file.bin cannot be fetched:\n  ")
    assert told.count("gives another file, by its SHA-256") == 2
    assert "cut after 699999" in told and "Not Found" in told and "refused" in told
    assert not (tmp_path / "file.bin").exists()


def test_a_wrong_beginning_is_begun_anew(tmp_path, serve):
    server = serve(**{"file.bin": BYTES})
    for begin in (b"wrong", b"x" * len(BYTES), b"x" * (len(BYTES) + 5)):
        (tmp_path / "file.bin.part").write_bytes(begin)
        assert fetch(remote(server.url), tmp_path).read_bytes() == BYTES
        (tmp_path / "file.bin").unlink()


def test_several_at_once_fetch_once(tmp_path, serve):
    server = serve(**{"file.bin": BYTES})
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(remote(server.url), tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and found[0].read_bytes() == BYTES
    assert len(server.asked) == 1 and os.listdir(tmp_path) == ["file.bin"]


def test_where_nothing_can_be_written(tmp_path, serve, monkeypatch):
    server = serve(**{"file.bin": BYTES})
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match=r"cannot write '.*file\.bin\.part'"):
        fetch(remote(server.url), tmp_path / "file")

    class Full(io.BytesIO):
        name = "full"

        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match="cannot write 'full': No space left"):
        _fetch._fill(remote(server.url), Full())
    assert len(server.asked) == 1


def test_the_cache_is_where_it_is_asked_for(tmp_path, monkeypatch):
    assert _places.cache("x") == tmp_path / "home" / "datasets" / "x"
    monkeypatch.delenv("CHAINRULE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert _places.cache("x") == tmp_path / "xdg" / "chainrule" / "datasets" / "x"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _places.home() == pathlib.Path.home() / ".cache" / "chainrule"


# MNIST and Fashion-MNIST


@pytest.fixture
def small(monkeypatch):
    """Both data sets, but of a few small pictures."""
    arrays = [RANDOM.integers(0, 256, (n, 4, 4)).astype("uint8") for n in (6, 3)]
    labels = [RANDOM.integers(0, 10, n).astype("uint8") for n in (6, 3)]
    parts = [arrays[0], labels[0], arrays[1], labels[1]]
    files, published = {}, {}
    for array, what in zip(parts, _NAMES, strict=True):
        write_idx("x", array)
        plain = pathlib.Path("x").read_bytes()
        packed = gzip.compress(plain, mtime=0)
        files[_NAMES[what]] = packed
        digests = [hashlib.sha256(content).hexdigest() for content in (packed, plain)]
        published[what] = Published(len(packed), *digests)
    for module in (mnist, fashion_mnist):
        monkeypatch.setattr(module, "_PUBLISHED", published)
    return parts, files


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def same(found, parts):
    arrays = [array for pair in found for array in pair]
    return all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(arrays, parts, strict=True)
    )


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
@pytest.mark.parametrize("plain", [False, True])
def test_found_where_systems_keep_them(small, module, plain):
    parts, files = small
    if plain:
        files = {name[:-3]: gzip.decompress(content) for name, content in files.items()}
    name = {mnist: "MNIST", fashion_mnist: "FashionMNIST"}[module]
    places = ["system", f"data/{name}/raw"]
    places += ["keras/datasets/fashion-mnist"] if module is fashion_mnist else []
    for place in places:
        folder = put(pathlib.Path(place), files)
        assert same(module.load_data(), parts)
        assert all(array.flags.writeable for pair in module.load_data() for array in pair)
        for path in folder.iterdir():
            path.unlink()
    with pytest.raises(FileError):
        module.load_data()


def test_found_as_keras_keeps_it(small):
    parts, _ = small
    path = pathlib.Path("keras/datasets/mnist.npz")
    path.parent.mkdir(parents=True)
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(path, **dict(zip(names, parts, strict=True)))
    assert same(mnist.load_data(), parts)
    content = path.read_bytes()
    path.rename("keras/datasets/other.npz")
    assert same(mnist.load_data("other.npz"), parts)
    assert same(mnist.load_data(path=pathlib.Path("keras/datasets/other.npz").resolve()), parts)
    path.write_bytes(content[:-30])
    with pytest.warns(DataWarning, match="not Keras's archive"), pytest.raises(FileError):
        mnist.load_data()
    np.savez(path, **dict(zip(names, parts[2:] + parts[:2], strict=True)))
    words = "the train images are not those that were published"
    with pytest.warns(DataWarning, match=words), pytest.raises(FileError):
        mnist.load_data()


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_fetched_into_the_cache(small, module, serve, monkeypatch, capsys, tmp_path):
    parts, files = small
    server = serve(**files)
    monkeypatch.setattr(module, "_MIRRORS", ("http://127.0.0.1:9/", server.url))
    assert same(module.load_data(), parts)
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    folder = tmp_path / "home" / "datasets" / name
    assert f"{name} is not on this machine: fetching 0 MB into {str(folder)!r}" in (
        capsys.readouterr().out
    )
    assert sorted(os.listdir(folder)) == sorted(files)
    server.asked.clear()
    assert same(module.load_data(), parts) and not server.asked
    # A file in the cache that was damaged later is fetched again.
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.warns(DataWarning, match="passed over"):
        assert same(module.load_data(), parts)
    assert len(server.asked) == 4


def test_other_files_on_the_system_are_passed_over(small, serve, monkeypatch):
    parts, files = small
    monkeypatch.setattr(mnist, "_MIRRORS", (serve(**files).url,))
    folder = put(pathlib.Path("system"), files)
    write_idx(folder / "train-labels-idx1-ubyte.gz", parts[1][::-1])
    with pytest.warns(DataWarning, match="'.*system' is passed over: the train labels are not"):
        assert same(mnist.load_data(), parts)


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_offline_it_says_what_to_put_where(module, tmp_path):
    with pytest.raises(FileError) as caught:
        module.load_data()
    told = str(caught.value)
    assert "is not on this machine, and " in told and "cannot be fetched" in told
    assert f"put into {str(tmp_path / 'home' / 'datasets')!r}"[:-1] in told
    assert ("apt install dataset-fashion-mnist" in told) == (module is fashion_mnist)
    names = [_cifar_files.ARCHIVE] if module is cifar10 else _NAMES.values()
    for name in names:
        assert re.search(rf"\n       {re.escape(name)} \(\d+ bytes\) from http", told)
    assert "looked in: " in told and str(tmp_path / "keras") in told


def test_of_debian():
    """The real files, where the package is installed."""
    folder = pathlib.Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("the package dataset-fashion-mnist is not installed")
    fashion_mnist._SYSTEM = folder  # undone with the other changes
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert y_train[:5].tolist() == [9, 0, 0, 3, 0] and x_train.max() == 255


# CIFAR-10


@pytest.fixture
def cifar(monkeypatch):
    """Six batches of two photos, with digests of theirs."""
    monkeypatch.setattr(_cifar_files, "_IN_BATCH", 2)
    rows = RANDOM.integers(0, 256, (6, 2, 3073)).astype("uint8")
    rows[:, :, 0] %= 10
    batches = dict(zip(_cifar_files._BATCHES, rows, strict=True))
    for name, batch in batches.items():
        digest = hashlib.sha256(batch.tobytes()).hexdigest()
        monkeypatch.setitem(_cifar_files.SHA256, name, digest)
    return batches


def plain(batches):
    return {f"{name}.bin": batch.tobytes() for name, batch in batches.items()}


class Old(pickle._Pickler):
    """Pickles as the batches are: by names of NumPy's that are those of long ago."""

    def save_global(self, obj, name=None):
        if getattr(obj, "__name__", "") == "_reconstruct":
            self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    def reducer_override(self, obj):
        if not isinstance(obj, np.ndarray):
            return NotImplemented
        state = (1, obj.shape, obj.dtype, False, obj.tobytes())
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), state


def pickled(batches):
    found = {}
    for name, batch in batches.items():
        file = io.BytesIO()
        labels = batch[:, 0].tolist()
        Old(file, 3).dump({b"labels": labels, b"data": batch[:, 1:], b"filenames": [b"a.png"] * 2})
        found[name] = file.getvalue()
    return found


def archive(files, folder="cifar-10-batches-bin"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as file:
        for name, part in {"readme.html": b"x", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(part)
            file.addfile(member, io.BytesIO(part))
    return content.getvalue()


def right(found, batches):
    (x_train, y_train), (x_test, y_test) = found
    assert x_train.shape == (10, 32, 32, 3) and x_test.shape == (2, 32, 32, 3)
    assert y_train.shape == (10, 1) and y_test.shape == (2, 1)
    assert x_train.dtype == y_train.dtype == np.uint8
    first = batches["data_batch_2"][1]
    assert y_train[3, 0] == first[0]
    assert x_train[3, 5, 7].tolist() == [first[1 + 1024 * c + 32 * 5 + 7] for c in range(3)]
    assert np.array_equal(y_test[:, 0], batches["test_batch"][:, 0])
    assert all(a.flags.c_contiguous and a.flags.writeable for a in (x_train, y_train))
    return True


@pytest.mark.parametrize(
    ("place", "form"),
    [
        ("keras/datasets/cifar-10-batches-py-target/cifar-10-batches-py", pickled),
        ("keras/datasets/cifar-10-batches-py", pickled),
        ("data/cifar-10-batches-py", pickled),
        ("data/cifar-10-batches-bin", plain),
        ("home/datasets/cifar10", plain),
    ],
)
def test_cifar_in_folders(cifar, place, form):
    folder = put(pathlib.Path(place), form(cifar))
    assert right(cifar10.load_data(), cifar)
    changed = bytearray((folder / next(iter(form(cifar)))).read_bytes())
    changed[len(changed) // 2] ^= 1
    put(folder, {next(iter(form(cifar))): bytes(changed)})
    with pytest.warns(DataWarning, match="data_batch_1 is not the one"), pytest.raises(FileError):
        cifar10.load_data()


def test_cifar_in_archives(cifar, serve, monkeypatch, tmp_path):
    packed = archive(plain(cifar))
    server = serve(**{_cifar_files.ARCHIVE: packed})
    monkeypatch.setitem(
        _cifar_files.SHA256, _cifar_files.ARCHIVE, hashlib.sha256(packed).hexdigest()
    )
    monkeypatch.setattr(cifar10, "_SIZE", len(packed))
    monkeypatch.setattr(cifar10, "_MIRRORS", (server.url,))
    for _ in range(2):
        assert right(cifar10.load_data(), cifar)
    assert len(server.asked) == 1
    path = tmp_path / "home" / "datasets" / "cifar10" / _cifar_files.ARCHIVE
    path.write_bytes(packed[:-100])
    with pytest.warns(DataWarning, match="not the one that was published"):
        assert right(cifar10.load_data(), cifar)
    assert len(server.asked) == 2
    # As torchvision keeps it.
    path.unlink()
    packed = archive(pickled(cifar), "cifar-10-batches-py")
    name = "cifar-10-python.tar.gz"
    monkeypatch.setitem(_cifar_files.SHA256, name, hashlib.sha256(packed).hexdigest())
    put(tmp_path / "data", {name: packed})
    assert right(cifar10.load_data(), cifar) and len(server.asked) == 2


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "bad",
    [
        pickle.dumps({b"labels": Evil(), b"data": 1}),
        pickle.dumps({b"labels": [1, 2], b"data": 1}),
        pickle.dumps([1]),
        b"not a pickle",
        b"",
    ],
)
def test_a_pickle_is_never_executed(cifar, bad):
    folder = put(pathlib.Path("data/cifar-10-batches-py"), pickled(cifar))
    put(folder, {"data_batch_3": bad})
    with pytest.raises((FileError, DataError), match="data_batch_3"):
        _cifar_files.read(folder)
    assert not os.path.exists("evil")


def test_what_is_written_down_is_what_is_checked():
    text = (pathlib.Path(_places.__file__).parent / "SOURCES.md").read_text(encoding="utf-8")
    shipped = [mnist._PUBLISHED, fashion_mnist._PUBLISHED]
    digests = [d for table in shipped for one in table.values() for d in (one.sha256, one.content)]
    for digest in [*digests, *_cifar_files.SHA256.values()]:
        assert len(digest) == 64 and digest in text
    for table in shipped:
        for what, one in table.items():
            assert f"| `{_NAMES[what]}` | {one.size} | `{one.sha256}` | `{one.content}` |" in text
