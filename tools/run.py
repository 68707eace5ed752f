"""One runner for the notebooks: run, refresh, an hour, paper settings, repeated seeds.

python tools/run.py run                       # build/: executed notebooks, pages, index.html
python tools/run.py notebooks [04]            # refresh notebooks/ and figures/ in place
python tools/run.py hour 04 [NAME=VALUE ...]  # with notebooks/hour/04.yaml, results/04_hour.csv
python tools/run.py paper 04                  # with notebooks/paper/04.yaml, to build/paper/
python tools/run.py study 04 --seeds 5 [NAME=VALUE ...] [--as 04_word]   # results/04.csv
"""

import argparse
import csv
import os
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from execute import check_names, execute, workplace  # noqa: E402
from hour import Hour  # noqa: E402
from index import Entry, write_index  # noqa: E402
from pages import thumbnail, write_figures, write_page  # noqa: E402
from settings import command_line, parameters, read_yaml  # noqa: E402

from lib.files import whole  # noqa: E402
from lib.scoreboard import numbers_of, read_scoreboard  # noqa: E402

NOTEBOOKS, BUILD = ROOT / "notebooks", ROOT / "build"
MINUTES = 30  # that a cell may take, except in an hour and at the paper's settings
SEEDS = 5  # of a study


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TQDM_DISABLE", "1")  # no bars in stored notebooks
    args = _arguments()
    acts = {"run": run, "notebooks": refresh, "hour": hour, "paper": paper, "study": study}
    return acts[args.act](args)


def run(args) -> int:
    """Execute all; a failing one does not stop the others."""
    entries = []
    for path in chosen(args.number):
        notebook, seconds, fault = execute_here(path, args)
        page = write_page(notebook, BUILD, path.stem)
        figures = write_figures(notebook, BUILD / "figures", path.stem)
        entries.append(Entry(notebook, page, figures, seconds, fault))
    write_index(BUILD, entries)
    failed = [entry for entry in entries if entry.fault]
    print(f"build/index.html: {len(entries) - len(failed)} notebooks passed, {len(failed)} failed")
    return 1 if failed else 0


def refresh(args) -> int:
    """Execute in place, without what differs from run to run, and renew the README's pictures."""
    status = 0
    for path in chosen(args.number):
        notebook, _, fault = execute_here(path, args)
        if fault:
            status = 1
            continue
        nbformat.write(notebook, path)
        first = write_figures(notebook, BUILD / "figures", path.stem)[thumbnail(notebook)]
        (ROOT / "figures").mkdir(exist_ok=True)
        (ROOT / "figures" / f"{path.stem}.png").write_bytes(first.read_bytes())
    return status


def hour(args) -> int:
    """Longer runs, as long as a lunch; what is interrupted goes on when called again."""
    (path,) = chosen(args.number)
    return Hour(ROOT, path, args).run()


def paper(args) -> int:
    """The paper's settings; the executed notebook and its page go to build/paper/."""
    (path,) = chosen(args.number)
    number = path.stem[:2]
    settings = NOTEBOOKS / "paper" / f"{number}.yaml"
    if not settings.exists():
        sys.exit(f"{settings.relative_to(ROOT)} is not there: this notebook has no paper settings")
    values = {**read_yaml(settings), **parameters(args.parameters)}
    check_names(path, values)
    folder = workplace(ROOT, BUILD / "paper" / number, [f"{number}.csv"])
    notebook, _, fault = execute(path, values, folder=folder, minutes=args.limit or 0)
    page = write_page(notebook, BUILD / "paper", path.stem)
    print(f"{page.relative_to(ROOT)}; its files are in build/paper/{number}/build/")
    return 1 if fault else 0


def study(args) -> int:
    """One run for each seed; the numbers that each leaves in ../build/NN.json become one table.

    The table grows seed by seed, so that what was reached stays whatever comes after.
    """
    (path,) = chosen(args.number)
    table = _table_name(args, path)
    rows, failed = [], []
    check_names(path, {**parameters(args.parameters), "SEED": 0})
    for seed in range(args.seeds or SEEDS):
        row, fault = _one_seed(path, seed, args, table.stem)
        if fault:
            print(f"seed {seed} failed: {fault}")
            failed.append(seed)
            continue
        rows.append(row)
        _write_table(table, rows, _heading(path, args, rows))
    print(f"{table.relative_to(ROOT)}: {len(rows)} of {args.seeds or SEEDS} seeds")
    if failed:
        print(f"failed: seed {', '.join(map(str, failed))}")
    return 1 if failed else 0


def chosen(number: str | None) -> list[Path]:
    """Notebooks in order; with a number, that one."""
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if number:
        paths = [path for path in paths if path.stem[:2] == number.zfill(2)]
    if not paths:
        sys.exit(f"NB={number}: no such notebook in {NOTEBOOKS.relative_to(ROOT)}/")
    return paths


def execute_here(path: Path, args):
    """With the settings that are in the notebook."""
    BUILD.mkdir(exist_ok=True)  # where notebooks leave their scoreboards
    (BUILD / f"{path.stem[:2]}.json").unlink(missing_ok=True)  # of an earlier run
    return execute(path, folder=NOTEBOOKS, minutes=_minutes(args))


def _minutes(args) -> float:
    return MINUTES if args.limit is None else args.limit


def _one_seed(path: Path, seed: int, args, name: str) -> tuple[dict, str]:
    """(row of the table, fault or "")."""
    number = path.stem[:2]
    folder = workplace(ROOT, BUILD / "study" / name, [f"{number}.csv"])
    settings = {**parameters(args.parameters), "SEED": seed}
    notebook, seconds, fault = execute(path, settings, folder=folder, minutes=_minutes(args))
    write_page(notebook, BUILD / "study", f"{name}_seed{seed}")
    numbers = folder.parent / "build" / f"{number}.json"
    if fault or not numbers.exists():
        return {}, fault or f"it left no ../build/{number}.json"
    try:
        row = numbers_of(read_scoreboard(numbers))
    except ValueError as error:
        return {}, str(error)
    if taken := {"seed", "seconds"} & set(row):
        return {}, f"{numbers} has a row {min(taken)!r}, which is the table's own: rename it"
    return {"seed": seed, **row, "seconds": round(seconds)}, ""


def _table_name(args, path: Path) -> Path:
    number = path.stem[:2]
    name = args.name or number
    if not re.fullmatch(rf"{number}(_[\w-]+)?", name):
        sys.exit(f"AS={name}: give {number} or {number}_word, the table's name in results/")
    return ROOT / "results" / f"{name}.csv"


def _heading(path: Path, args, rows: list[dict]) -> list[str]:
    """The command, as it can be given again, and which seeds are there where some are not."""
    lines = [command_line("study", path.stem[:2], args, SEEDS=args.seeds or SEEDS)]
    if len(rows) < (args.seeds or SEEDS):
        there = ", ".join(str(row["seed"]) for row in rows)
        lines.append(f"incomplete: seed {there} of 0 to {(args.seeds or SEEDS) - 1}")
    return lines


def _write_table(path: Path, rows: list[dict], heading: list[str]) -> None:
    """Whole or not at all. A column that only some seeds have is empty in the others."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with whole(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in heading)
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("act", choices=["run", "notebooks", "hour", "paper", "study"])
    parser.add_argument("number", nargs="?", help="of the notebook, such as 04")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, help=f"of a study, {SEEDS} unless told")
    parser.add_argument("--as", dest="name", help="the table, such as 04_iou")
    parser.add_argument(
        "--limit",
        type=float,
        help=f"minutes a cell may take, 0: any; {MINUTES}, for hour and paper 0",
    )
    args = parser.parse_intermixed_args()
    if args.act in ("hour", "paper", "study") and not args.number:
        parser.error(f"say which notebook: make {args.act} NB=04")
    if args.act in ("run", "notebooks") and args.parameters:
        parser.error(f"{' '.join(args.parameters)}: make {args.act} takes one notebook at most")
    if args.seeds is not None and (args.seeds < 1 or args.act != "study"):
        parser.error(f"--seeds {args.seeds}: give 1 or more, for a study")
    if args.act == "study" and any(p.startswith("SEED=") for p in args.parameters):
        parser.error("SEED=: a study sets it, so do not give it")
    return args


if __name__ == "__main__":
    sys.exit(main())
