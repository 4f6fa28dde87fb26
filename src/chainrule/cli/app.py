"""The commands and their options; what they do is imported when one of them runs."""

from __future__ import annotations

import sys
from typing import Any

import click

from chainrule import __version__
from chainrule.cli.settings import Settings, config_defaults
from chainrule.errors import ChainruleError

DATA_HELP = """DATA is a table as .csv or .parquet; a folder of images or sounds, one subfolder a
class; arrays as .npz (x and y, or x_train, y_train, x_test, y_test); or a data set by name:
'digits' or 'movie-reviews' (which come with chainrule), 'mnist', 'fashion-mnist' or 'cifar10'."""


class Commands(click.Group):
    """Commands whose mistakes of the user end in one line and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ChainruleError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chainrule")
def app() -> None:
    """Neural networks trained by back-propagation, on the processor you have."""
    for stream in (sys.stdout, sys.stderr):
        # Names of columns and classes may be in any script; a terminal that lacks a letter of them
        # shows an escape instead of ending the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _read_config(ctx: click.Context, _: click.Parameter, path: str | None) -> str | None:
    """Let the values of a configuration file stand in for options that are not given."""
    if path is not None:
        ctx.default_map = {**(ctx.default_map or {}), **config_defaults(path)}
    return path


@app.command(epilog=DATA_HELP)
@click.argument("data", required=False)
@click.option("--target", metavar="COLUMN", help="The column of a table to predict.")
@click.option("--text", metavar="COLUMN", help="A column of texts to predict it from.")
@click.option(
    "--task",
    type=click.Choice(["auto", "classification", "regression"]),
    default="auto",
    show_default=True,
    help="What the target is: a class or a number; auto finds out and says so.",
)
@click.option(
    "--recipe",
    type=click.Choice(["accurate", "fast"]),
    help="For images, sounds and texts: the network and how it learns.  [default: accurate]",
)
@click.option(
    "--features",
    type=click.Choice(["auto", "log-mel", "mfcc", "pitch"]),
    default="auto",
    show_default=True,
    help="What sounds become: log-mel energies, MFCCs, or log-mel and pitch, for tones.",
)
@click.option(
    "--network",
    type=click.Choice(["auto", "convolutions", "recurrent"]),
    default="auto",
    show_default=True,
    help="What learns sounds; auto looks at their lengths and says so.",
)
@click.option(
    "--tokens",
    type=click.Choice(["auto", "words", "characters"]),
    default="auto",
    show_default=True,
    help="What texts are split into; auto finds out and says so.",
)
@click.option(
    "--image-size",
    type=click.IntRange(1),
    metavar="PIXELS",
    help="Height and width of a folder's images.  [default: their own, at most 128]",
)
@click.option(
    "--augment",
    type=click.Choice(["auto", "none", "shift", "flip", "masks", "both"]),
    default="auto",
    show_default=True,
    help="How images (shift, flip) or sounds (shift, masks) vary in training; auto says how.",
)
@click.option(
    "--hidden",
    metavar="UNITS",
    help="Units of each hidden layer.  [default: 128,64; for images convolutions, for texts none]",
)
@click.option("--activation", default="relu", show_default=True, help="Of the hidden layers.")
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of hidden units left out at each step.  "
    "[default: 0.2; for images and texts the recipe's]",
)
@click.option("--optimizer", help="Such as rmsprop.  [default: adam; for images adamw]")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Size of the steps, for images of the largest.  [default: the optimizer's or recipe's]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Rows in a step.  [default: 32, more for more than 20,000 rows; for images 16 to 64]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="At most so many.  [default: 200; for images and texts the recipe's, more for few images]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Epochs without a better validation after which training stops.  "
    "[default: 20; for images half of the epochs, for texts 3]",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 0.9),
    help="Share of the rows held out to stop at the right time and to measure the result.  "
    "[default: 0.2; of many images fewer]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides all that is random.")
@click.option("--threads", type=click.IntRange(1), help="At most so many; the result is the same.")
@click.option(
    "--config",
    metavar="RUN.TOML",
    is_eager=True,
    callback=_read_config,
    help="Options from the file of an earlier run; those given here have precedence.",
)
@click.option("--doctor", is_flag=True, help="Say in the end what kept the network from learning.")
@click.option(
    "--output",
    metavar="DIR",
    help="Folder for what the run leaves.  [default: a new one in runs/]",
)
def train(
    config: str | None, threads: int | None, doctor: bool, output: str | None, **options: Any
) -> None:
    """Train a network on DATA, and leave it in a run folder with its history."""
    from chainrule.cli.train import run

    _use_threads(threads)
    run(Settings.of_options(options), output, doctor)


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        from chainrule.executors import set_num_threads

        set_num_threads(threads)


@app.command(epilog=DATA_HELP)
@click.argument("model")
@click.argument("data")
def evaluate(model: str, data: str) -> None:
    """Measure a trained MODEL (its file or run folder) on DATA with known targets."""
    from chainrule.cli.use import evaluate as run

    run(model, data)


@app.command(epilog=DATA_HELP)
@click.argument("model")
@click.argument("data", nargs=-1)
@click.option("--output", metavar="FILE", help="A CSV file, instead of the terminal.")
def predict(model: str, data: tuple[str, ...], output: str | None) -> None:
    """Write a CSV with what a trained MODEL predicts for each row of DATA.

    A model of images or sounds takes such files too, and folders of them: of each the class and
    its probability are printed, and those of all classes written to --output.

    A model of texts takes sentences, each an argument, or the lines of the standard input.
    """
    from chainrule.cli.use import predict as run

    run(model, data, output)


@app.command()
@click.argument("model")
def summary(model: str) -> None:
    """Show the layers of a trained MODEL, its columns and its classes."""
    from chainrule.cli.use import summary as run

    run(model)


@app.command()
@click.argument("run", required=False)
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="English or Chinese.",
)
@click.option(
    "-o", "--output", metavar="FILE", help="Where to.  [default: report.html in the run's folder]"
)
def report(run: str | None, language: str, output: str | None) -> None:
    """Write one HTML file that shows how a RUN (its folder) went.

    Without RUN, of the newest in runs/. The file needs no network.
    """
    from chainrule.cli.reporting import report as write

    write(run, language, output)


@app.command()
@click.argument("runs", default="runs", metavar="[RUNS]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; 0.0.0.0 for other machines too, which then need a token.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="[default: 8765, or the next that is free]"
)
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    help="English or Chinese.  [default: what the browser prefers]",
)
def dashboard(runs: str, host: str, port: int | None, language: str | None) -> None:
    """Show the runs in the folder RUNS in a browser, live while they train.

    There they can be compared, paused, ended, and given a lower learning rate. Training never waits
    for the dashboard, and goes on without it.
    """
    from chainrule.insight.dashboard import serve

    serve(runs, host, port, language)


@app.command()
def info() -> None:
    """Show the version, the processor's instruction set and the number of threads."""
    from chainrule.cli.info import run

    run()
