"""Networks for texts: vectors of words, read in both directions or averaged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.posed import Text
from chainrule.cli.settings import Settings
from chainrule.data.buckets import Buckets, bucket_by_length
from chainrule.errors import unknown_name
from chainrule.layers import (
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    Layer,
)
from chainrule.models import Sequential

_LEAST_BUCKETED = 1000  # texts from which batches hold such of similar length
_MANY = 50_000  # texts from which batches are larger
_LEAST_BATCH, _STEPS_AN_EPOCH, _STEPS, _MOST_EPOCHS = 16, 40, 1200, 100


Array = NDArray[Any]


@dataclass(frozen=True)
class TextRecipe:
    """How a network learns texts: the size of vectors, of the layer that reads them (0: the mean
    of the vectors instead), and how long."""

    vectors: int
    units: int
    dropout: float
    batch_size: int
    epochs: int
    patience: int


RECIPES = {
    "accurate": TextRecipe(64, 64, 0.5, 64, 20, 3),
    "fast": TextRecipe(64, 0, 0.3, 64, 20, 3),
}
DEFAULT = "accurate"


def recipe_of(settings: Settings) -> TextRecipe:
    """Return the recipe that the settings name."""
    name = settings.recipe or DEFAULT
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]


def decided(settings: Settings, rows: int) -> Settings:
    """Return the settings for so many texts to train on, with nothing left open.

    Examples
    --------
    >>> from chainrule.cli.settings import Settings
    >>> from chainrule.cli.text_networks import decided
    >>> decided(Settings("reviews.csv", text="review"), 1000).recipe
    'accurate'
    """
    recipe = recipe_of(settings)
    size = settings.batch_size or _batch(recipe, rows)
    epochs = settings.epochs or _epochs(recipe, -(-rows // size))
    return replace(
        settings,
        recipe=settings.recipe or DEFAULT,
        hidden=settings.hidden or (),
        dropout=recipe.dropout if settings.dropout is None else settings.dropout,
        optimizer=settings.optimizer or "adam",
        batch_size=size,
        epochs=epochs,
        patience=settings.patience or max(recipe.patience, epochs // 6),
    )


def _batch(recipe: TextRecipe, rows: int) -> int:
    """Return the batch of the recipe; of many texts a larger, of few a smaller one."""
    size = recipe.batch_size * (4 if rows >= _MANY else 1)
    while size > _LEAST_BATCH and rows < size * _STEPS_AN_EPOCH:
        size //= 2
    return size


def _epochs(recipe: TextRecipe, steps: int) -> int:
    """Return the epochs of the recipe, or for few texts more."""
    return max(recipe.epochs, min(-(-_STEPS // steps), _MOST_EPOCHS))


def reading(text: Text, settings: Settings) -> list[Layer]:
    """Return the layers between indices of words [n, t] and the units of the target."""
    recipe = recipe_of(settings)
    layers: list[Layer] = [Embedding(text.size, recipe.vectors, mask_zero=True, name="vectors")]
    if settings.dropout:
        layers.append(Dropout(settings.dropout, name="dropout_vectors"))
    if recipe.units:
        layers.append(Bidirectional(LSTM(recipe.units), name="reading"))
    else:
        layers.append(GlobalAveragePooling1D(name="mean"))
    if settings.dropout:
        layers.append(Dropout(settings.dropout, name="dropout_reading"))
    for place, units in enumerate(settings.hidden or (), 1):
        layers.append(Dense(units, activation=settings.activation, name=f"hidden_{place}"))
    return layers


def by_length(x: Array, y: Array) -> Buckets:
    """Return indices [n, t], padded behind, and targets in batches of similar length; of few texts
    all are one bucket, since each takes a program of its own."""
    lengths = np.count_nonzero(x, axis=1).tolist()
    rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
    return bucket_by_length(rows, y, boundaries=None if len(rows) >= _LEAST_BUCKETED else 1)


def described(network: Sequential, settings: Settings) -> str:
    """Return a network, its size and its recipe in words."""
    recipe = recipe_of(settings)
    way = f"LSTMs of {recipe.units} units in both directions" if recipe.units else "their mean"
    return (
        f"network: vectors of {recipe.vectors} numbers, {way}, {network.count_params():,} weights, "
        f"recipe {settings.recipe}: at most {settings.epochs} epochs in batches of "
        f"{settings.batch_size}"
    )
