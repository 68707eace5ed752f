"""The index page: question, answer, picture and numbers of each notebook, and what it lacks."""

import re
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import index

from lib.scoreboard import keep_scoreboard, scoreboard

ASKED = """# 07 · Beads & blur

**Question.** How *well*
do networks see?

**In:** beads. **Out:** beads."""
ANSWERED = """Before it.

## Answer

**They see, with `physics`,
best.** All of it is simulated."""
PNG = "iVBORw0KGgo="


@pytest.fixture
def notebook():
    picture = new_output("display_data", {"image/png": PNG})
    cells = [new_code_cell("1", outputs=[picture]) for _ in range(3)]
    cells[1].metadata["tags"] = ["thumbnail"]
    return new_notebook(cells=[new_markdown_cell(ASKED), *cells, new_markdown_cell(ANSWERED)])


def written(folder, notebook, fault="", figures=3, seconds=12.4):
    """The page's text, and what lies between its tags."""
    paths = [folder / "figures" / f"07_beads_{n}.png" for n in range(1, figures + 1)]
    entry = index.Entry(notebook, folder / "07_beads.html", paths, seconds, fault)
    index.write_index(folder, [entry])
    page = (folder / "index.html").read_text("utf-8")
    words = re.sub(r"<style>.*</style>", "", page, flags=re.DOTALL)
    return page, " ".join(re.sub(r"<[^>]+>", " ", words).split())


def test_a_page_has_question_answer_picture_numbers_and_seconds(tmp_path, notebook):
    numbers = {"F1, wave": 0.25, "F1, beads": 0.98765, "shape": (2, 3)}
    keep_scoreboard(scoreboard(numbers, {"F1, beads": 0.9}, {"F1": "1"}), tmp_path / "07.json")
    page, words = written(tmp_path, notebook)
    assert '<a href="07_beads.html">07 · Beads &amp; blur</a>' in page
    assert "How well do networks see? They see, with physics , best." in words
    assert "12 s" in words and "All of it" not in words and "**" not in words
    first = page.index('class="first" src="figures/07_beads_2.png"')
    others = page.index("<details"), page.index("07_beads_1.png"), page.index("07_beads_3.png")
    assert first < min(others) and "2 more figures" in words
    table = words[words.index("unit reference here") :]
    assert table.startswith(
        "unit reference here F1, beads 1 0.900 0.988 F1, wave 1 – 0.250 shape – (2, 3)"
    )


def test_a_notebook_that_failed_before_its_picture_shows_its_first(tmp_path, notebook):
    notebook.cells[2].outputs = []
    page, _ = written(tmp_path, notebook, "cell 2: broke", figures=1)
    assert 'class="first" src="figures/07_beads_1.png"' in page


def test_a_long_table_opens_when_asked(tmp_path, notebook):
    numbers = {f"number {n}": n for n in range(index.ROWS + 3)}
    keep_scoreboard(scoreboard(numbers), tmp_path / "07.json")
    page, words = written(tmp_path, notebook)
    assert "3 more" in words and "reference" not in words, "no empty column"
    last = page.index("number 14")
    assert page.index("number 11") < page.rindex("<details>") < last


def test_what_failed_says_so_and_what_it_lacks_is_left_out(tmp_path):
    page, words = written(tmp_path, new_notebook(), fault="cell 2: <1> is bad", figures=0)
    assert words == f"Voxelbook Voxelbook {index.ABOUT} 07_beads cell 2: &lt;1&gt; is bad"
    assert 'class="state bad"' in page and "<img" not in page and "<table" not in page


def test_a_scoreboard_that_cannot_be_read_costs_its_table_alone(tmp_path, notebook):
    (tmp_path / "07.json").write_text("{")
    page, words = written(tmp_path, notebook)
    assert "07.json holds no scoreboard" in words and 'class="first"' in page


def test_every_notebook_here_has_question_answer_and_title():
    import nbformat

    root = Path(index.__file__).parents[1]
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert index.question(texts).endswith("?") or "?" in index.question(texts), path.name
        assert len(index.answer(texts)) > 50 and "\n\n" not in index.answer(texts), path.name
