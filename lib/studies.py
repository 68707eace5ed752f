"""What several seeds found, beside what one run finds.

A study is the table that ``make study`` writes: one row for each seed, one column for each number
that the notebook keeps.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.scoreboard import keep_scoreboard, scoreboard


def name_numbers(*tables: pd.DataFrame) -> dict[str, float]:
    """The numbers of tables by name, "column, row": {"F1, Wiener": 0.8}; no number, no name."""
    found = {}
    for table in tables:
        for row, values in table.iterrows():
            words = row if isinstance(row, tuple) else (row,)
            for column, value in values.dropna().items():
                found[", ".join(map(str, (column, *words)))] = value
    return found


def table_of(numbers, columns: Sequence[str]) -> pd.DataFrame:
    """The way back from `name_numbers`: a row for each name behind "column, "; NaN for none.

    Args:
        numbers: "column, row" -> number, a dict or a Series.
        columns: those wanted; numbers of others are left out.
    """
    found = {column: {} for column in columns}
    for name, value in numbers.items():
        column, _, row = name.partition(", ")
        if row and column in found:
            found[column][row] = value
    return pd.DataFrame(found)


def read_study(path) -> pd.DataFrame:
    """A study's table, one row for each seed; empty where no study was made yet."""
    return _table(path) if Path(path).exists() else pd.DataFrame()


def read_hour(path) -> pd.DataFrame:
    """What ``make hour`` wrote: a row for each quantity, columns reference and one for each run.

    Numbers only: what is none is NaN, and quantities without any are dropped.
    """
    table = _table(path).set_index("quantity").drop(columns="unit")
    return table.apply(pd.to_numeric, errors="coerce").dropna(how="all")


def _table(path) -> pd.DataFrame:
    """A CSV without its first lines, those that begin with #."""
    lines = Path(path).read_text("utf-8").splitlines()
    first = [line[:1] == "#" for line in lines].index(False)
    return pd.read_csv(path, skiprows=first)


def curves_over_runs(table: pd.DataFrame, x: str, names: Mapping[str, str]) -> dict[str, tuple]:
    """Curves for `lib.charts.show_curves`, a point for each run.

    Args:
        table: from `read_hour`, the columns in the order of the points.
        x: the quantity along the horizontal axis.
        names: of the curves -> the quantity of each.

    Raises:
        KeyError: a quantity that the table lacks.
    """
    return {name: (table.loc[x], table.loc[quantity]) for name, quantity in names.items()}


def compare_with_study(
    numbers: Mapping,
    notebook: str,
    references: Mapping | None = None,
    units: Mapping | None = None,
    root="..",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep a run's rows, for a study and a page, and set them beside the study that is there.

    Args:
        numbers, references, units: as in `lib.scoreboard.scoreboard`.
        notebook: its number, "04": written is ``build/04.json``, read ``results/04.csv``.
        root: the repository's, as seen from the notebook.

    Returns:
        The scoreboard with further columns mean, lowest, highest, NaN where the study holds no such
        number; and the study, as `read_study` returns it.

    Raises:
        ValueError: as `lib.scoreboard.scoreboard`.
    """
    board = scoreboard(numbers, references, units)
    keep_scoreboard(board, Path(root) / "build" / f"{notebook}.json")
    study = read_study(Path(root) / "results" / f"{notebook}.csv")
    columns = study.reindex(columns=list(board.index))
    return board.assign(mean=columns.mean(), lowest=columns.min(), highest=columns.max()), study


def beyond_study(table: pd.DataFrame, slack: float) -> list[str]:
    """What `compare_with_study` shows further than ``slack`` outside the study's range."""
    low, high = table["lowest"] - slack, table["highest"] + slack
    return list(table.index[(table["here"] < low) | (table["here"] > high)])


def curves_beside_study(
    numbers: Mapping[str, float],
    study: pd.DataFrame,
    curves: Mapping[str, str],
    levels: Mapping[str, str] | None = None,
) -> dict[str, dict]:
    """Curves out of numbers that are named after their places: "dice, 2 s", "dice, 4 s".

    Args:
        numbers: of this run.
        study: as from `read_study`.
        curves: name -> how its numbers are called, {} for the place: "dice, {} s".
        levels: name -> what a number without a place is called: "dice, observed"; drawn level, as
            far as the curves go.

    Returns:
        Panels for `lib.charts.show_curves`: "this run" and, where there is one, the study, each
        with the places for which it holds numbers; ys are (runs, n).

    Raises:
        ValueError: a curve or level of which this run has no number, a curve without its {}, or a
            name given twice.
    """
    panels = {"this run": pd.DataFrame([dict(numbers)])}
    if len(study):
        panels[f"{len(study)} seeds"] = study
    for name, called in (levels or {}).items():
        if called not in numbers or name in curves:
            raise ValueError(f"levels[{name!r}]: no number {called!r}, or a curve's name")
    found = {title: {} for title in panels}
    for title, table in panels.items():
        for name, called in curves.items():
            places = _places(table, called)
            if title == "this run" and not places:
                raise ValueError(f"numbers holds {list(numbers)}: none is called {called!r}")
            if places:
                found[title][name] = list(places.values()), table[list(places)].to_numpy()
        found[title] |= _level_curves(found[title], table, levels or {})
    return {title: own for title, own in found.items() if own}


def _level_curves(curves: Mapping, table: pd.DataFrame, levels: Mapping[str, str]) -> dict:
    """Level from the first place of the curves to their last; none where there are no curves."""
    reached = [place for places, _ in curves.values() for place in places]
    found = {}
    for name, called in levels.items():
        if reached and called in table:
            ends = [min(reached), max(reached)]
            found[name] = ends, np.repeat(table[[called]].to_numpy(), 2, axis=1)
    return found


def groups_beside_study(
    live: Mapping[object, Sequence], study: pd.DataFrame, called: str, groups: Sequence
) -> dict[str, dict]:
    """Groups for `lib.charts.show_bars`: this run's values beside a study's.

    Args:
        live: group -> values of this run.
        study: as from `read_study`.
        called: how the study calls a group's number, {} for the group: "dice, trained on {}".
        groups: those wanted, in order; left out is one of which neither holds anything.
    """
    found = {}
    for group in groups:
        own = {"volumes of this run": live[group]} if group in live else {}
        if called.format(group) in study:
            own[f"{len(study)} seeds"] = study[called.format(group)]
        if own:
            found[str(group)] = own
    return found


def _places(table: pd.DataFrame, called: str) -> dict[str, float]:
    """Column -> its place, rising: those called as said, with a number in place of {}."""
    if called.count("{}") != 1:
        raise ValueError(f"curves: {called!r} needs one {{}}, for the place")
    before, after = (re.escape(part) for part in called.split("{}"))
    matches = {name: re.fullmatch(before + r"([\d.]+)" + after, name) for name in table}
    places = {name: float(match[1]) for name, match in matches.items() if match}
    return dict(sorted(places.items(), key=lambda item: item[1]))
