"""The examples in the documentation strings run and print what they say."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import chainrule

MODULES = sorted(module.name for module in pkgutil.walk_packages(chainrule.__path__, "chainrule."))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
