"""The words of report and dashboard, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import unknown_name
from chainrule.insight.words_of_causes import CAUSES
from chainrule.insight.words_of_evidence import EVIDENCE
from chainrule.insight.words_of_findings import KINDS
from chainrule.insight.words_of_remedies import REMEDIES
from chainrule.insight.words_of_reports import REPORT
from chainrule.training.said import BETWEEN, Said

LANGUAGES = ("en", "zh")
Table = Mapping[str, tuple[str, str]]

# English, Chinese.
COMMON: Table = {
    "training": ("training", "训练"),
    "validation": ("validation", "验证"),
    "test": ("test", "测试"),
    "epoch": ("epoch", "轮次"),
    "step": ("step", "步"),
    "steps": ("steps", "步"),
    "layer": ("layer", "层"),
    "weight": ("weight", "权重"),
    "class": ("class", "类别"),
    "seconds": ("seconds", "秒"),
    "milliseconds": ("milliseconds", "毫秒"),
    "share": ("share", "占比"),
    "norm": ("norm", "范数"),
    "learning_rate": ("learning rate", "学习率"),
    "running": ("running", "进行中"),
    "paused": ("paused", "已暂停"),
    "finished": ("finished", "已完成"),
    "interrupted": ("interrupted", "已中断"),
    "failed": ("failed", "已失败"),
    "forward": ("forward", "前向"),
    "backward": ("backward", "反向"),
    "weights": ("weights", "权重"),
    "activations": ("activations", "激活值"),
    "gradients": ("gradients", "梯度"),
    "true": ("true", "真实"),
    "predicted": ("predicted", "预测"),
    "first_look": ("step {step}", "第 {step} 步"),
    "update_ratio": ("update / weight", "更新量 / 权重"),
    "dead": ("share of dead units", "死亡单元占比"),
    "saturated": ("share of saturated values", "饱和值占比"),
    "snr": ("signal to noise", "信噪比"),
    "error_norm": ("norm of the error signal", "误差信号的范数"),
    "magnitude": ("size |x|", "大小 |x|"),
    "usual": ("usual: about 1/1000", "通常约为 1/1000"),
    "best": ("best", "最佳"),
    "residual": ("predicted - true", "预测 - 真实"),
    "samples": ("samples", "样本数"),
    "optimizer": ("optimizer", "优化器"),
}
_METRICS: Table = {
    "loss": ("loss", "损失"),
    "accuracy": ("accuracy", "准确率"),
    "binary_accuracy": ("accuracy", "准确率"),
    "sparse_categorical_accuracy": ("accuracy", "准确率"),
    "categorical_accuracy": ("accuracy", "准确率"),
    "r2_score": ("R\u00b2", "R\u00b2"),
    "mae": ("mean absolute error", "平均绝对误差"),
    "mean_absolute_error": ("mean absolute error", "平均绝对误差"),
    "mse": ("mean squared error", "均方误差"),
    "mean_squared_error": ("mean squared error", "均方误差"),
    "auc": ("AUC", "AUC"),
    "precision": ("precision", "精确率"),
    "recall": ("recall", "召回率"),
    "learning_rate": ("learning rate", "学习率"),
}
_NOUNS: Table = {
    "image": ("images", "图像"),
    "sound": ("sounds", "声音"),
    "text": ("texts", "文本"),
    "row": ("rows", "行"),
}
# What findings say: by language, the template for each English one. English needs none.
SENTENCES: dict[str, dict[str, str]] = {
    "en": {},
    "zh": {**EVIDENCE, **CAUSES, **REMEDIES, BETWEEN: "、"},
}


class Words:
    """Texts by key in one language; called with a key and what stands in the gaps of its text.

    Parameters
    ----------
    language : {"en", "zh"}, default "en"
        English or Chinese (simplified).
    more : mapping of str to (str, str), optional
        Further texts, in English and Chinese.

    Raises
    ------
    ArgumentError
        For another language.

    Examples
    --------
    >>> from chainrule.insight.words import Words
    >>> Words("en")("finished"), Words("zh")("finished")
    ('finished', '已完成')
    >>> Words("zh").metric("val_accuracy")
    '验证准确率'
    """

    def __init__(self, language: str = "en", more: Table | None = None) -> None:
        if language not in LANGUAGES:
            raise unknown_name("language", language, LANGUAGES)
        self.language = language
        self._place = LANGUAGES.index(language)
        self._table: Table = {**COMMON, **REPORT, **(more or {})}

    def __call__(self, key: str, **values: Any) -> str:
        """Return the text of a key."""
        return self._table[key][self._place].format(**values)

    def metric(self, name: str) -> str:
        """Return what a number of the history is called; a name that is not known stays."""
        bare = name.removeprefix("val_")
        said = _METRICS[bare][self._place] if bare in _METRICS else bare
        if bare == name:
            return said
        return f"{self('validation')} {said}" if self._place == 0 else f"{self('validation')}{said}"

    def noun(self, name: str) -> str:
        """Return what samples are called."""
        return _NOUNS[name][self._place] if name in _NOUNS else _NOUNS["row"][self._place]

    def kind(self, kind: str) -> str:
        """Return the title of a kind of finding."""
        if kind in KINDS:
            return KINDS[kind][0][self._place]
        return kind.replace("_", " ")

    def text(self, text: str) -> str:
        """Return evidence, cause or remedy of a finding in this language; a text without a
        template, e.g. of a callback of the user's, stays as it is.

        Examples
        --------
        >>> from chainrule.insight.words import Words
        >>> from chainrule.training.said import said
        >>> Words("zh").text(said("set the learning rate to about {rate:g}", rate=0.01))
        '把学习率设为约 0.01'
        """
        return text.by(SENTENCES[self.language]) if isinstance(text, Said) else text

    def meaning(self, kind: str) -> str:
        """Return what a kind of finding means and what helps, in a sentence or two."""
        return KINDS[kind][1][self._place] if kind in KINDS else ""
