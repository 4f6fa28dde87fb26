"""What a folder of images holds: a subfolder for each class, and what is passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chainrule.data.images import SUFFIXES
from chainrule.data.showing import warn
from chainrule.errors import ArgumentError, DataError, FileError, closest

# What systems leave in folders, beside all that begins with a dot.
_OF_SYSTEMS = ("thumbs.db", "desktop.ini", "__macosx")
_SHOWN = 5


@dataclass(frozen=True)
class Listing:
    """The image files of a folder in the order of classes and names, each with its class number.

    `others` are files that are no images by their names, `strays` images that lie in no class.
    """

    directory: Path
    files: list[Path]
    labels: npt.NDArray[np.int64]
    class_names: list[str]
    others: list[Path]
    strays: list[Path]

    @property
    def counts(self) -> list[int]:
        """How many images each class has."""
        return [int(n) for n in np.bincount(self.labels, minlength=len(self.class_names))]

    def told(self) -> str:
        """Return what was found, in a line."""
        n, k = len(self.files), len(self.class_names)
        line = f"Found {n} file{'s' * (n != 1)}"
        if k:
            line += f" belonging to {k} class{'es' * (k != 1)}"
        if self.others:
            line += f"; passed over, since no images by their names: {shown(self.others)}"
        return f"{line}."


def listed(
    directory: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
    suffixes: Sequence[str] = SUFFIXES,
) -> Listing:
    """Return the images of a folder that has one subfolder a class.

    Folders within that of a class belong to it. Hidden files and folders, and what systems leave
    behind (``Thumbs.db``), are passed over in silence; images that lie in no class and classes
    without images with a warning. The order is that of the names, whatever the system's.

    Parameters
    ----------
    directory : path-like
        The folder.
    class_names : sequence of str, optional
        Which subfolders to take, in the order of the class numbers; by default all, by name.
    follow_links : bool, default False
        Whether to look into folders that are links.
    suffixes : sequence of str
        How the names of images end, in lower case.

    Raises
    ------
    FileError
        Where there is no such folder.
    DataError
        Where it has no classes or no images; what was looked for is said.
    ArgumentError
        For names of classes without a folder.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.data.listing import listed
    >>> from chainrule.utils import save_img
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("dog", "cat"):
    ...     (folder / name).mkdir()
    ...     save_img(folder / name / "1.png", np.zeros((2, 2, 3)))
    >>> found = listed(folder)
    >>> found.class_names, found.labels.tolist(), [file.name for file in found.files]
    (['cat', 'dog'], [0, 1], ['1.png', '1.png'])
    """
    folder = _folder(directory)
    names = _classes(folder, class_names)
    strays = [path for path in _entries(folder) if path.is_file() and _is_image(path, suffixes)]
    if not names:
        raise DataError(_no_classes(folder, strays, suffixes))
    files: list[Path] = []
    others = [p for p in _entries(folder) if p.is_file() and not _is_image(p, suffixes)]
    labels: list[int] = []
    for number, name in enumerate(names):
        for path in walked(folder / name, follow_links):
            if _is_image(path, suffixes):
                files.append(path)
                labels.append(number)
            else:
                others.append(path)
    found = Listing(folder, files, np.array(labels, np.int64), names, others, strays)
    _check(found, suffixes)
    return found


def flat(
    directory: str | os.PathLike[str],
    follow_links: bool = False,
    suffixes: Sequence[str] = SUFFIXES,
) -> Listing:
    """Return all images in a folder and below, without classes, in the order of their names.

    Raises
    ------
    FileError, DataError
        Where there is no such folder, or no image in it.
    """
    folder = _folder(directory)
    paths = list(walked(folder, follow_links))
    files = [path for path in paths if _is_image(path, suffixes)]
    others = [path for path in paths if not _is_image(path, suffixes)]
    if not files:
        raise DataError(f"there are no images in {str(folder)!r}\n{_looked_for(suffixes)}")
    return Listing(folder, files, np.zeros(0, np.int64), [], others, [])


def walked(folder: Path, follow_links: bool) -> Iterator[Path]:
    """Yield the files in a folder and below, sorted by name, but for hidden ones."""
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, onerror=_refuse, followlinks=follow_links):
        if follow_links:
            seen.add(os.path.realpath(where))
            folders[:] = [f for f in folders if os.path.realpath(Path(where, f)) not in seen]
        images = [name for name in folders if Path(name).suffix.lower() in SUFFIXES]
        folders[:] = sorted(f for f in folders if not _is_hidden(f) and f not in images)
        # A folder called x.png is one broken image to its owner.
        yield from (Path(where, f) for f in sorted([*files, *images]) if not _is_hidden(f))


def _unreadable(error: OSError) -> FileError:
    return FileError(f"cannot read the folder {str(error.filename)!r}: {error.strerror}")


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def shown(paths: Sequence[Path]) -> str:
    """Return the names of a few files, and how many more there are."""
    names = ", ".join(repr(path.name) for path in paths[:_SHOWN])
    return names if len(paths) <= _SHOWN else f"{names} and {len(paths) - _SHOWN} more"


def _folder(directory: str | os.PathLike[str]) -> Path:
    folder = Path(directory)
    if not folder.exists():
        raise FileError(f"there is no folder {str(folder)!r}")
    if not folder.is_dir():
        raise FileError(f"{str(folder)!r} is a file; expected a folder with one subfolder a class")
    return folder


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not _is_hidden(path.name))
    except OSError as error:
        raise _unreadable(error) from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def _is_image(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes


def _classes(folder: Path, chosen: Sequence[str] | None) -> list[str]:
    """Return the names of the subfolders, in the order of their class numbers."""
    found = [path.name for path in _entries(folder) if path.is_dir()]
    names = found if chosen is None else [str(name) for name in chosen]
    for name in names:
        if name not in found:
            raise ArgumentError(
                f"class_names has {name!r}, but there is no such folder in {str(folder)!r}"
                f"{closest(name, found)}\n  there are: {', '.join(found) or 'none'}"
            )
    if len(set(names)) < len(names):
        raise ArgumentError(f"class_names has a name twice: {names}")
    return names


def _looked_for(suffixes: Sequence[str]) -> str:
    return f"  looked for: files that end in {', '.join(suffixes)}, in folders that are not hidden"


def _no_classes(folder: Path, strays: list[Path], suffixes: Sequence[str]) -> str:
    lines = [f"there are no classes in {str(folder)!r}: it has no subfolders"]
    lines.append("  looked for: one subfolder a class, with the images of that class, as in")
    lines.append(f"       {folder.name}/cat/1.jpg, {folder.name}/dog/2.jpg")
    if strays:
        lines.append(f"  found : {len(strays)} images directly in it ({shown(strays)})")
    return "\n".join(lines)


def _check(found: Listing, suffixes: Sequence[str]) -> None:
    """Refuse a folder without images; warn of what is most likely not meant."""
    folder = str(found.directory)
    if not found.files:
        raise DataError(
            f"there are no images in the {len(found.class_names)} subfolders of {folder!r}\n"
            f"{_looked_for(suffixes)}"
        )
    pairs = zip(found.class_names, found.counts, strict=True)
    if empty := [repr(name) for name, count in pairs if not count]:
        warn(
            f"no images in the folder{'s' * (len(empty) > 1)} {', '.join(empty)} of {folder!r}: "
            "kept as a class, which will not be learnt"
        )
    if found.strays:
        n = len(found.strays)
        warn(
            f"{n} image{'s' * (n > 1)} directly in {folder!r}, not in the folder of a class: "
            f"passed over ({shown(found.strays)})"
        )
