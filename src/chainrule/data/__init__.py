"""Data on its way to a model: arrays, maps, files and generators, cut into batches; tables."""

# For its entry among the layers that a model's file can name: models import this package.
from chainrule.data.audio_folders import AudioFolder
from chainrule.data.audio_forms import SoundFeatures, SoundForm
from chainrule.data.files import Files, open
from chainrule.data.folders import ImageFolder
from chainrule.data.idx import read_idx, write_idx
from chainrule.data.lazily import Windowed
from chainrule.data.preprocessing import TablePreprocessing

__all__ = [
    "AudioFolder",
    "Files",
    "ImageFolder",
    "SoundFeatures",
    "SoundForm",
    "TablePreprocessing",
    "Windowed",
    "open",
    "read_idx",
    "write_idx",
]
