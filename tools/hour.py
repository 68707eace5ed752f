"""About an hour on two cores: longer runs of one notebook, their rows side by side in one table."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import yaml
from execute import check_names, execute, workplace
from pages import pictures, thumbnail, write_page

from lib.files import whole
from lib.scoreboard import COLUMNS, read_scoreboard

MAIN = "hour"  # the run whose picture is kept


class Hour:
    """The runs that ``notebooks/hour/NN.yaml`` names, each a mapping of settings.

    A run that was interrupted goes on where its trainings were, one that ended is not repeated,
    while its settings and the commit stay the same.

    Args:
        root: the repository's.
        path: of the notebook.
        parameters: settings that overrule those of every run.
        name: of the table and the picture in results/; None: "NN_hour".
    """

    def __init__(self, root: Path, path: Path, parameters: dict, name: str | None = None):
        self.root, self.path, self.number = root, path, path.stem[:2]
        self.name = name or f"{self.number}_hour"
        if not re.fullmatch(rf"{self.number}_hour(_[\w-]+)?", self.name):
            rule = f"give {self.number}_hour or {self.number}_hour_word"
            sys.exit(f"AS={name}: {rule}, the table's name in results/")
        self.parameters, self.runs = parameters, {}
        for run, settings in self._read().items():
            self.runs[run] = {**settings, **parameters, "RESUME": True}
            check_names(path, self.runs[run])
            if "SEED" not in self.runs[run]:
                sys.exit(f"{self.number}.yaml: {run!r} has no SEED: say which seed it is")

    def run(self) -> int:
        """0, or 1 where a run failed: then no table is written."""
        boards, heading = {}, [self._command()]
        for run in self.runs:
            notebook, fault = self._one(run)
            if fault:
                print(f"{run} failed: {fault}. make hour goes on where its trainings were")
                return 1
            boards[run] = read_scoreboard(self._board(run))
            heading.append(f"{run}: {self._state(run)['told']}")
            if run == MAIN:
                picture = pictures(notebook)[thumbnail(notebook)][1]
        self._write(boards, heading, picture)
        return 0

    def _read(self) -> dict:
        file = self.root / "notebooks" / "hour" / f"{self.number}.yaml"
        if not file.exists():
            sys.exit(f"{file.relative_to(self.root)} is not there: no hour's run of this notebook")
        runs = yaml.safe_load(file.read_text("utf-8"))
        if not isinstance(runs, dict) or not all(isinstance(own, dict) for own in runs.values()):
            sys.exit(f"{file.name}: give runs by name, each with its settings")
        if MAIN not in runs:
            sys.exit(f"{file.name} has the runs {', '.join(runs)}: one has to be called {MAIN!r}")
        return runs

    def _one(self, run: str):
        """(executed notebook, fault or "") of a run, from where it was."""
        state, place = self._state(run), self._place(run)
        if "told" in state:
            return nbformat.read(self._page(run), as_version=4), ""
        if not state["begun"]:
            workplace(self.root, place, [f"{self.number}.csv"])
        state["begun"] += 1
        self._keep(run, state)
        settings = self.runs[run]
        notebook, seconds, fault = execute(self.path, settings, folder=place / "notebooks")
        write_page(notebook, self._page(run).parent, self._page(run).stem)
        if not fault and not self._board(run).exists():
            fault = f"it left no ../build/{self.number}.json"
        if not fault:
            state["told"] = _told(state, settings["SEED"], seconds)
            self._keep(run, state)
        return notebook, fault

    def _place(self, run: str) -> Path:
        return self.root / "build" / "hour" / self.name / re.sub(r"\W+", "_", run)

    def _board(self, run: str) -> Path:
        return self._place(run) / "build" / f"{self.number}.json"

    def _page(self, run: str) -> Path:
        return self.root / "build" / "hour" / f"{self.name}_{self._place(run).name}.ipynb"

    def _state(self, run: str) -> dict:
        """Settings, commit, how often it was begun and, once it has ended, what is told of it."""
        fresh = {"settings": self.runs[run], "commit": commit(self.root), "begun": 0}
        file = self._place(run) / "run.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else fresh
        same = all(known.get(name) == fresh[name] for name in ("settings", "commit"))
        return known if same else fresh

    def _keep(self, run: str, state: dict) -> None:
        with whole(self._place(run) / "run.json") as new:
            new.write_text(json.dumps(state), "utf-8")

    def _command(self) -> str:
        words = [f"NB={self.number}"]
        if self.parameters:
            given = [f"{name}={json.dumps(value)}" for name, value in self.parameters.items()]
            words.append(f"PARAMS={shlex.join(given)}")
        if self.name != f"{self.number}_hour":
            words.append(f"AS={self.name}")
        return "make hour " + shlex.join(words)

    def _write(self, boards: dict, heading: list[str], picture: bytes) -> None:
        """Table and picture to results/; the next hour's run begins anew."""
        results = self.root / "results"
        with whole(results / f"{self.name}.csv") as new, new.open("w", encoding="utf-8") as file:
            file.writelines(f"# {line}\n" for line in heading)
            join(boards).to_csv(file, index_label=COLUMNS[0], lineterminator="\n")
        with whole(results / f"{self.name}.png") as new:
            new.write_bytes(picture)
        for run in boards:
            (self._place(run) / "run.json").unlink()
        print(f"results/{self.name}.csv and .png: {', '.join(boards)}")


def join(boards: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One table: unit, reference, and what each run found, a column each."""
    rows = pd.concat(boards.values())
    table = rows.loc[~rows.index.duplicated(), ["unit", "reference"]]
    for run, board in boards.items():
        table[run] = board["here"]
    return table


def commit(root: Path) -> str:
    """The commit that runs, "-dirty" behind it where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def processor() -> str:
    """What this machine calls its processor, and how many cores there are to use."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text() if info.exists() else "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{named[1] if named else platform.processor()}, {cores} cores"


def _told(state: dict, seed: int, seconds: float) -> str:
    again = f" since it was begun for time {state['begun']}" if state["begun"] > 1 else ""
    return f"seed {seed}, commit {state['commit']}, {processor()}, {seconds:.0f} s{again}"
