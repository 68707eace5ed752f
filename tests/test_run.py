"""The runner: a failing notebook is named, the others run, settings and seeds arrive."""

import base64
import io
import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import execute
import pages
import run
import settings

from lib.scoreboard import keep_scoreboard, numbers_of, read_scoreboard, scoreboard

SETTINGS = "SEED = 0\nSTEPS = 3"
NUMBERS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from lib.scoreboard import keep_scoreboard, scoreboard
board = scoreboard({{"score": 10 * SEED + STEPS, "shape": (2, 3)}}, {{"score": 7}})
keep_scoreboard(board, "../build/07.json")"""
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
    nbformat.write(notebook, path := project / "notebooks" / f"{name}.ipynb")
    return path


def arguments(number=None, parameters=(), seeds=2, name=None, limit=None):
    return SimpleNamespace(
        number=number, parameters=list(parameters), seeds=seeds, name=name, limit=limit
    )


def test_a_failing_notebook_is_named_and_the_others_run(project, capsys):
    broken = write(project, "01_broken", SETTINGS, "x = 1", "1 / 0", "print('never')")
    notebook = nbformat.read(broken, 4)
    notebook.cells[3].outputs = [new_output("stream", text="of an earlier run")]
    nbformat.write(notebook, broken)
    (project / "notebooks" / "02_none.ipynb").write_text("{")
    before = (whole := write(project, "03_whole", SETTINGS, FIGURE)).read_bytes()
    assert run.run(arguments()) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5:2] == ["01_broken", "02_none", "03_whole"], "at once, before it is executed"
    assert lines[1].startswith("01_broken                 2 of 4 cells ")
    assert lines[1].endswith(" s  FAILED: cell 2: ZeroDivisionError: division by zero")
    assert lines[3].startswith("02_none                   0 of 0 cells ") and "FAILED" in lines[3]
    assert lines[5].startswith("03_whole                  2 of 2 cells ") and lines[5][-2:] == " s"
    assert lines[6:] == ["build/index.html: 1 notebooks passed, 2 failed"]
    index = (project / "build" / "index.html").read_text("utf-8")
    assert "ZeroDivisionError" in index and "figures/03_whole_1.png" in index
    assert (project / "build" / "figures" / "03_whole_1.png").read_bytes()[1:4] == b"PNG"
    assert "of an earlier run" not in (project / "build" / "01_broken.html").read_text("utf-8")
    assert whole.read_bytes() == before


def test_refresh_keeps_results_and_drops_chatter(project):
    write(project, "01_loud", SETTINGS, "import sys\nprint('loud', file=sys.stderr)\n6 * 7", FIGURE)
    assert run.refresh(arguments()) == 0
    notebook = nbformat.read(project / "notebooks" / "01_loud.ipynb", 4)
    (output,) = notebook.cells[1].outputs
    assert output.data["text/plain"] == "42"
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert (project / "figures" / "01_loud.png").exists()


def test_a_broken_notebook_is_not_refreshed(project, monkeypatch):
    before = (path := write(project, "01_broken", SETTINGS)).read_bytes()
    monkeypatch.setattr(run, "execute", lambda *_, **__: (new_notebook(), 1.4, "cell 1: broken"))
    assert run.refresh(arguments()) == 1
    assert path.read_bytes() == before


ALONE = """
from pathlib import Path
assert [path.name for path in Path("../results").iterdir()] == ["06.csv"]
assert Path("../lib/one.py").exists()
assert not list(Path("../build").iterdir())"""


def test_a_study_runs_with_its_settings_in_a_place_of_its_own(project):
    for name in ("results/06.csv", "results/07.csv", "lib/one.py", "build/07.json"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("as it was")
    write(project, "07_study", "SEED = 9\nSTEPS = 3", ALONE, NUMBERS)
    assert run.study(arguments("7", ["STEPS=5"], seeds=1)) == 0
    command, header, row = (project / "results" / "07.csv").read_text().splitlines()
    assert command == "# make study NB=07 SEEDS=1 PARAMS=STEPS=5"
    assert header == "seed,score,seconds" and row.split(",")[:2] == ["0", "5.0"]
    for name in ("results/06.csv", "lib/one.py", "build/07.json"):
        assert (project / name).read_text() == "as it was"
    assert (project / "build" / "study" / "07_seed0.html").exists()


@pytest.fixture
def rehearsed(project, monkeypatch):
    """Notebooks are not executed; ``outcomes`` are the numbers that they leave, or their faults."""
    outcomes = []

    def pretended(path, settings, *, folder, minutes):
        assert not list((folder.parent / "build").iterdir()), "no other seed's numbers"
        outcome = outcomes[settings["SEED"]]
        if isinstance(outcome, str):
            return new_notebook(), 1.4, outcome
        numbers = folder.parent / "build" / "07.json"
        if isinstance(outcome, dict):
            keep_scoreboard(scoreboard(outcome), numbers)
        else:
            numbers.write_text(json.dumps(outcome))
        return new_notebook(), 1.4, ""

    write(project, "07_study", SETTINGS)
    monkeypatch.setattr(run, "execute", pretended)
    monkeypatch.setattr(run, "write_page", lambda *_: None)
    return outcomes


def test_a_failing_seed_costs_its_own_row_alone(project, rehearsed, capsys):
    rehearsed[:] = [{"score": 1}, "cell 3: ValueError: of old", {"score": 2, "more": 5}]
    assert run.study(arguments("7", seeds=3, name="07_word")) == 1
    assert (project / "results" / "07_word.csv").read_text().splitlines() == [
        "# make study NB=07 SEEDS=3 AS=07_word",
        "# incomplete: seed 0, 2 of 0 to 2",
        "seed,score,seconds,more",
        "0,1.0,1,",
        "2,2.0,1,5.0",
    ]
    said = capsys.readouterr().out.splitlines()
    assert "seed 1 failed: cell 3: ValueError: of old" in said
    assert said[-2:] == ["results/07_word.csv: 2 of 3 seeds", "failed: seed 1"]


def test_rows_are_kept_seed_by_seed(project, rehearsed):
    rehearsed[:] = [{"score": 1}]  # then IndexError, as if the power went
    with pytest.raises(IndexError):
        run.study(arguments("7", seeds=2))
    assert [path.name for path in (project / "results").iterdir()] == ["07.csv"]
    *_, comment, _, row = (project / "results" / "07.csv").read_text().splitlines()
    assert comment == "# incomplete: seed 0 of 0 to 1" and row == "0,1.0,1"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not there")
@pytest.mark.parametrize(
    "words, name, limit",
    [
        ([], None, None),
        (["DATA_DIR=null", "LOSS=IoU"], "07_iou", None),
        (["SIZES=[2,4]", "RATES=[1, 2]"], None, None),
        (["RATE=1e-5", "SIZES=[4, 4]", "NAME='it''s #1, $HOME'"], None, 60.0),
    ],
)
def test_a_table_s_first_line_is_the_command_that_made_it(monkeypatch, words, name, limit):
    given = arguments("07", words, 2, name, limit)
    (command,) = run._heading(Path("07_study.ipynb"), given, [{}, {}])
    root = Path(run.__file__).parents[1]
    dry = command.replace(
        "make study", "make -n --no-print-directory study"
    )  # make calls this, too
    said = subprocess.run(dry, shell=True, cwd=root, capture_output=True, text=True, check=True)
    monkeypatch.setattr(sys, "argv", shlex.split(said.stdout.splitlines()[-1])[1:])
    assert vars(run._arguments()) == {"act": "study", **vars(given)}


def test_a_table_s_first_line_is_quoted_once():
    (command,) = run._heading(Path("07.ipynb"), arguments("07", ["A=[2,4]", "B=x"], 1), [{}])
    assert command == """make study NB=07 SEEDS=1 "PARAMS='A=[2,4]' B=x\""""


def test_parameters_are_read_as_yaml():
    given = ["A=null", "B=IoU", "C=1e-5", "D=[1, 2]", "E=-2", "F=true", "G=x=y", "H={a: [2e3]}"]
    values = {"A": None, "B": "IoU", "C": 1e-5, "D": [1, 2], "E": -2, "F": True, "G": "x=y"}
    values["H"] = {"a": [2000.0]}
    assert settings.parameters(given) == values


def test_a_study_whose_notebook_leaves_no_numbers_fails_and_writes_nothing(
    project, rehearsed, capsys
):
    rehearsed[:] = ["", ""]
    (project / "build" / "07.json").write_text('{"score": 1}')  # of another run
    assert run.study(arguments("7")) == 1
    assert "it left no ../build/07.json" in capsys.readouterr().out
    assert not (project / "results").exists()


def test_a_study_goes_on_after_numbers_that_are_none(project, rehearsed, capsys):
    rehearsed[:] = [[1], {"score": 2}]
    assert run.study(arguments("7", seeds=2)) == 1
    assert "build/07.json holds no scoreboard" in capsys.readouterr().out
    assert (project / "results" / "07.csv").read_text().splitlines()[-1] == "1,2.0,1"


def test_the_papers_settings_arrive_as_numbers(project):
    write(project, "07_paper", "SEED = 0\nSTEPS = 1\nRATE = 1.0", NUMBERS, "assert RATE == 1e-5")
    (project / "notebooks" / "paper" / "07.yaml").write_text("SEED: 3\nSTEPS: 4\nRATE: 1.0e-5\n")
    assert run.paper(arguments("07")) == 0
    numbers = project / "build" / "paper" / "07" / "build" / "07.json"
    assert numbers_of(read_scoreboard(numbers)) == {"score": 34}
    assert not (project / "build" / "07.json").exists(), "that is for the committed settings"
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


@pytest.mark.parametrize("name", ["05", "07_", "../07"])
def test_a_study_s_table_bears_the_notebook_s_number(project, name):
    write(project, "07_study", SETTINGS)
    with pytest.raises(SystemExit, match=f"AS={name}: give 07 or 07_word"):
        run.study(arguments("7", name=name))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "03", "04"], "04: make run takes one notebook at most"),
        (["study"], "say which notebook"),
        (["study", "04", "--seeds", "0"], "--seeds 0: give 1 or more, for a study"),
        (["hour", "04", "--seeds", "2"], "--seeds 2: give 1 or more, for a study"),
        (["study", "04", "SEED=3"], "SEED=: a study sets it"),
    ],
)
def test_words_that_would_be_ignored_are_refused(monkeypatch, capsys, words, says):
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    with pytest.raises(SystemExit):
        run.main()
    assert says in capsys.readouterr().err


def test_a_cell_that_hangs_is_stopped_and_named(project):
    write(project, "01_hung", SETTINGS, "import time\ntime.sleep(600)")
    path, began = project / "notebooks" / "01_hung.ipynb", time.monotonic()
    _, _, fault = execute.execute(path, folder=path.parent, minutes=0.01)
    assert fault == "cell 1: longer than 0.01 minutes, the limit a cell (LIMIT=0: none)"
    assert time.monotonic() - began < 30


def test_limits_are_half_an_hour_or_what_is_asked_for():
    assert [run._minutes(arguments(limit=limit)) for limit in (None, 0, 2.5)] == [30, 0, 2.5]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_one_line_is_rewritten(monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setattr(execute, "SECOND", 0.01)
    with execute.Progress("04_brain") as progress:
        progress.notebook = new_notebook(cells=[new_code_cell("1"), new_code_cell("2")])
        progress.at_cell(None, 1)
        time.sleep(0.1)
    words = terminal.getvalue()
    assert words.count("\n") == 1 and words.endswith(" s\x1b[K\n")
    lines = [line.split() for line in words.split("\r") if line]
    assert lines[0] == ["04_brain\x1b[K"]
    assert ["04_brain", "1", "of", "2", "cells"] in [line[:5] for line in lines]
    assert lines[-1][:5] == ["04_brain", "2", "of", "2", "cells"]


def test_a_log_gets_a_word_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(execute, "FIVE_MINUTES", 0.2)
    with pytest.raises(KeyboardInterrupt), execute.Progress("04_brain"):
        time.sleep(0.3)
        raise KeyboardInterrupt
    begun, *marks, end = capsys.readouterr().out.splitlines()
    assert begun == "04_brain" and marks
    assert marks[0].startswith("04_brain                  0 of 0 cells    0.")
    assert end.endswith("FAILED: KeyboardInterrupt")


def test_grays_stay_gray_beside_colours():
    rng, picture = np.random.default_rng(0), np.empty((200, 400, 3), np.uint8)
    picture[:] = rng.integers(0, 256, (200, 400, 1))
    for n, over in enumerate([(86, 180, 233), (240, 228, 66), (213, 94, 0)]):
        part, share = np.s_[:, 100 * (n + 1) : 100 * (n + 2)], rng.random((200, 100, 1))
        picture[part] = picture[part] * share + (1 - share) * np.array(over)
    Image.fromarray(picture).save(png := io.BytesIO(), "PNG")
    packed = pages._smaller(base64.b64encode(png.getvalue()))
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))).convert("RGB"), int)
    assert np.ptp(found[:, :100], axis=-1).max() <= 2
