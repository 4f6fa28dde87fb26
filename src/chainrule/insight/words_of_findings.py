"""What each kind of finding is called and means, in English and Chinese."""

from __future__ import annotations

# Kind: title (English, Chinese), meaning (English, Chinese).
KINDS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "vanishing_gradient": (
        ("vanishing gradient", "梯度消失"),
        (
            "The error signal fades on its way back, so the first layers hardly learn.",
            "误差信号在反向传播途中越来越弱，靠近输入的层几乎学不到东西。"
            "可换用 ReLU、He 初始化、批归一化或残差连接。",
        ),
    ),
    "exploding_gradient": (
        ("exploding gradient", "梯度爆炸"),
        (
            "The error signal grows on its way back, so steps become far too large.",
            "误差信号在反向传播途中不断放大，更新步子过大。可减小初始权重、裁剪梯度或降低学习率。",
        ),
    ),
    "dead_relu": (
        ("dead ReLU", "ReLU 死亡"),
        (
            "Units put out 0 for every sample, get no gradient, and never come back.",
            "部分单元对所有样本都输出 0，得不到梯度，也就无法恢复。"
            "可降低学习率、把偏置初始化为 0，或改用 Leaky ReLU。",
        ),
    ),
    "saturated_activation": (
        ("saturated activation", "激活饱和"),
        (
            "Outputs lie where the activation is flat, and hardly let a gradient through.",
            "输出落在激活函数的平坦区，梯度几乎无法通过。可减小初始权重，或对输入做归一化。",
        ),
    ),
    "symmetric_initialization": (
        ("symmetric initialization", "对称初始化"),
        (
            "All units of a layer begin alike, and so stay one unit for ever.",
            "同一层的单元初始值完全相同，会一直保持相同。请用随机初始化。",
        ),
    ),
    "bad_initialization_scale": (
        ("bad scale of the initial weights", "初始权重尺度不当"),
        (
            "Signals shrink or grow from layer to layer with the weights they begin with.",
            "初始权重使信号逐层缩小或放大。请选用与激活函数匹配的初始化方法。",
        ),
    ),
    "learning_rate_too_high": (
        ("learning rate too high", "学习率过高"),
        (
            "Steps overshoot, so the loss jumps or grows.",
            "步子过大，损失来回跳动甚至上升。请降低学习率。",
        ),
    ),
    "learning_rate_too_low": (
        ("learning rate too low", "学习率过低"),
        (
            "Weights hardly move, so the loss hardly falls.",
            "权重几乎不动，损失下降极慢。请提高学习率。",
        ),
    ),
    "loss_not_decreasing": (
        ("loss does not fall", "损失不下降"),
        ("The loss is about where it began.", "损失基本停留在起点。"),
    ),
    "plateau": (
        ("plateau", "停滞"),
        (
            "The loss has stopped falling although it is still high.",
            "损失仍然较高，却不再下降。",
        ),
    ),
    "saddle_point": (
        ("saddle point", "鞍点"),
        (
            "The gradient is small and the loss high, and there are directions that lead down.",
            "梯度很小而损失仍高，并且存在继续下降的方向（负曲率）。可加动量或提高学习率。",
        ),
    ),
    "oscillation": (
        ("oscillation", "振荡"),
        (
            "The loss goes up and down from step to step.",
            "损失在步与步之间来回振荡。可降低学习率或增大批次。",
        ),
    ),
    "overfitting": (
        ("overfitting", "过拟合"),
        (
            "The network learns the training samples by heart, and becomes worse on others.",
            "网络记住了训练样本，在其他样本上反而变差。可增加数据、使用 Dropout 或提前停止。",
        ),
    ),
    "underfitting": (
        ("underfitting", "欠拟合"),
        (
            "Even the training samples are not learnt: the network is too small or not done.",
            "连训练样本都没有学好：网络太小，或训练不足。",
        ),
    ),
    "input_not_normalized": (
        ("input not normalized", "输入未归一化"),
        (
            "Features are far from mean 0 and spread 1, which makes learning slow or unstable.",
            "特征远离均值 0、标准差 1，学习缓慢或不稳定。请先对输入做归一化。",
        ),
    ),
    "constant_feature": (
        ("constant feature", "恒定特征"),
        ("A feature is the same in all samples.", "某个特征在所有样本中都相同，没有信息。"),
    ),
    "leaking_feature": (
        ("leaking feature", "特征泄漏"),
        (
            "A feature gives the answer away, and will most likely not be there in use.",
            "某个特征直接透露了答案，实际使用时多半并不存在。请把它去掉。",
        ),
    ),
    "labels_shuffled": (
        ("labels shuffled", "标签被打乱"),
        (
            "Targets have nothing to do with the samples they stand beside.",
            "标签与样本没有对应关系。请检查两者的顺序。",
        ),
    ),
    "labels_imbalanced": (
        ("labels imbalanced", "类别不平衡"),
        (
            "Some classes are so frequent that answering them always looks good.",
            "个别类别占比过大，总是回答它就显得不错。可使用类别权重。",
        ),
    ),
    "labels_out_of_range": (
        ("labels out of range", "标签超出范围"),
        (
            "Targets lie where the last activation cannot reach.",
            "目标值落在最后一层激活函数到不了的范围。",
        ),
    ),
    "loss_mismatch": (
        ("loss does not fit the output", "损失与输出层不匹配"),
        (
            "The loss expects another kind of output or target.",
            "损失函数与输出层或目标的形式不一致。",
        ),
    ),
    "softmax_with_logits": (
        ("softmax with a loss for logits", "对 logits 损失使用了 softmax"),
        (
            "The loss takes logits, but is given probabilities.",
            "损失函数需要 logits，却得到了概率。请去掉 softmax 或设 from_logits=False。",
        ),
    ),
    "softmax_twice": (
        ("softmax twice", "重复的 softmax"),
        (
            "Softmax of a softmax is nearly uniform, and learns slowly.",
            "对 softmax 的结果再做 softmax，输出几乎均匀，学习很慢。",
        ),
    ),
    "batch_too_small": (
        ("batch too small", "批次过小"),
        (
            "Means and variances of so few samples are mostly noise for batch normalization.",
            "样本太少，批归一化的均值和方差大多是噪声。请增大批次。",
        ),
    ),
    "non_finite": (
        ("non-finite value", "出现非有限值"),
        (
            "A NaN or an infinity was made, after which nothing is learnt.",
            "计算中出现了 NaN 或无穷大，此后无法继续学习。",
        ),
    ),
    "dropout_too_strong": (
        ("dropout too strong", "Dropout 过强"),
        (
            "So much is left out that training is far worse than validation.",
            "丢弃的比例过大，训练远差于验证。请减小 Dropout。",
        ),
    ),
    "regularization_too_strong": (
        ("regularization too strong", "正则化过强"),
        (
            "Weights are pulled to zero more strongly than the data moves them.",
            "正则化把权重拉向零的力度超过了数据的作用。请减小正则化系数。",
        ),
    ),
}
