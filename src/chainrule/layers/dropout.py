"""Dropout: in training some elements, or whole channels, become 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.layers.regularization import _Random, checked_rate

NoiseShape = Sequence[int | None] | None


def _noise_shape(given: NoiseShape) -> tuple[int | None, ...] | None:
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ArgumentError(f"noise_shape is {given!r}; expected sizes, or None, for each axis")
    for n in given:
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise ArgumentError(f"noise_shape is {given!r}; a size is at least 1, or None")
    return tuple(given)


class _Dropping(_Random):
    """A layer that drops elements; those that share a place in the noise's shape fall together."""

    supports_masking = True

    def __init__(
        self,
        rate: float,
        noise_shape: NoiseShape = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        self.rate, self.noise_shape = checked_rate(rate), _noise_shape(noise_shape)

    def detail(self) -> str:
        """Return the rate."""
        return f"rate {self.rate:g}"

    def kept(self, x: Value) -> Value:
        """Return where x stays, with probability ``1 - rate``."""
        drawn = self.draw(ops.random.uniform, x, self.shape_of_noise(x))
        return ops.broadcast_to(ops.greater_equal(drawn, self.rate), x.shape)

    def shape_of_noise(self, x: Value) -> tuple[int, ...]:
        """Return the shape in which is drawn what stays."""
        if self.noise_shape is None:
            return x.shape
        given = self.noise_shape
        sizes = tuple(n if m is None else m for m, n in zip(given, x.shape, strict=False))
        if len(given) != x.ndim or any(
            m not in (1, n) for m, n in zip(sizes, x.shape, strict=True)
        ):
            raise ShapeError(
                f"the noise of shape {list(given)} does not fit x of shape {list(x.shape)}: "
                "each of its sizes must be 1, None, or that of x"
            )
        return sizes

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        noise = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "rate": self.rate, "noise_shape": noise}


class Dropout(_Dropping):
    """``y = x / (1 - rate)`` with probability ``1 - rate``, else 0; outside of training x.

    Parameters
    ----------
    rate : float in [0, 1)
        The share of elements that become 0.
    noise_shape : sequence of int or None, optional
        For each axis, the batch's included: 1 where all elements along it fall together, None or
        the size of x where each falls on its own. By default each element of x does.
    seed : int, optional
        By default the model's, so that `set_random_seed` fixes it.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a rate outside of [0, 1), or a noise shape that is none.
    ShapeError
        For inputs that the noise shape does not fit.

    Examples
    --------
    >>> from chainrule.layers import Dropout
    >>> Dropout(0.5)([[1.0, 2.0]]).numpy().tolist()
    [[1.0, 2.0]]

    Notes
    -----
    Source: Srivastava et al., JMLR 15 (2014), section 4, scaled in training instead of afterwards.
    """

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with some elements dropped, or x itself."""
        if not training or self.rate == 0:
            return x
        return ops.where(self.kept(x), ops.multiply(x, 1.0 / (1.0 - self.rate)), 0.0)


class AlphaDropout(_Dropping):
    """Dropout for `selu`: elements become its lowest value, and mean and variance stay.

    ``y = a * x + b`` with probability ``1 - rate``, else ``a * v + b``, where v = -1.7580993 is
    what selu goes to at minus infinity, ``a = ((1 - rate)(1 + rate * v^2))^(-1/2)`` and
    ``b = -a * v * rate``; outside of training x.

    Parameters
    ----------
    rate : float in [0, 1)
        The share of elements that are dropped.
    noise_shape : sequence of int or None, optional
        See `Dropout`.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Dropout`.

    Examples
    --------
    >>> from chainrule.layers import AlphaDropout
    >>> AlphaDropout(0.5)([[1.0, 2.0]]).numpy().tolist()
    [[1.0, 2.0]]

    Notes
    -----
    Source: Klambauer et al., "Self-normalizing neural networks", arXiv 1706.02515, section 2.
    """

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with some elements dropped, or x itself."""
        if not training or self.rate == 0:
            return x
        lowest = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
        a = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        b = -a * lowest * self.rate
        return ops.where(self.kept(x), ops.add(ops.multiply(x, a), b), a * lowest + b)


class _Spatial(_Dropping):
    """Dropout of whole channels of images, or of sequences, volumes."""

    places = 1

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, seed=seed, **options)
        known = ("channels_last", "channels_first")
        if data_format is not None and data_format not in known:
            raise unknown_name("data_format", data_format, known)
        self.data_format = data_format or "channels_last"

    def shape_of_noise(self, x: Value) -> tuple[int, ...]:
        """Return the shape in which is drawn what stays: one number a sample and channel."""
        if x.ndim != self.places + 2:
            raise ShapeError(f"x has shape {list(x.shape)}; expected {self.places + 2} axes")
        if self.data_format == "channels_first":
            return (*x.shape[:2], *[1] * self.places)
        return (x.shape[0], *[1] * self.places, x.shape[-1])

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with some channels dropped, or x itself."""
        if not training or self.rate == 0:
            return x
        return ops.where(self.kept(x), ops.multiply(x, 1.0 / (1.0 - self.rate)), 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {**super().get_config(), "data_format": self.data_format}
        config.pop("noise_shape")
        return config


class SpatialDropout1D(_Spatial):
    """`Dropout` of whole channels of sequences x [n, t, c]: of all times together.

    Parameters
    ----------
    rate : float in [0, 1)
        The share of channels that become 0.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a rate outside of [0, 1).
    ShapeError
        For inputs of another number of axes.

    Examples
    --------
    >>> from chainrule.layers import SpatialDropout1D
    >>> SpatialDropout1D(0.5)([[[1.0], [2.0]]]).numpy().tolist()
    [[[1.0], [2.0]]]

    Notes
    -----
    Source: Tompson et al., arXiv 1411.4280, section 3.2.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, seed=seed, **options)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = super().get_config()
        config.pop("data_format")
        return config


class SpatialDropout2D(_Spatial):
    """`Dropout` of whole channels of images x [n, h, w, c].

    Parameters
    ----------
    rate : float in [0, 1)
        The share of channels that become 0.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a rate outside of [0, 1), or another format.
    ShapeError
        For inputs of another number of axes.

    Examples
    --------
    >>> from chainrule.layers import SpatialDropout2D
    >>> SpatialDropout2D(0.5)([[[[1.0]]]]).numpy().tolist()
    [[[[1.0]]]]

    Notes
    -----
    Source: Tompson et al., arXiv 1411.4280, section 3.2.
    """

    places = 2


class SpatialDropout3D(_Spatial):
    """`Dropout` of whole channels of volumes x [n, a, h, w, c].

    Parameters
    ----------
    rate, data_format, seed, **options
        See `SpatialDropout2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `SpatialDropout2D`.

    Examples
    --------
    >>> from chainrule.layers import SpatialDropout3D
    >>> SpatialDropout3D(0.5)([[[[[1.0]]]]]).numpy().tolist()
    [[[[[1.0]]]]]
    """

    places = 3
