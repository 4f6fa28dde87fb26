"""What is called the same in Keras and here, and what only one of them has."""

from __future__ import annotations

from typing import Any

# Layers whose arguments are the same. Look-ups are not among them: theirs need TensorFlow.
LAYERS = frozenset(
    (
        "Activation", "ActivityRegularization", "AdaptiveAveragePooling1D",
        "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
        "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "Add", "AdditiveAttention", "AlphaDropout",
        "Attention", "AutoContrast", "Average", "AveragePooling1D", "AveragePooling2D",
        "AveragePooling3D", "BatchNormalization", "Bidirectional", "CategoryEncoding", "CenterCrop",
        "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D",
        "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Cropping1D", "Cropping2D",
        "Cropping3D", "CutMix", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout",
        "ELU", "EinsumDense", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout",
        "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
        "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
        "GroupNormalization", "GroupQueryAttention", "Identity", "InputLayer", "LSTM", "LSTMCell",
        "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D",
        "MaxPooling3D", "Maximum", "MelSpectrogram", "Minimum", "MixUp", "MultiHeadAttention",
        "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "RNN",
        "RandomBrightness", "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomErasing",
        "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
        "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomShear",
        "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape",
        "Resizing", "STFTSpectrogram", "SeparableConv1D", "SeparableConv2D", "SimpleRNN",
        "SimpleRNNCell", "Softmax", "Solarization", "SpatialDropout1D", "SpatialDropout2D",
        "SpatialDropout3D", "StackedRNNCells", "Subtract", "TimeDistributed", "UnitNormalization",
        "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
        "ZeroPadding3D",
    )
)  # fmt: skip

# The layer whose class Keras calls otherwise, as its paths show.
CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}

# Arguments that are layers, or lists of them.
WITHIN = ("layer", "backward_layer", "cell", "cells")

# Arguments that Keras's layers do not take.
OURS_ALONE = ("learning_rate_multiplier", "input_shape", "recompute")

# Arguments that Keras's `SpatialDropout`s do not take either.
REFUSED = ("trainable", "activity_regularizer")

# Arguments of Keras's layers that these do not have: with such a value they say nothing.
THEIRS_ALONE: dict[str, tuple[Any, ...]] = {
    "autocast": (True, False),
    "batch_input_shape": (),
    "batch_shape": (),
    "build_input_shape": (),
    "data_format": (None, "channels_last"),
    "groups": (1,),
    "input_axes": (None,),
    "input_shape": (),
    "invert": (False,),
    "kernel_constraint": (None,),
    "kernel_initializer": (),
    "kernel_regularizer": (None,),
    "lora_rank": (None,),
    "optional": (False,),
    "output_axes": (None,),
    "quantization_config": (None,),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99, None),
    "sparse": (False, None),
    "supports_masking": (True, False),
}

# The modules in which the rules that layers are given stand, by the ends of the arguments' names.
RULES = {
    "_initializer": "keras.initializers",
    "_regularizer": "keras.regularizers",
    "_constraint": "keras.constraints",
}

# Operations of values, as modules and classes of Keras's.
OPERATIONS = {
    "add": ("numpy", "Add"),
    "subtract": ("numpy", "Subtract"),
    "multiply": ("numpy", "Multiply"),
    "divide": ("numpy", "Divide"),
    "true_divide": ("numpy", "TrueDivide"),
    "power": ("numpy", "Power"),
    "maximum": ("numpy", "Maximum"),
    "minimum": ("numpy", "Minimum"),
    "matmul": ("numpy", "Matmul"),
    "negative": ("numpy", "Negative"),
    "abs": ("numpy", "Abs"),
    "absolute": ("numpy", "Absolute"),
    "exp": ("numpy", "Exp"),
    "log": ("numpy", "Log"),
    "log1p": ("numpy", "Log1p"),
    "sqrt": ("numpy", "Sqrt"),
    "square": ("numpy", "Square"),
    "sin": ("numpy", "Sin"),
    "cos": ("numpy", "Cos"),
    "tanh": ("numpy", "Tanh"),
    "relu": ("nn", "Relu"),
    "relu6": ("nn", "Relu6"),
    "sigmoid": ("nn", "Sigmoid"),
    "silu": ("nn", "Silu"),
    "softplus": ("nn", "Softplus"),
    "softsign": ("nn", "Softsign"),
    "selu": ("nn", "Selu"),
    "log_sigmoid": ("nn", "LogSigmoid"),
    # Of which Keras's graphs make masks.
    "any": ("numpy", "Any"),
    "logical_and": ("numpy", "LogicalAnd"),
    "logical_or": ("numpy", "LogicalOr"),
    "not_equal": ("numpy", "NotEqual"),
}
FUNCTIONS = {kind: name for name, (_, kind) in OPERATIONS.items()}
