"""No progress bars: neither in the tests nor in the kernels that nbval starts."""

import os
from functools import partialmethod

import pytest

os.environ["TQDM_DISABLE"] = "1"  # tqdm reads it once, when it is imported


@pytest.fixture
def bars(monkeypatch):
    """Bars are shown after all, and drawn at every step."""
    from tqdm import tqdm

    shown = partialmethod(vars(tqdm)["__init__"], disable=False, mininterval=0)
    monkeypatch.setattr(tqdm, "__init__", shown)
