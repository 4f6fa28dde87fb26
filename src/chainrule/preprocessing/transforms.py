"""What a generator draws for its images, and what becomes of them."""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, unknown_name
from chainrule.executors import native
from chainrule.graph import placeholder
from chainrule.ops.random import philox
from chainrule.ops.warp import FILL_MODES, warp
from chainrule.plan import make_plan

Parameters = dict[str, Any]

_DRAWN = 12  # numbers for an image
_STREAM = 0x696D6167  # beside those of steps of training
_NONE: Mapping[str, Any] = {
    "theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1, "flip_horizontal": False,
    "flip_vertical": False, "channel_shift_intensity": None, "brightness": None,
}  # fmt: skip


def numbers(seed: int, epoch: int, samples: Array) -> Array:
    """Return numbers in [0, 1) for each sample, [n, 12]: a function of seed, epoch and sample."""
    sample = np.asarray(samples, np.uint64)[:, None]
    word = np.uint64(0xFFFFFFFF)
    counter: list[Array] = [
        np.broadcast_to(np.arange(_DRAWN // 2, dtype=np.uint64), (len(sample), _DRAWN // 2)),
        sample & word,
        np.asarray(epoch, np.uint64) & word,
        np.uint64(_STREAM) ^ (sample >> np.uint64(32)),
    ]
    seed &= (1 << 64) - 1
    w = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    wide = [(w[i] >> np.uint64(6)) * 2.0**26 + (w[i + 1] >> np.uint64(6)) for i in (0, 2)]
    return np.stack(wide, axis=-1).reshape(len(sample), _DRAWN) * 2.0**-52


@dataclass(frozen=True)
class Ranges:
    """How far images are changed: see `ImageDataGenerator`."""

    rotation: float = 0.0
    width_shift: Any = 0.0
    height_shift: Any = 0.0
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    channel_shift: float = 0.0
    brightness: tuple[float, float] | None = None
    horizontal_flip: bool = False
    vertical_flip: bool = False

    def drawn(self, u: Array, size: tuple[int, int]) -> Parameters:
        """Return the parameters that numbers [n, 12] stand for, an array [n] each, or None."""
        low, high = self.zoom
        shift, light = self.channel_shift, self.brightness
        return {
            "theta": (2 * u[:, 0] - 1) * self.rotation,
            "tx": _shift(self.height_shift, u[:, 1:3], size[0]),
            "ty": _shift(self.width_shift, u[:, 3:5], size[1]),
            "shear": (2 * u[:, 5] - 1) * self.shear,
            "zx": low + (high - low) * u[:, 6],
            "zy": low + (high - low) * u[:, 7],
            "flip_horizontal": (u[:, 8] < 0.5) & self.horizontal_flip,
            "flip_vertical": (u[:, 9] < 0.5) & self.vertical_flip,
            "channel_shift_intensity": (2 * u[:, 10] - 1) * shift if shift else None,
            "brightness": None if light is None else light[0] + (light[1] - light[0]) * u[:, 11],
        }


def _shift(given: Any, u: Array, size: int) -> Array:
    """Return the pixels that images are moved by: from a range, or one of some, of either sign."""
    whole = isinstance(given, int | np.integer)
    choices: Array = np.arange(max(given, 1)) if whole else np.asarray(given, np.float64)
    if choices.ndim == 0:
        moves = (2 * u[:, 0] - 1) * float(given)
    else:
        signs = np.where(u[:, 1] < 0.5, -1.0, 1.0)
        moves = choices[(u[:, 0] * len(choices)).astype(np.int64)] * signs
    return moves * size if np.max(given) < 1 else moves


def maps(p: Parameters, size: tuple[int, int], n: int) -> Array | None:
    """Return the affine maps [n, 2, 3] of these parameters, None where they change nothing.

    Rotation, then translation, shear and zoom, all about the middle, then the flips.
    """
    given = {**_NONE, **{k: v for k, v in p.items() if v is not None}}
    a = {k: np.broadcast_to(np.asarray(given[k], np.float64), (n,)) for k in list(_NONE)[:8]}
    if all((a[k] == _NONE[k]).all() for k in a):
        return None
    turn, shear = np.deg2rad(a["theta"]), np.deg2rad(a["shear"])
    zero, one = np.zeros(n), np.ones(n)
    rotation = _matrices(np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn))
    sheared = _matrices(np.cos(shear), zero, -np.sin(shear), one)
    flips = _matrices(1 - 2 * a["flip_vertical"], zero, zero, 1 - 2 * a["flip_horizontal"])
    linear = rotation @ sheared @ _matrices(a["zy"], zero, zero, a["zx"]) @ flips
    move = rotation @ np.stack([a["tx"], a["ty"]], -1)[..., None]
    middle = (np.array(size)[:, None] - 1) / 2
    return np.concatenate([linear, middle + move - linear @ middle], axis=-1)


def _matrices(a: Array, b: Array, c: Array, d: Array) -> Array:
    return np.stack([a, b, c, d], axis=-1).reshape(-1, 2, 2)


@dataclass(frozen=True)
class Filling:
    """How places between and beyond pixels are filled."""

    fill_mode: str = "nearest"
    cval: float = 0.0
    interpolation_order: int = 1

    def __post_init__(self) -> None:
        if self.fill_mode not in FILL_MODES:
            raise unknown_name("fill_mode", self.fill_mode, FILL_MODES)
        if self.interpolation_order not in (0, 1):
            raise ArgumentError(
                f"interpolation_order is {self.interpolation_order!r}; expected 0 (nearest) or 1 "
                "(bilinear)"
            )

    def applied(self, x: Array, p: Parameters) -> Array:
        """Return the images x [n, h, w, c] with parameters of a number, or [n], each applied."""
        m = maps(p, x.shape[1:3], len(x))
        if m is not None and x.size:
            x = self._warped(np.ascontiguousarray(x), m)
        if p.get("channel_shift_intensity") is not None:
            x = _shifted(x, _column(p["channel_shift_intensity"], x))
        if p.get("brightness") is not None:
            x = _brightened(x, _column(p["brightness"], x))
        return x

    def _warped(self, x: Array, m: Array) -> Array:
        """Return the images at the places of the maps, by a program of its own: whatever else is
        computed meanwhile, by other threads too, has nothing to do with it."""
        program, lock = _program(self, x.shape, x.dtype.name)
        y = np.empty_like(x)
        with lock:
            program.bind("x", x)
            program.bind("m", m)
            program.bind_output(0, y)
            program.run()
        return y


@functools.lru_cache(16)
def _program(filling: Filling, shape: tuple[int, ...], dtype: str) -> tuple[Any, threading.Lock]:
    """Return the program that warps a batch of this shape, and what guards it."""
    y = warp(
        placeholder(shape, dtype, "x"),
        placeholder((shape[0], 2, 3), "float64", "m"),
        size=shape[1:3],
        interpolation=("nearest", "bilinear")[filling.interpolation_order],
        fill_mode=filling.fill_mode,
        fill_value=float(filling.cval),
    )
    return native.load(make_plan([y])), threading.Lock()


atexit.register(_program.cache_clear)  # before the compiled module is taken down


def _column(a: Any, x: Array) -> Array:
    """Return one number for each image, for all of its elements."""
    return np.broadcast_to(np.asarray(a, x.dtype), (len(x),)).reshape(-1, 1, 1, 1)


def _ends(x: Array) -> tuple[Array, Array]:
    return x.min(axis=(1, 2, 3), keepdims=True), x.max(axis=(1, 2, 3), keepdims=True)


def _shifted(x: Array, amount: Array) -> Array:
    """Return x with an amount added to all channels, cut to the range that each image has."""
    low, high = _ends(x)
    return np.asarray(np.clip(x + amount, low, high))


def _brightened(x: Array, factor: Array) -> Array:
    """Return ``x * factor``, cut to [0, 255]; images beyond are scaled to that, and back."""
    low, high = _ends(x)
    beyond = (low < 0) | (high > 255)
    low, span = np.where(beyond, low, 0), np.where(beyond, high - low, 255)
    span = np.where(span > 0, span, 1)
    changed = np.clip((x - low) / span * factor, 0, 1) * span + low
    return np.asarray(changed, x.dtype)


def zoom_limits(given: Any) -> tuple[float, float]:
    """Return the range of the factors of a zoom.

    Raises
    ------
    ArgumentError
        For what is no number, or two.
    """
    parts = _floats(given)
    if parts is None or parts.shape not in ((), (2,)):
        raise ArgumentError(f"zoom_range is {given!r}; expected a number, or two")
    low, high = parts if parts.ndim else (1 - parts, 1 + parts)
    return float(low), float(high)


def number(name: str, given: Any) -> float:
    """Return an argument that must be one finite number.

    Raises
    ------
    ArgumentError
        For what is none.
    """
    found = _floats(given)
    if found is None or found.ndim:
        raise ArgumentError(f"{name} is {given!r}; expected a number")
    return float(found)


def shift_range(name: str, given: Any) -> Any:
    """Return the range of a shift as it is.

    Raises
    ------
    ArgumentError
        For what is no number, and no sequence of them.
    """
    found = _floats(given)
    if found is None or found.ndim > 1 or not found.size:
        raise ArgumentError(f"{name} is {given!r}; expected a number, or a sequence of them")
    return given


def _floats(given: Any) -> Array | None:
    """Return finite numbers as an array, or None for anything else."""
    if isinstance(given, str):
        return None
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None
