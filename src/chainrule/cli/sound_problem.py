"""Problems whose samples are sounds in a folder."""

from __future__ import annotations

from pathlib import Path

from chainrule.cli import sound_networks
from chainrule.cli.image_folders import FolderSource, labelled_as, noted, opened
from chainrule.cli.image_problem import check, part, split
from chainrule.cli.posed import Problem, Sounds
from chainrule.cli.recipes import held_out_share
from chainrule.cli.settings import Settings
from chainrule.cli.sound_folders import adapted, choose_form, choose_network, form_text
from chainrule.data.audio_folders import AudioFolder
from chainrule.data.audio_forms import SoundForm
from chainrule.data.folders import Options, SampleFolder
from chainrule.data.listing import SOUNDS, Listing, listed
from chainrule.data.targets import Target
from chainrule.errors import ArgumentError
from chainrule.layers import Flatten, Layer


def sound_problem(source: FolderSource, settings: Settings) -> Problem:
    """Return the problem of telling apart the sounds in the subfolders of a folder."""
    if settings.target is not None or settings.task == "regression":
        raise ArgumentError(
            f"{source.name!r} is a folder of sounds, whose classes are its subfolders: "
            "leave out --target and --task"
        )
    if settings.image_size is not None:
        raise ArgumentError("--image-size is for images")
    sound_networks.recipe_of(settings)
    notes: list[str] = []
    with noted(notes):
        place, test_place = source.parts()
        found = listed(place, kind=SOUNDS)
        form, full = choose_form(found.files, settings, notes)
        form = adapted(form, _to_train_on(found, form, settings))
        folder = opened(found.files, found.labels, found.class_names, form)
        test = None if test_place is None else _test_folder(test_place, folder, form)
    check(folder, source)
    training, held = split(folder, settings)
    network, why = choose_network(settings, full)
    chosen, line = sound_networks.choose_augmentation(settings, network)
    other = "recurrent" if network == "convolutions" else "convolutions"
    chose = [f"network: {network}{why} (otherwise: --network {other})"]
    chose = chose if settings.hidden is None else []
    told = f"{source.name}: {found.told().removesuffix('.')}, made {form_text(form)}"
    return Problem(
        name=source.name,
        target=Target("class", "classification", tuple(found.class_names)),
        training=part(training),
        validation=None if held is None else part(held),
        test=None if test is None else part(test),
        host=None,
        inputs=_inputs(sound_networks.front(form, network, chosen), settings),
        notes=[told, *notes, *chose, line],
        sounds=Sounds(form, network, folder.broken),
    )


def _inputs(layers: list[Layer], settings: Settings) -> list[Layer]:
    """Return the layers with what dense layers need behind them."""
    return layers if settings.hidden is None else [*layers, Flatten(name="frames")]


def _to_train_on(found: Listing, form: SoundForm, settings: Settings) -> list[str]:
    """Return the files that are not held out."""
    share = held_out_share(settings, len(found.files), images=True)
    folder = AudioFolder(found.files, found.labels, found.class_names, form, Options(verbose=False))
    if not share:
        return folder.file_paths
    try:
        return folder.split(share, settings.seed)[0].file_paths
    except ArgumentError:  # told where the good ones are split
        return folder.file_paths


def _test_folder(place: Path, training: SampleFolder, form: SoundForm) -> SampleFolder:
    found = labelled_as(place, training.class_names, SOUNDS)
    return opened(found.files, found.labels, found.class_names, form)
