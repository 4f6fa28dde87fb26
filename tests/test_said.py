"""What findings say, in Chinese: all templates of the rules are translated, files keep them, pages
show them."""

# ruff: noqa: RUF001 - Chinese punctuation

from __future__ import annotations

import ast
import copy
import functools
import json
import math
import pathlib
import pickle
import re
import string

import numpy as np
import pytest

import chainrule
from chainrule.callbacks import GradientDoctor, RunRecorder
from chainrule.callbacks.run_recorder import as_data
from chainrule.insight import RunRecord, views
from chainrule.insight.report import Page
from chainrule.insight.report_parts import sections
from chainrule.insight.verdict import verdict_of
from chainrule.insight.words import SENTENCES, Words
from chainrule.insight.words_of_causes import CAUSES
from chainrule.insight.words_of_evidence import EVIDENCE
from chainrule.insight.words_of_remedies import REMEDIES
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from chainrule.training.finding import SENTENCES as NAMES
from chainrule.training.finding import Finding
from chainrule.training.said import BETWEEN, Said, recalled, said, templates_of
from sample_runs import FINDING, make_run

pytestmark = pytest.mark.filterwarnings("ignore::chainrule.errors.InitializationWarning")

PACKAGE = pathlib.Path(chainrule.__file__).parent
CHINESE = SENTENCES["zh"]
EN, ZH = Words("en"), Words("zh")
PLACES = {2: "evidence", 3: "remedy", 5: "cause"}  # of a finding's arguments
# Texts of several words in the rules that nobody reads: values of `Finding.change`.
NO_PROSE = {"divide by 255"}


# -- the sources ---------------------------------------------------------------------------------


def calls(tree, name):
    """Yield the calls of a function or class by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield node


@functools.cache
def parsed():
    """Return the syntax tree of each module of the package by its path in it."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(p.relative_to(PACKAGE)): ast.parse(p.read_text("utf-8")) for p in files}


def templates(tree):
    """Yield what `said` is given, which must be written out there."""
    for call in calls(tree, "said"):
        first = call.args[0]
        assert isinstance(first, ast.Constant), f"line {call.lineno}: {ast.unparse(first)}"
        assert len(call.args) == 1 and isinstance(first.value, str)
        yield first.value


@functools.cache
def used():
    """Return all templates of the package."""
    return {template for tree in parsed().values() for template in templates(tree)}


def sentences(call):
    """Yield name and expression of what a finding is given to say."""
    for place, argument in enumerate(call.args):
        if place in PLACES:
            yield PLACES[place], argument
    for keyword in call.keywords:
        if keyword.arg in NAMES:
            yield keyword.arg, keyword.value


def untold(expression):
    """Return whether a text is made on the spot, and not by `said`."""
    if isinstance(expression, ast.IfExp):
        return untold(expression.body) or untold(expression.orelse)
    if isinstance(expression, ast.Call):  # `said`, or a function that prose() looks into
        return isinstance(expression.func, ast.Attribute)  # "...".format, "...".join
    return not isinstance(expression, ast.Name | ast.Attribute | ast.Subscript)


def prose(tree):
    """Yield texts that are no template, docstring or error; gaps stand as such."""
    passed = {id(call.args[0]) for call in calls(tree, "said")}
    for node in ast.walk(tree):  # those around others come first
        if isinstance(node, ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            passed |= {id(part) for part in ast.walk(node)}
        elif isinstance(node, ast.JoinedStr) and id(node) not in passed:
            parts = (getattr(part, "value", "") for part in node.values)
            yield "".join(part if isinstance(part, str) else "{}" for part in parts)
            passed |= {id(part) for part in node.values}
        elif isinstance(node, ast.Constant) and id(node) not in passed:
            yield str(node.value)


def wrong(tree):
    """Return what a module says to users that cannot be translated."""
    found = [call for call in calls(tree, "Finding") if len(call.args) + len(call.keywords) > 1]
    made = [
        ast.unparse(argument)
        for call in found
        for _, argument in sentences(call)
        if untold(argument)
    ]
    if not found and not [*calls(tree, "said")]:
        return []
    return made + [t for t in prose(tree) if len(t.split()) > 2 and t not in NO_PROSE]


def test_rules_say_all_by_templates():
    rules = {path: wrong(tree) for path, tree in parsed().items() if path != "training/said.py"}
    assert not {path: texts for path, texts in rules.items() if texts}
    assert len(used()) > 150
    for path, tree in parsed().items():
        assert path == "training/said.py" or not [*calls(tree, "Said")], path


@pytest.mark.parametrize(
    "source",
    [
        'Finding("a", None, f"{x:.0%} are dead", said("mend it"))',
        'Finding("a", None, evidence="dead")',
        'Finding("a", remedy=said("use relu") if x else "use tanh")',
        'Finding("a", None, told, said("mend it"), 0, "all " + x)',
        'Finding("a", None, "{} are dead".format(x))',
        'told = f"{x:.0%} are dead"\nFinding("a", None, told)',
        'def because(x):\n    return "it is {x} as large".format(x=x)\nsaid("so")',
    ],
)
def test_what_could_not_be_translated_is_seen(source):
    assert wrong(ast.parse(source))
    assert not wrong(ast.parse('Finding("a", None, said("{x} are dead", x=x), told, cause=f(x))'))


# -- the catalogue -------------------------------------------------------------------------------


def gaps(template):
    """Return the gaps of a template with how they are filled."""
    return {part[1:] for part in string.Formatter().parse(template) if part[1] is not None}


def test_every_template_is_in_chinese_and_none_besides():
    assert used() == {*CHINESE} - {BETWEEN}
    assert len(EVIDENCE) + len(CAUSES) + len(REMEDIES) == len(CHINESE) - 1  # none in two tables


def test_translations_have_the_same_gaps():
    for english, chinese in CHINESE.items():
        assert gaps(english) == gaps(chinese), english


def bare(template):
    return re.sub(r"{.*?}", "", template)


def test_translations_are_chinese_with_its_punctuation():
    for english, chinese in CHINESE.items():
        if re.search("[a-z]{4}", bare(english).replace("the ", "")):
            assert re.search("[\u4e00-\u9fff]", chinese), english
        assert not re.search("[\u4e00-\u9fff}] ?[,;:!?]", chinese), chinese
        assert not re.search("[\u4e00-\u9fff][()]|[()][\u4e00-\u9fff]", chinese), chinese
        assert not re.search("[\\s.\u3002\uff0c\uff1b]$", chinese), chinese
        names = set(re.findall("[A-Z][a-z]+[A-Z]\\w+|\\w+_\\w+|L2", bare(english)))
        assert names <= set(re.findall("\\w*[A-Za-z]\\w*", re.sub("[\u4e00-\u9fff]", " ", chinese)))


def filling(name, form, conversion):
    """Return something that fits a gap."""
    if conversion:
        return f"the {name}"
    return 0.25 if form and form[-1] in "efg%" else 1234567 if form else f"<{name}>"


def test_every_template_can_be_said():
    for english in used():
        values = {n: filling(n, form, c) for n, form, c in gaps(english)}
        made = said(english, **values)
        assert made == english.format(**values)
        assert ZH.text(made) == CHINESE[english].format(**values)
        kept = json.loads(json.dumps({"a": made, **templates_of({"a": made})}))
        assert ZH.text(recalled(kept, "a")) == ZH.text(made)


# -- sentences -----------------------------------------------------------------------------------

DEAD = said(
    "{dead:.0%} of its units put out 0 for every one of {rows} samples, and so get no gradient; "
    "before the first step {first:.0%}",
    dead=np.float64(0.5),
    rows=np.int64(128),
    first=np.float32(0.25),
)


def test_a_sentence_is_a_str():
    text = "50% of its units put out 0 for every one of 128 samples, and so get no gradient; "
    text += "before the first step 25%"
    assert (
        text == DEAD and hash(DEAD) == hash(text) and f"{DEAD}" == text and repr(DEAD) == repr(text)
    )
    assert type(str(DEAD)) is str and isinstance(DEAD, str) and EN.text(DEAD) == text
    assert (
        ZH.text(DEAD)
        == "该层 50% 的单元对全部 128 个样本都输出 0，因而得不到梯度；在第一步之前为 25%"
    )
    for again in (copy.copy(DEAD), copy.deepcopy(DEAD), pickle.loads(pickle.dumps(DEAD))):
        assert again == DEAD and ZH.text(again) == ZH.text(DEAD)


def test_gaps_hold_sentences_and_lists():
    layers = [said("{layer!r} with {width}", layer=name, width=i) for i, name in enumerate("ab")]
    cause = said(
        "the network has too little room for what is to be learnt; narrowest is {layers}",
        layers=layers,
    )
    assert str(cause).endswith("narrowest is 'a' with 0, 'b' with 1")
    assert ZH.text(cause).endswith("最窄的层是 'a'（宽度 0）、'b'（宽度 1）")
    where = said("the gradient of layer {layer!r}", layer="h")
    made = said(
        "in {where}, the operation {operation!r} made {value:g} of {given}",
        where=where,
        operation="log",
        value=math.nan,
        given=said("finite numbers from {low:.3g} to {high:.3g}", low=0, high=2.5),
    )
    assert made == (
        "in the gradient of layer 'h', the operation 'log' made nan of finite numbers from 0 to 2.5"
    )
    assert ZH.text(made) == "计算层 'h' 的梯度时，运算 'log' 由有限的数值（0 到 2.5）得出了 nan"


NUMBERS = [0.1, 1e-320, -math.inf, math.inf, math.nan, 7, 10**20, np.float32(0.1), np.int64(3)]


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_findings_go_through_json_with_their_templates(number):
    found = Finding(
        "learning_rate_too_high",
        None,
        said("the loss is {loss} by batch {batch} of epoch {epoch}", loss=number, batch=1, epoch=0),
        said(
            "{remedy}; and train with Adam, whose steps do not go with the size of gradients; or "
            "put BatchNormalization between the layers",
            remedy=said("use tanh, or LSTM layers"),
        ),
        numbers={"loss": float(number)},
    )
    written = found.to_dict()
    assert all(type(written[name]) is str for name in NAMES)  # as before, for other readers
    text = json.dumps(written, allow_nan=False)
    again = Finding.from_dict(json.loads(text))
    assert str(again) == str(found) and json.dumps(again.to_dict(), allow_nan=False) == text
    for name in NAMES:
        assert ZH.text(getattr(again, name)) == ZH.text(getattr(found, name))
        assert ZH.text(recalled(json.loads(text), name)) == ZH.text(getattr(found, name))
    shown = number.item() if isinstance(number, np.generic) else number
    assert ZH.text(again.evidence) == f"在轮次 0 的批次 1（均从 0 计），损失变为 {shown}"


def test_plain_texts_stay():
    plain = Finding("my_kind", None, "it is odd", "look at it")
    assert "said" not in plain.to_dict() and plain == Finding.from_dict(plain.to_dict())
    assert ZH.text(plain.evidence) == "it is odd" and ZH.text("") == ""
    assert Finding.from_dict(FINDING).evidence == ZH.text(FINDING["evidence"])
    assert as_data(Finding("a"))["evidence"] == "" and "said" not in as_data(object())


def deep(levels):
    words = {"text": "so", "template": "{layer!r}", "values": {"layer": "a"}}
    for _ in range(levels):
        words = {"text": "so", "template": "{layer!r}", "values": {"layer": words}}
    return words


@pytest.mark.parametrize(
    "kept",
    [
        None,
        [],
        "so",
        {"evidence": None},
        {"evidence": {"text": "so", "template": "{layer!r}"}},
        {"evidence": {"text": "so", "template": "{layer!r}", "values": [1]}},
        {"evidence": {"text": "so", "template": [], "values": {}}},
        {"evidence": {"text": "so", "template": "{x:1000000000}", "values": {"x": 1}}},
        {"evidence": {"text": "so", "template": "row {row}", "values": {}}},
        {"evidence": {"text": "so", "template": "use a softmax", "values": {"a": {"number": "x"}}}},
        {"evidence": {"text": "other", "template": "use a softmax", "values": {}}},
        {"evidence": {"text": "so", "template": "{units:,}", "values": {"units": "many"}}},
        {"evidence": deep(5000)},
    ],
    ids=range(13),
)
def test_what_a_file_says_wrongly_stays_english(kept):
    words = {"kind": "dead_relu", "evidence": "so", "said": kept}
    assert ZH.text(recalled(words, "evidence")) == "so"
    assert ZH.text(Finding.from_dict(words).evidence) == "so"
    template = "set the learning rate to about {rate:.1g}"
    ill = Said("so", template, {"rate": "high"})
    assert ZH.text(ill) == "so" and ZH.text(Said("so", template, {})) == "so"


# -- pages ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder of a run on pixels that were not scaled, and what the doctor found."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (200, 12)).astype("float32")
    model = Sequential([Input((12,)), Dense(8, "relu", name="hidden"), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    y = rng.choice(3, 200, p=[0.93, 0.05, 0.02])
    doctor = GradientDoctor()
    model.fit(x, y, 32, 2, 0, callbacks=[doctor, RunRecorder(folder)])
    assert {"input_not_normalized", "labels_imbalanced"} <= {f.kind for f in doctor.findings}
    return folder, doctor.findings


def page_of(record, language):
    return " ".join(html for _, html in sections(record, Page(Words(language))))


def test_a_chinese_report_of_a_real_run_says_its_findings_in_chinese(recorded):
    folder, findings = recorded
    record = RunRecord(folder)
    chinese, english = page_of(record, "zh"), page_of(record, "en")
    shown = views.sections(record, "zh")["sections"]
    assert "".join(part["html"] for part in shown).count("该层") == chinese.count("该层")
    for finding in findings:
        for text in filter(None, (finding.evidence, finding.cause, finding.remedy)):
            said_so = ZH.text(text).replace("'", "&#x27;")
            assert re.search("[\u4e00-\u9fff]", said_so) and said_so in chinese, text
            plain = str(text).replace("'", "&#x27;")
            assert plain in english and plain not in chinese and said_so not in english
    assert 'lang="en"' not in chinese and "把样本除以 255" in chinese
    assert "指令集" in chinese and "instruction set" not in chinese and "usable of" not in chinese
    assert "instruction set" in english and "usable of" in english
    written = next(f for f in record.findings if f["kind"] == "input_not_normalized")
    assert written["remedy"] == "divide the samples by 255"


def test_what_was_recorded_without_templates_stays_english_and_says_so(tmp_path):
    record = RunRecord(make_run(tmp_path, findings=True))
    chinese = page_of(record, "zh")
    for name in NAMES:
        assert f'<dd lang="en">{FINDING[name]}</dd>' in chinese
        assert f"<dd>{FINDING[name]}</dd>" in page_of(record, "en")
    measured = " ".join(verdict_of(RunRecord(make_run(tmp_path / "b")), ZH).sentences)
    assert not re.search("[a-z]{6}", measured)
