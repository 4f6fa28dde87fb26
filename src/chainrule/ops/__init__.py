"""Operations on values, under the names of ``keras.ops``.

Every function takes values, variables, arrays, lists and numbers, broadcasts and casts; the strict
primitives stand in the modules of this package.
"""

from types import SimpleNamespace

from chainrule.ops import (
    conv_fused,
    conv_pool,
    ctc,
    ctc_search,
    draws,
    edits,
    fused,
    gru,
    lstm,
    normalization,
    operators,
    recurrent,
    recurrent_layers,
    resizing,
    survey,
    symbolic,
    update,
    warp,
)

# Several names a line, for the length of this list.
# fmt: off
# isort: off
from chainrule.ops.arrays import (
    expand_dims, moveaxis, ndim, ravel, require_finite, require_range, reshape, shape, size,
    squeeze, stop_gradient, swapaxes, transpose,
)
from chainrule.ops.attention import dot_product_attention
from chainrule.ops.bends import (
    elu, gelu, hard_sigmoid, hard_silu, hard_swish, hard_tanh, leaky_relu, log_sigmoid, mish,
    relu6, selu, silu, softsign, swish,
)
from chainrule.ops.compare import (
    equal, greater, greater_equal, isclose, isfinite, isinf, isnan, less, less_equal,
    nan_to_num, not_equal, select, where,
)
from chainrule.ops.compositions import cond, cosh, cross, ptp, sinh
from chainrule.ops.convert import as_value, broadcast_to, cast, convert_to_numpy
from chainrule.ops.convert import as_value as array
from chainrule.ops.convert import as_value as convert_to_tensor
from chainrule.ops.convolutions import conv, conv_transpose, depthwise_conv, separable_conv
from chainrule.ops.creation import (
    arange, eye, full, full_like, identity, linspace, meshgrid, ones, ones_like, tri, zeros,
    zeros_like,
)
from chainrule.ops.crossentropies import (
    binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy,
)
from chainrule.ops.curves import (
    cos, erf, exp, exp2, expm1, log, log10, log1p, log2, relu, sigmoid, sin, softplus, tan,
    tanh,
)
from chainrule.ops.functions import (
    add, clip, divide, maximum, minimum, multiply, power, subtract, true_divide,
)
from chainrule.ops.gather import multi_hot, one_hot, scatter_add, segment_sum, take, take_along_axis
from chainrule.ops.indexing import split
from chainrule.ops.joins import (
    concatenate, flip, hstack, pad, repeat, roll, stack, tile, unstack, vstack,
)
from chainrule.ops.matrices import diag, diagonal, trace, tril, triu
from chainrule.ops.orders import (
    argsort, cumprod, cumsum, diff, in_top_k, log_softmax, logsumexp, softmax, sort, top_k,
)
from chainrule.ops.own_gradients import custom_gradient
from chainrule.ops.pooling import (
    adaptive_average_pool, adaptive_max_pool, average_pool, max_pool,
)
from chainrule.ops.products import dense, dot, inner, matmul, outer, tensordot, vdot
from chainrule.ops.reductions import (
    all, amax, amin, any, argmax, argmin, count_nonzero, max, mean, min, prod, sum,
)
from chainrule.ops.rounding import (
    ceil, divide_no_nan, floor, floor_divide, logaddexp, mod, round, trunc,
)
from chainrule.ops.shrinks import (
    celu, glu, hard_shrink, soft_shrink, sparse_plus, sparse_sigmoid, sparsemax, squareplus,
    tanh_shrink, threshold,
)
from chainrule.ops.signs import abs, absolute, negative, reciprocal, rsqrt, sign, sqrt, square
from chainrule.ops.statistics import average, median, moments, norm, normalize, quantile, std, var
from chainrule.ops.summation import einsum
from chainrule.ops.transcripts import ctc_decode, ctc_loss
from chainrule.ops.truths import logical_and, logical_not, logical_or, logical_xor
from chainrule.ops.windows import slice, slice_update
from chainrule.ops.without_nan import nanmax, nanmean, nanmin, nansum
# isort: on
# fmt: on

random = SimpleNamespace(
    uniform=draws.uniform,
    normal=draws.normal,
    bernoulli=draws.bernoulli,
    randint=draws.randint,
    categorical=draws.categorical,
)
_images = {"image.resize": resizing.resize}
symbolic.install(_images, list(_images))
image = SimpleNamespace(resize=_images["image.resize"])
operators.install()

__all__ = [
    "abs",
    "absolute",
    "adaptive_average_pool",
    "adaptive_max_pool",
    "add",
    "all",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "array",
    "as_value",
    "average",
    "average_pool",
    "binary_crossentropy",
    "broadcast_to",
    "cast",
    "categorical_crossentropy",
    "ceil",
    "celu",
    "clip",
    "concatenate",
    "cond",
    "conv",
    "conv_fused",
    "conv_pool",
    "conv_transpose",
    "convert_to_numpy",
    "convert_to_tensor",
    "cos",
    "cosh",
    "count_nonzero",
    "cross",
    "ctc",
    "ctc_decode",
    "ctc_loss",
    "ctc_search",
    "cumprod",
    "cumsum",
    "custom_gradient",
    "dense",
    "depthwise_conv",
    "diag",
    "diagonal",
    "diff",
    "divide",
    "divide_no_nan",
    "dot",
    "dot_product_attention",
    "draws",
    "edits",
    "einsum",
    "elu",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "eye",
    "flip",
    "floor",
    "floor_divide",
    "full",
    "full_like",
    "fused",
    "gelu",
    "glu",
    "greater",
    "greater_equal",
    "gru",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "hstack",
    "identity",
    "image",
    "in_top_k",
    "inner",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "leaky_relu",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "lstm",
    "matmul",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "min",
    "minimum",
    "mish",
    "mod",
    "moments",
    "moveaxis",
    "multi_hot",
    "multiply",
    "nan_to_num",
    "nanmax",
    "nanmean",
    "nanmin",
    "nansum",
    "ndim",
    "negative",
    "norm",
    "normalization",
    "normalize",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "power",
    "prod",
    "ptp",
    "quantile",
    "random",
    "ravel",
    "reciprocal",
    "recurrent",
    "recurrent_layers",
    "relu",
    "relu6",
    "repeat",
    "require_finite",
    "require_range",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "scatter_add",
    "segment_sum",
    "select",
    "selu",
    "separable_conv",
    "shape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "size",
    "slice",
    "slice_update",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sort",
    "sparse_categorical_crossentropy",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "split",
    "sqrt",
    "square",
    "squareplus",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "survey",
    "swapaxes",
    "swish",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tanh_shrink",
    "tensordot",
    "threshold",
    "tile",
    "top_k",
    "trace",
    "transpose",
    "tri",
    "tril",
    "triu",
    "true_divide",
    "trunc",
    "unstack",
    "update",
    "var",
    "vdot",
    "vstack",
    "warp",
    "where",
    "zeros",
    "zeros_like",
]  # fmt: skip

symbolic.install(globals(), __all__)
