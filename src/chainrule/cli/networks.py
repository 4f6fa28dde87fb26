"""Networks for images: as many stages as their size asks for, and what varies them in training."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.cli.recipes import Recipe
from chainrule.cli.settings import Settings
from chainrule.errors import unknown_name
from chainrule.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    RandomFlip,
    RandomTranslation,
)
from chainrule.models import Sequential

AUGMENTATIONS = {
    "none": "none",
    "shift": "shifts",
    "flip": "left-right mirror images",
    "both": "shifts and left-right mirror images",
}
_SHIFT = 0.08  # of height and width: 2 of 28 pixels
_LARGE = 64  # pixels a side from which the first stages see a quarter of the places
_LEAST = 4  # pixels a side that are still pooled
_SMALL = 8  # at most so many a side are left to the last layer
# Of the averages that predictions use: a small folder makes few steps to form them in.
_MOMENTUM = 0.9
_SIDES = ("left", "right", "links", "rechts", "左", "右")


def augmentation(chosen: str, colours: bool) -> list[Layer]:
    """Return the layers that vary images [n, h, w, c] in training.

    What a shift brings in from beyond the edge is the mirror image in a photo, and what lies at the
    edge of a drawing.
    """
    if chosen not in AUGMENTATIONS:
        raise unknown_name("augmentation", chosen, AUGMENTATIONS)
    mode = "reflect" if colours else "nearest"
    shift = RandomTranslation(_SHIFT, _SHIFT, mode, "nearest", name="shift")
    flip = RandomFlip("horizontal", name="flip")
    layers: dict[str, list[Layer]] = {"shift": [shift], "flip": [flip], "both": [flip, shift]}
    return layers.get(chosen, [])


def choose_augmentation(class_names: Sequence[str]) -> tuple[str, str]:
    """Return what may be done to images of these classes, and why.

    Examples
    --------
    >>> from chainrule.cli.networks import choose_augmentation
    >>> choose_augmentation(["cat", "dog"])[0], choose_augmentation(["A", "B"])[0]
    ('both', 'shift')
    """
    if all(len(name) < 2 or name.isdigit() for name in class_names):
        return "shift", "the classes look like letters or digits"
    for name in class_names:
        if any(side in name.lower() for side in _SIDES):
            return "shift", f"the class {name!r} looks like one that a mirror changes"
    return "both", ""


def convolutions(
    size: tuple[int, int], recipe: Recipe, activation: str, dropout: float
) -> list[Layer]:
    """Return the layers between images [n, h, w, c] and the units of the target.

    Each stage is one or more convolutions of 3 x 3, normalized, and halves height and width; large
    images pass a stage of few channels first, whose convolution steps over every other pixel. What
    is left, 3 x 3 of 28 x 28, goes to the last layer place by place.

    Examples
    --------
    >>> from chainrule.cli.networks import convolutions
    >>> from chainrule.cli.recipes import RECIPES
    >>> layers = convolutions((2, 2), RECIPES["fast"], "relu", 0.0)
    >>> [layer.name for layer in layers][::3]
    ['conv_1', 'conv_2', 'places']
    """
    layers: list[Layer] = []
    strides = 2 if min(size) > _LARGE else 1
    height, width = (-(-side // strides) for side in size)
    place = 0
    for number, stage in enumerate(_stages(size, recipe), 1):
        for filters in stage:
            place += 1
            layers += _convolution(place, filters, strides if place == 1 else 1, activation)
        if min(height, width) >= _LEAST:
            layers.append(MaxPooling2D(name=f"pool_{number}"))
            height, width = height // 2, width // 2
    layers.append(Flatten(name="places"))
    return [*layers, Dropout(dropout, name="dropout")] if dropout else layers


def described(network: Sequential, settings: Settings) -> str:
    """Return the channels of a network's stages, its size and its recipe in words."""
    stages = [layer for layer in network.layers if isinstance(layer, Conv2D)]
    channels = "-".join(str(layer.filters) for layer in stages)
    return (
        f"network: convolutions of {channels} channels, {network.count_params():,} weights, "
        f"recipe {settings.recipe}: at most {settings.epochs} epochs in batches of "
        f"{settings.batch_size}"
    )


def _stages(size: tuple[int, int], recipe: Recipe) -> list[tuple[int, ...]]:
    """Return the channels of the convolutions of each stage."""
    stages, side = list(recipe.stages), min(size)
    if side > _LARGE:
        stages.insert(0, (stages[0][0] // 2,))
        side //= 4
    while side >> len(recipe.stages) >= _SMALL:
        stages.append(stages[-1])
        side //= 2
    return stages


def _convolution(place: int, filters: int, strides: int, activation: str) -> list[Layer]:
    return [
        Conv2D(filters, 3, strides, padding="same", use_bias=False, name=f"conv_{place}"),
        BatchNormalization(momentum=_MOMENTUM, name=f"norm_{place}"),
        Activation(activation, name=f"{activation}_{place}"),
    ]
