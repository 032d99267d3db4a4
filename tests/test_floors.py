"""The building: imports run downward only, no file cycles, rooms and functions of bounded size."""

import ast
import graphlib
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "mtspam").rglob("*.py"))}
SOURCES = sorted(chain(MODULES.values(), (ROOT / "plugins").rglob("*.py"), ROOT.glob("*.py")))
FLOORS = {
    room: int(floor)
    for floor, rooms in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mtspam"][
        "floors"
    ].items()
    for room in rooms
}


def room(module):
    """The room of a module: the file or folder right below the package; none for its own face."""
    return module.split(".")[1] if "." in module else None


def named_by(node, modules):
    """The modules that one node of a syntax tree imports, at the top or within a function."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if name in modules else node.module for name in full]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        # The name of a module in a text: how commands are loaded when they are asked for.
        names = [node.value] if "." in node.value and node.value in modules else []
    else:
        names = []
    return {name for name in names if name == "mtspam" or name.startswith("mtspam.")}


def imports_of(text, modules):
    nodes = ast.walk(ast.parse(text))
    return set(chain.from_iterable(named_by(node, modules) for node in nodes))


GRAPH = {name: imports_of(path.read_text(), MODULES) - {name} for name, path in MODULES.items()}


def upward(importer, imported, floors):
    """Whether an import runs up, or across to another room of the same floor."""
    here, there = room(importer), room(imported)
    return there is not None and here != there and floors[here] <= floors[there]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import mtspam.a.x", {"mtspam.a.x"}),
        ("from mtspam.a.x import name", {"mtspam.a.x"}),
        ("from mtspam.a import x", {"mtspam.a.x"}),
        ("from mtspam import __version__", {"mtspam"}),
        ("def f():\n    from mtspam.a.x import name", {"mtspam.a.x"}),
        ("LAZY = {'verb': 'mtspam.a.x'}", {"mtspam.a.x"}),
        ("import os, re\nfrom json import loads\ntext = 'mtspam'", set()),
    ],
)
def test_imports_are_found_however_they_are_written(text, found):
    assert imports_of(text, {"mtspam", "mtspam.a", "mtspam.a.x"}) == found


def test_upward_and_sideways_imports_are_told_from_downward_ones():
    floors = {"low": 1, "mid": 2, "twin": 2}
    assert upward("mtspam.low.x", "mtspam.mid.y", floors)
    assert upward("mtspam.mid.x", "mtspam.twin.y", floors)
    assert not upward("mtspam.mid.x", "mtspam.low.y", floors)
    assert not upward("mtspam.mid.x", "mtspam.mid.y", floors)
    assert not upward("mtspam.mid.x", "mtspam", floors)


def test_every_room_has_a_floor():
    assert {room(module) for module in MODULES} - {None} <= set(FLOORS)


def test_imports_run_downward_only():
    wrong = [
        f"{importer} (floor {FLOORS[room(importer)]}) imports {imported} "
        f"(floor {FLOORS[room(imported)]})"
        for importer, imports in GRAPH.items()
        for imported in sorted(imports)
        if room(importer) and upward(importer, imported, FLOORS)
    ]
    assert wrong == []


def test_the_package_itself_imports_no_room():
    assert GRAPH["mtspam"] == set()


def test_files_form_no_cycle():
    # Raises CycleError, which names the files of the cycle.
    order = list(graphlib.TopologicalSorter(GRAPH).static_order())
    assert set(MODULES) <= set(order)


def test_a_kernel_file_imports_no_other_kernel_file():
    wrong = {
        module: sorted(imports - {"mtspam.kernels._jit"})
        for module, imports in GRAPH.items()
        if room(module) == "kernels" and imports - {"mtspam.kernels._jit"}
    }
    assert wrong == {}


def test_the_starter_starts_the_command_line_and_nothing_else():
    assert imports_of((ROOT / "cli.py").read_text(), MODULES) == {"mtspam.commands.main"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
class TestSize:
    def test_a_module_is_one_room_of_bounded_size(self, path):
        assert len(path.read_text().splitlines()) <= MAX_MODULE_LINES

    def test_a_function_fits_one_screen(self, path):
        if "kernels" in path.parts:
            pytest.skip("a kernel is one loop over arrays: there are no calls to split it into")
        long = {
            node.name: node.end_lineno - node.lineno + 1
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
        }
        assert long == {}

    def test_imports_are_absolute(self, path):
        relative = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.level
        ]
        assert relative == []
