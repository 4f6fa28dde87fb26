"""What a network is trained on: samples and targets, and which of them are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from chainrule.cli.settings import Settings
from chainrule.data.audio_forms import SoundForm
from chainrule.data.folders import SampleFolder
from chainrule.data.images import Form
from chainrule.data.targets import Target
from chainrule.layers import Layer

Array = NDArray[Any]
Samples = Array | SampleFolder
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Part:
    """Rows for one purpose: as a finished model takes them, as the network inside does, targets.

    `files` are the paths of samples that are images or sounds in files, `rows` the numbers that
    others have in the data; by default they are all there is, in its order.
    """

    raw: Samples
    x: Samples
    y: Array
    files: list[str] | None = None
    rows: Array | None = None


@dataclass(frozen=True)
class Images:
    """How samples are images: what files are made for the network, and which are broken."""

    form: Form
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sounds:
    """How samples are sounds: what files are made, what kind of network learns them, which are
    broken."""

    form: SoundForm
    network: str
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """How samples are texts: the column they are in, what they are split into, how many indices."""

    column: str
    tokens: str
    size: int


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
    text: Text | None = None
    sounds: Sounds | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample as the network takes it."""
        x = self.training.x
        return x.form.shape if isinstance(x, SampleFolder) else x.shape[1:]

    def convolutional(self, settings: Settings) -> bool:
        """Return whether the network has convolutions: for images, and sounds that suit them,
        unless dense layers are asked for."""
        sounds = self.sounds is not None and self.sounds.network == "convolutions"
        return (self.images is not None or sounds) and settings.hidden is None

    def recurrent(self, settings: Settings) -> bool:
        """Return whether the network reads sounds frame by frame."""
        sounds = self.sounds is not None and self.sounds.network == "recurrent"
        return sounds and settings.hidden is None
