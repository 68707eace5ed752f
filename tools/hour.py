"""About an hour on two cores: longer runs of one notebook, their rows side by side in one table."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
from execute import check_names, execute, workplace
from pages import pictures, thumbnail, write_page
from settings import command_line, parameters, read_yaml

from lib.files import whole
from lib.scoreboard import COLUMNS, read_scoreboard

MAIN = "hour"  # the run whose picture is kept


class Hour:
    """The runs that ``notebooks/hour/NN.yaml`` names, each a mapping of settings.

    A run that was interrupted goes on where its trainings were, one that ended is not repeated,
    while its settings, the notebook and lib/ stay the same. One call at a time.

    Args:
        root: the repository's.
        path: of the notebook.
        args: parameters, which overrule those of every run, name of the table, limit.
    """

    def __init__(self, root: Path, path: Path, args):
        self.root, self.path, self.number, self.args = root, path, path.stem[:2], args
        self.name = args.name or f"{self.number}_hour"
        if not re.fullmatch(rf"{self.number}_hour(_[\w-]+)?", self.name):
            rule = f"give {self.number}_hour or {self.number}_hour_word"
            sys.exit(f"AS={self.name}: {rule}, the table's name in results/")
        self.code, self.commit = code(root, path), commit(root, path)
        self.runs = {run: self._settings(run, own) for run, own in self._read().items()}

    def run(self) -> int:
        """0, or 1 where a run failed: then no table is written."""
        boards, heading = {}, [command_line("hour", self.number, self.args)]
        for run in self.runs:
            told, fault = self._one(run)
            if fault:
                print(f"{run} failed: {fault}. make hour goes on where its trainings were")
                return 1
            boards[run] = read_scoreboard(self._board(run))
            heading.append(f"{run}: {told}")
        self._write(boards, heading)
        return 0

    def _read(self) -> dict:
        """The runs, whose names are those of columns and folders."""
        file = self.root / "notebooks" / "hour" / f"{self.number}.yaml"
        if not file.exists():
            sys.exit(f"{file.relative_to(self.root)} is not there: no hour's run of this notebook")
        runs = read_yaml(file)
        if not isinstance(runs, dict) or not all(isinstance(own, dict) for own in runs.values()):
            sys.exit(f"{file.name}: give runs by name, each with its settings")
        if MAIN not in runs:
            sys.exit(f"{file.name}: one of the runs has to be called {MAIN!r}")
        for run in runs:
            named = isinstance(run, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9 ]*", run)
            if not named or run in COLUMNS:
                rule = f"letters, digits and blanks, none of {', '.join(COLUMNS)}"
                sys.exit(f"{file.name}: a run is called {run!r}; give {rule}")
        return runs

    def _settings(self, run: str, own: dict) -> dict:
        given = parameters(self.args.parameters)
        if "RESUME" in given:
            sys.exit(f"RESUME={given['RESUME']}: an hour's run sets it, so do not give it")
        settings = {**own, **given, "RESUME": True}
        check_names(self.path, settings)
        try:
            settings = json.loads(json.dumps(settings, allow_nan=False))  # as it is kept
        except (TypeError, ValueError) as error:
            sys.exit(f"{self.number}.yaml: {run!r} has a setting that is none: {error}")
        if not isinstance(settings.get("SEED"), int):
            sys.exit(f"{self.number}.yaml: {run!r} has no SEED that is a whole number")
        return settings

    def _one(self, run: str) -> tuple[str, str]:
        """(what is told of a run, fault or ""); it goes on from where it was."""
        state, place = self._state(run), self._place(run)
        if "told" in state and self._board(run).exists():
            return state["told"], ""
        if not state["begun"]:
            set_aside(place)
            workplace(self.root, place, [f"{self.number}.csv"])
        state["begun"] += 1
        self._keep(run, state)
        notebook, seconds, fault = execute(
            self.path, self.runs[run], folder=place / "notebooks", minutes=self.args.limit or 0
        )
        write_page(notebook, place, run)
        fault = fault or self._lacks(run, notebook)
        if not fault:
            state["told"] = self._tell(run, state["begun"], seconds)
            self._keep(run, state)
        return state.get("told", ""), fault

    def _lacks(self, run: str, notebook) -> str:
        """What a run has to leave, and has not."""
        if run == MAIN and not pictures(notebook):
            return "it shows no picture"
        try:
            read_scoreboard(self._board(run))
        except (OSError, ValueError) as error:
            return f"it left no rows in ../build/{self.number}.json ({error})"
        return ""

    def _tell(self, run: str, begun: int, seconds: float) -> str:
        again = f" since it was begun for time {begun}" if begun > 1 else ""
        seed = self.runs[run]["SEED"]
        return f"seed {seed}, commit {self.commit}, {processor()}, {seconds:.0f} s{again}"

    def _place(self, run: str) -> Path:
        return self.root / "build" / "hour" / self.name / run

    def _board(self, run: str) -> Path:
        return self._place(run) / "build" / f"{self.number}.json"

    def _state(self, run: str) -> dict:
        """Settings, code, how often it was begun and, once it has ended, what is told of it."""
        fresh = {"settings": self.runs[run], "code": self.code, "begun": 0}
        try:
            known = json.loads((self._place(run) / "run.json").read_text("utf-8"))
        except (OSError, ValueError):
            return fresh
        own = isinstance(known, dict) and [known.get(name) for name in ("settings", "code")]
        return known if own == [fresh["settings"], fresh["code"]] else fresh

    def _keep(self, run: str, state: dict) -> None:
        with whole(self._place(run) / "run.json") as new:
            new.write_text(json.dumps(state), "utf-8")

    def _write(self, boards: dict, heading: list[str]) -> None:
        """Table and picture to results/; the next hour's run begins anew."""
        results = self.root / "results"
        with whole(results / f"{self.name}.csv") as new, new.open("w", encoding="utf-8") as file:
            file.writelines(f"# {line}\n" for line in heading)
            join(boards).to_csv(file, index_label=COLUMNS[0], lineterminator="\n")
        notebook = nbformat.read(self._place(MAIN) / f"{MAIN}.ipynb", as_version=4)
        with whole(results / f"{self.name}.png") as new:
            new.write_bytes(pictures(notebook)[thumbnail(notebook)][1])
        for run in boards:
            (self._place(run) / "run.json").unlink()
        print(f"results/{self.name}.csv and .png: {', '.join(boards)}")


def set_aside(place: Path) -> None:
    """What was begun with other settings or code is kept once, in ``NAME.before``."""
    if place.exists():
        before = place.with_name(f"{place.name}.before")
        shutil.rmtree(before, ignore_errors=True)
        place.rename(before)


def join(boards: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One table: unit, reference, and what each run found, a column each."""
    rows = pd.concat(boards.values())
    table = rows.loc[~rows.index.duplicated(), ["unit", "reference"]]
    for run, board in boards.items():
        table[run] = board["here"]
    return table


def code(root: Path, path: Path) -> str:
    """A digest of what a run's numbers hang on: the notebook and lib/."""
    digest = hashlib.sha256(path.read_bytes())
    for module in sorted(root.glob("lib/**/*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def commit(root: Path, path: Path) -> str:
    """The commit that runs, "-dirty" where the notebook, notebooks/hour or lib/ differ from it."""
    command = ["git", "describe", "--always", "--exclude=*"]
    changed = ["git", "status", "--porcelain", "--", str(path), "notebooks/hour", "lib"]
    try:
        done = [
            subprocess.run(c, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
            for c in (command, changed)
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done[0] + ("-dirty" if done[1] else "")


def processor() -> str:
    """What this machine calls its processor, and how many cores there are to use."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text() if info.exists() else "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{named[1] if named else platform.processor()}, {cores} cores"
