"""Layers, one family a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import unknown_name
from chainrule.layers.base import Layer, registry
from chainrule.layers.core import Activation, Dense, Flatten, Input, InputLayer, Reshape
from chainrule.layers.lookup import IntegerLookup, StringLookup
from chainrule.layers.preprocessing import CategoryEncoding, Normalization, Rescaling
from chainrule.layers.regularization import Dropout, GaussianNoise

__all__ = [
    "Activation",
    "CategoryEncoding",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "Layer",
    "Normalization",
    "Rescaling",
    "Reshape",
    "StringLookup",
    "deserialize",
    "registry",
    "serialize",
]


def serialize(layer: Layer) -> dict[str, Any]:
    """Return the configuration from which `deserialize` makes the layer again.

    Examples
    --------
    >>> from chainrule import layers
    >>> layers.deserialize(layers.serialize(layers.Dense(3, name="out"))).units
    3
    """
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None
) -> Layer:
    """Return the layer of a configuration; `custom_objects` are classes of your own by name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    classes = {**registry, **(custom_objects or {})}
    name = str(config["class_name"])
    if name not in classes:
        raise unknown_name("layer", name, classes)
    return classes[name].from_config(dict(config["config"]))
