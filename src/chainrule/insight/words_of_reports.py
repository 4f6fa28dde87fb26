"""The words of a report, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

# Titles of sections and charts, and below them what they show and how to read it.
_TITLES: dict[str, tuple[str, str]] = {
    "verdict": ("Verdict", "结论"),
    "learning": ("Learning curves", "学习曲线"),
    "learning_help": (
        "Loss and metrics after each epoch, on the samples that were learnt and on those held out.",
        "每轮结束时的损失与指标：实线为训练样本，虚线为留出的验证样本。",
    ),
    "rate": ("Learning rate", "学习率"),
    "gradients": ("Gradient flow", "梯度流"),
    "gradient_by_depth": ("Error signal by depth", "误差信号随深度的变化"),
    "gradient_by_depth_help": (
        "The gradient of the loss by each layer's outputs, at four times. A line that falls "
        "steeply to the left is a vanishing gradient, one that rises to the left an exploding one.",
        "损失对各层输出的梯度，取四个时刻。曲线向左急剧下降为梯度消失，向左急剧上升为梯度爆炸。",
    ),
    "gradient_over_time": ("Error signal over time", "误差信号随时间的变化"),
    "gradient_over_time_help": (
        "The same at each step that was looked at, the first layer on top.",
        "同一量在每次观测时的值，最上方为第一层。",
    ),
    "signal_to_noise": ("Signal to noise of the gradients", "梯度的信噪比"),
    "signal_to_noise_help": (
        "How much the gradients of one batch after the other agree. Below 1, single batches mostly "
        "disagree, as is usual late in training; a larger batch or smaller rate averages more.",
        "相邻批次的梯度彼此一致的程度。低于 1 表示各批次大多不一致，"
        "这在训练后期很常见；此时可增大批次或减小学习率。",
    ),
    "updates": ("Updates", "权重更新"),
    "update_ratios": ("Update by weight", "更新量与权重之比"),
    "update_ratios_help": (
        "How far a step moves each kernel, as a share of its norm. Around 1/1000 is usual; far "
        "above, the learning rate is too high, far below, too low.",
        "每一步使权重改变的相对幅度。通常约为 1/1000；远高于此说明学习率过高，远低于此说明过低。",
    ),
    "units": ("Dead and saturated units", "死亡与饱和的单元"),
    "dead_units": ("Dead units", "死亡单元"),
    "dead_units_help": (
        "Share of ReLU units that put out 0 for every sample of the last looks.",
        "最近若干次观测中，对所有样本都输出 0 的 ReLU 单元所占比例。",
    ),
    "saturated_values": ("Saturated values", "饱和值"),
    "saturated_values_help": (
        "Share of outputs of tanh and sigmoid within 1 % of their limits, where gradients die.",
        "tanh 与 sigmoid 的输出距极限不足 1% 的比例，该处梯度几乎为零。",
    ),
    "histograms": ("Histograms over time", "直方图随时间的变化"),
    "weight_histograms": ("Weights", "权重"),
    "weight_histograms_help": (
        "How many weights have which size: the darker, the more. Zeros are left out.",
        "不同大小的权重各占多少：颜色越深越多，零不计入。",
    ),
    "activation_histograms": ("Activations", "激活值"),
    "activation_histograms_help": (
        "The same of what each layer puts out.",
        "各层输出的同类分布。",
    ),
    "gradient_histograms": ("Gradients", "梯度"),
    "gradient_histograms_help": (
        "The same of the gradients by the weights.",
        "权重梯度的同类分布。",
    ),
    "final_histograms": ("Weights at the end", "训练结束时的权重"),
    "final_histograms_help": (
        "How the elements of each weight are spread.",
        "各权重元素的分布。",
    ),
    "answers": ("Right and wrong", "正确与错误"),
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "confusion_help": (
        "Each row is a true class, each column what it was taken for; on the diagonal is what was "
        "right. The darker, the larger the share of its row.",
        "每行是真实类别，每列是预测类别，对角线为正确的样本。颜色越深，占该行的比例越大。",
    ),
    "worst": ("Worst errors", "最严重的错误"),
    "worst_help": (
        "The errors of which the network was surest: look for wrong labels among them.",
        "网络最有把握却答错的样本，其中可能有标注错误。",
    ),
    "worst_numbers_help": (
        "The samples farthest from what was predicted.",
        "预测值与真实值相差最大的样本。",
    ),
    "regression": ("Predicted and true", "预测值与真实值"),
    "regression_help": (
        "Each point is a sample; on the dashed line the prediction is right.",
        "每个点是一个样本，落在虚线上表示预测正确。",
    ),
    "residuals": ("Errors", "误差分布"),
    "residuals_help": (
        "How far predictions are off: narrow and around 0 is good.",
        "预测的偏差：越窄、越靠近 0 越好。",
    ),
    "network": ("Network", "网络结构"),
    "filters": ("First-layer filters", "第一层的滤波器"),
    "filters_help": (
        "The weights that the first layer looks at its input with: black is most negative, white "
        "most positive. Smooth patterns were learnt; noise was hardly touched.",
        "第一层观察输入所用的权重：黑色为最负，白色为最正。平滑的图案是学到的，噪声则几乎未被训练。",
    ),
    "costs": ("Time and memory by layer", "各层的时间与内存"),
    "time_by_layer": ("Time for a batch", "每个批次的时间"),
    "time_by_layer_help": (
        "Each layer measured by itself; in the step neighbours are fused, which takes less.",
        "各层单独测量；实际训练中相邻运算会合并，用时更少。",
    ),
    "memory_by_layer": ("Memory for a batch", "每个批次的内存"),
    "memory_by_layer_help": (
        "Weights, and the outputs that the backward pass needs.",
        "权重，以及反向传播所需的各层输出。",
    ),
    "repeat": ("To repeat this run", "复现本次训练"),
    "repeat_help": (
        "The same data, settings and seed give the same bits, with any number of threads.",
        "相同的数据、设置和随机种子会得到逐位相同的结果，与线程数无关。",
    ),
}
_LABELS: dict[str, tuple[str, str]] = {
    "report": ("Training report", "训练报告"),
    "contents": ("Contents", "目录"),
    "mebibytes": ("MiB", "MiB"),
    "elements": ("elements", "元素个数"),
    "epochs": ("epochs", "轮数"),
    "duration": ("time", "用时"),
    "parameters": ("weights", "参数量"),
    "rows_trained": ("training samples", "训练样本"),
    "best_of": ("best {name}", "最佳{name}"),
    "of_part": ("{part} {name}", "{part}{name}"),
    "of_some": ("{name}, {count} of {total} samples", "{name}（{total} 个样本中的 {count} 个）"),
    "of_count": ("{name}, {count} samples", "{name}（{count} 个样本）"),
    "where": ("layer", "层"),
    "kind": ("kind", "类型"),
    "shape": ("output", "输出形状"),
    "confidence": ("{share} sure", "把握 {share}"),
    "taken_for": ("{true}, taken for {predicted}", "{true}，误判为 {predicted}"),
    "row_number": ("row {row}", "第 {row} 行"),
    "off": ("{true}, predicted {predicted}", "真实 {true}，预测 {predicted}"),
    "evidence": ("Evidence", "依据"),
    "cause": ("Probable cause", "可能的原因"),
    "remedy": ("Remedy", "建议"),
    "in_layer": ("layer {layer}", "层 {layer}"),
    "from_step": ("from step {step}", "自第 {step} 步起"),
    "command": ("command", "命令"),
    "settings": ("settings", "设置"),
    "optimizer_named": ("optimizer", "优化器"),
    "loss_named": ("loss", "损失函数"),
    "metrics": ("metrics", "指标"),
    "batch_size": ("batch size", "批次大小"),
    "shuffle": ("shuffled", "打乱顺序"),
    "seed": ("seed", "随机种子"),
    "began": ("began", "开始时间"),
    "data": ("data", "数据"),
    "machine": ("machine", "机器"),
    "system": ("system", "系统"),
    "instruction_set": ("instruction set", "指令集"),
    "cores": ("cores", "核心"),
    "cores_of": ("{usable} usable of {count}", "共 {count} 个，可用 {usable} 个"),
    "threads": ("threads", "线程"),
    "memory": ("memory", "内存"),
    "buffers": ("activations and gradients", "激活值与梯度"),
    "scratch": ("scratch of the threads", "线程工作区"),
    "copy": ("copy to undo a failed fit", "用于回退的副本"),
    "total": ("in all", "合计"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "no_looks": (
        "The run was not looked into, so there is nothing about gradients and units. "
        "RunRecorder(statistics='auto') looks.",
        "本次训练没有采集层内统计，因此没有梯度与单元的图表。"
        "使用 RunRecorder(statistics='auto') 可采集。",
    ),
    "made_by": ("made by chainrule {version}", "由 chainrule {version} 生成"),
}
_VERDICTS: dict[str, tuple[str, str]] = {
    "too_short": (
        "Too few epochs for the curves to say anything.",
        "轮数太少，曲线尚不足以判断。",
    ),
    "short_fall": (
        "The loss fell; there are too few epochs to say more.",
        "损失在下降；轮数太少，无法作进一步判断。",
    ),
    "nothing_yet": ("No epoch has ended yet.", "尚未完成任何一轮。"),
    "found_one": ("The doctor found a problem.", "诊断发现 1 个问题。"),
    "found_many": ("The doctor found {count} problems.", "诊断发现 {count} 个问题。"),
    "not_finite": (
        "The loss was no finite number from epoch {epoch} on.",
        "从第 {epoch} 轮起损失不再是有限值。",
    ),
    "not_finite_why": (
        "Most often the learning rate is too high, or the data hold NaN or very large numbers.",
        "多数情况下是学习率过高，或数据中含有 NaN 或极大的数值。",
    ),
    "flat": ("The loss hardly fell.", "损失几乎没有下降。"),
    "flat_why": (
        "It went from {first} to {last}. Try another learning rate; GradientDoctor says more.",
        "损失从 {first} 到 {last}。可尝试其他学习率；GradientDoctor 能给出更多线索。",
    ),
    "overfits": (
        "Overfitting from epoch {epoch} on.",
        "第 {epoch} 轮之后出现过拟合。",
    ),
    "overfits_why": (
        "The validation loss was lowest there, {best}, and then rose to {last}, while that of "
        "training fell on. Stop there, or use more data, dropout or weight decay.",
        "验证损失在该轮最低（{best}），之后升至 {last}，而训练损失继续下降。"
        "可在该轮停止，或增加数据、使用 Dropout 或权重衰减。",
    ),
    "restored": (
        "It has the weights of epoch {epoch}, from before it overfitted.",
        "已恢复第 {epoch} 轮的权重，不受此后过拟合的影响。",
    ),
    "restored_why": (
        "The validation loss was lowest, {best}, in epoch {epoch}, and then rose to {last}, while "
        "that of training fell on: going back was right.",
        "验证损失在第 {epoch} 轮最低（{best}），之后升至 {last}，而训练损失继续下降，"
        "因此恢复较早的权重是对的。",
    ),
    "falling": ("Still learning.", "仍在进步。"),
    "falling_why": (
        "The {name} fell by {share} over the last fifth of the epochs so far.",
        "在已完成轮次的最后五分之一中，{name}下降了 {share}。",
    ),
    "still_falling": ("Still learning when it ended.", "结束时仍在进步。"),
    "still_falling_why": (
        "The {name} fell by {share} over the last fifth of the epochs: more of them may help.",
        "最后五分之一轮次中{name}仍下降了 {share}，增加轮数可能更好。",
    ),
    "healthy": ("Learnt, and levelled off.", "学习正常，已趋于平稳。"),
    "healthy_why": (
        "The {name} fell from {first} to {last}; the curves show nothing wrong.",
        "{name}从 {first} 降到 {last}，曲线没有异常。",
    ),
    "best_epoch": (
        "Best {name}: {value}, in epoch {epoch} of {epochs}.",
        "最佳{name}：{value}（第 {epoch} 轮，共 {epochs} 轮）。",
    ),
    "measured": (
        "On {count} samples of the {part} part: {numbers}.",
        "在 {count} 个{part}样本上：{numbers}。",
    ),
    "was_interrupted": ("The run was interrupted.", "训练被中断。"),
    "was_failed": ("The run ended with an error: {message}", "训练因错误而结束：{message}"),
    "is_running": ("The run is still going on.", "训练仍在进行。"),
    "is_paused": ("The run is paused.", "训练已暂停。"),
}
REPORT: Mapping[str, tuple[str, str]] = {**_TITLES, **_LABELS, **_VERDICTS}
