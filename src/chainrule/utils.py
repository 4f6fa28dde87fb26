"""Small helpers around training, under the names of Keras's ``utils``."""

import importlib
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import seeding
from .errors import DataError

if TYPE_CHECKING:
    from .data.audio import load_audio, save_audio
    from .data.audio_folders import audio_dataset_from_directory
    from .data.buckets import bucket_by_length
    from .data.dataset import PyDataset, Sequence
    from .data.directories import image_dataset_from_directory
    from .data.image_files import array_to_img, img_to_array, load_img, save_img
    from .data.sequences import pad_sequences
    from .data.vectors import load_vectors
    from .models.own_steps import pack_x_y_sample_weight, unpack_x_y_sample_weight
    from .models.plotting import plot_model
    from .saving import custom_object_scope, register_keras_serializable

__all__ = [
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bucket_by_length",
    "custom_object_scope",
    "image_dataset_from_directory",
    "img_to_array",
    "load_audio",
    "load_img",
    "load_vectors",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_audio",
    "save_img",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

# What is loaded when it is asked for: models and data are not needed for the rest.
_ELSEWHERE = {
    "PyDataset": "data.dataset",
    "Sequence": "data.dataset",
    "array_to_img": "data.image_files",
    "audio_dataset_from_directory": "data.audio_folders",
    "bucket_by_length": "data.buckets",
    "custom_object_scope": "saving",
    "image_dataset_from_directory": "data.directories",
    "img_to_array": "data.image_files",
    "load_audio": "data.audio",
    "load_img": "data.image_files",
    "load_vectors": "data.vectors",
    "pack_x_y_sample_weight": "models.own_steps",
    "pad_sequences": "data.sequences",
    "plot_model": "models.plotting",
    "register_keras_serializable": "saving",
    "save_audio": "data.audio",
    "save_img": "data.image_files",
    "unpack_x_y_sample_weight": "models.own_steps",
}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"chainrule.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def set_random_seed(seed: int) -> None:
    """Make everything random that follows (initial weights, shuffling, dropout) repeatable.

    Without it every process begins with the same seed, so that a program run twice gives the same
    numbers; for other numbers set another seed.

    The generators of Python and NumPy, which Keras seeds too, are left alone: chainrule never
    draws from them.

    Parameters
    ----------
    seed : int
        Any integer; seeds that differ by a multiple of 2**64 are the same.

    Raises
    ------
    DataError
        ``seed`` is not an integer.

    Examples
    --------
    >>> from chainrule.utils import set_random_seed
    >>> set_random_seed(7)
    """
    seeding.set_seed(_integer("seed", seed))


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float32]:
    """``y[n, k] = 1 if x[n] == k else 0``: class numbers as one-hot vectors.

    Shapes
    ------
    x : [*i] or [*i, 1]
    returned : [*i, k=num_classes]

    Parameters
    ----------
    x : array-like of integers
        Class numbers from 0 to ``num_classes - 1``; floats are accepted when they are whole.
    num_classes : int, optional
        At least 1. By default one more than the largest class number in ``x``.

    Returns
    -------
    numpy.ndarray
        float32, the dtype that networks train in (Keras returns float64).

    Raises
    ------
    DataError
        A value is not a whole number or not a class; or ``x`` is empty and ``num_classes`` is not
        given.

    Examples
    --------
    >>> from chainrule.utils import to_categorical
    >>> to_categorical([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = _class_numbers(x)
    count = _class_count(labels, num_classes)
    if wrong := np.flatnonzero((labels < 0) | (labels >= count)).tolist():
        raise DataError(
            f"to_categorical: element {wrong[0]} of x is {labels.flat[wrong[0]]}, but with "
            f"num_classes={count} the class numbers go from 0 to {count - 1}."
        )
    categorical = np.zeros((labels.size, count), np.float32)
    categorical[np.arange(labels.size), labels.ravel()] = 1
    return categorical.reshape(*labels.shape, count)


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> NDArray[np.floating]:
    """``y = x / ||x||_order`` along ``axis``; a vector of zeros stays zero.

    Shapes
    ------
    x : [*s]
    returned : [*s]

    Parameters
    ----------
    x : array-like of numbers
        float32 stays float32; everything else becomes float64.
    axis : int
        The axis along which the norm is taken, the last by default.
    order : float
        The order of the norm: 1 (sum of magnitudes), 2 (Euclidean, the default), ``inf`` (largest).

    Raises
    ------
    DataError
        ``x`` holds no numbers, or has no such axis.

    Examples
    --------
    >>> from chainrule.utils import normalize
    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    values = _floats(x)
    if not -values.ndim <= axis < values.ndim:
        raise DataError(f"normalize: axis is {axis}, but x has {values.ndim} axes.")
    norm = np.linalg.norm(values, order, axis, keepdims=True)
    normalized: NDArray[np.floating] = values / np.where(norm == 0, 1, norm)
    return normalized


def _floats(x: ArrayLike) -> NDArray[np.floating]:
    """``x`` as float32 when it is that, else as float64."""
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise DataError(f"normalize: x has dtype {array.dtype}; expected numbers.")
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _class_numbers(x: ArrayLike) -> NDArray[np.int64]:
    """``x`` as int64 without a last axis of one (labels are often kept as a column)."""
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" and array.size:
        raise DataError(f"to_categorical: x has dtype {array.dtype}; expected class numbers.")
    if array.dtype.kind == "f" and not np.array_equal(array, np.floor(array)):
        raise DataError("to_categorical: x has values that are not whole; expected class numbers.")
    if array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]
    return array.astype(np.int64)


def _class_count(labels: NDArray[np.int64], num_classes: int | None) -> int:
    """The number of classes asked for, else the number that the labels need."""
    if num_classes is not None:
        count = _integer("num_classes", num_classes)
    elif labels.size:
        count = int(labels.max()) + 1
    else:
        raise DataError("to_categorical: x is empty, so num_classes must be given.")
    if count < 1:
        raise DataError(f"to_categorical: num_classes is {count}; expected at least 1.")
    return count


def _integer(name: str, value: int) -> int:
    """``value`` as a Python integer."""
    try:
        return operator.index(value)
    except TypeError:
        kind = type(value).__name__
        raise DataError(f"{name} is {value!r}, of type {kind}; expected an integer.") from None
