"""What a folder of files holds: a subfolder for each class, and what is passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chainrule.data import audio, images
from chainrule.data.showing import warn
from chainrule.errors import ArgumentError, DataError, FileError, closest

# What systems leave in folders, beside all that begins with a dot.
_OF_SYSTEMS = ("thumbs.db", "desktop.ini", "__macosx")
_SHOWN = 5


@dataclass(frozen=True)
class Kind:
    """Files of one kind: what one is called, how the names end in lower case, examples of some."""

    noun: str
    suffixes: tuple[str, ...]
    examples: tuple[str, str]

    def has(self, path: Path) -> bool:
        """Return whether a file is of this kind by its name."""
        return path.suffix.lower() in self.suffixes

    def looked_for(self) -> str:
        """Return a line that says which files count."""
        ends = ", ".join(self.suffixes)
        return f"  looked for: files that end in {ends}, in folders that are not hidden"


IMAGES = Kind("image", images.SUFFIXES, ("cat/1.jpg", "dog/2.jpg"))
SOUNDS = Kind("sound", audio.SUFFIXES, ("yes/1.wav", "no/2.flac"))


@dataclass(frozen=True)
class Listing:
    """The files of a folder in the order of classes and names, each with its class number.

    `others` are files that are not of the kind by their names, `strays` files that lie in no class.
    """

    directory: Path
    files: list[Path]
    labels: npt.NDArray[np.int64]
    class_names: list[str]
    others: list[Path]
    strays: list[Path]
    kind: Kind = IMAGES

    @property
    def counts(self) -> list[int]:
        """How many files each class has."""
        return [int(n) for n in np.bincount(self.labels, minlength=len(self.class_names))]

    def told(self) -> str:
        """Return what was found, in a line."""
        n, k = len(self.files), len(self.class_names)
        line = f"Found {n} file{'s' * (n != 1)}"
        if k:
            line += f" belonging to {k} class{'es' * (k != 1)}"
        if self.others:
            line += (
                f"; passed over, since no {self.kind.noun}s by their names: {shown(self.others)}"
            )
        return f"{line}."


def listed(
    directory: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
    kind: Kind = IMAGES,
) -> Listing:
    """Return the files of a folder that has one subfolder a class.

    Folders within that of a class belong to it. Hidden files and folders, and what systems leave
    behind (``Thumbs.db``), are passed over in silence; files that lie in no class and classes
    without files with a warning. The order is that of the names, whatever the system's.

    Parameters
    ----------
    directory : path-like
        The folder.
    class_names : sequence of str, optional
        Which subfolders to take, in the order of the class numbers; by default all, by name.
    follow_links : bool, default False
        Whether to look into folders that are links.
    kind : Kind, default IMAGES
        Which files count.

    Raises
    ------
    FileError
        Where there is no such folder.
    DataError
        Where it has no classes or no files; what was looked for is said.
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
    strays = [path for path in _entries(folder) if path.is_file() and kind.has(path)]
    if not names:
        raise DataError(_no_classes(folder, strays, kind))
    files: list[Path] = []
    others = [p for p in _entries(folder) if p.is_file() and not kind.has(p)]
    labels: list[int] = []
    for number, name in enumerate(names):
        for path in walked(folder / name, follow_links, kind):
            if kind.has(path):
                files.append(path)
                labels.append(number)
            else:
                others.append(path)
    found = Listing(folder, files, np.array(labels, np.int64), names, others, strays, kind)
    _check(found)
    return found


def flat(
    directory: str | os.PathLike[str],
    follow_links: bool = False,
    kind: Kind = IMAGES,
) -> Listing:
    """Return all files in a folder and below, without classes, in the order of their names.

    Raises
    ------
    FileError, DataError
        Where there is no such folder, or no file of the kind in it.
    """
    folder = _folder(directory)
    paths = list(walked(folder, follow_links, kind))
    files = [path for path in paths if kind.has(path)]
    others = [path for path in paths if not kind.has(path)]
    if not files:
        raise DataError(f"there are no {kind.noun}s in {str(folder)!r}\n{kind.looked_for()}")
    return Listing(folder, files, np.zeros(0, np.int64), [], others, [], kind)


def walked(folder: Path, follow_links: bool, kind: Kind = IMAGES) -> Iterator[Path]:
    """Yield the files in a folder and below, sorted by name, but for hidden ones."""
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, onerror=_refuse, followlinks=follow_links):
        if follow_links:
            seen.add(os.path.realpath(where))
            folders[:] = [f for f in folders if os.path.realpath(Path(where, f)) not in seen]
        named = [name for name in folders if kind.has(Path(name))]
        folders[:] = sorted(f for f in folders if not _is_hidden(f) and f not in named)
        # A folder called x.png is one broken image to its owner.
        yield from (Path(where, f) for f in sorted([*files, *named]) if not _is_hidden(f))


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


def _no_classes(folder: Path, strays: list[Path], kind: Kind) -> str:
    first, second = kind.examples
    lines = [f"there are no classes in {str(folder)!r}: it has no subfolders"]
    lines.append(f"  looked for: one subfolder a class, with the {kind.noun}s of that class, as in")
    lines.append(f"       {folder.name}/{first}, {folder.name}/{second}")
    if strays:
        lines.append(f"  found : {len(strays)} {kind.noun}s directly in it ({shown(strays)})")
    return "\n".join(lines)


def _check(found: Listing) -> None:
    """Refuse a folder without files of its kind; warn of what is most likely not meant."""
    folder, noun = str(found.directory), found.kind.noun
    if not found.files:
        raise DataError(
            f"there are no {noun}s in the {len(found.class_names)} subfolders of {folder!r}\n"
            f"{found.kind.looked_for()}"
        )
    pairs = zip(found.class_names, found.counts, strict=True)
    if empty := [repr(name) for name, count in pairs if not count]:
        warn(
            f"no {noun}s in the folder{'s' * (len(empty) > 1)} {', '.join(empty)} of {folder!r}: "
            "kept as a class, which will not be learnt"
        )
    if found.strays:
        n = len(found.strays)
        warn(
            f"{n} {noun}{'s' * (n > 1)} directly in {folder!r}, not in the folder of a class: "
            f"passed over ({shown(found.strays)})"
        )
