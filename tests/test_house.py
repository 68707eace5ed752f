"""The core imports no wing, no wing another, nothing in a circle; notebooks stay readable."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
WINGS = {"microscopy", "mri", "pet", "dental"}
MODULES = sorted((ROOT / "lib").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def module_name(path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path) -> set[str]:
    """The modules of lib that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "lib"}


def wing(name: str) -> str:
    """The wing that a module belongs to; "" in the core."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in WINGS else ""


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_module_imports_another_field_s(path):
    own = wing(module_name(path))
    assert {wing(name) for name in imported(path)} <= {"", own}


def test_imports_run_in_no_circle():
    graph = {module_name(path): imported(path) for path in MODULES}
    done = set()
    while waiting := set(graph) - done:
        free = {name for name in waiting if not (graph[name] & set(graph)) - done - {name}}
        assert free, f"a circle among {sorted(waiting)}"
        done |= free


def test_make_data_watches_all_that_it_is_made_by():
    rule = (ROOT / "Makefile").read_text().partition("MAKERS := ")[2].partition("data/generated")[0]
    seen, waiting = set(), [ROOT / "tools" / "make_data.py"]
    modules = {module_name(path): path for path in MODULES}
    while waiting:
        for name in imported(waiting.pop()) & set(modules) - seen:
            seen.add(name)
            waiting.append(modules[name])
    for path in map(modules.get, seen):
        watched = "lib/formats/*.py" if path.parent.name == "formats" else path.name
        assert watched in rule or path.name == "__init__.py", f"{path} is missing in MAKERS"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_stays_below_300_lines(path):
    assert len(path.read_text("utf-8").splitlines()) <= 300


def code_cells(path) -> list[str]:
    """The sources of all code cells but the first two: imports and settings."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][2:]


def nodes(path, *kinds):
    trees = [ast.parse(source) for source in code_cells(path)]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_s_cells_are_few_and_short(path):
    assert len(json.loads(path.read_text("utf-8"))["cells"]) <= 30
    assert path.stat().st_size < 400_000
    lengths = [len([n for n in s.splitlines() if n.strip()]) for s in code_cells(path)]
    median, most = np.percentile(lengths, [50, 90])
    assert median <= 7.5 and most <= 11.5 and max(lengths) <= 13  # aim: 6, 10 and 12


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_follows_text(path):
    kinds = [cell["cell_type"] for cell in json.loads(path.read_text("utf-8"))["cells"]]
    before = [kinds[n - 1] for n, kind in enumerate(kinds) if kind == "code"]
    assert before.count("markdown") >= 0.85 * len(before)
    assert 0.4 <= kinds.count("markdown") / len(kinds) <= 0.6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_s_code_is_plain(path):
    cells = 2 + len(code_cells(path))
    for node in (comprehensions := nodes(path, *COMPREHENSIONS)):
        inner = [n for n in ast.walk(node) if isinstance(n, COMPREHENSIONS) and n is not node]
        assert not inner, ast.unparse(node)
    assert not nodes(path, ast.Lambda)
    assert len(comprehensions) <= 0.4 * cells
    assert len(nodes(path, ast.FunctionDef)) <= 0.12 * cells
