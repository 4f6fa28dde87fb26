"""Problems whose samples are images, in a folder or in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli import networks
from chainrule.cli.image_folders import (
    FolderSource,
    choose_form,
    form_text,
    labelled_as,
    noted,
    opened,
    rows_of,
)
from chainrule.cli.posed import FEWEST_ROWS, Images, Part, Problem
from chainrule.cli.recipes import held_out_share, recipe_of
from chainrule.cli.settings import Settings
from chainrule.data.folders import SampleFolder
from chainrule.data.images import Form
from chainrule.data.listing import listed
from chainrule.data.targets import Target
from chainrule.errors import ArgumentError, DataError, unknown_name
from chainrule.layers import Flatten, Layer, Normalization, Rescaling

Array = NDArray[Any]
_LEAST_SIDE = 8  # of gray images: a smaller table of numbers need not be one
_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}


def are_images(x: Array) -> bool:
    """Return whether samples are images: [n, h, w, c] with 1, 3 or 4 channels, or bytes [n, h, w].

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.cli.image_problem import are_images
    >>> are_images(np.zeros((5, 28, 28), "uint8")), are_images(np.zeros((5, 28, 28)))
    (True, False)
    """
    if x.ndim == 4:
        return x.shape[3] in _MODES and x.dtype.kind in "uif"
    return x.ndim == 3 and x.dtype == np.uint8 and min(x.shape[1:]) >= _LEAST_SIDE


def images_of(
    x: Array, target: Target, augment: str | None, settings: Settings
) -> tuple[Images, list[Layer], str]:
    """Return how arrays [n, h, w, c] are images, the first layers, and a line that says so."""
    height, width, channels = x.shape[1:]
    chosen, line = _augment(settings, target.labels, augment)
    layers = [*networks.augmentation(chosen, channels > 1), _scaling(x)]
    return Images(Form((height, width), _MODES[channels])), _flat(layers, settings), line


def _scaling(x: Array) -> Layer:
    """Return the layer that brings pixels to numbers of ordinary size."""
    if x.dtype == np.uint8:
        return Rescaling(1 / 255, name="scale")
    normalization = Normalization(name="scale")
    normalization.adapt(x)
    return normalization


def _flat(layers: list[Layer], settings: Settings) -> list[Layer]:
    """Return the layers with what dense layers need behind them."""
    return layers if settings.hidden is None else [*layers, Flatten(name="pixels")]


def _augment(settings: Settings, labels: Sequence[str], known: str | None) -> tuple[str, str]:
    """Return the augmentation, and a line with the reason and how to choose otherwise."""
    chosen, why = settings.augment, ""
    if chosen == "auto":
        if settings.hidden is not None or not recipe_of(settings).augments:
            chosen = "none"
        elif known is not None:
            chosen = known
        else:
            chosen, why = networks.choose_augmentation(labels)
    if chosen not in networks.AUGMENTATIONS:
        raise unknown_name("augmentation", chosen, networks.AUGMENTATIONS)
    why = f", {why}" if why else ""
    other = "both" if chosen in ("none", "shift") else "shift"
    words = networks.AUGMENTATIONS[chosen]
    return chosen, f"augmentation: {words}{why} (otherwise: --augment {other})"


def folder_problem(source: FolderSource, settings: Settings) -> Problem:
    """Return the problem of telling apart what lies in the subfolders of a folder."""
    if settings.target is not None or settings.task == "regression":
        raise ArgumentError(
            f"{source.name!r} is a folder of images, whose classes are its subfolders: "
            "leave out --target and --task"
        )
    recipe_of(settings)
    notes: list[str] = []
    with noted(notes):
        place, test_place = source.parts()
        found = listed(place)
        form = choose_form(found.files, settings.image_size, notes)
        folder = opened(found.files, found.labels, found.class_names, form)
        test = None if test_place is None else _test_folder(test_place, folder, form)
    check(folder, source)
    target = Target("class", "classification", tuple(found.class_names))
    training, held = split(folder, settings)
    chosen, line = _augment(settings, target.labels, None)
    layers = [*networks.augmentation(chosen, form.channels > 1), Rescaling(1 / 255, name="scale")]
    told = f"{source.name}: {found.told().removesuffix('.')}, made {form_text(form)}"
    return Problem(
        name=source.name,
        target=target,
        training=part(training),
        validation=None if held is None else part(held),
        test=None if test is None else part(test),
        host=None,
        inputs=_flat(layers, settings),
        notes=[told, *notes, line],
        images=Images(form, folder.broken),
    )


def _test_folder(place: Any, training: SampleFolder, form: Form) -> SampleFolder:
    found = labelled_as(place, training.class_names)
    return opened(found.files, found.labels, found.class_names, form)


def check(folder: SampleFolder, source: FolderSource) -> None:
    """Refuse what nothing can be learnt from."""
    (_, labels), noun = rows_of(folder), folder.form.noun
    if len(labels) < FEWEST_ROWS:
        raise DataError(
            f"{len(labels)} {noun}s in {source.name!r} are too few; at least {FEWEST_ROWS} needed"
        )
    present = np.unique(labels)
    if len(present) < 2:
        name = folder.class_names[int(present[0])]
        raise DataError(f"all {noun}s in {source.name!r} are of the class {name!r}: two are needed")


def split(folder: SampleFolder, settings: Settings) -> tuple[SampleFolder, SampleFolder | None]:
    """Return the files to train on, and those held out."""
    share = held_out_share(settings, folder.samples, images=True)
    if not share:
        return folder, None
    try:
        return folder.split(share, settings.seed)
    except ArgumentError:
        raise DataError(
            f"{share:g} of the {folder.form.noun}s of each class are none: choose a larger "
            "--validation, or 0"
        ) from None


def part(folder: SampleFolder) -> Part:
    """Return the samples in a folder for one purpose."""
    paths, labels = rows_of(folder)
    return Part(folder, folder, labels, paths)
