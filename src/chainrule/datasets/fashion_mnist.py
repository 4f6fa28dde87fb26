"""Seventy thousand pictures of clothes in ten classes, in the form of MNIST."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ._found import Pairs, load
from ._of_mnist import Published, read, remotes
from ._places import keras_home

CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
               "Bag", "Ankle boot")  # fmt: skip

_MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_PUBLISHED = {
    "train images": Published(
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train labels": Published(
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "test images": Published(
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "test labels": Published(
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
_SYSTEM = Path("/usr/share/datasets/fashion-mnist")


def load_data() -> Pairs:
    """70,000 pictures of clothes as ``(x_train, y_train), (x_test, y_test)``.

    They are looked for in the cache (``CHAINRULE_HOME``, by default ``~/.cache/chainrule``), where
    Debian's package ``dataset-fashion-mnist`` installs them, where Keras and torchvision keep
    them, and else fetched (31 MB). What is found is checked by SHA-256. The names of the classes
    are `CLASS_NAMES`.

    Shapes
    ------
    x_train : [n=60000, h=28, w=28], uint8, 0 (nothing) to 255
    y_train : [n=60000], uint8, the class 0 to 9
    x_test : [n=10000, h=28, w=28], uint8
    y_test : [n=10000], uint8

    Raises
    ------
    FileError
        Where they are nowhere and cannot be fetched; it says what to put where.

    Examples
    --------
    >>> from chainrule.datasets import fashion_mnist
    >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()  # doctest: +SKIP
    >>> fashion_mnist.CLASS_NAMES[9]
    'Ankle boot'

    Source
    ------
    H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms*, arXiv 1708.07747, MIT licence (see ``SOURCES.md`` beside this
    module).
    """
    places = [_SYSTEM, keras_home() / "fashion-mnist", Path("data/FashionMNIST/raw")]
    hint = "on Debian and Ubuntu, apt install dataset-fashion-mnist; or "
    files = remotes(_PUBLISHED, _MIRRORS)
    return load("fashion-mnist", places, partial(read, published=_PUBLISHED), files, hint)
