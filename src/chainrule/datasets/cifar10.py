"""Sixty thousand small photos in ten classes."""

from __future__ import annotations

from pathlib import Path

from ._cifar_files import ARCHIVE, SHA256, read
from ._found import Pairs, load
from ._places import Remote, keras_home

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
               "truck")  # fmt: skip

_MIRRORS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
_SIZE = 170052171


def load_data() -> Pairs:
    """60,000 photos of 32 x 32 pixels as ``(x_train, y_train), (x_test, y_test)``.

    They are looked for in the cache (``CHAINRULE_HOME``, by default ``~/.cache/chainrule``), where
    Keras and torchvision keep them, and else fetched (170 MB). What is found is checked by SHA-256;
    of pickled files nothing is executed. The names of the classes are `CLASS_NAMES`.

    Shapes
    ------
    x_train : [n=50000, h=32, w=32, c=3], uint8
    y_train : [n=50000, 1], uint8, the class 0 to 9
    x_test : [n=10000, h=32, w=32, c=3], uint8
    y_test : [n=10000, 1], uint8

    Raises
    ------
    FileError
        Where they are nowhere and cannot be fetched; it says what to put where.

    Examples
    --------
    >>> from chainrule.datasets import cifar10
    >>> (x_train, y_train), (x_test, y_test) = cifar10.load_data()  # doctest: +SKIP
    >>> cifar10.CLASS_NAMES[3]
    'cat'

    Source
    ------
    A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009 (see ``SOURCES.md``
    beside this module).
    """
    keras, torch = keras_home(), Path("data")
    names = ("cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py")
    places = [keras / name for name in names]
    places += [torch / name for name in ("cifar-10-batches-bin", "cifar-10-batches-py")]
    places += [torch / name for name in (ARCHIVE, "cifar-10-python.tar.gz")]
    remote = Remote(ARCHIVE, _SIZE, SHA256[ARCHIVE], tuple(m + ARCHIVE for m in _MIRRORS))
    return load("cifar10", places, read, [remote])
