"""The examples in the documentation strings run and print what they say."""

import doctest
import pathlib
import pkgutil
import re
from importlib import import_module

import pytest

import chainrule

DOCUMENTS = pathlib.Path(__file__).parents[1] / "docs"
MODULES = sorted(module.name for module in pkgutil.walk_packages(chainrule.__path__, "chainrule."))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", ["loops.md", "training.md"])
def test_documents(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCUMENTS / name).read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    assert names
