"""Pictures of mistakes: a confusion matrix, and images or sounds taken for something else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli.mistakes import Array, Error, Mistakes
from chainrule.errors import FileError, missing_package

_COLUMNS = 6
_LONGEST = 18  # letters of a class over a small picture
_FEW, _MANY = 25, 60  # classes with a number in each cell; classes with their names
_GOOD, _BAD = "#1a7f37", "#b3261e"
# Fonts with the letters of many languages, where the one that comes with matplotlib has none.
_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "WenQuanYi Micro Hei",
          "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB",
          "Arial Unicode MS", "Droid Sans Fallback")  # fmt: skip


def draw_confusion(path: Path, mistakes: Mistakes) -> None:
    """Write the confusion matrix, each row in shares of its class.

    Colours grow with the square root of the share, so that few mistakes are seen beside many that
    are right.
    """
    with _drawing(mistakes.labels):
        n, matrix = len(mistakes.labels), mistakes.matrix
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        side = min(max(0.55 * n + 2, 4), 18)
        figure = _figure((side + 0.6, side))
        axes = figure.add_subplot()
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
        names = _names(mistakes.labels) if n <= _MANY else []
        ticks = range(len(names))
        axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, names)
        of = f"{int(matrix.sum()):,} {mistakes.part} {mistakes.noun}s"
        axes.set(xlabel="predicted", ylabel="class", title=f"{of}, {mistakes.accuracy:.2%} right")
        if n <= _FEW:
            _numbers(axes, matrix, shares)
        _save(figure, path)


def _numbers(axes: Any, matrix: Array, shares: Array) -> None:
    """Write how many images there are into the cells that have any."""
    for row, column in np.argwhere(matrix).tolist():
        colour = "white" if shares[row, column] > 0.3 else "black"
        text = f"{int(matrix[row, column]):,}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)


def draw_errors(path: Path, mistakes: Mistakes) -> None:
    """Write the images whose class was missed with most confidence, no file if there are none."""
    errors = mistakes.worst()
    if not errors:
        path.unlink(missing_ok=True)  # of an earlier run in this folder
        return
    with _drawing(mistakes.labels):
        names = dict(zip(mistakes.labels, _names(mistakes.labels), strict=True))
        columns = min(_COLUMNS, len(errors))
        rows = -(-len(errors) // columns)
        figure = _figure((1.75 * columns, 2.1 * rows + 0.4))
        for place, error in enumerate(errors, 1):
            axes = figure.add_subplot(rows, columns, place)
            _show(axes, mistakes.image(error), error, names)
        of = f"{mistakes.part} {mistakes.noun}s"
        title = f"surest errors on {of}: class, and what it was taken for"
        figure.suptitle(f"{title}\n" if columns > 3 else "surest errors\n", fontsize=10)
        _save(figure, path)


def _show(axes: Any, image: Array, error: Error, names: dict[str, str]) -> None:
    axes.imshow(*_pixels(image), interpolation="nearest")
    axes.set_axis_off()
    # Two lines of two colours; a title has but one.
    line = {"transform": axes.transAxes, "ha": "center", "va": "bottom", "fontsize": 8}
    axes.text(0.5, 1.12, names[error.true], color=_GOOD, **line)
    predicted = f"{names[error.predicted]} ({error.confidence:.0%})"
    axes.text(0.5, 1.01, predicted, color=_BAD, **line)


def _pixels(image: Array) -> tuple[Array, Any]:
    """Return an image as matplotlib shows it, and its colours: gray has one channel."""
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = (image - low) / ((high - low) or 1.0)
    plain = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return plain, "gray" if plain.ndim == 2 else None


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=110, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise FileError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


@contextmanager
def _drawing(labels: Sequence[str]) -> Iterator[None]:
    """Let matplotlib draw, with fonts that have the letters of these labels where any has."""
    try:
        import matplotlib.figure
        from matplotlib import font_manager
    except ImportError:
        raise missing_package("matplotlib", "drawing the mistakes", "plot") from None
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
    settings: Any = {"font.family": families, "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def _names(labels: Sequence[str]) -> list[str]:
    """Return the classes as they fit, or their numbers where no font has their letters."""
    if not _drawable("".join(labels)):
        return [str(number) for number in range(len(labels))]
    return [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in labels]


def _drawable(text: str) -> bool:
    """Return whether the fonts in use have all letters of a text."""
    import matplotlib
    from matplotlib import font_manager

    missing = {ord(letter) for letter in text}
    for family in matplotlib.rcParams["font.family"]:
        path = font_manager.findfont(family, fallback_to_default=True)
        missing -= set(font_manager.get_font(path).get_charmap())
    return not missing
