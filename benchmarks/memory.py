"""The peak of this process's resident memory over a stretch of time (Linux; elsewhere unknown)."""

from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def reset_peak() -> int:
    """Forget the peak so far; the bytes resident now, or 0 where that is not possible."""
    try:
        _RESET.write_text("5")
    except OSError:
        return 0
    return _field("VmRSS")


def peak() -> int:
    """The most bytes resident since ``reset_peak``."""
    return _field("VmHWM")


def code() -> int:
    """The bytes resident now that are parts of files, such as the code of libraries."""
    return _field("RssFile")


def _field(name: str) -> int:
    """A field of the kernel's status file, in bytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0
