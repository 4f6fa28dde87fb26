"""Layers that bring their inputs to mean 0 and variance 1, over the batch or within a sample."""

from __future__ import annotations

import math
from typing import Any

from chainrule import initializers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value, Variable, scope
from chainrule.layers.base import Shape
from chainrule.layers.norm_base import (
    Axis,
    _Normalizing,
    as_rows,
    axes_of,
    check_sizes,
    checked_axis,
    counting,
    from_rows,
    moments,
    plain_axis,
    with_last,
)
from chainrule.ops.normalization import (
    batch_normalize,
    column_moments,
    normalize_columns,
    normalize_groups,
    normalize_rows,
)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_axis(axis: int) -> int:
    if not _is_whole(axis):
        raise ArgumentError(f"axis is {axis!r}; expected a whole number")
    return axis


class BatchNormalization(_Normalizing):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, for each feature along `axis`.

    In training mean and variance are those of the batch (of all axes but `axis`), and the moving
    ones follow: ``moving' = momentum * moving + (1 - momentum) * batch``. Otherwise, and where the
    layer is not `trainable`, they are the moving ones. Steps that a mask of x leaves out do not
    count for the mean and the variance of a batch.

    Shapes: x and y [n, ..., c] with c at `axis`; gamma, beta, moving_mean, moving_variance [c], in
    this order.

    Parameters
    ----------
    axis : int, default -1
        The axis of the features.
    momentum : float in [0, 1], default 0.99
        What the moving mean and variance keep of themselves in a step.
    epsilon : float > 0, default 1e-3
        Added to the variance.
    center, scale : bool, default True
        Whether there is a beta, a gamma.
    moving_mean_initializer, moving_variance_initializer : default "zeros" and "ones"
        See `chainrule.initializers`.
    synchronized : bool, default False
        Says nothing here: mean and variance are those of the whole batch, whoever computes them.
    **options
        `beta_initializer` ("zeros"), `gamma_initializer` ("ones"), `beta_regularizer`,
        `gamma_regularizer`, `beta_constraint`, `gamma_constraint`, and those of `Layer`.

    Raises
    ------
    ArgumentError
        For a momentum outside of [0, 1], an epsilon that is not above 0, or an unknown name.
    ShapeError
        Where `axis` is the batch's, or there is none of that number.

    Examples
    --------
    >>> from chainrule.layers import BatchNormalization
    >>> layer = BatchNormalization(epsilon=1e-9)
    >>> layer([[0.0], [2.0]], training=True).numpy().tolist()
    [[-1.0], [1.0]]

    Notes
    -----
    Source: Ioffe and Szegedy, arXiv 1502.03167, algorithms 1 and 2. As in Keras, the moving
    variance is that of the batches as they are, without their factor n / (n - 1).
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        synchronized: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(epsilon=epsilon, center=center, scale=scale, **options)
        if not (isinstance(momentum, int | float) and 0 <= momentum <= 1):
            raise ArgumentError(f"momentum is {momentum!r}; expected a number in [0, 1]")
        self.axis, self.momentum = _one_axis(axis), float(momentum)
        self.synchronized = bool(synchronized)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Shape) -> None:
        """Make gamma, beta, and the moving mean and variance."""
        width = input_shape[axes_of(self.axis, input_shape)[0]]
        self._make((width,))
        size = (width or 0,)
        self.moving_mean = self.add_weight(
            size, self.moving_mean_initializer, name="moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            size, self.moving_variance_initializer, name="moving_variance", trainable=False
        )

    def call(self, x: Value, training: bool = False, mask: Any = None) -> Value:
        """Return the normalized x; in training the moving mean and variance are recorded."""
        x = ops.cast(x, self.dtype)
        (axis,) = axes = axes_of(self.axis, x.shape)
        check_sizes(x, axes, self.moving_mean.shape)
        moved, order = with_last(x, axis)
        gamma, beta = self._affine(moved.shape[-1])
        if training and self.trainable:
            counts = counting(mask, x, axis)
            mean, variance = column_moments(moved) if counts is None else moments(moved, counts)
            self._follow(self.moving_mean, mean)
            self._follow(self.moving_variance, variance)
            if counts is None:
                y = batch_normalize(moved, mean, variance, gamma, beta, epsilon=self.epsilon)
            else:
                scale = ops.multiply(gamma, ops.rsqrt(ops.add(variance, self.epsilon)))
                y = ops.add(ops.multiply(ops.subtract(moved, mean), scale), beta)
        else:
            mean, variance = scope.current(self.moving_mean), scope.current(self.moving_variance)
            y = normalize_columns(moved, mean, variance, gamma, beta, epsilon=self.epsilon)
        return from_rows(y, x, order)

    def _follow(self, moving: Variable, batch: Value) -> None:
        kept = ops.multiply(scope.current(moving), self.momentum)
        scope.record(moving, ops.add(kept, ops.multiply(batch, 1.0 - self.momentum)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "synchronized": self.synchronized,
        }


class LayerNormalization(_Normalizing):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, for each sample over `axis`.

    Shapes: x and y [n, ...]; gamma and beta have the sizes of `axis`.

    Parameters
    ----------
    axis : int or sequence of int, default -1
        The axes over which mean and variance are taken.
    epsilon : float > 0, default 1e-3
        Added to the variance.
    center, scale : bool, default True
        Whether there is a beta, a gamma.
    rms_scaling : bool, default False
        Keras's: ``y = gamma x / sqrt(variance + epsilon)``, without a mean taken off. What the
        literature calls so is `RMSNormalization`.
    **options
        `beta_initializer` ("zeros"), `gamma_initializer` ("ones"), `beta_regularizer`,
        `gamma_regularizer`, `beta_constraint`, `gamma_constraint`, and those of `Layer`.

    Raises
    ------
    ArgumentError
        For an epsilon that is not above 0, or an unknown name.
    ShapeError
        Where an axis is the batch's, or there is none of that number.

    Examples
    --------
    >>> from chainrule.layers import LayerNormalization
    >>> LayerNormalization(epsilon=1e-9)([[0.0, 2.0]]).numpy().tolist()
    [[-1.0, 1.0]]

    Notes
    -----
    Source: Ba, Kiros and Hinton, arXiv 1607.06450, equation 3; epsilon stands under the root.
    """

    def __init__(
        self,
        axis: Axis = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        rms_scaling: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(epsilon=epsilon, center=center, scale=scale, **options)
        self.axis, self.rms_scaling = checked_axis(axis), bool(rms_scaling)

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta."""
        if self.rms_scaling:
            self.scale, self.center = True, False
        self._shape = tuple(input_shape[a] or 0 for a in axes_of(self.axis, input_shape))
        self._make(self._shape)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the normalized x."""
        x = ops.cast(x, self.dtype)
        axes = axes_of(self.axis, x.shape)
        check_sizes(x, axes, self._shape)
        flat, order = as_rows(x, axes)
        gamma, beta = self._affine(flat.shape[1])
        if self.rms_scaling:
            spread = ops.add(ops.var(flat, axis=1, keepdims=True), self.epsilon)
            y = ops.multiply(ops.multiply(flat, ops.rsqrt(spread)), gamma)
        else:
            y = normalize_rows(flat, gamma, beta, epsilon=self.epsilon, center=True)
        return from_rows(y, x, order)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"axis": plain_axis(self.axis), "rms_scaling": self.rms_scaling}
        return {**super().get_config(), **own}


class GroupNormalization(_Normalizing):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, over groups of channels.

    Mean and variance are taken for each sample over all axes, of `axis` over one group of
    neighbouring channels.

    Shapes: x and y [n, ..., c] with c at `axis`; gamma and beta [c].

    Parameters
    ----------
    groups : int >= 1, or -1; default 32
        How many groups the channels form; -1 for one each (instance normalization).
    axis : int, default -1
        The axis of the channels.
    epsilon : float > 0, default 1e-3
        Added to the variance.
    center, scale : bool, default True
        Whether there is a beta, a gamma.
    **options
        `beta_initializer` ("zeros"), `gamma_initializer` ("ones"), `beta_regularizer`,
        `gamma_regularizer`, `beta_constraint`, `gamma_constraint`, and those of `Layer`.

    Raises
    ------
    ArgumentError
        For groups that are neither -1 nor at least 1, an epsilon that is not above 0, or an unknown
        name.
    ShapeError
        Where the channels do not form groups of equal size, or `axis` is the batch's.

    Examples
    --------
    >>> from chainrule.layers import GroupNormalization
    >>> GroupNormalization(2, epsilon=1e-9)([[0.0, 2.0, 5.0, 3.0]]).numpy().tolist()
    [[-1.0, 1.0, 1.0, -1.0]]

    Notes
    -----
    Source: Wu and He, arXiv 1803.08494, equations 1, 2 and 7.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(epsilon=epsilon, center=center, scale=scale, **options)
        if not _is_whole(groups) or groups < -1 or groups == 0:
            raise ArgumentError(f"groups is {groups!r}; expected -1 or an integer of at least 1")
        self.groups, self.axis = groups, _one_axis(axis)

    def detail(self) -> str:
        """Return the number of groups."""
        return f"{self.groups} groups" if self.groups > 0 else "a group for each channel"

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta."""
        channels = input_shape[axes_of(self.axis, input_shape)[0]] or 0
        if self.groups > 0 and channels % self.groups:
            raise ShapeError(
                f"{channels} channels do not form {self.groups} groups of equal size\n"
                f"  fix    : give groups=, a divisor of {channels}"
            )
        self._shape = (channels,)
        self._make(self._shape)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the normalized x."""
        x = ops.cast(x, self.dtype)
        axes = axes_of(self.axis, x.shape)
        check_sizes(x, axes, self._shape)
        groups = self._shape[0] if self.groups == -1 else self.groups
        if axes[0] == 1:
            return self._of_first_channels(x, groups)
        moved, order = with_last(x, axes[0])
        gamma, beta = self._affine(self._shape[0])
        y = normalize_groups(moved, gamma, beta, groups=max(groups, 1), epsilon=self.epsilon)
        return from_rows(y, x, order)

    def _of_first_channels(self, x: Value, groups: int) -> Value:
        """Return the normalized x where a group is one run of memory."""
        rows = x.shape[0] * groups
        flat = ops.reshape(x, (rows, math.prod(x.shape[1:]) // max(groups, 1)))
        one, zero = (full((flat.shape[1],), self.dtype) for full in (ops.ones, ops.zeros))
        y = normalize_rows(flat, one, zero, epsilon=self.epsilon, center=True)
        y = ops.reshape(y, x.shape)
        form = [self._shape[0], *(1 for _ in x.shape[2:])]
        y = y if self.gamma is None else ops.multiply(y, ops.reshape(self.gamma, form))
        return y if self.beta is None else ops.add(y, ops.reshape(self.beta, form))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
