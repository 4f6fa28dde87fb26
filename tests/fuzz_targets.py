"""What the fuzzer loads: files of each kind, how they are damaged, and what a loaded one is."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pathlib
import random
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fuzz_mutations as mutations
from chainrule import layers, models
from chainrule.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
    Timer,
)
from chainrule.interop.torch import load_state_dict, to_state_dict
from chainrule.optimizers import Adam
from chainrule.training import checkpoint
from chainrule.utils import set_random_seed

NAMES = ("model", "backup", "keras", "h5", "weights.h5", "new.h5", "safetensors")
MARK = b"chainrule sha256 "


@dataclass
class Target:
    """A kind of file: a good one, how it is loaded, and what tells one model from another."""

    name: str
    suffix: str
    content: bytes
    load: Callable[[pathlib.Path], Any]
    state: Callable[[Any], Any]
    guarded: bool  # whether a checksum gives away what is changed
    lies: Callable[[bytes, random.Random], bytes] | None = None
    original: Any = field(default=None, repr=False)

    def mutated(self, choose: random.Random) -> tuple[bytes, bool]:
        """Return a content that is changed, and whether a checksum must give that away."""
        if self.lies is not None and choose.random() < 0.6:
            return self.lies(self.content, choose), False
        return mutations.of_bytes(self.content, choose), self.guarded


def network() -> models.Model:
    """Return a graph with some of all that files describe."""
    new = layers
    x, z = new.Input((3,), name="x"), new.Input((2,), name="z")
    inner = models.Sequential([new.Input((5,)), new.Dense(4, activation="tanh")], name="inner")
    h = new.Concatenate(name="both")([x, z])
    shared = new.Dense(5, activation="relu", kernel_regularizer="l2", name="shared")
    h = new.Dropout(0.2, seed=1, name="drop")(new.BatchNormalization(name="norm")(shared(h)))
    h = new.Add(name="sum")([h, shared(h)]) * 2.0
    return models.Model([x, z], [new.Dense(2, name="out")(inner(h)), new.Dense(40, name="wide")(h)])


def data() -> tuple[Any, Any]:
    """Return what the network trains on."""
    draw = np.random.default_rng(1)
    x = [draw.standard_normal((8, n)).astype("float32") for n in (3, 2)]
    return x, [draw.standard_normal((8, n)).astype("float32") for n in (2, 40)]


def trained() -> models.Model:
    """Return the network after some steps."""
    set_random_seed(3)
    model = network()
    model.compile(Adam(0.01), "mse", metrics=["mae", "mae"])
    model.fit(*data(), batch_size=4, epochs=2, verbose=0)
    return model


def make(names: Any) -> list[Target]:
    """Return the targets of these names, with good files and what these hold."""
    kinds = {"model": _model, "backup": _backup, "keras": _keras, "h5": _h5,
             "weights.h5": _weights, "new.h5": _new, "safetensors": _safetensors}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        found = [kinds[name](pathlib.Path(folder)) for name in names]
        for target in found:
            path = pathlib.Path(folder) / f"original{target.suffix}"
            path.write_bytes(target.content)
            target.original = target.state(target.load(path))
    return found


def _state(model: Any) -> Any:
    """Return all that a model is: its layers, weights, optimizer, counters."""
    arrays = [(v.shape, v.value.tobytes()) for v in model.variables]
    if model.optimizer is not None:
        arrays += [(v.shape, v.value.tobytes()) for v in model.optimizer.variables]
        arrays += [model._trainer.seed, model._trainer.epoch, model._trainer.key.value.tobytes()]
        arrays.append(repr(model.optimizer.get_config()))
    return [repr(model.get_config()), repr(model.label_names), repr(model.metadata), arrays]


def _saved(folder: pathlib.Path, name: str, save: Callable[[pathlib.Path], None]) -> bytes:
    path = folder / name
    save(path)
    return path.read_bytes()


def _model(folder: pathlib.Path) -> Target:
    model = trained()
    model.label_names, model.metadata = ["a", "b"], {"deep": {"er": [1, 2.5, None]}}
    content = _saved(folder, "m.chainrule", model.save)
    return Target("model", ".chainrule", content, models.load_model, _state, True, _signed_lies)


def _signed_lies(content: bytes, choose: random.Random) -> bytes:
    """Return a file of ours that says something else, or holds something else, and is signed."""
    size = int.from_bytes(content[:8], "little")
    header, arrays = content[8 : 8 + size], content[8 + size :]
    kind = choose.random()
    if kind < 0.6:
        header = _with_digest_first(mutations.of_json(header, choose))
    elif kind < 0.9:
        begin = len('{"__metadata__":{"sha256":"') + 64
        header = header[:begin] + mutations.of_bytes(header[begin:], choose)
    else:
        arrays = mutations.of_bytes(arrays, choose)
    blank = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"' + b"0" * 64 + b'"', header, count=1)
    whole = len(blank).to_bytes(8, "little") + blank + arrays
    return whole.replace(b"0" * 64, hashlib.sha256(whole).hexdigest().encode(), 1)


def _with_digest_first(header: bytes) -> bytes:
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(header)
        if isinstance(found, dict) and isinstance(found.get("__metadata__"), dict):
            about = {"sha256": "0" * 64, **found.pop("__metadata__")}
            about["sha256"] = "0" * 64
            return json.dumps({"__metadata__": about, **found}, separators=(",", ":")).encode()
    return header


class _Within(Callback):
    """Gives what a run under way is, which backups are restored into, and ends it."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.kept = self.run
        raise _Ended


class _Ended(BaseException):
    pass


def _backup(folder: pathlib.Path) -> Target:
    model, within = trained(), _Within()
    backup = BackupAndRestore(folder / "backup", delete_checkpoint=False)
    others = [
        EarlyStopping("loss", patience=5, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=1),
        ModelCheckpoint(folder / "best.chainrule", "loss", save_best_only=True),
        Timer(1e6),
        CSVLogger(folder / "log.csv"),
    ]
    model.fit(*data(), batch_size=4, epochs=3, verbose=0, callbacks=[*others, backup])
    content = backup.current.read_bytes()
    with contextlib.suppress(_Ended):
        callbacks = [*others, within, backup]
        model.fit(*data(), batch_size=4, epochs=9, verbose=0, callbacks=callbacks)

    def load(path: pathlib.Path) -> Any:
        again = BackupAndRestore(path.parent)
        again.current, again.previous = path, path.with_suffix(".none")
        again.run = within.kept
        again.on_train_begin()
        again.on_epoch_begin(0)
        return within.kept

    return Target("backup", ".backup", content, load, _run_state, True, _signed_lies)


def _run_state(run: Any) -> Any:
    held = {n: v.value.tobytes() for n, v in checkpoint.variables_of(run.trainer).items()}
    return [held, run.epoch, run.batch, run.trainer.epoch, run.trainer.seed, repr(run.logs)]


def _keras(folder: pathlib.Path) -> Target:
    content = _saved(folder, "m.keras", trained().save)
    return Target("keras", ".keras", content, models.load_model, _state, True, _zipped_lies)


def _zipped_lies(content: bytes, choose: random.Random) -> bytes:
    """Return an archive with other parts, whose checksums fit."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = [(info.filename, file.read(info)) for info in file.infolist()]
    which = choose.choice([1, 1, 1, 2, 2])
    name, part = parts[which]
    if which == 1:
        parts[1] = name, mutations.of_json(part, choose)
    elif choose.random() < 0.1:
        parts[2] = name, part + bytes(choose.choice([10**5, 10**6, 10**7]))
    else:
        parts[2] = name, mutations.of_bytes(part, choose)
    if choose.random() < 0.1:
        parts.append(choose.choice(parts))
    target = io.BytesIO()
    packed = choose.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(target, "w", packed) as file:
        for name, part in parts:
            with _no_warnings():
                file.writestr(name, part)
    return target.getvalue()


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _h5(folder: pathlib.Path) -> Target:
    content = _saved(folder, "m.h5", trained().save)
    return Target("h5", ".h5", content, models.load_model, _state, True, _marked_lies)


def _weights(folder: pathlib.Path) -> Target:
    model = trained()
    content = _saved(folder, "m.weights.h5", model.save_weights)

    def load(path: pathlib.Path) -> Any:
        model.load_weights(path)
        return model

    def state(of: Any) -> Any:
        return [v.value.tobytes() for v in of.variables]

    return Target("weights.h5", ".weights.h5", content, load, state, True, _marked_lies)


def _new(_: pathlib.Path) -> Target:
    """Return weights in the newer form of HDF5, which h5py writes where it is asked to."""
    import h5py

    model = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    file = io.BytesIO()
    with h5py.File(file, "w", libver="latest") as root:
        for i, layer in enumerate(model.layers):
            group = root.create_group(f"layers/dense_{i}/vars" if i else "layers/dense/vars")
            group.attrs["name"] = layer.name
            for j, v in enumerate(layer.variables):
                group.create_dataset(str(j), data=v.value)

    def load(path: pathlib.Path) -> Any:
        model.load_weights(path)
        return model

    def state(of: Any) -> Any:
        return [v.value.tobytes() for v in of.variables]

    return Target("new.h5", ".weights.h5", file.getvalue(), load, state, False)


def _marked_lies(content: bytes, choose: random.Random) -> bytes:
    """Return an HDF5 file that is changed, as Keras writes it (no checksum) or with a new one."""
    end = content.rindex(MARK)
    body = content[:end]
    if choose.random() < 0.2:
        body = _json_in(body, choose)
    body = mutations.of_bytes(body, choose)
    if choose.random() < 0.5 or MARK not in body:
        return body.replace(MARK, b"?" * len(MARK))
    blank = re.sub(MARK + rb"[0-9a-f]{64}", MARK + b"0" * 64, body) + MARK + b"0" * 64
    digest = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(MARK + b"0" * 64, MARK + digest)


def _json_in(body: bytes, choose: random.Random) -> bytes:
    """Change the description of the layers within, as far as its length allows."""
    begin = body.find(b'{"module"')
    if begin < 0:
        return body
    end = body.index(b"\0", begin)
    changed = mutations.of_json(body[begin:end], choose)[: end - begin]
    return body[:begin] + changed.ljust(end - begin) + body[end:]


def _safetensors(folder: pathlib.Path) -> Target:
    model = trained()
    names = {name.rpartition(".")[0] for name in to_state_dict(model)}
    pairs = {name: name for name in sorted(names)}
    entries, blob = {}, b""
    for name, array in to_state_dict(model).items():
        kind = {"float32": "F32", "int64": "I64"}[array.dtype.name]
        places = [len(blob), len(blob) + array.nbytes]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": places}
        blob += array.tobytes()
    text = json.dumps(entries).encode()
    content = len(text).to_bytes(8, "little") + text + blob

    def load(path: pathlib.Path) -> Any:
        load_state_dict(model, path, pairs)
        return model

    def state(of: Any) -> Any:
        return [v.value.tobytes() for v in of.variables]

    return Target("safetensors", ".safetensors", content, load, state, False, _unsigned_lies)


def _unsigned_lies(content: bytes, choose: random.Random) -> bytes:
    size = int.from_bytes(content[:8], "little")
    header = mutations.of_json(content[8 : 8 + size], choose)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]
