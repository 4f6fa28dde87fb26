"""What the fuzzer reads beside models: arrays in IDX files, and images of each kind."""

from __future__ import annotations

import gzip
import io
import pathlib
import random
import struct
import tempfile
from typing import Any

import numpy as np

import fuzz_mutations as mutations
import fuzz_targets
from chainrule.data import read_idx
from chainrule.data.images import Form, read

IMAGES = ("png", "png of 16 bits", "jpeg", "gif", "tiff", "webp", "bmp", "ppm")
NAMES = ("idx", "idx.gz", *IMAGES)


def make(names: Any = NAMES) -> list[fuzz_targets.Target]:
    """Return the targets of these names, with what good files hold."""
    found = [_image(name) if name in IMAGES else _idx(name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        for target in found:
            path = pathlib.Path(folder) / f"original{target.suffix}"
            path.write_bytes(target.content)
            target.original = target.state(target.load(path))
    return found


def _state(array: Any) -> Any:
    return array.dtype, array.shape, array.tobytes()


def _idx(name: str) -> fuzz_targets.Target:
    array = np.random.default_rng(2).integers(0, 9, (7, 5, 3)).astype(">i2")
    content = struct.pack(">HBB3I", 0, 0x0B, 3, *array.shape) + array.tobytes()
    if name == "idx":
        return fuzz_targets.Target(name, "", content, read_idx, _state, False)

    def lies(_: bytes, choose: random.Random) -> bytes:
        return gzip.compress(mutations.of_bytes(content, choose), mtime=0)

    packed = gzip.compress(content, mtime=0)
    return fuzz_targets.Target(name, ".gz", packed, read_idx, _state, False, lies)


def _image(name: str) -> fuzz_targets.Target:
    from PIL import Image

    kind = name.partition(" ")[0]
    pixels = np.random.default_rng(3).integers(0, 256, (19, 23, 3)).astype("uint8")
    image = Image.fromarray(pixels)
    if name != kind:
        image = Image.fromarray(pixels[..., 0].astype("uint16") * 257)
    file = io.BytesIO()
    image.save(file, kind)

    def load(path: pathlib.Path) -> Any:
        return read(path, Form((8, 8)))

    return fuzz_targets.Target(name, f".{kind}", file.getvalue(), load, _state, False)
