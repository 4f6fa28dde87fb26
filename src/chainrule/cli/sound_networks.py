"""Networks for sounds: convolutions over time and frequency, or units that read frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chainrule.cli import networks, recipes
from chainrule.cli.posed import Sounds
from chainrule.cli.settings import Settings
from chainrule.data.audio_forms import SoundForm
from chainrule.errors import unknown_name
from chainrule.layers import (
    GRU,
    Bidirectional,
    Dropout,
    FrequencyMasking,
    Layer,
    Masking,
    RandomTimeShift,
    Reshape,
    TimeMasking,
)
from chainrule.models import Sequential

AUGMENTATIONS = {
    "none": "none",
    "shift": "shifts in time",
    "masks": "masks in time and frequency",
    "both": "shifts in time, masks in time and frequency",
}
_SHIFT, _TIMES, _FREQUENCIES = 0.08, 0.1, 0.12  # of the frames and features
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 1500, 12, 80
_BATCH, _LEAST_BATCH, _STEPS_AN_EPOCH = 32, 8, 40


@dataclass(frozen=True)
class SoundRecipe:
    """How a network that reads frames learns: its units, in one direction or both, and its pace."""

    units: int
    both: bool
    dropout: float
    learning_rate: float
    weight_decay: float


RECIPES = {
    "accurate": SoundRecipe(96, True, 0.4, 4e-3, 0.02),
    "fast": SoundRecipe(64, False, 0.2, 6e-3, 0.02),
}


def recipe_of(settings: Settings) -> SoundRecipe:
    """Return the recipe that the settings name."""
    name = settings.recipe or recipes.DEFAULT
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]


def choose_augmentation(settings: Settings, network: str) -> tuple[str, str]:
    """Return how sounds vary in training, and a line that says so and how to choose otherwise."""
    chosen = settings.augment
    if chosen == "auto":
        few = settings.hidden is not None or not recipes.recipe_of(settings).augments
        chosen = "none" if few else "both" if network == "convolutions" else "masks"
    if chosen not in AUGMENTATIONS:
        raise unknown_name("augmentation of sounds", chosen, AUGMENTATIONS)
    other = "both" if chosen == "none" else "none"
    return chosen, f"augmentation: {AUGMENTATIONS[chosen]} (otherwise: --augment {other})"


def front(form: SoundForm, network: str, chosen: str) -> list[Layer]:
    """Return the layers in front of the network: what does not count, and what varies.

    Frames behind the end of a sound are 0, which is the mean; units that read frames leave them
    out.
    """
    frames, width = form.shape
    layers: list[Layer] = [Masking(name="end")] if network == "recurrent" else []
    if chosen in ("shift", "both"):
        layers.append(RandomTimeShift(_SHIFT, name="shift"))
    if chosen in ("masks", "both"):
        times, features = max(int(_TIMES * frames), 1), max(int(_FREQUENCIES * width), 1)
        layers.append(TimeMasking(times, 2, p=0.2, name="mask_times"))
        layers.append(FrequencyMasking(features, 2, name="mask_frequencies"))
    return layers


def hidden(sounds: Sounds, settings: Settings) -> list[Layer]:
    """Return the layers between frames [n, t, d] and the units of the target."""
    if sounds.network == "convolutions":
        recipe, dropout = recipes.recipe_of(settings), settings.dropout or 0.0
        size = sounds.form.shape
        stages = networks.convolutions(size, recipe, settings.activation, dropout)
        return [Reshape((*size, 1), name="picture"), *stages]
    recipe_of_frames = recipe_of(settings)
    reading: Layer = GRU(recipe_of_frames.units, name="reading")
    if recipe_of_frames.both:
        reading = Bidirectional(GRU(recipe_of_frames.units), name="reading")
    behind = [Dropout(settings.dropout, name="dropout")] if settings.dropout else []
    return [reading, *behind]


def decided(settings: Settings, rows: int) -> Settings:
    """Return the settings of a network that reads frames, with nothing left open.

    Examples
    --------
    >>> from chainrule.cli.settings import Settings
    >>> from chainrule.cli.sound_networks import decided
    >>> found = decided(Settings("words/"), 2000)
    >>> found.batch_size, found.epochs, found.optimizer
    (32, 24, 'adamw')
    """
    recipe, size = recipe_of(settings), settings.batch_size or _BATCH
    while settings.batch_size is None and size > _LEAST_BATCH and rows < size * _STEPS_AN_EPOCH:
        size //= 2
    steps = -(-rows // size)
    epochs = settings.epochs or max(_LEAST_EPOCHS, min(-(-_STEPS // steps), _MOST_EPOCHS))
    rate = settings.learning_rate
    return replace(
        settings,
        recipe=settings.recipe or recipes.DEFAULT,
        dropout=recipe.dropout if settings.dropout is None else settings.dropout,
        optimizer=settings.optimizer or "adamw",
        learning_rate=recipe.learning_rate if rate is None else rate,
        batch_size=size,
        epochs=epochs,
        patience=settings.patience or max(epochs // 2, 5),
    )


def described(network: Sequential, settings: Settings) -> str:
    """Return the units of a network that reads frames, its size and its recipe in words."""
    recipe = recipe_of(settings)
    ways = " in both directions" if recipe.both else ""
    return (
        f"network: {recipe.units} gated recurrent units{ways}, {network.count_params():,} weights, "
        f"recipe {settings.recipe}: at most {settings.epochs} epochs in batches of "
        f"{settings.batch_size}"
    )
