"""Features of speech by kaldi-native-fbank: log-mel energies, MFCCs and pitch."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, ShapeError, missing_package

_LEAST_VOICED_RATE = 4000  # that pitch is looked for at
PITCHES = 4  # numbers that say how high a voice is


def library() -> Any:
    """Return the module ``kaldi_native_fbank``.

    It computes what Kaldi does, needs NumPy alone and is half a megabyte; librosa brings numba and
    SciPy, torchaudio PyTorch, and python_speech_features has not been changed since 2017.

    Raises
    ------
    MissingDependencyError
        Where it is not installed.
    """
    try:
        import kaldi_native_fbank
    except ImportError:
        raise missing_package("kaldi-native-fbank", "features of sounds", "audio") from None
    return kaldi_native_fbank


def frame_count(samples: int, sample_rate: int, frame_step: float = 0.01) -> int:
    """Return the number of frames of so many samples: their centres are a step apart.

    Examples
    --------
    >>> from chainrule.data.audio_features import frame_count
    >>> frame_count(16000, 16000), frame_count(1, 16000)
    (100, 0)
    """
    step = _in_samples(sample_rate, frame_step)
    return (samples + step // 2) // step


def log_mel(
    samples: Any,
    sample_rate: int,
    num_mel_bins: int = 40,
    frame_length: float = 0.025,
    frame_step: float = 0.01,
    min_freq: float = 20.0,
    max_freq: float | None = None,
) -> Array:
    """``y[t, b] = log(max(sum_f weight[b, f] |spectrum[t, f]|^2, 2^-23))``: log-mel energies.

    Shapes
    ------
    samples : [t] in [-1, 1]; returned : [round(t / step), num_mel_bins], float32

    Parameters
    ----------
    samples : array_like
        One sound, one channel.
    sample_rate : int
        Samples a second.
    num_mel_bins : int >= 3, default 40
        Triangles that are equally wide on the mel scale.
    frame_length, frame_step : float, default 0.025 and 0.01
        Seconds.
    min_freq, max_freq : float, default 20 and half of the rate
        Where the triangles begin and end, in hertz.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError, DataError
        For what is no sound of one channel.
    MissingDependencyError
        Without kaldi-native-fbank.

    Notes
    -----
    As Kaldi's: each frame less its mean, emphasized by ``x[i] - 0.97 x[i - 1]``, in a Povey window,
    its spectrum of the next power of two; frames at both ends see the sound mirrored. No dither is
    added, so that a sound has the same features each time; silence gives log(2^-23) everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.audio import log_mel
    >>> log_mel(np.sin(np.arange(8000)), 8000).shape
    (100, 40)
    """
    kaldi, x = library(), one_channel(samples)
    options = kaldi.FbankOptions()
    _set_frames(options.frame_opts, sample_rate, frame_length, frame_step)
    _set_bins(options.mel_opts, sample_rate, num_mel_bins, min_freq, max_freq)
    return _extracted(kaldi.OnlineFbank(options), x, sample_rate, num_mel_bins)


def mfcc(
    samples: Any,
    sample_rate: int,
    num_coefficients: int = 13,
    num_mel_bins: int = 23,
    frame_length: float = 0.025,
    frame_step: float = 0.01,
    min_freq: float = 20.0,
    max_freq: float | None = None,
) -> Array:
    """``y[t, k] = lifter[k] sum_b dct[k, b] log_mel[t, b]``: mel-frequency cepstral coefficients.

    Shapes
    ------
    samples : [t] in [-1, 1]; returned : [round(t / step), num_coefficients], float32

    Parameters
    ----------
    samples, sample_rate, num_mel_bins, frame_length, frame_step, min_freq, max_freq
        See `log_mel`.
    num_coefficients : int >= 1, default 13
        At most as many as mel bins. The first is that of the loudness.

    Raises
    ------
    ArgumentError, ShapeError, DataError, MissingDependencyError
        As `log_mel`.

    Notes
    -----
    As Kaldi's: an orthonormal DCT of type 2, and ``lifter[k] = 1 + 11 sin(pi k / 22)``.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.audio import mfcc
    >>> mfcc(np.sin(np.arange(8000)), 8000).shape
    (100, 13)

    Source
    ------
    S. Davis and P. Mermelstein, IEEE Trans. ASSP 28 (1980), section II.
    """
    kaldi, x = library(), one_channel(samples)
    options = kaldi.MfccOptions()
    _set_frames(options.frame_opts, sample_rate, frame_length, frame_step)
    _set_bins(options.mel_opts, sample_rate, num_mel_bins, min_freq, max_freq)
    if not 1 <= whole("num_coefficients", num_coefficients) <= num_mel_bins:
        raise ArgumentError(
            f"num_coefficients is {num_coefficients}; expected 1 to {num_mel_bins}, the mel bins"
        )
    options.num_ceps, options.use_energy = num_coefficients, False
    return _extracted(kaldi.OnlineMfcc(options), x, sample_rate, num_coefficients)


def pitch(
    samples: Any,
    sample_rate: int,
    frame_length: float = 0.025,
    frame_step: float = 0.01,
    min_freq: float = 50.0,
    max_freq: float = 400.0,
) -> Array:
    """How surely each frame is voiced, its pitch in the sound, how that changes, and its height.

    For tones of speech. The first of the four is lower the surer there is a voice; the second
    twice the log pitch less its mean over the 1.5 seconds around; the third its slope; the fourth
    the log of the pitch in hertz.

    Shapes
    ------
    samples : [t] in [-1, 1]; returned : [round(t / step), 4], float32

    Parameters
    ----------
    samples, sample_rate, frame_length, frame_step
        See `log_mel`; at least 4000 samples a second.
    min_freq, max_freq : float, default 50 and 400
        The pitch of voices that are looked for, in hertz.

    Raises
    ------
    ArgumentError, ShapeError, DataError, MissingDependencyError
        As `log_mel`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.audio import pitch
    >>> rising = np.sin(2 * np.pi * np.cumsum(np.linspace(100, 200, 8000)) / 8000)
    >>> found = pitch(rising, 8000)
    >>> found.shape, bool(found[90, 1] > found[50, 1] > found[10, 1])
    ((100, 4), True)

    Source
    ------
    P. Ghahremani et al., "A pitch extraction algorithm tuned for automatic speech recognition",
    ICASSP 2014; values of Kaldi's compute-and-process-kaldi-pitch-feats, without its noise.
    """
    kaldi, x = library(), one_channel(samples)
    if sample_rate < _LEAST_VOICED_RATE or not 0 < min_freq < max_freq <= sample_rate / 2:
        raise ArgumentError(
            f"pitch from {min_freq:g} to {max_freq:g} Hz of {sample_rate} samples a second; "
            f"expected 0 < min_freq < max_freq, and at least {_LEAST_VOICED_RATE} samples"
        )
    options, after = kaldi.PitchExtractionOptions(), kaldi.ProcessPitchOptions()
    options.samp_freq, options.snip_edges = float(sample_rate), False
    _in_samples(sample_rate, frame_step)
    options.frame_length_ms, options.frame_shift_ms = 1e3 * frame_length, 1e3 * frame_step
    options.min_f0, options.max_f0 = min_freq, max_freq
    after.delta_pitch_noise_stddev, after.add_raw_log_pitch = 0.0, True
    # It takes numbers of the size that 16 bits have.
    found = kaldi.compute_and_process_kaldi_pitch(options, after, (x * 32768.0).tolist())
    frames = frame_count(len(x), sample_rate, frame_step)
    rest = np.zeros((max(frames - len(found), 0), PITCHES), np.float32)
    return np.concatenate([np.asarray(found, np.float32).reshape(-1, PITCHES)[:frames], rest])


def one_channel(samples: Any) -> Array:
    """Return samples [t] or [t, 1] as float32 [t].

    Raises
    ------
    ShapeError, DataError
        For anything else, or numbers that are not finite.
    """
    x = np.asarray(samples, np.float32)
    x = x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
    if x.ndim != 1:
        raise ShapeError(f"samples have shape {list(x.shape)}; expected [t], of one channel")
    if not np.isfinite(x).all():
        raise DataError("samples hold NaN or infinity")
    return x


def whole(name: str, value: Any) -> int:
    """Return a whole number; raises ArgumentError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} is {value!r}; expected a whole number")
    return int(value)


def _in_samples(sample_rate: int, seconds: float) -> int:
    """Return a step in samples, counted as the library counts it."""
    if whole("sample_rate", sample_rate) < 1:
        raise ArgumentError(f"sample_rate is {sample_rate}; expected samples a second")
    step = int(np.float32(sample_rate) * np.float32(0.001) * np.float32(1e3 * seconds))
    if step < 1:
        raise ArgumentError(f"frame_step is {seconds!r} s, less than one sample")
    return step


def _set_frames(options: Any, sample_rate: int, length: float, step: float) -> None:
    _in_samples(sample_rate, step)
    if not length * sample_rate >= 2:
        raise ArgumentError(f"frame_length is {length!r} s; expected at least two samples")
    options.samp_freq, options.dither, options.snip_edges = float(sample_rate), 0.0, False
    options.frame_length_ms, options.frame_shift_ms = 1e3 * length, 1e3 * step


def _set_bins(options: Any, sample_rate: int, bins: int, low: float, high: float | None) -> None:
    half = sample_rate / 2
    top = half if high is None else high
    if not 0 <= low < top <= half:
        raise ArgumentError(
            f"min_freq is {low!r} and max_freq {high!r}; expected 0 <= min_freq < max_freq <= "
            f"{half:g}, half of the sample rate"
        )
    if whole("num_mel_bins", bins) < 3:
        raise ArgumentError(f"num_mel_bins is {bins}; expected at least 3")
    options.num_bins, options.low_freq, options.high_freq = bins, float(low), float(top)


def _extracted(extractor: Any, x: Array, sample_rate: int, width: int) -> Array:
    if not len(x):
        return np.zeros((0, width), np.float32)
    extractor.accept_waveform(sample_rate, x.tolist())  # an array takes it half as long again
    extractor.input_finished()
    frames = np.empty((extractor.num_frames_ready, width), np.float32)
    for i in range(len(frames)):
        frames[i] = extractor.get_frame(i)
    return frames
