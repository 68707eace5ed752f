"""What an executed notebook leaves: its pictures and its page."""

import base64
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
    for place, (number, _) in enumerate(pictures(notebook)):
        if "thumbnail" in notebook.cells[number].metadata.get("tags", []):
            return place
    return 0


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
