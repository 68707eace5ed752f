"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path) -> Iterator[Path]:
    """Where to write, so that ``path`` holds the old or the new, whenever the program ends.

    ``with whole("a.json") as new: new.write_text("{}")``; the folder is made if need be. What a
    program that was killed left half-written, ``.a.json``, is replaced by the next.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    try:
        yield new
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
