"""What a run found beside what its reference says: the rows that table, page and study share.

A notebook's last act makes them and keeps them in ``build/NN.json``; from there they go to the
index page of all notebooks, and, where several seeds or an hour were run, to ``results/``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lib.files import whole

COLUMNS = ["quantity", "unit", "reference", "here"]


def scoreboard(
    here: Mapping, references: Mapping | None = None, units: Mapping | None = None
) -> pd.DataFrame:
    """A row for each quantity.

    Args:
        here: quantity -> what this run found: a finite number, or something to be read, such as a
            shape.
        references: quantity -> what the reference says, where it says something.
        units: quantity -> its unit; what stands before a comma serves for all that begin so:
            "error" for "error, Wiener".

    Returns:
        Index the quantities; columns unit ("" for none), reference (None for none) and here.

    Raises:
        ValueError: a number that is not finite, None, a quantity without a name, or a reference to
            one that is not here.
    """
    references, units = references or {}, units or {}
    if unknown := sorted(set(references) - set(here)):
        raise ValueError(f"references: {', '.join(unknown)} is not among {list(here)}")
    rows = {}
    for name, value in here.items():
        found = _value(value, name)
        reference = _value(references[name], name) if name in references else None
        unit = units.get(name, units.get(name.partition(",")[0], ""))
        rows[name] = {"unit": unit, "reference": reference, "here": found}
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS[1:], dtype=object)


def keep_scoreboard(board: pd.DataFrame, path) -> None:
    """Write `scoreboard`'s rows as JSON, an object each, null where the reference says nothing."""
    rows = board.rename_axis(COLUMNS[0]).reset_index()
    rows = rows.astype(object).where(rows.notna(), None).to_dict("records")
    with whole(path) as new:
        text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
        new.write_text(text, encoding="utf-8")


def read_scoreboard(path) -> pd.DataFrame:
    """What `keep_scoreboard` wrote.

    Raises:
        ValueError: it holds anything else; the file is named.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError("no list")
        columns = [{row[COLUMNS[0]]: row[name] for row in rows} for name in COLUMNS[1:]]
        units, references, here = columns
        known = {name: value for name, value in references.items() if value is not None}
        return scoreboard(here, known, units)
    except (ValueError, TypeError, KeyError) as error:
        message = f"{path} holds no scoreboard, rows of {', '.join(COLUMNS)}"
        raise ValueError(f"{message} ({type(error).__name__}: {error})") from error


def numbers_of(board: pd.DataFrame) -> dict[str, float]:
    """Quantity -> number, without what is text."""
    return {name: value for name, value in board["here"].items() if not isinstance(value, str)}


def _value(value, name: str) -> float | str:
    """A float where it is a number, be it in an array or a tensor; else a text."""
    if value is None or not isinstance(name, str):
        raise ValueError(f"{name!r} is {value!r}: give a name, and a number or words")
    if isinstance(value, str) or np.ndim(value) or not hasattr(value, "__float__"):
        return str(value)
    if not np.isfinite(float(value)):
        raise ValueError(f"{name} is {value}: a result must be finite")
    return float(value)
