"""What helps, in Chinese, by the English template; see `words_of_evidence`."""

from __future__ import annotations

from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    # Data and targets.
    "divide the samples by 255": "把样本除以 255",
    "bring each feature to mean 0 and standard deviation 1, e.g. by a Normalization layer adapted "
    "to the samples": (
        "把每个特征归一化到均值 0、标准差 1，例如使用对样本做过 adapt 的 Normalization 层"
    ),
    "look at how the samples are read, and at some of them": (
        "检查样本是如何读取的，并实际看几个样本"
    ),
    "remove such columns, or look at why they were not filled in": (
        "去掉这样的列，或检查为何没有填入数据"
    ),
    "leave it out, unless it will be known before the answer is when the model is used": (
        "去掉该特征，除非实际使用模型时它在答案之前就能得到"
    ),
    "pass class_weight to fit, or collect or repeat samples of the rare classes; measure by F1, "
    "AUC or balanced accuracy instead of accuracy": (
        "给 fit 传入 class_weight，或收集、重复稀有类别的样本；"
        "评估时用 F1、AUC 或平衡准确率代替准确率"
    ),
    "look at how the targets are read": "检查目标值是如何读取的",
    "number the classes from 0 without gaps, and give the last layer {units} units": (
        "将类别从 0 开始连续编号，并把最后一层设为 {units} 个单元"
    ),
    "make the last layer linear, or scale the targets into this range": (
        "让最后一层使用线性输出，或把目标值缩放到这个范围内"
    ),
    "scale the targets into this range": "把目标值缩放到这个范围内",
    "look at some samples with their targets; samples and targets must be shuffled, sorted and "
    "filtered together": "对照查看一些样本及其标签；打乱、排序和筛选时，样本与标签必须同步进行",
    "scale the data to a standard deviation of about 1": "把数据缩放到标准差约为 1",
    # The last layer and the loss.
    "leave out one of the two: the layer before, or this one's activation, should be linear": (
        "两者去掉其一：让前一层或本层使用线性激活"
    ),
    "say from_logits=False (the default), or leave out the layer's activation": (
        "设 from_logits=False（默认值），或去掉该层的激活函数"
    ),
    "use a sigmoid with binary_crossentropy, or one unit for each class": (
        "改用 sigmoid 配合 binary_crossentropy，或为每个类别设一个单元"
    ),
    "use categorical_crossentropy, whose gradient stays where an output is wrong": (
        "改用 categorical_crossentropy，它在输出错误时仍保留梯度"
    ),
    "use a linear last layer or tanh; or binary_crossentropy with the sigmoid": (
        "最后一层改用线性输出或 tanh；或用 sigmoid 配合 binary_crossentropy"
    ),
    "use a softmax": "使用 softmax",
    "use the activation exponential or softplus": "使用激活函数 exponential 或 softplus",
    "leave out its activation": "去掉该层的激活函数",
    "give it the activation softmax, or the loss from_logits=True": (
        "给该层加上激活函数 softmax，或给损失函数设 from_logits=True"
    ),
    "give it the activation softmax": "给该层加上激活函数 softmax",
    "use categorical_crossentropy, or sigmoids where several classes can be true": (
        "改用 categorical_crossentropy；若一个样本可同时属于多个类别，则改用 sigmoid"
    ),
    "give it the activation sigmoid, or the loss from_logits=True": (
        "给该层加上激活函数 sigmoid，或给损失函数设 from_logits=True"
    ),
    "use batches of at least 16, or LayerNormalization or GroupNormalization": (
        "使用不小于 16 的批次，或改用 LayerNormalization 或 GroupNormalization"
    ),
    # Layers and their first weights.
    "look at the initializer of its weights, and at the scale of the data": (
        "检查该层权重的初始化方法和数据的尺度"
    ),
    "begin with biases of 0 and HeNormal kernels; or use leaky_relu": (
        "偏置初始化为 0，权重用 HeNormal 初始化；或改用 leaky_relu"
    ),
    "begin with a beta of 0 and a gamma of 1, as is the default; or use leaky_relu": (
        "beta 初始化为 0，gamma 初始化为 1（即默认值）；或改用 leaky_relu"
    ),
    "begin with random kernels, e.g. GlorotUniform, the default, or HeNormal": (
        "用随机值初始化权重，例如默认的 GlorotUniform，或 HeNormal"
    ),
    "begin with random kernels, e.g. GlorotUniform, which is the default": (
        "用随机值初始化权重，例如默认的 GlorotUniform"
    ),
    "begin with smaller kernels, e.g. {initializer}": "减小初始权重，例如使用 {initializer}",
    "begin with larger kernels, e.g. {initializer}": "增大初始权重，例如使用 {initializer}",
    "begin with smaller kernels, e.g. {initializer}; or put BatchNormalization between the "
    "layers": "减小初始权重，例如使用 {initializer}；或在层间加入 BatchNormalization",
    "begin with larger kernels, e.g. {initializer}; or put BatchNormalization between the "
    "layers": "增大初始权重，例如使用 {initializer}；或在层间加入 BatchNormalization",
    "use relu with HeNormal kernels, or tanh: each sigmoid divides by 4 and more; or put "
    "BatchNormalization between the layers": (
        "改用 relu 并以 HeNormal 初始化权重，或改用 tanh：每个 sigmoid 至少使梯度缩小到四分之一；"
        "或在层间加入 BatchNormalization"
    ),
    "begin with smaller kernels, e.g. {initializer}, and biases of 0; and train with Adam": (
        "减小初始权重，例如使用 {initializer}，并把偏置初始化为 0；同时用 Adam 训练"
    ),
    "begin with kernels that keep the scale of signals, e.g. {initializer}": (
        "使用能保持信号尺度的权重初始化方法，例如 {initializer}"
    ),
    "put BatchNormalization between the layers, or begin branches that are added up with smaller "
    "kernels": "在层间加入 BatchNormalization，或减小残差分支的初始权重",
    "begin with recurrent kernels that are orthogonal, with a gain of 1, and train with Adam; or "
    "clip gradients (the optimizer's clipnorm)": (
        "循环权重用增益为 1 的正交矩阵初始化，并用 Adam 训练；或裁剪梯度（优化器的 clipnorm）"
    ),
    "{remedy}; and train with Adam, whose steps do not go with the size of gradients; or put "
    "BatchNormalization between the layers": (
        "{remedy}；同时用 Adam 训练（其步长不随梯度大小变化）；或在层间加入 BatchNormalization"
    ),
    "use tanh, or LSTM layers": "改用 tanh，或使用 LSTM 层",
    "use relu with HeNormal kernels": "改用 relu，并以 HeNormal 初始化权重",
    # Steps.
    "lower the learning rate": "降低学习率",
    "lower the learning rate; or use leaky_relu": "降低学习率，或改用 leaky_relu",
    "make the model anew, or load weights that are finite": "重新创建模型，或载入数值有限的权重",
    "lower the learning rate, or clip gradients (the optimizer's clipnorm)": (
        "降低学习率，或裁剪梯度（优化器的 clipnorm）"
    ),
    "clip gradients by their norm (the optimizer's clipnorm), or lower the learning rate": (
        "按范数裁剪梯度（优化器的 clipnorm），或降低学习率"
    ),
    "lower the learning rate or the momentum, or take larger batches": (
        "降低学习率或动量，或增大批次"
    ),
    "set the learning rate to about {rate:g}, and lower it later: schedules count batches, not "
    "epochs": "把学习率设为约 {rate:g}，并推迟降低它：调度按批次计数，而不是按轮次",
    "set the learning rate to about {rate:g}, and lower it later": (
        "把学习率设为约 {rate:g}，并推迟降低它"
    ),
    "set the learning rate to about {rate:g}": "把学习率设为约 {rate:g}",
    "set the learning rate to e.g. {rate}": "设置学习率，例如 {rate}",
    "train with Adam at about {rate:g}, which takes steps of a size that does not go with the "
    "gradient's; or begin with larger random weights": (
        "用 Adam 训练，学习率约为 {rate:g}，其步长不随梯度大小变化；或用更大的随机权重初始化"
    ),
    "see that x and y belong together and that the weights that should learn are trainable; then "
    "train longer, or with a network that fits the data better": (
        "确认 x 与 y 相互对应，且需要学习的权重是可训练的；然后延长训练，或换用更适合这些数据的网络"
    ),
    "add a small number to what the logarithm is taken of, or keep it above one": (
        "给取对数的量加上一个很小的数，或使它不低于一个很小的正数"
    ),
    "add a small number under the root: its slope at 0 is infinite": (
        "在根号内加上一个很小的数：平方根在 0 处的斜率无穷大"
    ),
    "add a small number to the divisor": "给除数加上一个很小的数",
    "keep the base above a small number": "使底数不低于一个很小的正数",
    "keep the exponent below 88, or take the logarithm of the result into the formula": (
        "使指数不超过 88，或改写公式，直接使用结果的对数"
    ),
    # Learning curves.
    "stop early (EarlyStopping with restore_best_weights=True), or get more samples or vary them "
    "(augmentation), or use dropout, a weight penalty or fewer units": (
        "提前停止（EarlyStopping，设 restore_best_weights=True），或增加样本、做数据增强，"
        "或使用 Dropout、权重惩罚，或减少单元"
    ),
    "give the network more units or layers, or fewer penalties; train longer where the learning "
    "rate falls too soon": ("增加单元或层数，或减少惩罚项；若学习率下降得太早，则延长训练"),
    "use a rate from 0.2 to 0.5": "把丢弃率设为 0.2 到 0.5",
    "use a penalty a hundred times smaller, e.g. L2(1e-4)": (
        "把惩罚系数减小到百分之一，例如 L2(1e-4)"
    ),
    "use a weight decay of 0.0001 to 0.01": "把权重衰减设为 0.0001 到 0.01",
}
