"""Probable causes, in Chinese, by the English template; see `words_of_evidence`."""

from __future__ import annotations

from collections.abc import Mapping

CAUSES: Mapping[str, str] = {
    # Data and targets.
    "pixels were left as they are in files, from 0 to 255": (
        "像素仍是文件中的原始值（0 到 255），没有缩放"
    ),
    "the samples are in the units in which they were measured": "样本仍采用测量时的原始单位",
    "what was to be filled in stayed empty, or one sample was written over all": (
        "本应填入的数据一直是空的，或者所有样本都被同一个样本覆盖"
    ),
    "a column that was not filled in, or rows chosen so that it is constant": (
        "该列没有填入数据，或者所选的行恰好使它不变"
    ),
    "the feature was made from the target, or is only known together with it": (
        "该特征由目标推导而来，或者只有在目标已知时才能得到"
    ),
    "the classes are not equally frequent where the samples come from": (
        "在样本的来源中，各类别出现的频率本来就不相等"
    ),
    "a wrong column, or rows that are sorted by class": "取错了列，或者样本按类别排了序",
    "labels that do not count from 0, or rows left out": "标签不是从 0 开始编号，或者遗漏了样本",
    "targets and last layer were not chosen together": "目标值的范围与最后一层不匹配",
    "the targets are in another order than the samples, or are of others": (
        "标签与样本的顺序不一致，或者标签属于另外的样本"
    ),
    # The last layer and the loss.
    "an activation was put both into the layer and behind it": (
        "层内已经设置了激活函数，后面又加了一次"
    ),
    "the {activation} is applied twice, so that gradients are small and no prediction can be "
    "sure": "{activation} 被应用了两次，因此梯度很小，预测也不可能有很高的置信度",
    "the last layer's activation and the loss were not chosen together": (
        "最后一层的激活函数与损失函数不配套"
    ),
    "batch normalization takes mean and variance of each batch": (
        "批归一化使用每个批次自身的均值和方差"
    ),
    # Layers and their first weights.
    "its kernel begins with one number everywhere, so that its units stay one unit": (
        "该层权重的初始值处处相同，各单元因此始终相同"
    ),
    "its biases begin far below 0, or its weights are such that no sample reaches it": (
        "该层偏置的初始值远低于 0，或者权重使任何样本都无法激活它"
    ),
    "{layer!r} before it begins with a beta far below 0": "前面的 {layer!r} 的 beta 初始值远低于 0",
    "steps were so large that they carried its biases or weights out of reach": (
        "更新步子过大，把该层的偏置或权重推到了无法恢复的位置"
    ),
    "its kernel multiplies the deviation of its inputs by {gain:.3g}, or its biases are far from "
    "0": "该层的权重使输入的标准差变为原来的 {gain:.3g} 倍，或者偏置远离 0",
    "steps were so large that its weighted sums ran off": "更新步子过大，使该层的加权和偏离过远",
    "its weights are applied again and again, and each time the signal grows: its kernel "
    "multiplies deviations by {gain:.3g}": (
        "该层的权重在各时间步反复使用，信号每次都被放大：权重使信号的标准差变为原来的 {gain:.3g} 倍"
    ),
    "its kernel multiplies deviations by {gain:.3g}, and there are {depth} layers": (
        "该层的权重使信号的标准差变为原来的 {gain:.3g} 倍，而网络共有 {depth} 层"
    ),
    "the slope of a sigmoid is at most 1/4: each divides the gradient by 4 and more": (
        "sigmoid 的斜率最大只有 1/4：每经过一个，梯度至多剩四分之一"
    ),
    "signals grow a little from layer to layer, and there are {depth}": (
        "信号逐层略有放大，而网络共有 {depth} 层"
    ),
    "the initializer of its kernel does not fit {activation}": (
        "该层权重的初始化方法与 {activation} 不匹配"
    ),
    "the initializer of its kernel does not fit it": "该层权重的初始化方法不合适",
    # Steps.
    "weights had grown to {largest:.3g}: the steps were too large": (
        "权重已增大到 {largest:.3g}：更新步子过大"
    ),
    "{operation!r} has no finite result, or slope, for such numbers": (
        "对这样的数值，{operation!r} 的结果或斜率不是有限的"
    ),
    "numbers grew until they did not fit their dtype": "数值不断增大，超出了其 dtype 的表示范围",
    "the step in which it arose could not be run again": "出现问题的那一步无法重新运行，来源不明",
    "where it arose is not known: of weights and slots of more than {megabytes} MB no copy is kept "
    "to run steps again from": (
        "来源不明：权重与优化器状态超过 {megabytes} MB 时不保留副本，无法重新运行"
    ),
    "where it arose is not known: batches of a generator cannot be drawn again": (
        "来源不明：生成器给出的批次无法再次取得"
    ),
    "where it arose is not known: steps of one's own cannot be run again": (
        "来源不明：自定义的训练步骤无法重新运行"
    ),
    "an earlier run spoilt it, or what it was loaded from": (
        "权重在之前的训练中已损坏，或者载入的数据本身有问题"
    ),
    "each step goes beyond the valley, and the loss rises or jumps about": (
        "每一步都越过谷底，损失上升或来回跳动"
    ),
    "each step is so small that the weights hardly move": "每一步都太小，权重几乎不动",
    "{cause}: in the median by {ratio:.1e} of their norm; about 1e-3 is usual": (
        "{cause}：更新量的中位数为权重范数的 {ratio:.1e} 倍，通常约为 1e-3"
    ),
    "it is lowered too soon: from {rate:.3g} in the first steps to {mean:.3g} in the mean of the "
    "run": "学习率降得过早：最初若干步为 {rate:.3g}，整个训练平均只有 {mean:.3g}",
    "a schedule or a callback has lowered it, or it was given as 0": (
        "学习率被调度或回调降到了 0，或者一开始就设为 0"
    ),
    "steps go beyond the valley and back": "每一步都越过谷底，又折返回来",
    "the weights are near a point where the gradient is 0, which is no minimum": (
        "权重位于某个梯度为 0 的点附近，而该点并不是极小值"
    ),
    "the weights came to a place where the loss is steep as a cliff, and were thrown off it": (
        "权重走到了损失陡如悬崖的地方，被猛地弹开"
    ),
    "no single one was found: neither rate nor weights nor signals are far from the usual": (
        "没有找到单一的原因：学习率、权重和信号都没有明显异常"
    ),
    # Learning curves.
    "{weights:,} weights learn {samples:,} samples by heart": (
        "{weights:,} 个权重足以把 {samples:,} 个样本硬记下来"
    ),
    "the network has too little room for what is to be learnt": "网络的容量不足以学会要学的内容",
    "the network has too little room for what is to be learnt; narrowest is {layers}": (
        "网络的容量不足以学会要学的内容；最窄的层是 {layers}"
    ),
    "{layer!r} with {width}": "{layer!r}（宽度 {width}）",
    "in each step there are hardly any units to learn with": "每一步几乎没有剩下多少单元可用于学习",
    "small weights are worth more than right answers": "对优化目标来说，权重小比答案正确更划算",
    "weights are drawn to 0 faster than they can learn": "权重被拉向 0 的速度超过了学习的速度",
}
