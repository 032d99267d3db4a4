"""Public names are listed, described, and their examples run."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATHS = sorted((ROOT / "mtspam").rglob("*.py"))
NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def relative(path):
    return str(path.relative_to(ROOT))


def is_public(name):
    return not name.startswith("_")


def listed(tree):
    """What ``__all__`` says; None where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def bound(body):
    """All names that statements bind, without entering functions and classes."""
    names = set()
    for node in body:
        if isinstance(node, NAMED):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.If):  # names that a type checker sees and others get later
            names.update(bound(node.body), bound(node.orelse))
        else:
            names.update(
                inner.id
                for inner in ast.walk(node)
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
            )
    return names


def undescribed(body, prefix=""):
    """The public functions, classes and methods without a docstring."""
    for node in body:
        if not isinstance(node, NAMED) or not is_public(node.name):
            continue
        if ast.get_docstring(node) is None:
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undescribed(node.body, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", PATHS, ids=relative)
class TestModule:
    def test_public_names_have_docstrings(self, path):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree)
        assert list(undescribed(tree.body)) == []

    def test_all_lists_the_public_names(self, path):
        tree = ast.parse(path.read_text())
        defined = {node.name for node in tree.body if isinstance(node, NAMED)}
        public = set(filter(is_public, defined))
        names = listed(tree)
        if names is None:
            imported = any(isinstance(node, ast.ImportFrom) for node in tree.body)
            face = path.name == "__init__.py" and imported
            assert not public, "no __all__"
            assert not face, "a package's face without __all__"
            return
        assert len(names) == len(set(names))
        assert set(names) <= bound(tree.body)
        assert public <= set(names)
        assert {name for name in names if not is_public(name)} <= {"__version__"}


EXAMPLES = [path for path in PATHS if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=relative)
def test_examples_say_the_truth(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0


def test_a_name_without_a_docstring_is_found():
    tree = ast.parse('class A:\n    """A."""\n    def f(self): pass\n    def _g(self): pass\n')
    assert list(undescribed(tree.body)) == ["A.f"]


def test_a_name_bound_within_a_function_is_not_the_modules():
    tree = ast.parse("import a.b\nfrom c import d as e\nF: int = 1\ndef g():\n    h = 2\n")
    assert bound(tree.body) == {"a", "e", "F", "g"}
