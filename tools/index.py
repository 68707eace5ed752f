"""build/index.html: of each notebook the question, the answer, its picture and its scoreboard."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from nbconvert.filters import markdown2html
from pages import thumbnail

from lib.evaluation import show_table
from lib.files import whole
from lib.scoreboard import read_scoreboard

ABOUT = "Each notebook's question and answer, its picture, and what this run of it found."
ROWS = 12  # of a scoreboard, at once
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d8dde3;--paper:#fff;
--bad:#b00020}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--line:#343b44;--paper:#14181d;
--bad:#ff7b8a}}
body{font:16px/1.55 system-ui,sans-serif;max-width:62rem;margin:2.5rem auto;padding:0 1.2rem;
color:var(--ink);background:var(--paper)}
section{border-top:1px solid var(--line);padding:1.6rem 0}h1,h2{line-height:1.2}h2{margin:0}
a{color:inherit}.state{color:var(--soft);margin:.2rem 0}.bad{color:var(--bad)}
.question{font-size:1.1rem}.answer{border-left:4px solid #4a6fa5;padding-left:1rem}
img{background:#fff}.first{display:block;width:100%;margin:1rem 0}
.others img{height:6rem;margin:.3rem .5rem .3rem 0}summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem 1rem .2rem 0;border-bottom:1px solid var(--line);text-align:left}
td,thead th{text-align:right}
"""


@dataclass
class Entry:
    """One notebook that was run: the notebook, its page, its figures, seconds, fault or ""."""

    notebook: object
    page: Path
    figures: list[Path]
    seconds: float
    fault: str


def write_index(folder: Path, entries: list[Entry]) -> None:
    """All notebooks on one page; what a failed one lacks is left out."""
    parts = [_section(folder, entry) for entry in entries]
    with whole(folder / "index.html") as new:
        new.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Voxelbook</title>'
            f"<style>{STYLE}</style><h1>Voxelbook</h1><p>{ABOUT}</p>{''.join(parts)}</html>",
            encoding="utf-8",
        )


def _section(folder: Path, entry: Entry) -> str:
    texts = [cell.source for cell in entry.notebook.cells if cell.cell_type == "markdown"]
    title = found(r"^# ([^\n]+)", texts) or entry.page.stem
    parts = [f'<section><h2><a href="{entry.page.name}">{html.escape(title)}</a></h2>']
    state = html.escape(entry.fault) if entry.fault else f"{entry.seconds:.0f} s"
    parts.append(f'<p class="state{" bad" if entry.fault else ""}">{state}</p>')
    for name, text in {"question": question(texts), "answer": answer(texts)}.items():
        if text:
            parts.append(f'<div class="{name}">{markdown2html(text)}</div>')
    if entry.figures:
        parts.append(_pictures(entry.figures, thumbnail(entry.notebook)))
    board = folder / f"{entry.page.stem[:2]}.json"
    try:
        parts.append(_table(board) if board.exists() else "")
    except ValueError as error:
        parts.append(f'<p class="state bad">{html.escape(str(error))}</p>')
    return "".join([*parts, "</section>"])


def question(texts: list[str]) -> str:
    """The paragraph that begins with **Question.**, without that word."""
    return found(r"^\*\*Question\.\*\* (.+?)(?:\n\n|\Z)", texts)


def answer(texts: list[str]) -> str:
    """What stands in bold first under the heading Answer."""
    return found(r"^## Answer\s+\*\*(.+?)\*\*", texts)


def found(pattern: str, texts: list[str]) -> str:
    """The first text's first match, its group; "" where there is none."""
    matches = [re.search(pattern, text, re.MULTILINE | re.DOTALL) for text in texts]
    return next((match[1] for match in matches if match), "")


def _pictures(figures: list[Path], first: int) -> str:
    """The notebook's own picture large, the others small behind a word."""
    images = [
        f'<img src="figures/{path.name}" alt="{path.stem}" loading="lazy">' for path in figures
    ]
    large = images.pop(first).replace("<img", '<img class="first"')
    if not images:
        return large
    others = f"<summary>{len(images)} more figures</summary>{''.join(images)}"
    return f'{large}<details class="others">{others}</details>'


def _table(path: Path) -> str:
    """The rows, those with a reference first; most of a long table behind a word."""
    board = read_scoreboard(path)
    board = board.loc[board["reference"].isna().sort_values(kind="stable").index]
    if not board["unit"].any():
        board = board.drop(columns="unit")
    table = show_table(board.dropna(axis="columns", how="all"))
    first, rest = table.iloc[:ROWS].to_html(border=0), table.iloc[ROWS:]
    if rest.empty:
        return first
    return f"{first}<details><summary>{len(rest)} more</summary>{rest.to_html(border=0)}</details>"
