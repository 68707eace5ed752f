"""The README's tables of results are what results/ holds, to the last digit."""

import csv
import functools
import random
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from lib.volumes import load_volume

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import tables  # noqa: E402
from result_tables import TABLES, TableError  # noqa: E402

README = (ROOT / "README.md").read_text("utf-8")
RESULTS = (ROOT / "results/README.md").read_text("utf-8")
BOTH = README + RESULTS
BLOCKS = dict(re.findall(r"(?ms)^<!-- table (\w+): (.*?^<!-- end of table -->\n)", BOTH))
BLOCKS = {name: f"<!-- table {name}: {rest}" for name, rest in BLOCKS.items()}
SOURCES = [(n, file) for n in TABLES for file in TABLES[n][1:] if (ROOT / file).is_file()]
FILES = sorted(path.name for path in (ROOT / "results").iterdir() if path.name != "README.md")
DIGITS = b"0123456789"


@pytest.fixture
def copy(tmp_path):
    """The README and all that its tables are made from, free to be changed."""
    results = [f"results/{name}" for name in [*FILES, "README.md"]]
    for file in {"README.md", *results, *[file for _, file in SOURCES]}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def other_digit(text: bytes, place: int) -> bytes:
    return text[:place] + b"%d" % ((int(text[place : place + 1]) + 1) % 10) + text[place + 1 :]


def cells(name) -> dict[str, list[str]]:
    """Label -> the other cells of a table as it stands in the README; its head, too."""
    rows = [line.strip("| ").split(" | ") for line in BLOCKS[name].splitlines() if line[:2] == "| "]
    return {label: rest for label, *rest in rows}


def columns(file) -> dict[str, list[float]]:
    with open(ROOT / "results" / file, newline="", encoding="utf-8") as lines:
        head, *rows = list(csv.reader(line for line in lines if line[0] != "#"))
    return {name: [float(row[place]) for row in rows] for place, name in enumerate(head)}


def spread(values) -> str:
    mean, low, high = sum(values) / len(values), min(values), max(values)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})".replace("-", "−")


def test_the_readme_s_tables_are_those_that_are_made_anew():
    assert set(BLOCKS) == set(TABLES)
    assert tables.stale(BOTH, ROOT) == []
    assert tables.renewed(BOTH, ROOT) == BOTH


@pytest.mark.parametrize("name", TABLES)
def test_no_digit_of_a_table_can_change_unseen(name, monkeypatch):
    monkeypatch.setattr(tables, "made", functools.cache(tables.made))
    block = BLOCKS[name].encode()
    places = [place for place, byte in enumerate(block) if byte in DIGITS]
    assert len(places) > 20
    for place in places:
        changed = BOTH.replace(BLOCKS[name], other_digit(block, place).decode())
        assert tables.stale(changed, ROOT) == [name]


@pytest.mark.parametrize("name, file", SOURCES)
def test_no_digit_of_a_source_can_change_unseen(name, file, copy):
    source = (copy / file).read_bytes()
    places = [place for place, byte in enumerate(source) if byte in DIGITS]
    for place in [places[0], *random.Random(0).sample(places, 50), places[-1]]:
        (copy / file).write_bytes(other_digit(source, place))
        assert tables.stale(BLOCKS[name], copy) == [name]
    assert name in tables.stale(README, copy)


@pytest.mark.parametrize("file", FILES)
def test_no_byte_of_a_result_can_change_unseen(file, copy):
    assert tables.stale(RESULTS, copy) == []
    path = copy / "results" / file
    content = path.read_bytes()
    for place in [len(content) // 2, len(content) - 2]:
        path.write_bytes(content[:place] + b"7" + content[place + 1 :])
        if path.read_bytes() != content:
            assert tables.stale(RESULTS, copy) == ["files"]
    path.unlink()
    assert tables.stale(RESULTS, copy) == ["files"]


def test_a_result_without_its_command_is_named(copy):
    (copy / "results" / "new.txt").write_text("1 2 3\n")
    with pytest.raises(SystemExit, match=r"results/README\.md: .*new\.txt does not begin with"):
        tables.main(copy)


def test_a_change_is_written_where_it_belongs_and_once(copy, capsys):
    readme, results = copy / "README.md", copy / "results/04.csv"
    band = columns("04.csv")["Dice, Gaussian, band"]  # the first behind the seed
    text, times = re.subn(r"\n0,[^,]+,", "\n0,0.1,", results.read_text("utf-8"))
    assert times == 1
    results.write_text(text, "utf-8")
    tables.main(copy)
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["gray_matter", "files"]
    old, new = README.splitlines(), readme.read_text("utf-8").splitlines()
    changed = [line for line, before in zip(new, old, strict=True) if line != before]
    assert len(changed) == 2 and changed[0].startswith("<!-- table gray_matter: results/04.csv ")
    assert changed[1].endswith(f"thresholds, tuned | – | {spread([0.1, *band[1:]])} |")
    before = readme.stat()
    tables.main(copy)
    assert capsys.readouterr().out.count("anew: none") == 2
    assert readme.stat().st_ino == before.st_ino and readme.stat().st_mtime == before.st_mtime
    assert not list(copy.glob(".*")) and not list(copy.glob("results/.*"))


def test_a_new_table_needs_its_two_markers_only():
    empty = "before\n<!-- table kernels -->\n<!-- end of table -->\nafter\n"
    assert tables.stale(empty, ROOT) == ["kernels"]
    assert tables.renewed(empty, ROOT) == f"before\n{BLOCKS['kernels']}after\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "<!-- table pixels: a.csv -->\n<!-- end of table -->\n",
            "table pixels is unknown; .*beads",
        ),
        ("<!-- table beads -->\n| 1 |\n", "table beads has no <!-- end of table -->"),
        ("<!-- table beads -->\n<!-- table black -->\n<!-- end of table -->\n", "beads has no"),
        ("a\n<!-- tabel beads -->\n<!-- end of table -->\n", "line 3: .* without a beginning"),
    ],
)
def test_markers_that_are_wrong_are_named(text, message, copy):
    (copy / "README.md").write_text(text, "utf-8")
    with pytest.raises(TableError, match=message):
        tables.stale(text, copy)
    with pytest.raises(SystemExit, match=f"README.md: .*{message}"):
        tables.main(copy)
    assert (copy / "README.md").read_text("utf-8") == text


@pytest.mark.parametrize("name, file", SOURCES)
def test_a_missing_file_is_named(name, file, copy):
    (copy / file).unlink()
    with pytest.raises(TableError, match=f"table {name}: {file} is missing"):
        tables.stale(README, copy)


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        (
            "06.csv",
            r"\[6,6,3\], 4 s",
            "[6,6,3], 5 s",
            r"table kernels: no column '.*\[6,6,3\], 4 s'",
        ),
        ("07.csv", "\n0,", "\n,", "table beads: 07.csv has no row, or an empty cell"),
        ("04_iou.csv", "\n4,", "\n5,", "table gray_matter: .* of different seeds"),
        ("fourier_conv.txt", " Conv3D: ", " Conv2D: ", "table fourier: no line, .* \\^ \\+Conv3D"),
        (
            "fourier_conv.txt",
            r"[\d.]+ \|(.*\n.*training)",
            r"nan |\1",
            "table fourier: no line, with all its numbers",
        ),
        ("05.csv", "\n0,[^,]+,", "\n0,x,", "table black: "),
    ],
)
def test_a_file_that_makes_no_table_is_named(file, old, new, message, copy):
    path = copy / "results" / file
    text = path.read_text("utf-8")
    changed, times = re.subn(old, new, text)
    assert times == 1
    path.write_text(changed, "utf-8")
    with pytest.raises(SystemExit, match=message):
        tables.main(copy)
    assert (copy / "README.md").read_text("utf-8") == README


def test_gray_matter_by_hand():
    study, iou, found = columns("04.csv"), columns("04_iou.csv"), cells("gray_matter")
    assert len(study["seed"]) == len(iou["seed"]) == 5 and len(found) == 9
    assert found["Dice, network"] == ["0.9136", spread(study["Dice, network"])]
    assert found["IoU, network"] == ["0.8406", spread(study["IoU, network"])]
    rest = {
        "Dice, network trained with IoU loss": iou["Dice, network"],
        "Dice, boosted trees over filtered scans, tuned": study["Dice, boosted trees"],
        "Dice, N4, evened contrast, Gaussian, band of thresholds, tuned": study[
            "Dice, Gaussian, band"
        ],
        "Dice, the same with a mixture of Gaussians": study["Dice, Gaussian, mixture"],
    }
    trees, chain = study["network ahead of boosted trees"], study["network ahead of the best chain"]
    for rival, leads in {"trees": trees, "better chain": chain}.items():
        ahead = len([lead for lead in leads if lead > 0])
        rest[f"network ahead of the {rival}, in {ahead} seeds of 5"] = leads
    for label, values in rest.items():
        assert found[label] == ["–", spread(values)], label


def test_beads_rise_by_correlation_and_a_row_by_hand():
    study, found = columns("07.csv"), cells("beads")
    correlations = [float(rest[0]) for rest in list(found.values())[1:]]
    assert len(correlations) == 11 and correlations == sorted(correlations)
    names = ["correlation, zeros", "RMSE, zeros", "F1, zeros"]
    scores = [f"{np.mean(study[name]):.3f}" for name in names]
    borders = ["border over black, zeros, window alone", "border over black, zeros, with a margin"]
    alone, margin = [f"{np.mean(study[name]):.2f}" for name in borders]
    label = "autoencoder, kernels [16,16,8], zeros at the border"
    assert found[label] == [*scores, f"{alone} ({margin})"]
    assert found["blind Richardson-Lucy"][3] == "–"


def test_black_by_hand():
    study, found = columns("05.csv"), cells("black")
    files = [f"data/beads/validation/{kind}/beads_4.mat" for kind in ("image", "label")]
    voxels = [load_volume(ROOT / file).data.ravel() for file in files]
    observed = np.corrcoef(*voxels)[0, 1]
    assert found["observed volume"] == ["–", "–", f"{observed:.2f}"]
    for label, recipe in {
        "naive: mean squared error": "naive",
        "naive with cross-entropy and batch norm": "naive with cross-entropy, batch norm",
        "cured: all seven pieces": "cured",
    }.items():
        correlations = study[f"correlation, {recipe}"]
        dark = [share for share in study[f"brightness, {recipe}"] if share < 0.05]
        sees = [value for value in correlations if value > observed]
        mean = f"{np.mean(correlations):.2f}".replace("-0.00", "0.00")
        assert found[label] == [str(len(dark)), str(len(sees)), mean], label


def test_kernels_by_hand():
    study, found = columns("06.csv"), cells("kernels")
    names = ["[4,4,2]", "[6,6,3]", "[16,16,8]"]
    late = [study[f"correlation, {name}, 16 s"] for name in names]
    best = [names[np.argmax(seed)] for seed in zip(*late, strict=True)]
    for name in names:
        means = [f"{np.mean(study[f'correlation, {name}, {s} s']):.2f}" for s in (2, 4, 8, 16)]
        assert found[name] == [*means, str(best.count(name))]


def test_fourier_by_hand():
    lines = (ROOT / "results/fourier_conv.txt").read_text("utf-8").splitlines()
    [words] = [line.split() for line in lines if line.split()[:3] == ["128x128x32", "16,16,8", "4"]]
    _, layer, step = cells("fourier").values()
    times = [f"{float(words[place]):.0f} ms" for place in (6, 5, 10)]
    assert layer == [*times, f"{float(words[9]):.1f}"]
    own, other = [[float(n) for n in re.findall(r" (\d+\.\d+)", line)] for line in lines[-2:]]
    both = [f"{seconds:.1f} s, {peak:.1f} GiB" for seconds, peak in (own, other)]
    assert step == [*both, "–", f"{other[0] / own[0]:.0f}"]


def hour(file) -> dict[str, dict[str, str]]:
    """Quantity -> its row as text, by column."""
    with open(ROOT / "results" / file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(line for line in lines if line[0] != "#"))
    return {row["quantity"]: row for row in rows}


def test_the_hour_of_gray_matter_by_hand():
    found, kept = cells("gray_hour"), hour("04_hour.csv")
    head, minutes = next(iter(found.items())), found["minutes of training"]
    runs = ["a sixteenth", "a quarter", "hour", "trained on the test region"]
    assert head[0].startswith("R1.2, seed 0, commit ") and head[1] == ["reference", *runs]
    assert minutes == ["–", *[f"{float(kept['training'][run]) / 60:.1f}" for run in runs]]
    for label, quantity, reference in [
        ("Dice, network", "Dice, network", "0.914"),
        ("IoU, network", "IoU, network", "0.841"),
        ("network ahead of the better chain", "network ahead of the best chain", "–"),
    ]:
        dices = [f"{float(kept[quantity][run]):.3f}".replace("-", "−") for run in runs]
        assert found[label] == [reference, *dices], label


def test_the_hour_of_beads_by_hand():
    found, kept = cells("beads_hour"), hour("07_hour.csv")
    label = "autoencoder at R3's settings, with the cure"
    scores = [f"{float(kept[f'{s}, R3 cured']['hour']):.3f}" for s in ("correlation", "RMSE", "F1")]
    minutes = f"{float(kept['training, R3 cured']['hour']) / 60:.1f}"
    assert found[label] == [*scores, minutes]
    assert found["physics network"][3] == found["observed"][3] == "–"


def test_the_network_s_parameters_are_the_reference_s():
    numbers = set(re.findall(r"\b\d{1,3}(?:,\d{3})+\b", README))  # test_models.py counts them
    assert numbers == {"8,453,629", "8,447,773", "198,545", "14,913"}
