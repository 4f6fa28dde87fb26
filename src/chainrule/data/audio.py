"""Sound files as arrays: decoded through soundfile, refused by name where broken."""

from __future__ import annotations

import io
import os
import re
import stat
from typing import IO, Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, AudioError, DataError, FileError, missing_package

SUFFIXES = (".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
_FORMATS = ("FLAC", "MP3", "OGG", "RF64", "WAV", "WAVEX")
_BLOCK = 1 << 20  # frames read at a time: a header may promise any number
_UNKNOWN_SIZE = 0xFFFFFFFF  # what programs write that do not know the end yet
_END_OF_STREAM = 4  # a flag of Ogg's last page

File = str | os.PathLike[str] | bytes


def soundfile() -> Any:
    """Return the module ``soundfile``.

    Raises
    ------
    MissingDependencyError
        Where it is not installed.
    """
    try:
        import soundfile as library
    except (ImportError, OSError):  # OSError: the package is there, but not the library in C
        raise missing_package("soundfile", "reading sounds", "audio") from None
    return library


def load_audio(
    path: str | os.PathLike[str] | bytes | IO[bytes],
    sample_rate: int | None = None,
    mono: bool = True,
) -> tuple[Array, int]:
    """One sound file as samples and their rate: WAV, FLAC, OGG (Vorbis, Opus) or MP3.

    Shapes
    ------
    returned : [t], float32 in [-1, 1]; [t, c] with ``mono=False``; and the samples a second

    Parameters
    ----------
    path : path-like, bytes or binary file
        The file, or its content.
    sample_rate : int, optional
        Samples a second of what is returned, e.g. 16000; by default those of the file.
    mono : bool, default True
        Whether to return the mean of the channels.

    Raises
    ------
    AudioError
        For a file that is missing, no sound, cut short, damaged or without a single sample.
    MissingDependencyError
        Without soundfile, or where another rate is asked for without soxr.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from chainrule.utils import load_audio, save_audio
    >>> file = io.BytesIO()
    >>> save_audio(file, np.sin(np.arange(800) / 4), 8000)
    >>> samples, rate = load_audio(file, sample_rate=16000)
    >>> samples.shape, samples.dtype, rate
    ((1600,), dtype('float32'), 16000)
    """
    if not isinstance(path, str | os.PathLike | bytes):
        path = bytes(path.getvalue() if isinstance(path, io.BytesIO) else path.read())
    samples, rate = read(path)
    samples = samples.mean(axis=1) if mono else samples
    if sample_rate is not None and sample_rate != rate:
        samples, rate = resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def save_audio(path: str | os.PathLike[str] | IO[bytes], samples: Any, sample_rate: int) -> None:
    """Write samples in [-1, 1] as a sound file of 16 bits; what is louder is cut off.

    Shapes
    ------
    samples : [t] or [t, c]

    Parameters
    ----------
    path : path-like or binary file
        Where to: a name that ends in .wav, .flac or .ogg; a file object is given WAV.
    samples : array_like
        The sound.
    sample_rate : int
        Samples a second.

    Raises
    ------
    FileError
        Where it cannot be written, or the format is not known.
    DataError
        For what is no sound.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.utils import save_audio
    >>> save_audio(pathlib.Path(tempfile.mkdtemp()) / "a.flac", np.zeros(100), 16000)
    """
    library, rate = soundfile(), checked_rate(sample_rate)
    array = np.clip(np.asarray(samples, np.float32), -1.0, 1.0)
    if array.ndim not in (1, 2):
        raise DataError(f"samples have shape {list(array.shape)}; expected [t] or [t, c]")
    try:
        library.write(path, array, rate, format=_format(path))
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        name = path if isinstance(path, str | os.PathLike) else type(path).__name__
        raise FileError(f"cannot write the sound {str(name)!r}: {error}") from error


def _format(path: Any) -> str | None:
    """Return the format to write, where it is not what the name ends in."""
    if not isinstance(path, str | os.PathLike):
        return "WAV"
    return "OGG" if os.fspath(path).lower().endswith((".oga", ".ogg")) else None


def checked_rate(rate: Any, name: str = "sample_rate") -> int:
    """Return samples a second; raises ArgumentError for what is no whole number of at least 1."""
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate < 1:
        raise ArgumentError(f"{name} is {rate!r}; expected samples a second, e.g. 16000")
    return int(rate)


def resample(samples: Any, rate: float, new_rate: float) -> Array:
    """Samples at another rate, band-limited: nothing above half of the lower rate is left.

    Shapes
    ------
    samples : [t] or [t, c]
    returned : [round(t * new_rate / rate)] or with c, float32

    Parameters
    ----------
    samples : array_like
        The sound.
    rate, new_rate : float
        Samples a second as they are, and as they shall be.

    Raises
    ------
    ArgumentError
        For rates that are not above 0.
    MissingDependencyError
        Without soxr.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.audio import resample
    >>> resample(np.zeros(44100), 44100, 16000).shape
    (16000,)
    """
    array = np.ascontiguousarray(samples, np.float32)
    if not (rate > 0 and new_rate > 0):
        raise ArgumentError(f"the rates are {rate!r} and {new_rate!r}; expected more than 0")
    if rate == new_rate or not len(array):
        return array
    try:
        # A quarter of a megabyte; SciPy, whose polyphase filter takes whole rates only, has 35.
        import soxr
    except ImportError:
        raise missing_package("soxr", "resampling sounds", "audio") from None
    found: Array = soxr.resample(array, rate, new_rate)
    return fitted(found, max(round(len(array) * new_rate / rate), 1))


def fitted(samples: Array, length: int) -> Array:
    """Return the samples cut at the end, or followed by zeros, so that they are so many."""
    if len(samples) >= length:
        return samples[:length]
    rest = np.zeros((length - len(samples), *samples.shape[1:]), samples.dtype)
    return np.concatenate([samples, rest])


def read(path: File) -> tuple[Array, int]:
    """Return a sound file, or the content of one, as float32 [t, c], and its rate.

    Raises
    ------
    AudioError
        For what is no sound, cut short, damaged or empty, by name.
    """
    library = soundfile()
    try:
        content = _content(path)
        with _opened(io.BytesIO(content), library) as file:
            blocks = []
            while len(block := file.read(_BLOCK, "float32", always_2d=True)):
                blocks.append(block)
            promised, rate = file.frames, int(file.samplerate)
        _check(content, blocks, promised)
    except MemoryError:
        raise
    except Exception as error:  # damaged files make libsndfile raise whatever there is
        raise AudioError(_what_is_wrong(path, error)) from error
    return np.concatenate(blocks), rate


def header(path: File) -> tuple[int, int]:
    """Return how many samples a file has by its header, and their rate.

    Raises
    ------
    AudioError
        For what is no sound, by name.
    """
    library = soundfile()
    try:
        with _file(path) as content, _opened(content, library) as file:
            return int(file.frames), int(file.samplerate)
    except MemoryError:
        raise
    except Exception as error:
        raise AudioError(_what_is_wrong(path, error)) from error


def _opened(content: IO[bytes], library: Any) -> Any:
    file = library.SoundFile(content)
    if file.format not in _FORMATS:
        file.close()
        raise ValueError(f"it is {file.format}; expected {', '.join(_FORMATS)}")
    return file


def _file(path: File) -> IO[bytes]:
    if isinstance(path, bytes):
        return io.BytesIO(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError("it is no ordinary file")  # to read it might never end
    return open(path, "rb")


def _content(path: File) -> bytes:
    """Return all of a file: what says whether it is whole stands at its end."""
    with _file(path) as file:
        return file.read()


def _check(content: bytes, blocks: list[Array], promised: int) -> None:
    """Refuse what libsndfile reads in silence: files that lack a part, and numbers that are none.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    if why := _is_cut(content):
        raise ValueError(why)
    found = sum(map(len, blocks))
    if not found:
        raise ValueError("it holds not one sample")
    if found < promised:
        raise ValueError(f"it is cut or damaged: only {found} of {promised} samples can be read")
    if not all(np.isfinite(block).all() for block in blocks):
        raise ValueError("it holds samples that are not finite")


def _is_cut(content: bytes) -> str:
    """Return how a WAV or Ogg file is known to lack its end, or nothing."""
    if content[:4] in (b"RIFF", b"RF64"):
        return _wav_is_cut(content)
    if content[:4] == b"OggS":
        page = content.rfind(b"OggS")
        flags = content[page + 5 : page + 6]
        if not flags or not flags[0] & _END_OF_STREAM or len(content) < _page_end(content, page):
            return "it is cut: the last page of the stream is missing"
    return ""


def _page_end(content: bytes, page: int) -> int:
    """Return where a page of Ogg ends by its table of segments."""
    segments = content[page + 26] if page + 26 < len(content) else 0
    begin = page + 27 + segments
    return begin + sum(content[page + 27 : begin])


def _wav_is_cut(content: bytes) -> str:
    at, of_data = 12, _UNKNOWN_SIZE
    while at + 8 <= len(content):
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if kind == b"ds64":  # of more than 4 GB, which the field of 32 bits cannot say
            of_data = int.from_bytes(content[at + 16 : at + 24], "little")
        if kind == b"data":
            size = of_data if size == _UNKNOWN_SIZE else size
            there, known = len(content) - at - 8, size not in (0, _UNKNOWN_SIZE)
            return f"it is cut: {there} of {size} bytes are there" if known and there < size else ""
        at += 8 + size + size % 2
    return ""  # the library says that there is no data


def _what_is_wrong(path: File, error: Exception) -> str:
    """Return one line that names the file and says what is wrong with it."""
    name = f"a sound of {len(path)} bytes" if isinstance(path, bytes) else repr(os.fspath(path))
    if isinstance(error, IsADirectoryError):
        return f"{name} is a folder, not a sound"
    if isinstance(error, FileNotFoundError):
        return f"there is no file {name}"
    begin = _begin(path)
    if not begin:
        return f"{name} is empty (0 bytes)"
    why = re.sub(r"^Error( opening <.*>)? ?: ", "", str(error)) or type(error).__name__
    if why.startswith("Format not recognised"):
        return f"{name} is not a sound (WAV, FLAC, OGG, MP3): it begins with {begin!r}"
    return f"{name} cannot be decoded: {why.rstrip('.')}"


def _begin(path: File) -> bytes:
    try:
        with _file(path) as file:
            return file.read(12)
    except OSError:
        return b"?"
