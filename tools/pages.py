"""What an executed notebook leaves: its pictures, its page, an index of all."""

import base64
import html
import io
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from PIL import Image


def tidy(notebook) -> None:
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
    """The picture in 256 colours, grays without a tint: half the bytes or less."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    packed = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def pictures(notebook) -> list[tuple[int, bytes]]:
    """(cell number, PNG) of every stored picture."""
    return [
        (number, base64.b64decode(output.data["image/png"]))
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


def thumbnail(notebook) -> int:
    """Which picture stands in the README: that of the cell tagged "thumbnail", else the first."""
    cells = [number for number, _ in pictures(notebook)]
    tagged = [n for n, c in enumerate(notebook.cells) if "thumbnail" in c.metadata.get("tags", [])]
    return cells.index(tagged[0]) if tagged else 0


def write_figures(notebook, folder: Path, stem: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for count, (_, picture) in enumerate(pictures(notebook), start=1):
        written.append(folder / f"{stem}_{count}.png")
        written[-1].write_bytes(picture)
    return written


def write_page(notebook, folder: Path, stem: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")
    page = folder / f"{stem}.html"
    page.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return page


def write_index(folder: Path, pages) -> None:
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
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Voxelbook</title>'
        f"<style>{style}</style><h1>Voxelbook</h1>{''.join(parts)}</html>",
        encoding="utf-8",
    )
