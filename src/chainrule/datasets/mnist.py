"""Seventy thousand handwritten digits."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from ._found import Pairs, load
from ._of_mnist import Published, read, remotes
from ._places import keras_home

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_PUBLISHED = {
    "train images": Published(
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train labels": Published(
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test images": Published(
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "test labels": Published(
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
_SYSTEM = Path("/usr/share/datasets/mnist")


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> Pairs:
    """70,000 handwritten digits as ``(x_train, y_train), (x_test, y_test)``.

    They are looked for in the cache (``CHAINRULE_HOME``, by default ``~/.cache/chainrule``), in
    ``/usr/share/datasets/mnist``, where Keras and torchvision keep them, and else fetched (12 MB).
    What is found is checked by SHA-256. Without a network, `digits` are 5,000 of them.

    Shapes
    ------
    x_train : [n=60000, h=28, w=28], uint8, 0 (paper) to 255 (ink)
    y_train : [n=60000], uint8, the digit 0 to 9
    x_test : [n=10000, h=28, w=28], uint8
    y_test : [n=10000], uint8

    Parameters
    ----------
    path : path-like, default "mnist.npz"
        Keras's archive of them, in ``~/.keras/datasets`` unless the path is absolute.

    Raises
    ------
    FileError
        Where they are nowhere and cannot be fetched; it says what to put where.

    Examples
    --------
    >>> from chainrule.datasets import mnist
    >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()  # doctest: +SKIP

    Source
    ------
    Y. LeCun and C. Cortes, *The MNIST database of handwritten digits*, CC BY-SA 3.0 (see
    ``SOURCES.md`` beside this module).
    """
    places = [_SYSTEM, keras_home() / path, Path("data/MNIST/raw")]
    files = remotes(_PUBLISHED, _MIRRORS)
    return load("mnist", places, partial(read, published=_PUBLISHED), files)
