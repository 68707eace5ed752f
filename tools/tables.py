"""The tables of results in README.md and results/README.md, made anew: python tools/tables.py

Each stands between <!-- table NAME: ... --> and <!-- end of table -->. The first line
names the files it is made from, each with the beginning of its SHA-256, so that a digit too small
to show is seen as well. What they hold is in result_tables.py.
"""

import re
import sys
from pathlib import Path

from result_tables import TABLES, TableError, digest

from lib.files import whole

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "results/README.md"]
BEGIN, END = re.compile(r"<!-- table ([^\s:]+).*-->"), "<!-- end of table -->"


def main(root: Path = ROOT) -> None:
    for page in PAGES:
        try:
            names = renew(root / page, root)
        except TableError as error:
            sys.exit(f"{page}: {error}")
        print(f"{page}: tables made anew: {', '.join(names) or 'none, all agree with their files'}")


def renew(page: Path, root: Path) -> list[str]:
    """Write a page whole or not at all, and only where a table changes; these are returned."""
    text = page.read_text("utf-8")
    names, new = stale(text, root), renewed(text, root)
    if names:
        with whole(page) as fresh:
            fresh.write_text(new, encoding="utf-8", newline="\n")
    return names


def stale(text: str, root: Path) -> list[str]:
    """The tables that are not what their files give; one with another first line is not made."""
    names = []
    for name, part in split(text):
        if name and not (part.startswith(first_line(name, root)) and part == made(name, root)):
            names.append(name)
    return names


def renewed(text: str, root: Path) -> str:
    return "".join(made(name, root) if name else part for name, part in split(text))


def split(text: str) -> list[tuple[str, str]]:
    """(name, its lines with both markers) of each table; what lies between has the name ""."""
    parts, inside = [("", "")], ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        begin, end = BEGIN.match(line), line.startswith(END)
        if begin and inside:
            break
        if end and not inside:
            raise TableError(f"line {number}: {END} without a beginning")
        if begin:
            inside = begin[1]
            parts.append((inside, ""))
        parts[-1] = parts[-1][0], parts[-1][1] + line
        if end:
            inside = ""
            parts.append(("", ""))
    if inside:
        raise TableError(f"table {inside} has no {END}")
    return parts


def first_line(name: str, root: Path) -> str:
    """The marker above a table, with the files as they are now."""
    if name not in TABLES:
        raise TableError(f"table {name} is unknown; known: {', '.join(TABLES)}")
    sources = []
    for file in TABLES[name][1:]:
        if not (root / file).exists():
            raise TableError(f"table {name}: {file} is missing")
        sources.append(f"{file} {digest(root / file)}" if (root / file).is_file() else f"{file}/")
    return f"<!-- table {name}: {', '.join(sources)} -->\n"


def made(name: str, root: Path) -> str:
    """One table, with its markers."""
    first = first_line(name, root)
    function, *files = TABLES[name]
    try:
        lines = function(*[root / file for file in files])
    except KeyError as error:
        raise TableError(f"table {name}: no column {error} in {', '.join(files)}") from error
    except (ValueError, TypeError, ArithmeticError) as error:
        raise TableError(f"table {name}: {error}") from error
    return first + "\n".join([*lines, END]) + "\n"


if __name__ == "__main__":
    main()
