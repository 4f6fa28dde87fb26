"""What the rules measured, in Chinese, by the English template.

A test holds that each template given to `said` has a translation with the same gaps.
"""

from __future__ import annotations

from collections.abc import Mapping

_DATA = {
    "of the numbers that reach the weights of {layer!r} their quadratic mean is {size:.3g} "
    "(mean {mean:.3g}, standard deviation {std:.3g}, up to {most:.4g})": (
        "进入层 {layer!r} 的数值均方根为 {size:.3g}"
        "（均值 {mean:.3g}，标准差 {std:.3g}，绝对值最大 {most:.4g}）"
    ),
    "of the numbers that reach the weights of {layer!r} feature {column} has a quadratic mean of "
    "{size:.3g}, the median of all features is {median:.3g}": (
        "进入层 {layer!r} 的特征 {column} 均方根为 {size:.3g}，而所有特征的中位数为 {median:.3g}"
    ),
    "of the numbers that reach the weights of {layer!r} their mean is {mean:.4g}, but from sample "
    "to sample they differ by {spread:.2g}": (
        "进入层 {layer!r} 的数值均值为 {mean:.4g}，而样本之间的差异只有 {spread:.2g}"
    ),
    "of the numbers that reach the weights of {layer!r} their quadratic mean is {size:.2g}, and a "
    "whole sample has the length {length:.2g}": (
        "进入层 {layer!r} 的数值均方根只有 {size:.2g}，整个样本的范数为 {length:.2g}"
    ),
    "all {samples:,} samples looked at are the same ({number:.4g} throughout), so the network can "
    "only learn one answer for all": (
        "所检查的 {samples:,} 个样本完全相同（全为 {number:.4g}），"
        "网络只能学会对所有样本给出同一个答案"
    ),
    "all {samples:,} samples looked at are the same (numbers from {low:.4g} to {high:.4g} "
    "throughout), so the network can only learn one answer for all": (
        "所检查的 {samples:,} 个样本完全相同（数值都是从 {low:.4g} 到 {high:.4g}），"
        "网络只能学会对所有样本给出同一个答案"
    ),
    "feature {columns} is the same in all {samples:,} samples ({count} of {features}; the first is "
    "always {value:.4g})": (
        "特征 {columns} 在全部 {samples:,} 个样本中都相同"
        "（{features} 个特征中有 {count} 个如此，恒为 {value:.4g}）"
    ),
    "features {columns} are the same in all {samples:,} samples ({count} of {features}; the first "
    "is always {value:.4g})": (
        "特征 {columns} 在全部 {samples:,} 个样本中都不变"
        "（{features} 个特征中有 {count} 个如此，其中第一个恒为 {value:.4g}）"
    ),
    "feature {columns} nearly is the target: alone it tells the classes apart (agreement of "
    "neighbours {kappa:.3f} above chance), {explained:.1%} of its variance are explained, of any "
    "other feature at most {others:.1%}": (
        "特征 {columns} 几乎就是目标本身：仅凭它就能区分各个类别"
        "（排序后相邻样本的类别一致性，扣除随机水平后为 {kappa:.3f}），"
        "其方差有 {explained:.1%} 可由类别解释，其他特征最多 {others:.1%}"
    ),
    "feature {columns} nearly is the target: its order is that of the targets (squared rank "
    "correlation {squared:.4f}), {explained:.1%} of its variance are explained, of any other "
    "feature at most {others:.1%}": (
        "特征 {columns} 几乎就是目标本身：其大小顺序与目标一致"
        "（秩相关系数的平方为 {squared:.4f}），"
        "其方差有 {explained:.1%} 可由目标解释，其他特征最多 {others:.1%}"
    ),
    "class {rare} has {few:,} of {samples:,} samples and class {most} {many:,}, {ratio:.0f} times "
    "as many: always answering {most} is right in {chance:.1%}": (
        "{samples:,} 个样本中，类别 {rare} 只有 {few:,} 个，类别 {most} 却有 {many:,} 个，"
        "是前者的 {ratio:.0f} 倍：始终回答 {most}，准确率就有 {chance:.1%}"
    ),
    "all {samples:,} samples are of class {label}, so there is nothing to tell apart": (
        "全部 {samples:,} 个样本都属于类别 {label}，没有可以区分的内容"
    ),
    "of {classes} classes {count} never occur in {samples:,} samples ({absent}); the labels go "
    "from {least} to {most}": (
        "{classes} 个类别中，有 {count} 个在 {samples:,} 个样本里从未出现（{absent}）；"
        "标签的范围是 {least} 到 {most}"
    ),
    "{outside:.0%} of the targets are outside of {low:g} to {high:g}, what {which} allows: they go "
    "from {least:.4g} to {most:.4g}": (
        "{outside:.0%} 的目标值超出了 {which} 允许的范围（{low:g} 到 {high:g}）："
        "目标值从 {least:.4g} 到 {most:.4g}"
    ),
    "the {activation}": "{activation}",
    "the loss": "损失函数",
}
_HEAD = {
    "it takes the softmax of a softmax: no probability can be more than {most:.2f}, the largest is "
    "{largest:.2f}, and the loss cannot go below {least:.2f}": (
        "该层对 softmax 的结果又做了一次 softmax：任何概率都不可能超过 {most:.2f}"
        "（目前最大为 {largest:.2f}），损失也不可能低于 {least:.2f}"
    ),
    "{loss} was made with from_logits=True and takes the {activation} itself, but the outputs are "
    "probabilities already, from {low:.2g} to {high:.2g}": (
        "{loss} 设置了 from_logits=True，会自行计算 {activation}，"
        "但输出已经是概率（从 {low:.2g} 到 {high:.2g}）"
    ),
    "{because}; its outputs go from {low:.3g} to {high:.3g}": (
        "{because}；该层的输出从 {low:.3g} 到 {high:.3g}"
    ),
    "{because}; its outputs go from {low:.3g} to {high:.3g}, {outside:.0%} of them are outside of "
    "0 to 1": "{because}；该层的输出从 {low:.3g} 到 {high:.3g}，其中 {outside:.0%} 在 0 到 1 之外",
    "a softmax over one unit is 1 whatever its weights are": (
        "只有一个单元的 softmax 恒等于 1，与权重无关"
    ),
    "{loss} of a softmax hardly has a gradient where it is sure and wrong": (
        "对 softmax 的输出使用 {loss} 时，网络确信却答错的样本几乎没有梯度"
    ),
    "{loss} wants numbers below -1 and above 1, and the {activation} gives none below 0": (
        "{loss} 需要能低于 -1、也能高于 1 的输出，而 {activation} 不会给出负数"
    ),
    "{loss} compares probabilities, but the last layer is {activation}": (
        "{loss} 比较的是概率，而最后一层的激活是 {activation}"
    ),
    "{loss} takes the logarithm of the outputs, but the last layer is {activation}": (
        "{loss} 要对输出取对数，而最后一层的激活是 {activation}"
    ),
    "{loss} takes its inputs for logits, which a {activation} keeps from being any number": (
        "{loss} 把输入当作 logits，本应可取任意实数，却被 {activation} 限制了取值范围"
    ),
    "{loss} takes its inputs for probabilities, but the last layer is {activation}": (
        "{loss} 把输入当作概率，而最后一层的激活是 {activation}"
    ),
    "{loss} judges each output on its own, but a softmax makes {units} depend": (
        "{loss} 对每个输出单独评判，而 softmax 使 {units} 个输出彼此相关"
    ),
    "batches are of {size}, so the variance that {layers} divides by is uncertain by {noise:.0%}": (
        "批次大小只有 {size}，{layers} 归一化所用的方差有 {noise:.0%} 的不确定度"
    ),
    "batches are of {size}, so the variance that {layers} divides by is uncertain by without "
    "limit": "批次大小只有 {size}，{layers} 归一化所用的方差完全不可靠",
    "{layer!r}": "{layer!r}",
    "{layer!r} and {more} more layers": "{layer!r} 及另外 {more} 层",
}
_LAYERS = {
    "for most of the samples its outputs are not all finite": (
        "对大多数样本，该层的输出含有非有限值（NaN 或无穷大）"
    ),
    "{share:.0%} of its units put out 0 for every one of {rows} samples, and so get no gradient": (
        "该层 {share:.0%} 的单元对全部 {rows} 个样本都输出 0，因而得不到梯度"
    ),
    "{dead:.0%} of its units put out 0 for every one of {rows} samples, and so get no gradient; "
    "before the first step {first:.0%}": (
        "该层 {dead:.0%} 的单元对全部 {rows} 个样本都输出 0，因而得不到梯度；"
        "在第一步之前为 {first:.0%}"
    ),
    "all its units have the same weights and gradients, so they stay one unit for ever": (
        "该层所有单元的权重和梯度都相同，会一直保持相同，相当于只有一个单元"
    ),
    "all its units have weights of zero and no gradient, so they stay one unit for ever": (
        "该层所有单元的权重都为零且没有梯度，会一直保持相同，相当于只有一个单元"
    ),
    "all its units have the same weights and get the same gradient, before the first step as after "
    "{steps} steps": (
        "该层所有单元的权重相同，得到的梯度也相同：第一步之前如此，{steps} 步之后仍然如此"
    ),
    "{share:.0%} of its {activation} outputs are within 1 % of their limits, where gradients die": (
        "该层的 {activation} 输出中，有 {share:.0%} 距极限值不足 1%，那里的梯度几乎为零"
    ),
    "{saturated:.0%} of its {activation} outputs are where the slope is less than 2 % of its "
    "largest, so that gradients die; {first:.0%} before the first step": (
        "该层的 {activation} 输出中，有 {saturated:.0%} 落在斜率不足最大值 2% 的区域，"
        "梯度在此消失；在第一步之前为 {first:.0%}"
    ),
    "the gradient by its outputs is {ratio:.1e} times the last layer's": (
        "损失对该层输出的梯度是最后一层的 {ratio:.1e} 倍"
    ),
    "the spread of its outputs is {ratio:.1e} times the first layer's": (
        "该层输出的离散程度是第一层的 {ratio:.1e} 倍"
    ),
    "before the first step, the gradient by a layer's outputs is {ratio:.1e} times as large as at "
    "the last layer": "在第一步之前，损失对各层输出的梯度最大达到最后一层的 {ratio:.1e} 倍",
    "before the first step, the gradient by a layer's outputs is {ratio:.1e} times as large at its "
    "lowest as at the last layer": (
        "在第一步之前，损失对各层输出的梯度最小时只有最后一层的 {ratio:.1e} 倍"
    ),
    "before the first step, the gradient by its kernels times these is {pull:.3g} times the loss": (
        "在第一步之前，该层的权重与其梯度之积是损失的 {pull:.3g} 倍"
    ),
    "the norm of the gradient was {norm:.3g}, and {usual:.3g} in the median of the steps looked "
    "into before": "梯度的范数达到 {norm:.3g}，而此前观测过的各步中位数为 {usual:.3g}",
    "knowing nothing would cost {chance:.4g}": "什么都不学的基线损失为 {chance:.4g}",
    "the first loss was {loss:.4g}": "最初的损失为 {loss:.4g}",
    "what knowing nothing would cost is not known": "什么都不学的基线损失未知",
    "the first loss is {loss:.3g}, and {nothing}; its kernel multiplies deviations by {gain:.3g}": (
        "训练开始前的损失为 {loss:.3g}，而{nothing}；"
        "该层的权重使信号的标准差变为原来的 {gain:.3g} 倍"
    ),
    "the first loss is {loss:.3g}, and {nothing}; the outputs of the last layer vary {times:.3g} "
    "times as much as those of the first": (
        "训练开始前的损失为 {loss:.3g}，而{nothing}；最后一层输出的标准差是第一层的 {times:.3g} 倍"
    ),
    "its kernel multiplies deviations by {gain:.3g}; the outputs of a later layer vary {share:.1e} "
    "as much": (
        "该层的权重使信号的标准差变为原来的 {gain:.3g} 倍；"
        "后面某一层输出的变化幅度只有第一层的 {share:.1e} 倍"
    ),
}
_STEPS = {
    "{weight!r} is not finite after batch {batch} of epoch {epoch}": (
        "第 {epoch} 轮第 {batch} 批之后，{weight!r} 中出现了非有限值"
    ),
    "weight {weight!r} is not finite before the first step": (
        "权重 {weight!r} 在第一步之前就不是有限的数值"
    ),
    "the loss is {loss} by batch {batch} of epoch {epoch}": (
        "在轮次 {epoch} 的批次 {batch}（均从 0 计），损失变为 {loss}"
    ),
    "in {where}, the operation {operation!r} made {value:g} of {given}": (
        "计算{where}时，运算 {operation!r} 由{given}得出了 {value:g}"
    ),
    "in {where}, the operation {operation!r} made {value:g} of {given}, of the sample in "
    "{sample}": "计算{where}时，运算 {operation!r} 由{given}得出了 {value:g}，所在样本：{sample}",
    "the update of {weight!r}": " {weight!r} 的更新",
    "the gradient of layer {layer!r}": "层 {layer!r} 的梯度",
    "layer {layer!r}": "层 {layer!r} 的输出",
    "the gradient of the loss": "损失函数的梯度",
    "finite numbers": "有限的数值",
    "finite numbers from {low:.3g} to {high:.3g}": "有限的数值（{low:.3g} 到 {high:.3g}）",
    "finite numbers from {low:.3g} to {high:.3g} and {least:.3g} to {most:.3g}": (
        "有限的数值（{low:.3g} 到 {high:.3g}，以及 {least:.3g} 到 {most:.3g}）"
    ),
    "row {row}": "第 {row} 行",
    "row {row} of batch {batch}": "批次 {batch} 的第 {row} 行",
    "row {row} of {file}": "{file} 的第 {row} 行",
    "sequence {number}": "序列 {number}",
    "the loss stands still at {loss:.4g}; its gradient times the weights is {flatness:.1e} of it, "
    "and it bends down in some direction (curvatures from {smallest:.2g} to {largest:.2g}); steps "
    "with Adam lead down to {out:.3g}": (
        "损失停在 {loss:.4g} 不动；梯度与权重之积只有损失的 {flatness:.1e} 倍，"
        "且在某些方向上损失向下弯曲（曲率从 {smallest:.2g} 到 {largest:.2g}）；"
        "用 Adam 走若干步可降到 {out:.3g}"
    ),
    "the loss stands still at {loss:.4g}; its gradient times the weights is {flatness:.1e} of it, "
    "and it hardly bends down anywhere (curvatures from {smallest:.2g} to {largest:.2g}); steps "
    "with Adam lead down to {out:.3g}": (
        "损失停在 {loss:.4g} 不动；梯度与权重之积只有损失的 {flatness:.1e} 倍，"
        "且几乎没有使损失向下弯曲的方向（曲率从 {smallest:.2g} 到 {largest:.2g}）；"
        "用 Adam 走若干步可降到 {out:.3g}"
    ),
}
_CURVES = {
    "the mean loss of the last epoch is {loss:.4g}, and {nothing}; {steps} steps from the same "
    "weights end at a loss of {mine:.3g} with the rate {rate:.3g}, and at {end:.3g} with "
    "{better:.3g}": (
        "最后一轮的平均损失为 {loss:.4g}，而{nothing}；"
        "从相同的权重出发训练 {steps} 步，"
        "学习率为 {rate:.3g} 时损失到 {mine:.3g}，为 {better:.3g} 时到 {end:.3g}"
    ),
    "the mean loss of the last epoch is {loss:.4g}, and {nothing}; from the same weights the loss "
    "runs off within {ran} steps with the rate {rate:.3g}, and {steps} steps end at {end:.3g} with "
    "{better:.3g}": (
        "最后一轮的平均损失为 {loss:.4g}，而{nothing}；"
        "从相同的权重出发，学习率为 {rate:.3g} 时损失在 {ran} 步之内就发散，"
        "为 {better:.3g} 时训练 {steps} 步可到 {end:.3g}"
    ),
    "the learning rate is 0, so that no weight moves": "学习率为 0，权重完全不动",
    "in the last {epochs} epochs the loss rose by {rises:.3g} in all and fell by {falls:.3g}; in "
    "the mean it is {mean:.3g}": (
        "最近 {epochs} 轮中，损失累计上升 {rises:.3g}，累计下降 {falls:.3g}；平均为 {mean:.3g}"
    ),
    "after {epochs} epochs the loss is {loss:.4g}, and {nothing}": (
        "{epochs} 轮之后损失为 {loss:.4g}，而{nothing}"
    ),
    "{training:.0%} of the classes right in training, {validation:.0%} in validation": (
        "训练集的分类正确率为 {training:.0%}，验证集为 {validation:.0%}"
    ),
    "{training:.0%} of the variance explained in training, {validation:.0%} in validation": (
        "训练集上解释了 {training:.0%} 的方差，验证集上为 {validation:.0%}"
    ),
    "{skills}; the validation loss was least after epoch {epoch} and is {risen:.0%} above that": (
        "{skills}；验证损失在第 {epoch} 轮之后最低，如今比那时高出 {risen:.0%}"
    ),
    "{skills}; the validation loss is {times:.1f} times the other": (
        "{skills}；验证损失是训练损失的 {times:.1f} 倍"
    ),
    "{skill:.0%} of the classes right on what it learns from, after {epochs} epochs of which the "
    "last bring hardly anything; {simple} would get {score:.0%}, on samples not shown before": (
        "训练 {epochs} 轮（最后几轮几乎没有进步）之后，在训练样本上的分类正确率为 {skill:.0%}；"
        "而{simple}在未见过的样本上就能达到 {score:.0%}"
    ),
    "{skill:.0%} of the variance explained on what it learns from, after {epochs} epochs of which "
    "the last bring hardly anything; {simple} would get {score:.0%}, on samples not shown "
    "before": (
        "训练 {epochs} 轮（最后几轮几乎没有进步）之后，在训练样本上只解释了 {skill:.0%} 的方差；"
        "而{simple}在未见过的样本上就能达到 {score:.0%}"
    ),
    "the nearest neighbours": "最近邻方法",
    "a linear fit": "线性拟合",
    "a cubic fit": "三次拟合",
    "the loss of the first epoch, of samples seen for the first time, is {first:.4g}, that of the "
    "validation at best {held:.4g}, and a constant answer has {constant:.4g}; {simple} would get "
    "{score:.3f} on samples not shown before, with permuted targets {permuted:.3f} "
    "({certainty:.1f} standard deviations apart)": (
        "第一轮（样本均为首次出现）的损失为 {first:.4g}，验证损失最低为 {held:.4g}，"
        "而恒定预测的损失为 {constant:.4g}；{simple}在未见过的样本上得分 {score:.3f}，"
        "把标签打乱后为 {permuted:.3f}（相差 {certainty:.1f} 个标准差）"
    ),
    "the loss of the first epoch, of samples seen for the first time, is {first:.4g}, and a "
    "constant answer has {constant:.4g}; {simple} would get {score:.3f} on samples not shown "
    "before, with permuted targets {permuted:.3f} ({certainty:.1f} standard deviations apart)": (
        "第一轮（样本均为首次出现）的损失为 {first:.4g}，而恒定预测的损失为 {constant:.4g}；"
        "{simple}在未见过的样本上得分 {score:.3f}，"
        "把标签打乱后为 {permuted:.3f}（相差 {certainty:.1f} 个标准差）"
    ),
    "it leaves {left:.0%} of its inputs; in training, with it, the loss is {loss:.4g}, without it "
    "on the same samples {without:.4g}, and a constant answer has {chance:.4g}": (
        "该层只保留 {left:.0%} 的输入；训练时启用它，损失为 {loss:.4g}，"
        "对同样的样本不启用时为 {without:.4g}，而恒定预测的损失为 {chance:.4g}"
    ),
    "it leaves {left:.0%} of its inputs, and {layers} such layers together {kept:.1%}; in "
    "training, with it, the loss is {loss:.4g}, without it on the same samples {without:.4g}, and "
    "a constant answer has {chance:.4g}": (
        "该层只保留 {left:.0%} 的输入，{layers} 个这样的层合起来只保留 {kept:.1%}；"
        "训练时启用它们，损失为 {loss:.4g}，对同样的样本不启用时为 {without:.4g}，"
        "而恒定预测的损失为 {chance:.4g}"
    ),
    "the penalty of its weights began at {first:.3g}; now all penalties together are {share:.0%} "
    "of what is made small, and the loss itself is {loss:.4g}, where a constant answer has "
    "{chance:.4g}": (
        "该层权重的惩罚项最初为 {first:.3g}；如今全部惩罚项占优化目标的 {share:.0%}，"
        "而损失本身为 {loss:.4g}，恒定预测的损失为 {chance:.4g}"
    ),
    "a weight decay of {decay:g} has made {kernels} kernels ({first}, ...) less than {limit:.0%} "
    "of the size that they began with; the loss is {loss:.4g}, and a constant answer has "
    "{chance:.4g}": (
        "权重衰减 {decay:g} 使 {kernels} 个权重（{first} 等）缩小到不足初始大小的 {limit:.0%}；"
        "损失为 {loss:.4g}，而恒定预测的损失为 {chance:.4g}"
    ),
}
EVIDENCE: Mapping[str, str] = {**_DATA, **_HEAD, **_LAYERS, **_STEPS, **_CURVES}
