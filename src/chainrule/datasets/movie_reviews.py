"""Ten thousand sentences of film reviews, each for the film or against it."""

import numpy as np
from numpy.typing import NDArray

from ._shipped import load_arrays

Texts = NDArray[np.object_]
Targets = NDArray[np.int64] | NDArray[np.float32]

CLASS_NAMES = ("negative", "positive")

_FILE = "movie_reviews.npz"
_SHA256 = "a071ec43236f4295321894246a1e944f825235af0f4d247f9d3b87818d4d5474"
_TRAINING = 8455


def load_data(scores: bool = False) -> tuple[tuple[Texts, Targets], tuple[Texts, Targets]]:
    """10,568 sentences of film reviews as ``(text_train, y_train), (text_test, y_test)``, always
    split alike.

    Each was rated by some twenty people from -4 to 4; the label says whether the mean of their
    ratings is above zero. (37 more sentences, whose mean is zero, are left out.) The split is
    stratified, 80 % to train on: 4,194 positive and 4,261 negative sentences, and 1,048 and 1,065
    to test on. The order is random but fixed, positive and negative ones in turns, so that any part
    cut from the end (``validation_split``) has nearly as many of one as of the other.

    Shapes
    ------
    text_train : [n=8455], str
    y_train : [n=8455], int64, 0 (negative) or 1 (positive)
    text_test : [n=2113], str
    y_test : [n=2113], int64

    Parameters
    ----------
    scores : bool, default False
        Whether `y` is the mean rating, float32 from -4 to 4, instead of its sign.

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
    >>> from chainrule.datasets import movie_reviews
    >>> (text_train, y_train), (text_test, y_test) = movie_reviews.load_data()
    >>> text_train[7], int(y_train[7]), len(text_test)
    ('Great story, bad idea for a movie.', 0, 2113)

    Source
    ------
    C. Hutto and E. Gilbert, *VADER: a parsimonious rule-based model for sentiment analysis of
    social media text*, ICWSM 2014; from the package vaderSentiment 3.3.2, MIT licence (see
    ``SOURCES.md`` beside this module).
    """
    arrays = load_arrays(_FILE, _SHA256)
    sentences = arrays["text"].tobytes().decode("utf-8").split("\n")
    text = np.fromiter(sentences, object, len(sentences))
    ratings = arrays["score"].astype(np.float32)
    y: Targets = ratings if scores else (ratings > 0).astype(np.int64)
    train, test = slice(None, _TRAINING), slice(_TRAINING, None)
    return (text[train].copy(), y[train].copy()), (text[test].copy(), y[test].copy())
