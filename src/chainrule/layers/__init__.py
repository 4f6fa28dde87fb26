"""Layers, one family a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import signature
from typing import Any

from chainrule.errors import ArgumentError, closest
from chainrule.layers.activation_layers import ELU, Identity, LeakyReLU, PReLU, ReLU
from chainrule.layers.attention import AdditiveAttention, Attention
from chainrule.layers.augment import MixUp
from chainrule.layers.augment_color import RandomBrightness, RandomContrast
from chainrule.layers.augment_geometry import (
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from chainrule.layers.augment_hues import (
    RandomColorJitter,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from chainrule.layers.augment_map import RandomCrop, RandomFlip
from chainrule.layers.augment_masks import FrequencyMasking, TimeMasking
from chainrule.layers.augment_regions import CutMix, RandomErasing
from chainrule.layers.augment_sounds import RandomNoise, RandomSpeed, RandomTimeShift
from chainrule.layers.augment_tones import (
    AutoContrast,
    RandomGaussianBlur,
    RandomInvert,
    RandomPosterization,
    Solarization,
)
from chainrule.layers.base import Layer, registry
from chainrule.layers.bidirectional import Bidirectional
from chainrule.layers.conv import (
    Conv1D,
    Conv2D,
    Conv3D,
    Convolution1D,
    Convolution2D,
    Convolution3D,
)
from chainrule.layers.conv_depthwise import DepthwiseConv1D, DepthwiseConv2D
from chainrule.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from chainrule.layers.conv_separable import (
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from chainrule.layers.conv_transpose import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    Convolution1DTranspose,
    Convolution2DTranspose,
    Convolution3DTranspose,
)
from chainrule.layers.core import (
    Activation,
    Dense,
    Flatten,
    Permute,
    Reshape,
)
from chainrule.layers.dropout import (
    AlphaDropout,
    Dropout,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from chainrule.layers.einsum_dense import EinsumDense
from chainrule.layers.embedding import Embedding
from chainrule.layers.function import Lambda, Operation
from chainrule.layers.gru import GRU, GRUCell
from chainrule.layers.hashing import Hashing
from chainrule.layers.inputs import Input, InputLayer
from chainrule.layers.lookup import IntegerLookup, StringLookup
from chainrule.layers.lstm import LSTM, LSTMCell
from chainrule.layers.masking import Masking
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
from chainrule.layers.multi_head_attention import GroupQueryAttention, MultiHeadAttention
from chainrule.layers.norm import BatchNormalization, GroupNormalization, LayerNormalization
from chainrule.layers.norm_plain import RMSNormalization, UnitNormalization
from chainrule.layers.pool import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from chainrule.layers.pool_adaptive import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from chainrule.layers.pool_global import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from chainrule.layers.preprocessing import CategoryEncoding, Normalization, Rescaling
from chainrule.layers.recurrent import RNN
from chainrule.layers.regularization import (
    ActivityRegularization,
    GaussianDropout,
    GaussianNoise,
)
from chainrule.layers.repeat import RepeatVector
from chainrule.layers.reshaping2d import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from chainrule.layers.resizing import CenterCrop, Resizing
from chainrule.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from chainrule.layers.softmax import Softmax
from chainrule.layers.spectrogram import MelSpectrogram, STFTSpectrogram
from chainrule.layers.stacked_cells import StackedRNNCells
from chainrule.layers.text import TextVectorization
from chainrule.layers.text_tokenizer import Tokenizer
from chainrule.layers.time_distributed import TimeDistributed
from chainrule.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
from chainrule.named import customs, registered_name

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "AutoContrast",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "CutMix",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "FrequencyMasking",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "MelSpectrogram",
    "Merge",
    "Minimum",
    "MixUp",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "Operation",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RandomBrightness",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomNoise",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomShear",
    "RandomSpeed",
    "RandomTimeShift",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "STFTSpectrogram",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "Solarization",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TextVectorization",
    "TimeDistributed",
    "TimeMasking",
    "Tokenizer",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
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
        raise ArgumentError(
            f"unknown layer {name!r}{closest(name, classes)}\n"
            f"  fix: give a class of your own as custom_objects={{{name!r}: {name}}}"
        )
    make = classes[name].from_config
    nested = "custom_objects" in signature(make).parameters
    options = {"custom_objects": custom_objects} if nested else {}
    layer: Layer = make(dict(config["config"]), **options)
    if met is not None:
        met.append(layer)
    return layer
