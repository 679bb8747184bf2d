"""The layout's own rules: pure modules have tests of their own, packages say what they hold."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tunnel", "provider", "edge_runtime", "devcluster", "benchmarks")
MAX_LINES = 375
MAX_FUNCTION_LINES = 50  # without the docstring


def _module_file(module: str) -> Path:
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def _sources() -> list[Path]:
    return sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _pure_modules() -> list[Path]:
    """Return the modules that the import contracts name as pure, folders resolved to theirs."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    pure = next(c for c in contracts["contracts"] if c["name"].startswith("Pure modules"))
    found: list[Path] = []
    for module in pure["source_modules"]:
        folder = ROOT / Path(*module.split("."))
        found += sorted(folder.glob("[!_]*.py")) if folder.is_dir() else [_module_file(module)]
    return found


def _decides_something(module: Path) -> bool:
    """Tell whether there is anything to test: plain values have no functions."""
    nodes = ast.walk(ast.parse(module.read_text()))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)


def _must_have_tests() -> list[Path]:
    modules = {*(ROOT / "tunnel").glob("[!_]*.py"), *_pure_modules()}
    return sorted(module for module in modules if _decides_something(module))


@pytest.mark.parametrize("module", _must_have_tests(), ids=_relative)
def test_a_pure_module_has_a_test_module_of_its_own(module: Path) -> None:
    """`tunnel/pipe.py` is covered by `tests/tunnel/test_pipe.py`."""
    expected = ROOT / "tests" / module.parent.relative_to(ROOT) / f"test_{module.name}"
    assert expected.exists(), f"{_relative(expected)} is missing"
    assert "def test_" in expected.read_text(), f"{_relative(expected)} has no test"


@pytest.mark.parametrize("package", sorted({p.parent for p in _sources()}), ids=_relative)
def test_a_package_lists_its_modules_and_holds_no_code(package: Path) -> None:
    """An `__init__` is a docstring that names every module beside it, and nothing else."""
    tree = ast.parse((package / "__init__.py").read_text())
    code = [node for node in tree.body[1:] if not isinstance(node, ast.ImportFrom)]
    assert not code, f"{_relative(package)}/__init__.py holds code"
    text = ast.get_docstring(tree) or ""
    modules = {p.stem for p in package.glob("*.py")} - {"__init__", "__main__"}
    missing = sorted(module for module in modules if module not in text)
    assert not missing, f"{_relative(package)}/__init__.py does not name {missing}"


@pytest.mark.parametrize("module", _sources(), ids=_relative)
def test_modules_and_functions_are_small(module: Path) -> None:
    """Past 300 lines a module is a question in review, past MAX_LINES it is two modules."""
    text = module.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = _code_lines(node)
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has besides its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    docstring = ast.get_docstring(function, clean=False)
    return lines - (len(docstring.splitlines()) if docstring else 0)
