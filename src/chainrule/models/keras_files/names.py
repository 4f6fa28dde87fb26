"""What is called the same in Keras and here, and what only one of them has."""

from __future__ import annotations

from typing import Any

# Layers whose arguments are the same. Look-ups are not among them: theirs need TensorFlow.
LAYERS = frozenset(
    (
        "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average",
        "BatchNormalization", "CategoryEncoding", "Concatenate", "Dense", "Dot", "Dropout",
        "Flatten", "GaussianDropout", "GaussianNoise", "GroupNormalization", "InputLayer",
        "LayerNormalization", "Maximum", "Minimum", "Multiply", "Normalization",
        "RMSNormalization", "Rescaling", "Reshape", "SpatialDropout1D", "SpatialDropout2D",
        "SpatialDropout3D", "Subtract", "UnitNormalization",
    )
)  # fmt: skip

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
    "input_axes": (None,),
    "input_shape": (),
    "invert": (False,),
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
    "synchronized": (False,),
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
}
FUNCTIONS = {kind: name for name, (_, kind) in OPERATIONS.items()}
