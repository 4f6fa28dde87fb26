"""``python -m benchmarks.fashion``: ``chainrule train fashion-mnist``'s recipe, in PyTorch.

The network, batches, epochs, AdamW, cycle of the learning rate, mirrored images and held-out images
are read from the recipe, so that they follow it. Seconds of training, checks on held-out images
included, without imports and reading; the accuracy on the test images.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from chainrule import layers as ours
from chainrule.cli import networks, recipes
from chainrule.cli.recipes import Recipe
from chainrule.datasets import fashion_mnist

from .networks import Activation, Conv, Dense, Dropout, Flatten, Layer, Network, Norm, Pool
from .peers.pytorch import network

_HELD_OUT = 5000
_SHAPE = (28, 28, 1)
_EVALUATED = 1000  # images at once
WAYS = {"plain": False, "channels-last": True}

Pair = tuple[torch.Tensor, torch.Tensor]


def architecture(recipe: Recipe) -> Network:
    """The network that the command line makes of a recipe for these images."""
    made = networks.convolutions(_SHAPE[:2], recipe, "relu", recipe.dropout)
    return Network("fashion-mnist", _SHAPE, (*described(made), Dense(10)))


def described(made: Iterable[ours.Layer]) -> Iterable[Layer]:
    """chainrule's layers in the words of the benchmarks."""
    for layer in made:
        values = layer.get_config()
        match layer:
            case ours.Conv2D():
                if set(values["strides"]) != {1}:
                    raise ValueError(f"{layer.name} moves by {values['strides']}, not by 1")
                name = None if values["activation"] == "linear" else values["activation"]
                size, padding = values["kernel_size"][0], values["padding"]
                yield Conv(layer.filters, size, name, padding, values["use_bias"])
            case ours.BatchNormalization():
                yield Norm(values["momentum"], values["epsilon"])
            case ours.MaxPooling2D():
                yield Pool(values["pool_size"][0])
            case ours.Activation():
                yield Activation(values["activation"])
            case ours.Dropout():
                yield Dropout(values["rate"])
            case ours.Flatten():
                yield Flatten()
            case _:
                raise ValueError(f"no word for {layer}")


def data(most: int | None) -> tuple[Pair, Pair, Pair]:
    """Images to train on, held out, and to test, as bytes."""
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    pairs = (x[:-_HELD_OUT][:most], y[:-_HELD_OUT][:most]), (x[-_HELD_OUT:], y[-_HELD_OUT:])
    train, held, test = (
        (torch.from_numpy(x[:, None].copy()), torch.from_numpy(y.astype(np.int64)))
        for x, y in (*pairs, (x_test, y_test))
    )
    return train, held, test


def train(
    description: Network, recipe: Recipe, pairs: tuple[Pair, Pair, Pair], last: bool, compiled: bool
) -> tuple[float, float]:
    """The seconds of training, and the accuracy on test images at its end."""
    (x, y), held, test = pairs
    model: Any = network(description, last)
    model.apply(_initialized)
    batch, steps = recipe.batch_size, -(-len(x) // recipe.batch_size) * recipe.epochs
    optimizer = torch.optim.AdamW(
        model.parameters(), recipe.learning_rate, eps=1e-7, weight_decay=recipe.weight_decay,
        fused=True,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, steps, pct_start=recipes.RISE, cycle_momentum=False
    )
    run = torch.compile(model) if compiled else model
    begin = time.perf_counter()
    for epoch in range(recipe.epochs):
        model.train()
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            images = _varied(_scaled(x[rows], last), recipe.augments)
            cross_entropy(run(images), y[rows]).backward()
            optimizer.step()
            schedule.step()
        elapsed = time.perf_counter() - begin
        print(f"epoch {epoch + 1}: {elapsed:.1f} s, held out {accuracy(model, held, last):.4f}")
    return time.perf_counter() - begin, accuracy(model, test, last)


@torch.no_grad()
def _initialized(module: nn.Module) -> None:
    """Give a module weights as Keras and chainrule do: Glorot uniform, no bias."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _scaled(x: torch.Tensor, last: bool) -> torch.Tensor:
    scaled = x.float() / 255
    return scaled.contiguous(memory_format=torch.channels_last) if last else scaled


def _varied(x: torch.Tensor, augments: bool) -> torch.Tensor:
    """Half of the images mirrored, as the recipe does with clothes."""
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(-1), x) if augments else x


@torch.no_grad()
def accuracy(model: Any, pair: Pair, last: bool) -> float:
    """The share of images that are told right."""
    model.eval()
    x, y = pair
    parts = zip(x.split(_EVALUATED), y.split(_EVALUATED), strict=True)
    right = sum(int((model(_scaled(a, last)).argmax(1) == b).sum()) for a, b in parts)
    return right / len(y)


def main(arguments: list[str] | None = None) -> int:
    """Train and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fashion", description=__doc__)
    parser.add_argument("--recipe", choices=list(recipes.RECIPES), default=recipes.DEFAULT)
    parser.add_argument("--way", choices=list(WAYS), default="channels-last")
    parser.add_argument("--compiled", action="store_true", help="by torch.compile")
    parser.add_argument("--most", type=int, help="train on so many images only, to try it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    recipe = recipes.RECIPES[options.recipe]
    pairs = data(options.most)
    last = WAYS[options.way]
    seconds, right = train(architecture(recipe), recipe, pairs, last, options.compiled)
    print(f"PyTorch, {options.recipe}: {seconds:.1f} s, test accuracy {right:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
