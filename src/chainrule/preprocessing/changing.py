"""Images changed by drawn parameters, and standardized by what is known of all data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import seeding
from chainrule.dtypes import Array
from chainrule.errors import NotBuiltError, ShapeError
from chainrule.preprocessing.transforms import Filling, Parameters, Ranges, numbers

_EPSILON = 1e-6  # beside standard deviations


class Changing:
    """What `ImageDataGenerator` does to images, whose arguments it holds."""

    ranges: Ranges
    filling: Filling
    data_format: str
    dtype: str
    rescale: float | None
    preprocessing_function: Callable[[Array], Array] | None
    zca_epsilon: float
    zca_whitening: bool
    featurewise_center: bool
    featurewise_std_normalization: bool
    samplewise_center: bool
    samplewise_std_normalization: bool

    mean: Array | None = None
    std: Array | None = None
    zca_whitening_matrix: Array | None = None

    def get_random_transform(
        self, img_shape: Sequence[int], seed: int | None = None
    ) -> dict[str, Any]:
        """Return parameters for `apply_transform`, drawn for an image of this shape.

        Parameters
        ----------
        img_shape : (int, int, int)
        seed : int, optional
            By default each call draws others.

        Returns
        -------
        dict
            ``theta`` and ``shear`` in degrees, ``tx`` and ``ty``, pixels down and across, the
            factors ``zx`` across and ``zy`` down, ``flip_horizontal``, ``flip_vertical``,
            ``channel_shift_intensity`` and ``brightness``.
        """
        size = tuple(img_shape[1:3] if self.data_format == "channels_first" else img_shape[:2])
        u = numbers(seeding.next_seed() if seed is None else seed, 0, np.zeros(1, np.int64))
        drawn = self.ranges.drawn(u, (int(size[0]), int(size[1])))
        return {name: None if a is None else a[0].item() for name, a in drawn.items()}

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> Array:
        """Return an image changed by these parameters, those that are missing changing nothing.

        Shapes
        ------
        x : [h, w, c], or [c, h, w]; returned : the same

        Parameters
        ----------
        x : array_like
        transform_parameters : dict
            See `get_random_transform`.
        """
        x = np.asarray(x)
        if x.ndim != 3:
            raise ShapeError(f"x has shape {list(x.shape)}; expected one image of 3 axes")
        return np.asarray(self._applied(x[None], transform_parameters)[0])

    def random_transform(self, x: Any, seed: int | None = None) -> Array:
        """Return an image changed at random.

        Parameters
        ----------
        x : array_like
        seed : int, optional
            See `get_random_transform`.
        """
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def changed(self, x: Array, seed: int, epoch: int, samples: Array) -> Array:
        """Return images changed and standardized, as drawn for these samples in an epoch.

        Parameters
        ----------
        x : array_like
            [n, h, w, c], or [n, c, h, w].
        seed, epoch : int
        samples : array_like of int
            The number of each image.
        """
        size = x.shape[2:4] if self.data_format == "channels_first" else x.shape[1:3]
        drawn = self.ranges.drawn(numbers(seed, epoch, samples), (size[0], size[1]))
        return self.standardize(self._applied(x, drawn))

    def _applied(self, x: Array, parameters: Parameters) -> Array:
        x = x.astype(self.dtype)
        if self.data_format == "channels_first":
            last = self.filling.applied(x.transpose(0, 2, 3, 1), parameters)
            return last.transpose(0, 3, 1, 2)
        return self.filling.applied(x, parameters)

    # Statistics.

    def standardize(self, x: Any) -> Array:
        """Return an image, or a batch of them, standardized as was asked for.

        Shapes
        ------
        x : [h, w, c] or [n, h, w, c]; returned : the same

        Parameters
        ----------
        x : array_like
            It stays as it is.

        Raises
        ------
        NotBuiltError
            Where statistics of all data are asked for, and `fit` was not called.
        """
        x = np.asarray(x)
        x = x if x.dtype == self.dtype else x.astype(self.dtype)
        one, x = x.ndim == 3, x[None] if x.ndim == 3 else x
        if self.preprocessing_function is not None:
            x = np.stack([_prepared(self.preprocessing_function, a) for a in x]).astype(x.dtype)
        x = x * x.dtype.type(self.rescale) if self.rescale else x
        if self.samplewise_center:
            x = x - x.mean(axis=(1, 2, 3), keepdims=True)
        if self.samplewise_std_normalization:
            x = x / (x.std(axis=(1, 2, 3), keepdims=True) + _EPSILON)
        x = self._of_features(x)
        return np.asarray(x[0] if one else x, self.dtype)

    def _of_features(self, x: Array) -> Array:
        if self.featurewise_center:
            x = x - self._known(self.mean)
        if self.featurewise_std_normalization:
            x = x / (self._known(self.std) + _EPSILON)
        if self.zca_whitening:
            flat = x.reshape(len(x), -1) @ self._known(self.zca_whitening_matrix)
            x = flat.reshape(x.shape)
        return x

    def _known(self, statistic: Array | None) -> Array:
        if statistic is None:
            raise NotBuiltError(
                "the generator standardizes by mean, deviation or components of all data, which "
                "it does not know.\n  fix: call generator.fit(x) with the images first"
            )
        return statistic

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn what is needed of all data: means, deviations, principal components.

        Shapes
        ------
        x : [n, h, w, c]

        Parameters
        ----------
        x : array_like
        augment : bool, default False
            Whether to learn it of images changed at random.
        rounds : int, default 1
            How often each is, then.
        seed : int, optional
            As in `flow`.

        Raises
        ------
        ShapeError
            For what are no images.
        """
        x = np.array(x, self.dtype)
        if x.ndim != 4 or not x.size:
            raise ShapeError(f"x has shape {list(x.shape)}; expected images of 4 axes")
        x = x * x.dtype.type(self.rescale) if self.rescale else x
        if augment:
            x = self._augmented(x, rounds, seeding.next_seed() if seed is None else seed)
        axes = (0, 2, 3) if self.data_format == "channels_first" else (0, 1, 2)
        if self.featurewise_center:
            self.mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)[0].astype(self.dtype)
            x = x - self.mean
        if self.featurewise_std_normalization:
            self.std = x.std(axis=axes, keepdims=True, dtype=np.float64)[0].astype(self.dtype)
        if self.zca_whitening:
            self.zca_whitening_matrix = _whitening(x.reshape(len(x), -1), self.zca_epsilon)

    def _augmented(self, x: Array, rounds: int, seed: int) -> Array:
        size = x.shape[2:4] if self.data_format == "channels_first" else x.shape[1:3]
        samples = np.arange(len(x))
        drawn = (
            self.ranges.drawn(numbers(seed, r, samples), (size[0], size[1])) for r in range(rounds)
        )
        return np.concatenate([self._applied(x, p) for p in drawn])


def _prepared(function: Callable[[Array], Array], image: Array) -> Array:
    """Return what a function makes of an image, once that has the same shape."""
    y = np.asarray(function(image.copy()))
    if y.shape != image.shape:
        raise ShapeError(
            f"preprocessing_function made {list(y.shape)} of an image of shape "
            f"{list(image.shape)}; expected the same shape"
        )
    return y


def _whitening(x: Array, epsilon: float) -> Array:
    """Return ``U diag(sqrt(n) / (s + epsilon)) U'`` for the singular values s of x'."""
    u, s, _ = np.linalg.svd(x.T, full_matrices=False)
    return np.asarray((u * (np.sqrt(len(x)) / (s + epsilon))) @ u.T, x.dtype)
