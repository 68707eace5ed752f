"""An hour's runs: rows side by side, and what is interrupted goes on where it was."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import hour
from hour import Hour

from lib.scoreboard import scoreboard

ROOT = Path(hour.__file__).parents[1]
SETTINGS = "SEED = 0\nSTEPS = 1\nRESUME = False\nHALT = False"
WORK = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from lib.scoreboard import keep_scoreboard, scoreboard
kept = Path("../build/kept.txt")
assert RESUME and not Path("../results/07.csv").exists()
steps = kept.read_text() if kept.exists() else ""
while len(steps) < STEPS:
    steps += "x"
    kept.write_text(steps)
    if HALT and len(steps) == 2 and not Path("../data/go").exists():
        os._exit(9)
found = {{"steps": len(steps), "sum": SEED + STEPS, **({{"late": 1}} if STEPS > 3 else {{}})}}
keep_scoreboard(scoreboard(found, {{"steps": 7}}, {{"steps": "s"}}), "../build/07.json")"""
FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, SEED]);"
YAML = "short: {SEED: 3, STEPS: 1}\nhour: {SEED: 3, STEPS: 5, HALT: true}\n"


@pytest.fixture
def project(tmp_path):
    """A repository of its own, with one notebook."""
    for name in ("notebooks/hour", "data", "results"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "results" / "07.csv").write_text("of a study")
    (tmp_path / "notebooks" / "hour" / "07.yaml").write_text(YAML)
    (tmp_path / ".gitignore").write_text("build/\ndata/\n")
    cells = [new_code_cell(source) for source in (SETTINGS, WORK, FIGURE)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "notebooks" / "07_work.ipynb")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def git(folder, *words):
    named = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)


def an_hour(project, *words, name=None):
    given = SimpleNamespace(parameters=list(words), name=name, limit=None)
    return Hour(project, project / "notebooks" / "07_work.ipynb", given)


def test_what_is_interrupted_goes_on_and_what_has_ended_is_not_repeated(project, capsys):
    assert an_hour(project).run() == 1
    assert "hour failed: cell 2: DeadKernelError" in capsys.readouterr().out
    assert [p.name for p in (project / "results").iterdir()] == ["07.csv"], "nothing half-done"
    (project / "data" / "go").write_text("")
    short = project / "build" / "hour" / "07_hour" / "short" / "build"
    (short / "kept.txt").unlink()  # it is not looked at again
    assert an_hour(project).run() == 0
    assert not (short / "kept.txt").exists()
    *heading, header, _, _, _ = lines = (project / "results/07_hour.csv").read_text().splitlines()
    assert lines[0] == "# make hour NB=07" and header == "quantity,unit,reference,short,hour"
    told = r"seed 3, commit [0-9a-f]{7,}, .+, \d+ cores, \d+ s"
    assert re.fullmatch(f"# short: {told}", heading[1])
    assert re.fullmatch(f"# hour: {told} since it was begun for time 2", heading[2])
    table = pd.read_csv(project / "results/07_hour.csv", comment="#", index_col=0)
    assert table.loc["steps"].tolist() == ["s", 7, 1, 5] and table.loc["sum", "hour"] == 8
    assert pd.isna(table.loc["late", "short"]) and table.loc["late", "hour"] == 1
    assert (project / "results" / "07_hour.png").read_bytes()[1:4] == b"PNG"


def test_an_hour_that_is_done_begins_anew(project):
    (project / "data" / "go").write_text("")
    assert an_hour(project, name="07_hour_word").run() == 0
    kept = project / "build" / "hour" / "07_hour_word" / "hour" / "build" / "kept.txt"
    kept.write_text("x" * 9)
    assert an_hour(project, "STEPS=2", name="07_hour_word").run() == 0
    lines = (project / "results" / "07_hour_word.csv").read_text().splitlines()
    assert lines[0] == "# make hour NB=07 PARAMS=STEPS=2 AS=07_hour_word"
    assert [line for line in lines if line.startswith("steps")] == ["steps,s,7.0,2.0,2.0"]


@pytest.mark.parametrize("change", ["settings", "notebook", "lib"])
def test_other_settings_or_another_code_begin_anew(project, change):
    (project / "lib").mkdir()
    assert an_hour(project).run() == 1
    (project / "README.md").write_text("a word that changes no number")
    assert an_hour(project)._state("hour")["begun"] == 1
    if change == "settings":
        (project / "notebooks/hour/07.yaml").write_text(YAML.replace("SEED: 3", "SEED: 4"))
    elif change == "notebook":
        path = project / "notebooks" / "07_work.ipynb"
        path.write_text(path.read_text() + " ")
    else:
        (project / "lib" / "new.py").write_text("1")
    state = an_hour(project)._state("hour")
    assert state["begun"] == 0 and state["settings"]["RESUME"] is True


def test_what_was_begun_otherwise_is_kept_beside(project):
    place = project / "build" / "hour" / "07_hour" / "hour"
    for words in ["STEPS=2"], ["STEPS=3"]:
        assert an_hour(project, *words).run() == 1
    kept = json.loads((place.with_name("hour.before") / "run.json").read_text())
    assert kept["settings"]["STEPS"] == 2


def test_what_is_committed_meanwhile_costs_nothing(project, monkeypatch):
    (project / "data" / "go").write_text("")
    first = an_hour(project)
    tell = first._tell

    def commit_and_tell(*words):
        git(project, "commit", "-q", "--allow-empty", "-m", "second")
        (project / "notebooks" / "07_work.ipynb").write_text("changed")
        return tell(*words)

    monkeypatch.setattr(first, "_tell", commit_and_tell)
    monkeypatch.setattr(first, "runs", {"hour": first.runs["hour"]})
    assert first.run() == 0
    assert f"commit {first.commit}," in (project / "results/07_hour.csv").read_text()


def test_a_commit_is_named_and_whether_what_runs_differs_from_it(project, monkeypatch):
    path = project / "notebooks" / "07_work.ipynb"
    clean = hour.commit(project, path)
    (project / "results" / "07.csv").write_text("changed")
    assert hour.commit(project, path) == clean
    (project / "lib").mkdir()
    (project / "lib" / "new.py").write_text("1")
    assert hour.commit(project, path) == f"{clean}-dirty"
    monkeypatch.setenv("PATH", "")
    assert hour.commit(project, path) == "unknown"


def test_rows_of_several_runs_are_joined_by_their_names():
    boards = {"a": scoreboard({"x": 1, "y": 2}, {"y": 5}), "b": scoreboard({"y": 3, "z": "text"})}
    table = hour.join(boards)
    assert table.index.tolist() == ["x", "y", "z"]
    assert table.loc["y"].tolist() == ["", 5, 2, 3]
    assert table["b"].tolist()[2] == "text" and pd.isna(table.loc["x", "b"])


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("short: {SEED: 1}", None, "07.yaml: one of the runs has to be called 'hour'"),
        ("hour: {SEED: 1, OTHER: 2}", None, "no parameter OTHER"),
        ("hour: {STEPS: 1}", None, "'hour' has no SEED"),
        ("hour: {SEED: null}", None, "'hour' has no SEED that is a whole number"),
        ("hour: {SEED: 1}\nyes: {SEED: 1}", None, "a run is called True; give letters"),
        ("hour: {SEED: 1}", "07_iou", "AS=07_iou: give 07_hour or 07_hour_word"),
        ("hour: {SEED: 1}\nunit: {SEED: 1}", None, "a run is called 'unit'; give letters"),
        ("hour: {SEED: 1}\n../b: {SEED: 1}", None, r"a run is called '\.\./b'; give letters"),
        ("hour: {SEED: 1}\n16: {SEED: 1}", None, "a run is called 16; give letters"),
        ("hour: {SEED: 2026-11-22}", None, "'hour' has a setting that is none"),
        ("hour: {SEED: .nan}", None, "'hour' has a setting that is none"),
        ("hour: {SEED: [", None, "07.yaml is no YAML"),
        ("- 3", None, "07.yaml: give runs by name, each with its settings"),
        ("hour: 3", None, "07.yaml: give runs by name, each with its settings"),
    ],
)
def test_wrong_words_end_with_one_clear_line(project, text, name, says):
    (project / "notebooks" / "hour" / "07.yaml").write_text(text)
    with pytest.raises(SystemExit, match=says):
        an_hour(project, name=name)


def test_a_notebook_without_an_hour_says_so(project):
    (project / "notebooks" / "hour" / "07.yaml").unlink()
    with pytest.raises(SystemExit, match=r"notebooks/hour/07\.yaml is not there"):
        an_hour(project)


def test_a_run_that_leaves_no_scoreboard_is_named(project, capsys):
    (project / "data" / "go").write_text("")
    notebook = nbformat.read(project / "notebooks" / "07_work.ipynb", 4)
    for cell, says in {
        2: "hour failed: it shows no picture",
        1: "short failed: it left no",
    }.items():
        notebook.cells[cell].source = "1"
        nbformat.write(notebook, project / "notebooks" / "07_work.ipynb")
        assert an_hour(project).run() == 1
        assert says in capsys.readouterr().out


def test_resume_is_no_parameter_of_an_hour(project):
    with pytest.raises(SystemExit, match="RESUME=False: an hour's run sets it"):
        an_hour(project, "RESUME=false")


def test_a_state_that_cannot_be_read_begins_anew(project):
    place = project / "build" / "hour" / "07_hour" / "hour"
    place.mkdir(parents=True)
    for state in ('{"begun": 3}', "[]", "x", "null"):
        (place / "run.json").write_text(state)
        assert an_hour(project)._state("hour")["begun"] == 0
