"""The paper's settings name parameters that their notebooks have."""

import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from execute import check_names  # noqa: E402


@pytest.mark.parametrize("paper", sorted((ROOT / "notebooks/paper").glob("*.yaml")), ids=str)
def test_a_paper_s_settings_are_its_notebook_s(paper):
    (notebook,) = (ROOT / "notebooks").glob(f"{paper.stem}_*.ipynb")
    check_names(notebook, yaml.safe_load(paper.read_text("utf-8")))
    with pytest.raises(SystemExit, match="has no parameter OTHER"):
        check_names(notebook, {"OTHER": 1})
