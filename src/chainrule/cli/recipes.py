"""What is decided about training where the options leave it open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chainrule.cli.settings import Settings
from chainrule.errors import unknown_name

_LARGE, _MANY_BATCHES, _LARGEST_BATCH = 20_000, 600, 1024
_VALIDATION, _SMALLER_VALIDATION, _MANY_IMAGES, _MOST_HELD_OUT = 0.2, 0.1, 10_000, 5000
_LEAST_BATCH, _MOST_EPOCHS, _STEPS_AN_EPOCH = 16, 60, 50


@dataclass(frozen=True)
class Recipe:
    """How a network learns images.

    `stages` are the channels of the convolutions in each, `epochs` those for many thousand images;
    of fewer there are more, up to so many `steps`. The learning rate rises to its greatest and
    falls to nothing. Two epochs are too few to gain from images that vary, so not all augment.
    """

    stages: tuple[tuple[int, ...], ...]
    dropout: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    steps: int
    augments: bool


RECIPES = {
    "accurate": Recipe(((24,), (48, 48), (96,)), 0.2, 4e-3, 0.02, 64, 12, 1000, True),
    "fast": Recipe(((16,), (32,)), 0.0, 8e-3, 0.02, 64, 2, 400, False),
}
DEFAULT = "accurate"
RISE = 0.25  # the share of the steps in which the learning rate rises


def recipe_of(settings: Settings) -> Recipe:
    """Return the recipe that the settings name."""
    name = settings.recipe or DEFAULT
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]


def held_out_share(settings: Settings, rows: int, images: bool) -> float:
    """Return which share of the rows is held out."""
    if settings.validation is not None:
        return settings.validation
    if not images or rows < _MANY_IMAGES:
        return _VALIDATION
    return min(_SMALLER_VALIDATION, _MOST_HELD_OUT / rows)


def decided(settings: Settings, rows: int, convolutional: bool) -> Settings:
    """Return the settings for so many rows to train on, with nothing left open.

    Examples
    --------
    >>> from chainrule.cli.recipes import decided
    >>> from chainrule.cli.settings import Settings
    >>> decided(Settings("table.csv"), 100, convolutional=False).hidden
    (128, 64)
    >>> decided(Settings("photos/"), 55_000, convolutional=True).batch_size
    64
    """
    return (_for_images if convolutional else _for_rows)(settings, rows)


def _for_rows(settings: Settings, rows: int) -> Settings:
    """Return the settings of a network of dense layers."""
    size = 32
    while rows > _LARGE and size < _LARGEST_BATCH and rows > size * _MANY_BATCHES:
        size *= 2
    return replace(
        settings,
        hidden=(128, 64) if settings.hidden is None else settings.hidden,
        dropout=0.2 if settings.dropout is None else settings.dropout,
        optimizer=settings.optimizer or "adam",
        batch_size=settings.batch_size or size,
        epochs=settings.epochs or 200,
        patience=settings.patience or 20,
    )


def _for_images(settings: Settings, rows: int) -> Settings:
    """Return the settings of a convolutional network.

    An early stop is for what goes wrong: the best weights mostly come with the smallest steps, at
    the end.
    """
    recipe = recipe_of(settings)
    size = settings.batch_size or _image_batch(recipe, rows)
    epochs = settings.epochs or _image_epochs(recipe, -(-rows // size))
    rate = settings.learning_rate
    return replace(
        settings,
        recipe=settings.recipe or DEFAULT,
        dropout=recipe.dropout if settings.dropout is None else settings.dropout,
        optimizer=settings.optimizer or "adamw",
        learning_rate=recipe.learning_rate if rate is None else rate,
        batch_size=size,
        epochs=epochs,
        patience=settings.patience or max(epochs // 2, 5),
    )


def _image_batch(recipe: Recipe, rows: int) -> int:
    """Return the batch of the recipe, or for few images one that makes some steps an epoch."""
    size = recipe.batch_size
    while size > _LEAST_BATCH and rows < size * _STEPS_AN_EPOCH:
        size //= 2
    return size


def _image_epochs(recipe: Recipe, steps: int) -> int:
    """Return the epochs of the recipe, or for few images more."""
    return max(recipe.epochs, min(-(-recipe.steps // steps), _MOST_EPOCHS))
