"""The passes around convolutions, in the order in which a plan applies them."""

from __future__ import annotations

from chainrule.plan.conv_passes import (
    fuse_conv,
    fuse_conv_pool,
    scatter_few_channels,
    split_kernel_gradients,
    widen_few_filters,
)
from chainrule.plan.pool_passes import (
    rectify_places,
    relu_after_pool,
    sum_before_spreading,
    sum_bias_with_kernel,
)

AROUND = (
    relu_after_pool,
    sum_before_spreading,
    fuse_conv,
    fuse_conv_pool,
    rectify_places,
    sum_bias_with_kernel,
    widen_few_filters,
    scatter_few_channels,
    split_kernel_gradients,
)
