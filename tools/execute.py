"""Execute one notebook, and say meanwhile how far it is."""

import math
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat.v4 import new_notebook
from pages import tidy
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

SECOND, FIVE_MINUTES = 1, 300  # between two words about a notebook: on a terminal, in a log


class Progress:
    """Cells done of all, seconds: one line rewritten in place on a terminal, few elsewhere."""

    def __init__(self, name: str):
        self.name, self.began, self.seconds = name, time.monotonic(), 0.0
        self.notebook, self.cell, self.fault = new_notebook(), 0, ""
        self.terminal = sys.stdout.isatty()
        self.over = threading.Event()
        self.clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self):
        self._say(self.name)
        self.clock.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.clock.join()
        if kind:  # such as KeyboardInterrupt
            self.fault = kind.__name__
        elif not self.fault:
            self.cell = len(self.notebook.cells)
        self._say(self.line() + (f"  FAILED: {self.fault}" if self.fault else ""))
        if self.terminal:
            print(flush=True)

    def line(self) -> str:
        self.seconds = time.monotonic() - self.began
        executed = [c.cell_type == "code" for c in self.notebook.cells]
        done, number = sum(executed[: self.cell]), sum(executed)
        return f"{self.name:24} {done:2} of {number} cells {self.seconds:6.1f} s"

    def at_cell(self, cell, cell_index: int) -> None:
        """nbclient's hook."""
        self.cell = cell_index

    def _tick(self) -> None:
        while not self.over.wait(SECOND if self.terminal else FIVE_MINUTES):
            self._say(self.line())

    def _say(self, words: str) -> None:
        if self.terminal:  # to the line's begin, and at its end wipe what is left of a longer one
            print(f"\r{words}\x1b[K", end="", flush=True)
        else:
            print(words, flush=True)


def execute(path: Path, parameters: dict | None = None, *, folder: Path, minutes: float = 0):
    """(executed notebook, seconds, fault or "").

    What the kernel writes to stderr below Python (TensorFlow's greetings) is dropped; errors stand
    in the notebook.

    Args:
        path: of the notebook, which is left as it is.
        parameters: what replaces its settings.
        folder: where it runs.
        minutes: a cell may take; 0: any.
    """
    with Progress(path.stem) as progress:
        try:
            progress.notebook = _read(path, parameters)
            client = NotebookClient(
                progress.notebook, kernel_name="python3", on_cell_start=progress.at_cell,
                timeout=math.ceil(60 * minutes), resources={"metadata": {"path": folder}},
            )  # fmt: skip
            client.execute(stderr=subprocess.DEVNULL)
        except CellTimeoutError:
            limit = f"longer than {minutes:g} minutes, the limit a cell (LIMIT=0: none)"
            progress.fault = f"cell {progress.cell}: {limit}"
        except Exception as error:  # a failing cell, a dead kernel, a file that is no notebook
            progress.fault = _fault(progress, error)
    tidy(progress.notebook)
    return progress.notebook, progress.seconds, progress.fault


def workplace(root: Path, place: Path, hidden: Sequence[str]) -> Path:
    """A folder to run in where ../build is its own; all else in .. is the repository's.

    So a run with settings of its own meets no other run's files. Of results/, the files ``hidden``
    are left out: a run that is to tell a study's spread is not judged by an earlier one.
    """
    shutil.rmtree(place, ignore_errors=True)
    own = ("notebooks", "build", "results")
    for name in own:
        (place / name).mkdir(parents=True)
    for original in [*root.glob("[!.]*"), *root.glob("results/*")]:
        if original.name not in (*own, *hidden):
            (place / original.relative_to(root)).symlink_to(original)
    return place / "notebooks"


def check_names(path: Path, parameters: dict) -> None:
    """Papermill would only log a parameter that the notebook lacks."""
    cells = nbformat.read(path, as_version=4).cells
    tagged = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    left = re.findall(r"^([A-Z_0-9, ]+?)\s*=", "\n".join(c.source for c in tagged), re.MULTILINE)
    known = [name for names in left for name in names.split(", ")]  # A, B = 1, 2
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        sys.exit(f"{path.name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}")


def _read(path: Path, parameters: dict | None):
    """The notebook with its settings, without outputs of an earlier run."""
    if parameters:
        notebook = parameterize_notebook(
            load_notebook_node(str(path)), parameters, kernel_name="python3", language="python"
        )
    else:
        notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _fault(progress: Progress, error: Exception) -> str:
    """Which cell failed, and how."""
    for number, cell in enumerate(progress.notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number}: {output.ename}: {output.evalue}"
    where = f"cell {progress.cell}: " if progress.notebook.cells else ""
    return f"{where}{type(error).__name__}: {error}"
