"""The tree as a stranger meets it: small modules, each with its sentence, plain names, one way of importing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# A migration is one long list, mostly generated.
MODULES = [
    ROOT / "wsgi.py",
    *(
        path
        for room in ("alerts_service", "scheduler", "bench")
        for path in sorted(ROOT.glob(f"{room}/**/*.py"))
        if "versions" not in path.parts
    ),
]
TESTS = sorted(ROOT.glob("tests/**/*.py"))
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
VAGUE = ("util", "helper", "manager", "misc", "common", "base")


def tree(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def where(paths: list[Path]) -> list[str]:
    """Ids of the tests."""
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", MODULES, ids=where(MODULES))
def test_a_module_is_small_says_what_it_is_and_has_a_plain_name(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 300
    assert ast.get_docstring(tree(path)), "a module begins with a sentence about itself"
    assert not any(word in path.stem for word in VAGUE)
    assert not any("TODO" in line or "FIXME" in line for line in lines)


@pytest.mark.parametrize("path", MODULES, ids=where(MODULES))
def test_functions_are_short_and_public_ones_say_what_they_do(path: Path) -> None:
    found = tree(path)
    for function in (node for node in ast.walk(found) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        length = (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert length <= 40, f"{function.name} has {length} lines"
    classes = [node for node in found.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    statements = [*found.body, *(statement for each in classes for statement in each.body)]
    definitions = [node for node in statements if isinstance(node, DEFINITION)]
    for node in definitions:
        if not node.name.startswith(("_", "handle_")):
            assert ast.get_docstring(node), f"{node.name} says nothing"


@pytest.mark.parametrize("path", TESTS, ids=where(TESTS))
def test_tests_are_sentences_and_replace_nothing_of_ours(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert node.name.count("_") >= 3, f"{node.name} is no sentence"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
            assert not any(name.startswith("unittest") for name in names), "the real thing is tested, no mock"


def test_imports_go_one_way() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_only_the_clock_reads_the_clock() -> None:
    for path in MODULES:
        if path.name != "clock.py":
            text = path.read_text(encoding="utf-8")
            assert "datetime.now(" not in text, path
            assert "utcnow(" not in text or not path.is_relative_to(ROOT / "alerts_service/rules"), path
