"""The examples, those in the documents and in the documentation strings run."""

import doctest
import pathlib
import pkgutil
import re
import runpy
import sys
from importlib import import_module

import pytest

import chainrule

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = ROOT / "docs"
MODULES = sorted(module.name for module in pkgutil.walk_packages(chainrule.__path__, "chainrule."))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "dashboard.md",
        "data.md",
        "explain.md",
        "files.md",
        "images.md",
        "insight.md",
        "loops.md",
        "report.md",
        "sequences.md",
        "speech.md",
        "text.md",
        "training.md",
    ],
)
def test_documents(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCUMENTS / name).read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    assert names


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_programs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_both_readmes_have_the_same_examples_which_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [(ROOT / n).read_text(encoding="utf-8") for n in ("README.md", "README.zh.md")]
    blocks, others = (re.findall(r"```python\n(.*?)```", text, re.DOTALL) for text in texts)
    assert blocks == others
    names = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "best.weights.chainrule").exists()
