"""Layers that make spectrograms of sounds: short-time Fourier transforms as convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape

MODES = ("imag", "log", "magnitude", "psd", "real", "stft")
_WINDOWS = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08)}
_SCALINGS = ("density", "spectrum", None)
_EPSILON = 1e-7


def window_of(given: Any, length: int, periodic: bool) -> Array:
    """Return a window by its name, or the numbers given, or ones for None; float64 [length].

    Raises
    ------
    ArgumentError
        For an unknown name, or not as many numbers.

    Examples
    --------
    >>> from chainrule.layers.spectrogram import window_of
    >>> window_of("hann", 4, periodic=True).round(9).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    if given is None:
        return np.ones(length)
    if isinstance(given, str):
        if given not in _WINDOWS:
            raise unknown_name("window", given, _WINDOWS)
        turns = 2 * np.pi * np.arange(length) / max(length - (not periodic), 1)
        shares = enumerate(_WINDOWS[given])
        found: Array = sum((-1) ** k * a * np.cos(k * turns) for k, a in shares) + np.zeros(length)
        return found if length > 1 else np.ones(1)
    numbers = np.asarray(given, np.float64)
    if numbers.shape != (length,):
        raise ArgumentError(f"the window has shape {list(numbers.shape)}; expected [{length}]")
    return numbers


def waves(length: int, fft_length: int) -> tuple[Array, Array]:
    """Return ``cos`` and ``sin`` of ``-2 pi t f / fft_length`` as [t=length, f], float64."""
    turns = np.outer(np.arange(length), np.arange(fft_length // 2 + 1)) % fft_length
    angle = -2 * np.pi * turns / fft_length
    return np.cos(angle), np.sin(angle)


def _whole(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


class STFTSpectrogram(Layer):
    """``y[n, t, f] = sum_i window[i] x[n, t * step + i] exp(-2 pi i f j / fft_length)``, or of it
    the magnitude, its logarithm, its power.

    The transform is a convolution, whose kernels are weights: trainable unless told otherwise.

    Shapes: x [n, t, c], y [n, out, c f] with ``f = fft_length // 2 + 1`` (2 f for "stft"), or
    [n, out, f, c] with `expand_dims`; out is that of a `Conv1D`. With "channels_first" x is
    [n, c, t] and y [n, c f, out] or [n, c, out, f].

    Parameters
    ----------
    mode : {"log", "magnitude", "psd", "real", "imag", "stft"}, default "log"
        The logarithm of the magnitude, the magnitude, the power (of all but the first and last
        frequency twice), or the parts of the transform, one or both.
    frame_length : int, default 256
        Samples of a frame.
    frame_step : int, optional
        Samples from one frame to the next, at most `frame_length`; by default half of it.
    fft_length : int, optional
        At least `frame_length`; by default the next power of two.
    window : {"hann", "hamming", "blackman"}, array_like or None, default "hann"
    periodic : bool, default False
        Whether the window is that of a period.
    scaling : {"density", "spectrum", None}, default "density"
        What the window is divided by: the root of its squares' sum, its sum, or nothing.
    padding : {"valid", "same"}, default "valid"
    expand_dims : bool, default False
        Whether frequencies have an axis of their own, as images do.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError
        For what are no sounds, or sounds shorter than a frame.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import STFTSpectrogram
    >>> STFTSpectrogram(frame_length=256, frame_step=128)(np.zeros((2, 1600, 1))).shape
    (2, 11, 129)

    Notes
    -----
    Values of Keras 3's; its mode "angle" is not there.
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.frame_length = _whole("frame_length", frame_length)
        for name, given, known in (
            ("mode", mode, MODES),
            ("scaling", scaling, _SCALINGS),
            ("padding", padding, ("same", "valid")),
            ("data_format", data_format, ("channels_first", "channels_last", None)),
        ):
            if given not in known:
                raise unknown_name(name, given, map(str, known))
        self.frame_step, self.fft_length = frame_step, fft_length
        self.mode, self.periodic, self.scaling = mode, bool(periodic), scaling
        self.padding, self.expand_dims = padding, bool(expand_dims)
        self.window = window if window is None or isinstance(window, str) else list(window)
        self.data_format = data_format or "channels_last"
        window_of(self.window, self.frame_length, self.periodic)
        self._step, self._size = self._checked()

    def _checked(self) -> tuple[int, int]:
        """Return step and size of the transform."""
        length = self.frame_length
        step = _whole(
            "frame_step", max(length // 2, 1) if self.frame_step is None else self.frame_step
        )
        size = 2 ** math.ceil(math.log2(length)) if self.fft_length is None else self.fft_length
        if step > length or _whole("fft_length", size) < length:
            raise ArgumentError(
                f"frame_step is {step} and fft_length {size}; expected at most, and at least, "
                f"the frame_length of {length}"
            )
        return step, size

    def build(self, input_shape: Any) -> None:
        """Make the kernels."""
        window = window_of(self.window, self.frame_length, self.periodic)
        if self.window is not None and self.scaling is not None:
            density = self.scaling == "density"
            window = window / (np.sqrt(np.sum(window**2)) if density else np.sum(np.abs(window)))
        for name, wave in zip(("real", "imag"), waves(self.frame_length, self._size), strict=True):
            if self.mode not in ("real", "imag") or self.mode == name:
                kernel = (wave * window[:, None])[:, None]

                def given(shape: Any, dtype: Any = None, kernel: Array = kernel) -> Array:
                    return kernel.astype(dtype or self.dtype)

                weight = self.add_weight(kernel.shape, given, name=f"{name}_kernel")
                setattr(self, f"{name}_kernel", weight)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the spectrogram."""
        if x.ndim != 3:
            raise ShapeError(f"x has shape {list(x.shape)}; expected sounds [n, t, c]")
        last = ops.transpose(x, (0, 2, 1)) if self.data_format == "channels_last" else x
        channels = last.shape[1]
        sounds = ops.reshape(last, (-1, last.shape[2], 1))
        found = self._of(sounds)
        out = ops.reshape(found, (-1, channels, *found.shape[1:]))
        return self._arranged(out)

    def _of(self, x: Value) -> Value:
        """Return what the mode says of sounds [n, t, 1], as [n, out, f]."""
        parts = {
            name: ops.conv(x, getattr(self, f"{name}_kernel"), self._step, self.padding)
            for name in ("real", "imag")
            if self.mode not in ("real", "imag") or self.mode == name
        }
        if self.mode in parts:
            return parts[self.mode]
        if self.mode == "stft":
            return ops.concatenate([parts["real"], parts["imag"]], axis=2)
        power = ops.add(ops.square(parts["real"]), ops.square(parts["imag"]))
        if self.mode == "psd":
            twice = np.full(power.shape[-1], 2.0)
            twice[[0, -1]] = 1.0
            return ops.multiply(power, twice.astype(power.dtype))
        magnitude = ops.sqrt(ops.maximum(power, _EPSILON))
        return magnitude if self.mode == "magnitude" else ops.log(magnitude)

    def _arranged(self, y: Value) -> Value:
        """Return y [n, c, out, f] with the axes that were asked for."""
        _, channels, out, bins = y.shape
        if self.data_format == "channels_first":
            if self.expand_dims:
                return y
            return ops.reshape(ops.transpose(y, (0, 1, 3, 2)), (-1, channels * bins, out))
        if self.expand_dims:
            return ops.transpose(y, (0, 2, 3, 1))
        return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, out, channels * bins))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        names = (
            "mode frame_length frame_step fft_length window periodic scaling padding expand_dims "
            "data_format"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


class MelSpectrogram(Layer):
    """``y[n, b, t] = 10 log10(sum_f weight[f, b] |stft[n, t, f]|^2 / ref_power)``.

    Shapes: x [n, t] or [t], y [n, num_mel_bins, t // sequence_stride + 1] or without n: the bins
    stand before the frames, so that recurrent layers need a `Permute((2, 1))` behind it.

    Parameters
    ----------
    fft_length : int, default 2048
        Of the Fourier transform.
    sequence_stride : int, default 512
        Samples from one frame to the next.
    sequence_length : int, optional
        Samples of the window, in the middle of each frame; at most, and by default, `fft_length`.
    window : {"hann", "hamming", "blackman"}, array_like or None, default "hann"
    sampling_rate : int, default 16000
        Samples a second.
    num_mel_bins : int, default 128
    min_freq, max_freq : float, default 20 and half of the rate
        Where the triangles of the bins begin and end, in hertz.
    power_to_db : bool, default True
        Whether y is in decibels; else it is the sum itself.
    top_db : float, default 80
        What is this far below a sound's loudest place is raised to it.
    mag_exp : float, default 2
        Of the magnitude: 2 for the power.
    min_power : float, default 1e-10
        What powers below it are taken for, which silence has everywhere.
    ref_power : float, default 1
        What has 0 decibels.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError
        For what are no sounds.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import MelSpectrogram
    >>> layer = MelSpectrogram(fft_length=256, sequence_stride=80, sampling_rate=8000,
    ...                        num_mel_bins=40)
    >>> layer(np.sin(np.arange(8000))[None]).shape
    (1, 40, 101)

    Notes
    -----
    Values of Keras 3's for one sound: there `top_db` is below the loudest place of the whole batch,
    here of each sound, so that a sound's spectrogram does not depend on its neighbours. At both
    ends frames see the sound mirrored. The mel scale is HTK's, ``1127 log(1 + f / 700)``.
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.fft_length = _whole("fft_length", fft_length, 2)
        self.sequence_stride = _whole("sequence_stride", sequence_stride)
        self.sequence_length = _whole("sequence_length", sequence_length or fft_length)
        if self.sequence_length > self.fft_length:
            raise ArgumentError(
                f"sequence_length is {sequence_length}, more than the fft_length of {fft_length}"
            )
        self.window = window if window is None or isinstance(window, str) else list(window)
        self.sampling_rate = _whole("sampling_rate", sampling_rate)
        self.num_mel_bins = _whole("num_mel_bins", num_mel_bins)
        self.min_freq, self.max_freq = float(min_freq), float(max_freq or sampling_rate // 2)
        self.power_to_db, self.top_db, self.mag_exp = (
            bool(power_to_db),
            float(top_db),
            float(mag_exp),
        )
        self.min_power, self.ref_power = float(min_power), float(ref_power)
        if not 0 <= self.min_freq < self.max_freq <= self.sampling_rate / 2 or self.min_power <= 0:
            raise ArgumentError(
                f"min_freq is {min_freq}, max_freq {self.max_freq:g} and min_power {min_power}; "
                f"expected 0 <= min_freq < max_freq <= {self.sampling_rate / 2:g}, min_power > 0"
            )
        window_of(self.window, self.sequence_length, periodic=True)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the spectrogram."""
        if x.ndim not in (1, 2) or not x.shape[-1]:
            raise ShapeError(f"x has shape {list(x.shape)}; expected sounds [n, t], or one [t]")
        sounds = ops.expand_dims(x, 0) if x.ndim == 1 else x
        weights = self.mel_weights()
        heard = np.flatnonzero(weights.any(axis=1))  # frequencies that some bin takes
        bins = ops.matmul(self._powers(sounds, heard), weights[heard].astype(x.dtype))
        y = ops.transpose(self._decibels(bins) if self.power_to_db else bins, (0, 2, 1))
        return ops.squeeze(y, 0) if x.ndim == 1 else y

    def mel_weights(self) -> Array:
        """Return the share that each bin has of each frequency, [f, num_mel_bins] in float64."""

        def mel(hertz: Any) -> Array:
            found: Array = 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)
            return found

        edges = np.linspace(mel(self.min_freq), mel(self.max_freq), self.num_mel_bins + 2)
        places = mel(np.linspace(0, self.sampling_rate / 2, self.fft_length // 2 + 1))[:, None]
        up = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
        down = (edges[2:] - places) / (edges[2:] - edges[1:-1])
        weights = np.maximum(np.minimum(up, down), 0.0)
        weights[0] = 0.0  # a constant is no sound
        return weights

    def _powers(self, x: Value, heard: Array) -> Value:
        """Return the magnitudes to the exponent for sounds [n, t], as [n, out, f]."""
        size, length = self.fft_length, self.sequence_length
        before = (size - length) // 2
        half, behind = size // 2, size - length - before
        wide = ops.pad(x, ((0, 0), (half, half)), mode="reflect")
        wide = wide[:, before : wide.shape[1] - behind]
        window = window_of(self.window, length, periodic=True)[:, None]
        kernel = np.concatenate([w[:, heard] * window for w in waves(length, size)], axis=1)
        both = ops.square(
            ops.conv(
                ops.expand_dims(wide, -1), kernel[:, None].astype(x.dtype), self.sequence_stride
            )
        )
        power = ops.add(both[..., : len(heard)], both[..., len(heard) :])
        return power if self.mag_exp == 2.0 else ops.power(power, self.mag_exp / 2)

    def _decibels(self, bins: Value) -> Value:
        ref = max(abs(self.ref_power), self.min_power)
        decibels = ops.subtract(
            ops.multiply(ops.log10(ops.maximum(bins, self.min_power)), 10.0), 10 * math.log10(ref)
        )
        loudest = ops.max(decibels, axis=(1, 2), keepdims=True)
        return ops.maximum(decibels, ops.subtract(loudest, self.top_db))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape for sounds [n, t] or [t]."""
        *batch, samples = input_shape
        odd = self.fft_length % 2
        frames = None if samples is None else (samples - odd) // self.sequence_stride + 1
        return (*batch, self.num_mel_bins, frames)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        names = (
            "fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq "
            "max_freq power_to_db top_db mag_exp min_power ref_power"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
