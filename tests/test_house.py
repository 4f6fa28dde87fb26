"""The house rules: which way imports point, how long functions are, what is documented."""

from __future__ import annotations

import ast
import pathlib
import statistics
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "chainrule"
FILES = sorted(PACKAGE.rglob("*.py"))

# A room may import itself and the rooms below it.
BELOW = {
    "errors": set(),
    "dtypes": {"errors"},
    "seeding": {"errors"},
    "graph": {"errors", "dtypes", "seeding"},
    "ops": {"errors", "dtypes", "seeding", "graph"},
    "plan": {"errors", "dtypes", "graph", "ops"},
    "executors": {"errors", "dtypes", "graph", "ops", "plan", "_native"},
}
NOT_FOR_PARTS = {"plan", "executors", "models", "training", "callbacks", "cli", "_native"}
PARTS = {"activations", "initializers", "layers", "losses", "metrics", "optimizers"}


def room(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: pathlib.Path) -> Iterator[str]:
    """Yield the rooms that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "chainrule" and len(parts) > 1:
                yield parts[1]
            elif parts[0] in ("jax", "torch"):
                yield parts[0]


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists() or name == "_native"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: pathlib.Path) -> None:
    mine = room(path)
    found = {name for name in imports(path) if is_room(name) or name in ("jax", "torch")} - {mine}
    if mine in BELOW:
        assert found <= BELOW[mine]
    if mine in PARTS:
        assert not found & NOT_FOR_PARTS
    if mine != "cli" and path.name != "__main__.py":
        assert "cli" not in found
    if path != PACKAGE / "executors" / "native.py":
        assert "_native" not in found
    if path != PACKAGE / "executors" / "xla.py":
        assert not found & {"jax", "torch"}


def functions() -> Iterator[tuple[str, int]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 1
                yield f"{path.relative_to(PACKAGE)}:{node.name}", length


def test_functions_are_short() -> None:
    lengths = dict(functions())
    assert statistics.median(lengths.values()) < 10
    assert sorted(lengths.values())[int(0.9 * len(lengths))] < 30
    assert not {name for name, n in lengths.items() if n > 60}


def test_files_are_short() -> None:
    sources = [*FILES, *(ROOT / "native").rglob("*.cpp"), *(ROOT / "native").rglob("*.h")]
    assert not {str(p.relative_to(ROOT)) for p in sources if len(p.read_text().splitlines()) > 400}


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    m
                    for m in node.body
                    if isinstance(m, ast.FunctionDef)
                    and not m.name.startswith("_")
                    and not m.decorator_list
                )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_names_are_documented(path: pathlib.Path) -> None:
    missing = [n.name for n in public(ast.parse(path.read_text())) if not ast.get_docstring(n)]
    inherited = {"call", "build", "get_config", "from_config", "compute_output_shape"}
    assert not set(missing) - inherited


def test_kernels_do_not_know_the_engine() -> None:
    for path in (ROOT / "native" / "kernels").iterdir():
        text = path.read_text()
        if path.name != "table.cpp":
            assert "engine/" not in text.replace("// ", "")
    users = [p for p in (ROOT / "native").rglob("*.*") if "nanobind" in p.read_text()]
    assert [p.name for p in users] == ["binding.cpp"]


def test_operations_are_the_same_in_every_room() -> None:
    import chainrule.ops  # noqa: F401 - registers them
    from chainrule.executors import native
    from chainrule.graph import registry

    views = {name for name, op in registry().items() if op.alias}
    assert set(registry()) - views <= set(native.operations())
    assert set(native.operations()) <= set(registry())
