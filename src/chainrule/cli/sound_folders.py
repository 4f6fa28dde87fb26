"""Folders of sounds on the command line: whether one is that, and what the sounds are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.cli.settings import Settings
from chainrule.data.audio_folders import lengths
from chainrule.data.audio_forms import SoundFeatures, SoundForm
from chainrule.data.decoding import attempts
from chainrule.data.listing import IMAGES, SOUNDS, Kind
from chainrule.errors import FileError, unknown_name

FEATURES = ("log-mel", "mfcc", "pitch")
NETWORKS = ("convolutions", "recurrent")
_LOOKED_AT = 2000  # files that say what to make of all
_LEARNT_FROM = 500  # files whose features say what the mean is
_HIGHEST_RATE, _LOW_RATE = 16000, 8000
_FEW = 0.05  # the share of files whose rates and lengths do not count
_LONGEST, _LONGER = 20.0, 1.5  # seconds; times as long as all but few
_FULL = 0.5  # of the frames, from which time is a side of a picture


def kind_of(folder: Path) -> Kind:
    """Return what most files in a folder and below are by their names: sounds, or else images."""
    counts = {SOUNDS.noun: 0, IMAGES.noun: 0}
    for where, _, files in os.walk(folder):
        for name in files:
            for kind in (SOUNDS, IMAGES):
                counts[kind.noun] += kind.has(Path(where, name)) and not name.startswith(".")
        if sum(counts.values()) > _LOOKED_AT:
            break
    return SOUNDS if counts[SOUNDS.noun] > counts[IMAGES.noun] else IMAGES


def choose_form(
    files: Sequence[Path], settings: Settings, notes: list[str]
) -> tuple[SoundForm, float]:
    """Return what sounds are made, and the share of its frames that they fill.

    The rate is one that nearly all files have, up to 16,000 samples a second; the length that of
    the longest, unless it is half as long again as nearly all others.
    """
    found = lengths(files[:: -(-len(files) // _LOOKED_AT) or 1]) or [(_HIGHEST_RATE, _HIGHEST_RATE)]
    few = int(_FEW * len(found))
    rate = min(sorted(own for _, own in found)[few], _HIGHEST_RATE)
    seconds = np.sort([samples / own for samples, own in found])
    longest = min(seconds[-1], _LONGER * seconds[-1 - few], _LONGEST)
    if longer := int(np.sum(seconds > longest * (1 + 1e-6))):
        notes.append(f"{longer:,} of {len(found):,} sounds are longer than that, and are cut")
    form = SoundForm(rate, max(round(longest * rate), 1), _features(settings, rate))
    return form, float(np.minimum(seconds, longest).mean() / longest)


def _features(settings: Settings, rate: int) -> SoundFeatures:
    name = "log-mel" if settings.features == "auto" else settings.features
    if name not in FEATURES:
        raise unknown_name("features", name, FEATURES)
    kind = "mfcc" if name == "mfcc" else "log_mel"
    # At low rates narrow triangles lie between the frequencies of the transform.
    bins = 40 if rate >= _LOW_RATE else 23
    return SoundFeatures(kind, num_mel_bins=bins, pitch=name == "pitch", normalize=None)


def adapted(form: SoundForm, files: Sequence[str]) -> SoundForm:
    """Return the form whose features have mean 0 and deviation 1 in these files."""
    features = form.features or SoundFeatures()
    some = files[:: -(-len(files) // _LEARNT_FROM) or 1]
    made = [x for x in attempts(some, form.sequence) if not isinstance(x, FileError)]
    return SoundForm(form.sample_rate, form.length, features.adapted(made))


def choose_network(settings: Settings, full: float) -> tuple[str, str]:
    """Return the kind of network for sounds that fill so much of their frames, and why.

    Examples
    --------
    >>> from chainrule.cli.settings import Settings
    >>> from chainrule.cli.sound_folders import choose_network
    >>> choose_network(Settings("words/"), 0.3)[0]
    'recurrent'
    """
    if settings.network != "auto":
        if settings.network not in NETWORKS:
            raise unknown_name("network", settings.network, NETWORKS)
        return settings.network, ""
    chosen = "convolutions" if full >= _FULL else "recurrent"
    length = "alike" if full >= _FULL else "very different"
    return chosen, f", since lengths are {length} ({full:.0%} of the longest in the mean)"


def form_text(form: SoundForm) -> str:
    """Return rate, length and features of sounds in words."""
    frames, width = form.shape
    rate, seconds = f"{form.sample_rate:,} samples a second", form.length / form.sample_rate
    if form.features is None:
        return f"{seconds:.3g} s of {rate}"
    names = {"log_mel": "log-mel energies", "mfcc": "MFCCs"}
    pitch = " and pitch" if form.features.pitch else ""
    return (
        f"{frames} frames of {width} {names[form.features.kind]}{pitch} ({seconds:.3g} s, {rate})"
    )
