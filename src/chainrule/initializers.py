"""What weights begin with. Each draws from `chainrule.seeding`, never from NumPy's global state."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from chainrule import dtypes, seeding
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.named import Named, itself

Shape = Sequence[int]


class Initializer:
    """A rule for first values: calling it with a shape returns an array.

    Examples
    --------
    >>> from chainrule.initializers import Constant
    >>> Constant(2.0)((2,)).tolist()
    [2.0, 2.0]
    """

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Return an array of this shape; `dtype` is float32 or float64, by default `floatx()`."""
        kind = dtypes.name_of(dtype or dtypes.floatx())
        return np.asarray(self.sample(tuple(shape)), np.float64).astype(kind)

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return the values in float64."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return an initializer with these arguments."""
        return cls(**config)


def generator(seed: int | None) -> np.random.Generator:
    """Return the generator of a seed; without one, of the next seed of the process."""
    key = seeding.next_seed() if seed is None else seed
    return np.random.Generator(np.random.Philox(key=key))


class Zeros(Initializer):
    """``0`` everywhere.

    Examples
    --------
    >>> Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """``1`` everywhere.

    Examples
    --------
    >>> Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return ones."""
        return np.ones(shape)


class Constant(Initializer):
    """``value`` everywhere.

    Parameters
    ----------
    value : float, default 0

    Examples
    --------
    >>> Constant(3.0)((1,)).tolist()
    [3.0]
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return the constant."""
        return np.full(shape, self.value)


class RandomNormal(Initializer):
    """Normal numbers of mean `mean` and standard deviation `stddev`.

    Parameters
    ----------
    mean : float, default 0
    stddev : float, default 0.05
    seed : int, optional
        The same seed gives the same numbers; by default each call draws others.

    Examples
    --------
    >>> RandomNormal(stddev=1.0, seed=1)((3,)).shape
    (3,)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return normal numbers."""
        return generator(self.seed).normal(self.mean, self.stddev, shape)


class RandomUniform(Initializer):
    """Uniform numbers in [minval, maxval).

    Parameters
    ----------
    minval, maxval : float, default -0.05 and 0.05
    seed : int, optional
        See `RandomNormal`.

    Examples
    --------
    >>> bool(abs(RandomUniform(seed=1)((9,))).max() <= 0.05)
    True
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return uniform numbers."""
        return generator(self.seed).uniform(self.minval, self.maxval, shape)


class TruncatedNormal(Initializer):
    """Normal numbers, those beyond two standard deviations drawn again.

    The standard deviation of what remains is 0.8796 times `stddev`.

    Parameters
    ----------
    mean : float, default 0
    stddev : float, default 0.05
    seed : int, optional
        See `RandomNormal`.

    Examples
    --------
    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)((99,))).max() <= 2)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return truncated normal numbers."""
        return self.mean + self.stddev * truncated(generator(self.seed), shape)


def truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Return standard normal numbers within two standard deviations."""
    z = rng.standard_normal(shape)
    while (outside := np.abs(z) > 2).any():
        z = np.where(outside, rng.standard_normal(shape), z)
    return z


def fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """Return how many inputs and outputs a weight of this shape connects (Keras's counting)."""
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    window = math.prod(shape[:-2])
    return float(shape[-2] * window), float(shape[-1] * window)


class VarianceScaling(Initializer):
    """Numbers of variance ``scale / n``, n being the inputs, the outputs or their mean.

    Parameters
    ----------
    scale : float > 0, default 1
    mode : {"fan_in", "fan_out", "fan_avg"}, default "fan_in"
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
    seed : int, optional
        See `RandomNormal`.

    Raises
    ------
    ArgumentError
        For an unknown mode or distribution, or a scale that is not above 0.

    Examples
    --------
    >>> VarianceScaling(2.0, seed=1)((4, 3)).shape
    (4, 3)

    Notes
    -----
    Source: Glorot and Bengio, AISTATS 2010, equation 16; He et al., arXiv 1502.01852, equation 10;
    LeCun et al., "Efficient BackProp", 1998, section 4.6.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        if scale <= 0:
            raise ArgumentError(f"scale must be above 0, not {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise unknown_name("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        known = ("truncated_normal", "untruncated_normal", "uniform")
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in known:
            raise unknown_name("distribution", distribution, known)
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return numbers of the variance that the shape asks for."""
        n_in, n_out = fans(shape)
        n = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        rng = generator(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return rng.normal(0, math.sqrt(variance), shape)
        return math.sqrt(variance) / 0.87962566103423978 * truncated(rng, shape)


def _scaled(name: str, scale: float, mode: str, distribution: str) -> type[VarianceScaling]:
    """Return a variance scaling of which only the seed is open."""

    def make(self: Any, seed: int | None = None) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed)

    def get_config(self: Any) -> dict[str, Any]:
        return {"seed": self.seed}

    words = distribution.replace("truncated_", "")
    doc = f"``VarianceScaling({scale}, {mode!r}, {distribution!r})``: {words}, {mode}."
    body = {"__init__": make, "get_config": get_config, "__doc__": doc, "__module__": __name__}
    return type(name, (VarianceScaling,), body)


GlorotUniform = _scaled("GlorotUniform", 1.0, "fan_avg", "uniform")
GlorotNormal = _scaled("GlorotNormal", 1.0, "fan_avg", "truncated_normal")
HeUniform = _scaled("HeUniform", 2.0, "fan_in", "uniform")
HeNormal = _scaled("HeNormal", 2.0, "fan_in", "truncated_normal")
LecunUniform = _scaled("LecunUniform", 1.0, "fan_in", "uniform")
LecunNormal = _scaled("LecunNormal", 1.0, "fan_in", "truncated_normal")


class Orthogonal(Initializer):
    """``gain * Q``: columns (or rows, where they are fewer) at right angles, of length gain.

    Parameters
    ----------
    gain : float, default 1
    seed : int, optional
        See `RandomNormal`.

    Raises
    ------
    ShapeError
        For fewer than two axes.

    Examples
    --------
    >>> import numpy as np
    >>> q = Orthogonal(seed=1)((4, 3), "float64")
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True

    Notes
    -----
    Source: Saxe et al., arXiv 1312.6120, section 4.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = gain, seed

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return the orthogonal matrix."""
        if len(shape) < 2:
            raise ShapeError(f"an orthogonal weight has two axes or more, not {list(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        z = generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(z)
        q = q * np.sign(np.diag(r))
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


class Identity(Initializer):
    """``gain`` on the diagonal, else 0.

    Parameters
    ----------
    gain : float, default 1

    Raises
    ------
    ShapeError
        For any number of axes but two.

    Examples
    --------
    >>> Identity()((2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def sample(self, shape: tuple[int, ...]) -> Any:
        """Return the matrix."""
        if len(shape) != 2:
            raise ShapeError(f"an identity has two axes, not {list(shape)}")
        return self.gain * np.eye(*shape)


IdentityInitializer = Identity

_CLASSES: tuple[type[Initializer], ...] = (
    Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling,
    GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal,
    Identity,
)  # fmt: skip


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


_KNOWN = {n: c for c in _CLASSES for n in (c.__name__, _snake(c.__name__))}
_SHORT = {"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros}
_NAMED = Named(
    "initializer",
    Initializer,
    "an initializer is a name or a function of a shape",
    _KNOWN,
    {**_KNOWN, **_SHORT},
    function=itself,
)


def __getattr__(name: str) -> Any:
    if name in _KNOWN:  # Keras's other names: glorot_uniform for GlorotUniform
        return _KNOWN[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get(identifier: Any) -> Callable[..., Any]:
    """Return the initializer for a name, a configuration, an initializer or a function.

    Raises
    ------
    ArgumentError
        For a name that does not exist, with the nearest that does.
    """
    found: Callable[..., Any] = _NAMED.get(identifier)
    return found


def serialize(initializer: Any) -> dict[str, Any]:
    """Return the configuration from which `get` makes the initializer again."""
    if not isinstance(initializer, Initializer):
        raise ArgumentError(f"the initializer {initializer!r} is a function and cannot be saved")
    return _NAMED.serialize(initializer) or {}


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> Initializer:
    """Return the initializer that `serialize` described; `custom_objects` are your own by name."""
    made: Initializer = _NAMED.deserialize(config, custom_objects)
    return made
