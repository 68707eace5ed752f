"""The settings of papers and hours name parameters that their notebooks have."""

import ast
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from lib.evaluation import read_trials
from lib.microscopy.autoencoder import Recipe

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from execute import check_names  # noqa: E402
from hour import Hour  # noqa: E402

PAPERS, HOURS = (sorted((ROOT / "notebooks").glob(f"{kind}/*.yaml")) for kind in ("paper", "hour"))


def notebook(settings: Path) -> Path:
    (path,) = (ROOT / "notebooks").glob(f"{settings.stem}_*.ipynb")
    return path


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.stem)
def test_a_paper_s_settings_are_its_notebook_s(paper):
    check_names(notebook(paper), yaml.safe_load(paper.read_text("utf-8")))
    with pytest.raises(SystemExit, match="has no parameter OTHER"):
        check_names(notebook(paper), {"OTHER": 1})


@pytest.mark.parametrize("hour", HOURS, ids=lambda path: path.stem)
def test_an_hour_s_settings_are_its_notebook_s(hour):
    given = SimpleNamespace(parameters=[], name=None, limit=None)
    runs = list(Hour(ROOT, notebook(hour), given).runs)
    assert runs == list(yaml.safe_load(hour.read_text("utf-8")))
    with open(ROOT / "results" / f"{hour.stem}_hour.csv", encoding="utf-8") as table:
        (header,) = [line for line in table if line.startswith("quantity,")]
    assert header.strip().split(",")[3:] == runs


def settings_of(number: str) -> dict:
    """What the cell tagged parameters sets, by name."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    found = {}
    exec(compile(ast.parse("".join(cell["source"])), path.name, "exec"), found)
    return found


def test_07_s_rates_and_schedules_are_the_best_that_were_tried():
    quick = settings_of("07")
    tried = read_trials(ROOT / "results" / "07_rates.csv", ["physics", *quick["NETWORKS"]])
    assert tried.loc[("physics", "falling")].idxmax() == quick["PHYSICS"]["learning_rate"]
    for name, own in quick["NETWORKS"].items():
        schedule = "falling" if Recipe(**own).schedule else "constant"
        assert tried.loc[name].stack().idxmax() == (schedule, Recipe(**own).rate)


def test_07_s_hour_has_the_quick_networks_beside_its_own():
    hour = yaml.safe_load((ROOT / "notebooks/hour/07.yaml").read_text("utf-8"))["hour"]
    for name, own in settings_of("07")["NETWORKS"].items():
        assert Recipe(**hour["NETWORKS"].pop(name)) == Recipe(**own)
    for name, own in hour["NETWORKS"].items():
        recipe = Recipe(**own)
        assert (*recipe.kernel_size, *recipe.patch, recipe.batch) == (16, 16, 8, 256, 256, 32, 4)
        assert (recipe.rate, recipe.beta_1, recipe.steps) == (1e-4, 0.5, 1000), name
