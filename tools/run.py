"""One runner for the notebooks: run, refresh, paper settings, repeated seeds.

python tools/run.py run                       # build/: executed notebooks, pages, index.html
python tools/run.py notebooks [04]            # refresh notebooks/ and figures/ in place
python tools/run.py paper 04                  # with notebooks/paper/04.yaml, to build/paper/
python tools/run.py study 04 --seeds 5 [NAME=VALUE ...]   # results/04.csv
"""

import argparse
import base64
import csv
import html
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.v4 import new_notebook
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS, BUILD = ROOT / "notebooks", ROOT / "build"


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args = _arguments()
    return {"run": run, "notebooks": refresh, "paper": paper, "study": study}[args.act](args)


def run(args) -> int:
    """Execute all; a failing one does not stop the others."""
    pages = []
    for path in chosen(args.number):
        notebook, seconds, fault = execute(path)
        page = _write_page(notebook, BUILD, path.stem)
        pages.append((page, _write_figures(notebook, BUILD / "figures", path.stem), seconds, fault))
    _write_index(pages)
    failed = [page.stem for page, _, _, fault in pages if fault]
    print(f"build/index.html: {len(pages) - len(failed)} notebooks passed, {len(failed)} failed")
    return 1 if failed else 0


def refresh(args) -> int:
    """Execute in place, without what differs from run to run, and renew the README's pictures."""
    status = 0
    for path in chosen(args.number):
        notebook, _, fault = execute(path)
        if fault:
            status = 1
            continue
        nbformat.write(notebook, path)
        first = _write_figures(notebook, BUILD / "figures", path.stem)[_thumbnail(notebook)]
        (ROOT / "figures").mkdir(exist_ok=True)
        (ROOT / "figures" / f"{path.stem}.png").write_bytes(first.read_bytes())
    return status


def paper(args) -> int:
    """The paper's settings; the executed notebook and its page go to build/paper/."""
    (path,) = chosen(args.number)
    settings = NOTEBOOKS / "paper" / f"{path.stem[:2]}.yaml"
    if not settings.exists():
        sys.exit(f"{settings.relative_to(ROOT)} is not there: this notebook has no paper settings")
    values = {**yaml.safe_load(settings.read_text("utf-8")), **_parameters(args.parameters)}
    notebook, _, fault = execute(path, values)
    _write_page(notebook, BUILD / "paper", path.stem)
    return 1 if fault else 0


def study(args) -> int:
    """One run for each seed; the numbers that each leaves in build/NN.json become one table."""
    (path,) = chosen(args.number)
    rows, extra = [], _parameters(args.parameters)
    for seed in range(args.seeds):
        numbers = BUILD / f"{path.stem[:2]}.json"
        numbers.unlink(missing_ok=True)
        notebook, seconds, fault = execute(path, {**extra, "SEED": seed})
        _write_page(notebook, BUILD / "study", f"{path.stem}_seed{seed}")
        if fault or not numbers.exists():
            print(f"seed {seed}: {fault or f'left no {numbers.relative_to(ROOT)}'}")
            return 1
        rows.append(
            {"seed": seed, **json.loads(numbers.read_text("utf-8")), "seconds": round(seconds)}
        )
    words = shlex.join(f"{name}={value}" for name, value in extra.items())
    command = f"make study NB={path.stem[:2]} SEEDS={args.seeds}"
    command += f" PARAMS={shlex.quote(words)}" if words else ""
    _write_table(ROOT / "results" / f"{path.stem[:2]}.csv", rows, command)
    return 0


def chosen(number: str | None) -> list[Path]:
    """Notebooks in order; with a number, that one."""
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if number:
        paths = [path for path in paths if path.stem[:2] == number.zfill(2)]
    if not paths:
        sys.exit(f"NB={number}: no such notebook in {NOTEBOOKS.relative_to(ROOT)}/")
    return paths


def execute(path: Path, parameters: dict | None = None):
    """(executed notebook, seconds, fault or ""), with a line of progress.

    What the kernel writes to stderr below Python (TensorFlow's greetings) is dropped; errors stand
    in the notebook.
    """
    print(f"{path.stem:24}", end=" ", flush=True)
    BUILD.mkdir(exist_ok=True)  # where notebooks leave their numbers
    began, fault, notebook = time.monotonic(), "", new_notebook()
    try:
        notebook = _read(path, parameters)
        where = {"metadata": {"path": NOTEBOOKS}}
        client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=where)
        client.execute(stderr=subprocess.DEVNULL)
    except Exception as error:  # a failing cell, a dead kernel, a file that is no notebook
        fault = _fault(notebook, error)
    seconds = time.monotonic() - began
    print(f"{seconds:6.1f} s" + (f"  FAILED: {fault}" if fault else ""), flush=True)
    _tidy(notebook)
    return notebook, seconds, fault


def _read(path: Path, parameters: dict | None):
    """The notebook with its settings, without outputs of an earlier run."""
    if parameters:
        notebook = load_notebook_node(str(path))
        _check_names(notebook, parameters, path)
        notebook = parameterize_notebook(
            notebook, parameters, kernel_name="python3", language="python"
        )
    else:
        notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _fault(notebook, error) -> str:
    """Which cell failed, and how."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number}: {output.ename}: {output.evalue}"
    last = max((n for n, c in enumerate(notebook.cells) if c.get("execution_count")), default=0)
    return f"after cell {last}: {type(error).__name__}: {error}" if notebook.cells else str(error)


def _check_names(notebook, parameters: dict, path: Path) -> None:
    """Papermill would only log a parameter that the notebook lacks."""
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    known = re.findall(r"^([A-Z_0-9]+)\s*=", "\n".join(c.source for c in tagged), re.MULTILINE)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        sys.exit(f"{path.name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}")


def _tidy(notebook) -> None:
    """What differs from machine to machine and is no result."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _smaller(output.data["image/png"])


def _smaller(png: str) -> str:
    """The picture in 256 colours: half the bytes or less, and no eye sees it."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    packed = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def _pictures(notebook) -> list[tuple[int, bytes]]:
    """(cell number, PNG) of every stored picture."""
    return [
        (number, base64.b64decode(output.data["image/png"]))
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


def _thumbnail(notebook) -> int:
    """Which picture stands in the README: that of the cell tagged "thumbnail", else the first."""
    cells = [number for number, _ in _pictures(notebook)]
    tagged = [n for n, c in enumerate(notebook.cells) if "thumbnail" in c.metadata.get("tags", [])]
    return cells.index(tagged[0]) if tagged else 0


def _write_figures(notebook, folder: Path, stem: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for count, (_, picture) in enumerate(_pictures(notebook), start=1):
        written.append(folder / f"{stem}_{count}.png")
        written[-1].write_bytes(picture)
    return written


def _write_page(notebook, folder: Path, stem: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")
    page = folder / f"{stem}.html"
    page.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return page


def _write_index(pages) -> None:
    """All notebooks with their figures on one page."""
    parts = []
    for page, figures, seconds, fault in pages:
        state = html.escape(fault) if fault else f"{seconds:.0f} s"
        images = "".join(f'<img src="figures/{f.name}" alt="{f.stem}">' for f in figures)
        parts.append(
            f'<h2><a href="{page.name}">{page.stem}</a></h2><p class="{"bad" if fault else "ok"}">'
            f"{state}</p><div>{images}</div>"
        )
    style = (
        "body{font:16px/1.5 system-ui;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "img{max-width:32%;margin:0 1% 1% 0;vertical-align:top}.bad{color:#b00}.ok{color:#555}"
    )
    (BUILD / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Voxelbook</title>'
        f"<style>{style}</style><h1>Voxelbook</h1>{''.join(parts)}</html>",
        encoding="utf-8",
    )


def _write_table(path: Path, rows: list[dict], command: str) -> None:
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    with open(fresh, "w", newline="", encoding="utf-8") as file:
        file.write(f"# {command}\n")
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    os.replace(fresh, path)
    print(f"{path.relative_to(ROOT)}: {len(rows)} seeds")


def _parameters(words: list[str]) -> dict:
    """NAME=VALUE, the value read as YAML: a number where it looks like one."""
    wrong = [word for word in words if "=" not in word]
    if wrong:
        sys.exit(f"{wrong[0]!r}: give parameters as NAME=VALUE")
    return {name: yaml.safe_load(value) for name, value in (w.split("=", 1) for w in words)}


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("act", choices=["run", "notebooks", "paper", "study"])
    parser.add_argument("number", nargs="?", help="of the notebook, such as 04")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_intermixed_args()
    if args.act in ("paper", "study") and not args.number:
        parser.error(f"say which notebook: make {args.act} NB=04")
    if args.act in ("run", "notebooks") and args.parameters:
        parser.error(f"{' '.join(args.parameters)}: make {args.act} takes one notebook at most")
    if args.seeds < 1 or (
        args.act == "study" and any(p.startswith("SEED=") for p in args.parameters)
    ):
        parser.error(f"--seeds {args.seeds}: give 1 or more; they set SEED, so do not give it")
    return args


if __name__ == "__main__":
    sys.exit(main())
