"""The runner: a failing notebook is named, the others run, settings and seeds arrive."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import run

SETTINGS = "SEED = 0\nSTEPS = 3"
NUMBERS = (
    "import json, pathlib\n"
    'pathlib.Path("../build/07.json").write_text(json.dumps({"score": SEED * STEPS}))'
)
FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with notebooks of its own."""
    for name in ("notebooks/paper", "build"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(run, "BUILD", tmp_path / "build")
    return tmp_path


def write(project, name, *sources):
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, project / "notebooks" / f"{name}.ipynb")


def arguments(number=None, parameters=(), seeds=2):
    return SimpleNamespace(number=number, parameters=list(parameters), seeds=seeds)


def test_a_failing_notebook_is_named_and_the_others_run(project, capsys):
    write(project, "01_broken", SETTINGS, "x = 1", "1 / 0", "print('never')")
    write(project, "02_whole", SETTINGS, FIGURE)
    before = (project / "notebooks" / "02_whole.ipynb").read_bytes()
    assert run.run(arguments()) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("01_broken") and "cell 2: ZeroDivisionError: division by" in lines[0]
    assert lines[1].startswith("02_whole") and lines[1].endswith(" s")
    index = (project / "build" / "index.html").read_text("utf-8")
    assert "ZeroDivisionError" in index and "figures/02_whole_1.png" in index
    assert (project / "build" / "figures" / "02_whole_1.png").read_bytes()[1:4] == b"PNG"
    assert (project / "build" / "01_broken.html").exists()
    assert (project / "notebooks" / "02_whole.ipynb").read_bytes() == before


def test_refresh_keeps_results_and_drops_chatter(project):
    write(project, "01_loud", SETTINGS, "import sys\nprint('loud', file=sys.stderr)\n6 * 7", FIGURE)
    assert run.refresh(arguments()) == 0
    notebook = nbformat.read(project / "notebooks" / "01_loud.ipynb", 4)
    (output,) = notebook.cells[1].outputs
    assert output.data["text/plain"] == "42"
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert (project / "figures" / "01_loud.png").exists()


def test_a_broken_notebook_is_not_refreshed(project):
    write(project, "01_broken", SETTINGS, "1 / 0")
    before = (project / "notebooks" / "01_broken.ipynb").read_bytes()
    assert run.refresh(arguments()) == 1
    assert (project / "notebooks" / "01_broken.ipynb").read_bytes() == before


def test_a_study_runs_every_seed_with_its_settings(project):
    write(project, "07_study", SETTINGS, NUMBERS)
    assert run.study(arguments("7", ["STEPS=5"], seeds=3)) == 0
    command, header, *rows = (project / "results" / "07.csv").read_text().splitlines()
    assert command == "# make study NB=07 SEEDS=3 PARAMS=STEPS=5"
    assert header == "seed,score,seconds"
    assert [row.split(",")[:2] for row in rows] == [["0", "0"], ["1", "5"], ["2", "10"]]


def test_a_study_whose_notebook_leaves_no_numbers_fails_and_writes_nothing(project, capsys):
    write(project, "07_silent", SETTINGS, "pass")
    (project / "build" / "07.json").write_text('{"score": 1}')  # of an earlier run
    assert run.study(arguments("7")) == 1
    assert "left no build/07.json" in capsys.readouterr().out
    assert not (project / "results").exists()


def test_the_papers_settings_arrive_as_numbers(project):
    write(project, "07_paper", "SEED = 0\nSTEPS = 1\nRATE = 1.0", NUMBERS, "assert RATE == 1e-5")
    (project / "notebooks" / "paper" / "07.yaml").write_text("SEED: 3\nSTEPS: 4\nRATE: 1.0e-5\n")
    assert run.paper(arguments("07")) == 0
    assert json.loads((project / "build" / "07.json").read_text()) == {"score": 12}
    assert (project / "build" / "paper" / "07_paper.html").exists()


@pytest.mark.parametrize(
    ("act", "number", "words", "says"),
    [
        ("paper", "07", [], "07.yaml is not there"),
        ("study", "08", [], "NB=08: no such notebook"),
        ("study", "07", ["EPOCHS=3"], "no parameter EPOCHS; it has SEED, STEPS"),
        ("study", "07", ["EPOCHS"], "'EPOCHS': give parameters as NAME=VALUE"),
    ],
)
def test_wrong_words_end_with_one_clear_line(project, act, number, words, says):
    write(project, "07_study", SETTINGS, NUMBERS)
    with pytest.raises(SystemExit, match=says):
        getattr(run, act)(arguments(number, words))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "03", "04"], "04: make run takes one notebook at most"),
        (["study"], "say which notebook"),
        (["study", "04", "--seeds", "0"], "--seeds 0: give 1 or more"),
        (["study", "04", "SEED=3"], "they set SEED"),
    ],
)
def test_words_that_would_be_ignored_are_refused(monkeypatch, capsys, words, says):
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    with pytest.raises(SystemExit):
        run.main()
    assert says in capsys.readouterr().err


def test_a_file_that_is_no_notebook_is_named_and_the_others_run(project, capsys):
    (project / "notebooks" / "01_broken.ipynb").write_text("{")
    write(project, "02_whole", SETTINGS)
    assert run.run(arguments()) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED" in lines[0] and "FAILED" not in lines[1]


def test_a_page_shows_no_output_of_an_earlier_run(project):
    write(project, "01_broken", SETTINGS, "1 / 0", "'after'")
    path = project / "notebooks" / "01_broken.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[2].outputs = [new_output("stream", text="of an earlier run")]
    nbformat.write(notebook, path)
    run.run(arguments())
    assert "of an earlier run" not in (project / "build" / "01_broken.html").read_text("utf-8")
