"""What a network is trained on: samples and targets, and which of them are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from chainrule.cli.settings import Settings
from chainrule.data.folders import ImageFolder
from chainrule.data.images import Form
from chainrule.data.targets import Target
from chainrule.layers import Layer

Array = NDArray[Any]
Samples = Array | ImageFolder
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Part:
    """Rows for one purpose: as a finished model takes them, as the network inside does, targets.

    `files` are the paths of samples that are images in files.
    """

    raw: Samples
    x: Samples
    y: Array
    files: list[str] | None = None


@dataclass(frozen=True)
class Images:
    """How samples are images: what files are made for the network, and which are broken."""

    form: Form
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """What a network is trained on."""

    name: str
    target: Target
    training: Part
    validation: Part | None
    test: Part | None
    host: Layer | None  # turns raw rows into the network's input, outside of the step
    inputs: list[Layer] = field(default_factory=list)  # the network's first layers
    notes: list[str] = field(default_factory=list)
    images: Images | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample as the network takes it."""
        x = self.training.x
        if isinstance(x, ImageFolder):
            return (*x.image_size, x.form.channels)
        return x.shape[1:]

    def convolutional(self, settings: Settings) -> bool:
        """Return whether the network has convolutions: for images, unless dense layers are asked
        for."""
        return self.images is not None and settings.hidden is None
