"""Layers, one family a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import signature
from typing import Any

from chainrule.errors import unknown_name
from chainrule.layers.augment import MixUp
from chainrule.layers.base import Layer, registry
from chainrule.layers.core import Activation, Dense, Flatten, Input, InputLayer, Reshape
from chainrule.layers.dropout import (
    AlphaDropout,
    Dropout,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from chainrule.layers.function import Lambda, Operation
from chainrule.layers.lookup import IntegerLookup, StringLookup
from chainrule.layers.merge import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from chainrule.layers.norm import BatchNormalization, GroupNormalization, LayerNormalization
from chainrule.layers.norm_plain import RMSNormalization, UnitNormalization
from chainrule.layers.preprocessing import CategoryEncoding, Normalization, Rescaling
from chainrule.layers.regularization import (
    ActivityRegularization,
    GaussianDropout,
    GaussianNoise,
)
from chainrule.named import customs, registered_name

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "CategoryEncoding",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "Maximum",
    "Merge",
    "Minimum",
    "MixUp",
    "Multiply",
    "Normalization",
    "Operation",
    "RMSNormalization",
    "Rescaling",
    "Reshape",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StringLookup",
    "Subtract",
    "UnitNormalization",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "registry",
    "serialize",
    "sharing",
    "subtract",
]


_met: ContextVar[list[Layer] | None] = ContextVar("met", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Write or read a layer that stands in several places of a model once, within the block."""
    token = None if _met.get() is not None else _met.set([])
    try:
        yield
    finally:
        if token is not None:
            _met.reset(token)


def serialize(layer: Layer) -> dict[str, Any]:
    """Return the configuration from which `deserialize` makes the layer again.

    Examples
    --------
    >>> from chainrule import layers
    >>> layers.deserialize(layers.serialize(layers.Dense(3, name="out"))).units
    3
    """
    met = _met.get()
    for i, known in enumerate(met or ()):
        if known is layer:
            return {"class_name": registered_name(type(layer)), "shared": i}
    described = {"class_name": registered_name(type(layer)), "config": layer.get_config()}
    if met is not None:
        met.append(layer)
    return described


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None
) -> Layer:
    """Return the layer of a configuration; `custom_objects` are classes of your own by name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    classes = {**registry, **customs(), **(custom_objects or {})}
    met, name = _met.get(), str(config["class_name"])
    if met is not None and "shared" in config:
        return met[int(config["shared"])]
    if name not in classes:
        raise unknown_name("layer", name, classes)
    make = classes[name].from_config
    nested = "custom_objects" in signature(make).parameters
    options = {"custom_objects": custom_objects} if nested else {}
    layer: Layer = make(dict(config["config"]), **options)
    if met is not None:
        met.append(layer)
    return layer
