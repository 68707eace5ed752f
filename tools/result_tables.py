"""What the README's tables of results hold: a function for each, which returns its lines.

A new table is a function here, its line in TABLES, and the two markers in the README (tables.py).
"""

import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import metrics, studies
from lib.microscopy.bead_sets import read_bead_set

CHAIN = "Dice, N4, evened contrast, Gaussian, band of thresholds, tuned"
GRAY = {  # row -> study, column, number of the reference
    "Dice, network": ("04", "Dice, network", "0.9136"),
    "IoU, network": ("04", "IoU, network", "0.8406"),
    "Dice, network trained with IoU loss": ("04_iou", "Dice, network", "–"),
    "Dice, boosted trees over filtered scans, tuned": ("04", "Dice, boosted trees", "–"),
    CHAIN: ("04", "Dice, Gaussian, band", "–"),
    "Dice, the same with a mixture of Gaussians": ("04", "Dice, Gaussian, mixture", "–"),
}
LEADS = {"trees": "boosted trees", "better chain": "the best chain"}  # row -> column of 04
BEADS = {  # row -> method of 07
    "observed": "observed",
    "Wiener": "Wiener",
    "blind Richardson-Lucy": "blind",
    "Richardson-Lucy, constant background": "Richardson-Lucy, constant",
    "Richardson-Lucy, fitted plane": "Richardson-Lucy",
    "Richardson-Lucy, fitted plane, then a Gaussian": "Richardson-Lucy, smoothed",
    "autoencoder, kernels [4,4,2], zeros": "small kernels",
    "autoencoder, kernels [16,16,8], zeros at the border": "zeros",
    "autoencoder, kernels [16,16,8], mirrored": "mirror",
    "physics network, told a PSF learned from four pairs": "physics, PSF learned",
    "physics network": "physics",
}
RECIPES = {  # row -> recipe of 05
    "naive: mean squared error": "naive",
    "naive with `imbalanced_loss`": "naive with imbalanced_loss",
    "naive with batch norm": "naive with batch norm",
    "naive with cross-entropy": "naive with cross-entropy",
    "naive with cross-entropy and batch norm": "naive with cross-entropy, batch norm",
    "naive with cross-entropy, batch norm, start at the log-odds": "naive with all three",
    "cured: all seven pieces": "cured",
}
KERNELS, SECONDS = ["[4,4,2]", "[6,6,3]", "[16,16,8]"], [2, 4, 8, 16]  # of 06


GRAY_HOUR = {  # row -> quantity of 04's hour
    "Dice, network": "Dice, network",
    "IoU, network": "IoU, network",
    "Dice, boosted trees": "Dice, boosted trees",
    "Dice, Gaussian, band of thresholds": "Dice, Gaussian, band",
    "Dice, Gaussian, mixture of Gaussians": "Dice, Gaussian, mixture",
    "network ahead of the better chain": "network ahead of the best chain",
    "network ahead of the trees": "network ahead of boosted trees",
}
BEADS_HOUR = {  # row -> method of 07's hour
    "observed": "observed",
    "autoencoder at R3's settings, plain, ended when black": "R3 plain",
    "autoencoder at quick settings": "zeros",
    "autoencoder at R3's settings, with the cure": "R3 cured",
    "physics network, told a PSF learned from four pairs": "physics, PSF learned",
    "Richardson-Lucy, fitted plane, then a Gaussian": "Richardson-Lucy, smoothed",
    "physics network": "physics",
}


class TableError(ValueError):
    """A table cannot be made; the message says why."""


def gray_matter(path: Path, iou_path: Path) -> list[str]:
    tables = {"04": read(path), "04_iou": read(iou_path)}
    study, count = tables["04"], len(tables["04"])
    if list(study["seed"]) != list(tables["04_iou"]["seed"]):
        raise TableError(f"{path.name} and {iou_path.name} are of different seeds")
    head = f"R1.2, gray matter, five test scans: mean of {count} seeds (lowest to highest)"
    lines = [row(head, "reference", "here"), "|---|---|---|"]
    for label, (name, column, reference) in GRAY.items():
        lines.append(row(label, reference, spread(tables[name][column])))
    for rival, column in LEADS.items():
        lead = study[f"network ahead of {column}"]
        label = f"network ahead of the {rival}, in {(lead > 0).sum()} seeds of {count}"
        lines.append(row(label, "–", spread(lead)))
    return lines


def beads(path: Path) -> list[str]:
    """By correlation, the highest last."""
    study = read(path)
    head = f"R3, beads, unseen volumes, mean of {len(study)} seeds; true PSF given unless said"
    lines = [row(head, "correlation", "RMSE", "F1 of beads", "border over black"), "|---" * 5 + "|"]
    means = study.mean()
    for label in sorted(BEADS, key=lambda label: means[f"correlation, {BEADS[label]}"]):
        method = BEADS[label]
        scores = [number(means[f"{score}, {method}"]) for score in ("correlation", "RMSE", "F1")]
        lines.append(row(label, *scores, _border(means, f"border over black, {method}")))
    return lines


def _border(means: pd.Series, called: str) -> str:
    """From the window alone, and in brackets with a margin; of some methods 07 has neither."""
    if f"{called}, window alone" not in means:
        return "–"
    alone, margin = means[f"{called}, window alone"], means[f"{called}, with a margin"]
    return f"{number(alone, 2)} ({number(margin, 2)})"


def black(path: Path, image_path: Path, label_path: Path) -> list[str]:
    """Counted as in notebook 05, on the volume of these two files, the only one in its folder."""
    study = read(path)
    [(image, truth)] = read_bead_set(image_path.parents[1])
    observed = metrics.correlation(truth, image)
    head = f"R3, recipe; seeds of {len(study)} that"
    lines = [row(head, "end black", "see", "correlation, mean"), "|---|---|---|---|"]
    lines.append(row("observed volume", "–", "–", number(observed, 2)))
    for label, recipe in RECIPES.items():
        correlation = study[f"correlation, {recipe}"]
        dark = (study[f"brightness, {recipe}"] < 0.05).sum()
        sees = (correlation > observed).sum()
        lines.append(row(label, dark, sees, number(correlation.mean(), 2)))
    return lines


def kernels(path: Path) -> list[str]:
    study = read(path)
    *early, latest = [f"{seconds} s" for seconds in SECONDS]
    last = f"the highest of the three after {latest}, seeds of {len(study)}"
    head = f"R3, kernels; correlation, mean of {len(study)} seeds, after"
    lines = [row(head, *early, latest, last), "|---" * (len(SECONDS) + 2) + "|"]
    highest = study[[f"correlation, {kernel}, {latest}" for kernel in KERNELS]].idxmax(axis=1)
    for kernel in KERNELS:
        means = [number(study[f"correlation, {kernel}, {s} s"].mean(), 2) for s in SECONDS]
        lines.append(row(kernel, *means, (highest == f"correlation, {kernel}, {latest}").sum()))
    return lines


def gray_hour(path: Path) -> list[str]:
    """A column for each run, and the reference's numbers first."""
    table = studies.read_hour(path)
    lines = [row(f"R1.2, {told(path)}", *table), "|---" * (1 + table.shape[1]) + "|"]
    minutes = [number(seconds / 60, 1) for seconds in table.loc["training"]]
    lines.append(row("minutes of training", *minutes))
    for label, quantity in GRAY_HOUR.items():
        lines.append(row(label, *[number(value) for value in table.loc[quantity]]))
    return lines


def beads_hour(path: Path) -> list[str]:
    found = studies.read_hour(path)["hour"]
    head = [f"R3, {told(path)}", "correlation", "RMSE", "F1 of beads", "minutes of training"]
    lines = [row(*head), "|---" * len(head) + "|"]
    for label, method in BEADS_HOUR.items():
        scores = [number(found[f"{score}, {method}"]) for score in ("correlation", "RMSE", "F1")]
        minutes = number(found.get(f"training, {method}", np.nan) / 60, 1)
        lines.append(row(label, *scores, minutes))
    return lines


def told(path: Path) -> str:
    """Seed, commit and processor of the run called hour, from the file's first lines."""
    line = re.search(r"^# hour: (.+), \d+ s", path.read_text("utf-8"), re.MULTILINE)
    if not line:
        raise TableError(f"{path.name} does not say which seed, commit and processor it is")
    return line[1]


def fourier(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    layer = r"^ +128x128x32 +16,16,8 +4 +4 \| +(\S+) +(\S+) Fourier +\S+ +(\S+) +(\S+)"
    direct, auto, times, torch = find_numbers(text, layer)
    own = find_numbers(text, r"^ +FourierConv3D: (\S+) s, peak (\S+) GiB")
    other = find_numbers(text, r"^ +Conv3D: (\S+) s, peak (\S+) GiB")
    milliseconds = [f"{number(time, 0)} ms" for time in (auto, direct, torch)]
    steps = [f"{number(seconds, 1)} s, {number(peak, 1)} GiB" for seconds, peak in (own, other)]
    first = "[16,16,8], 4 → 4 channels, 128 × 128 × 32, forward and all gradients"
    second = "training step of the autoencoder, 256 × 256 × 32, and peak memory"
    return [
        row("two slow cores", "`FourierConv3D`", "`Conv3D`", "PyTorch", "times as fast"),
        "|---|---|---|---|---|",
        row(first, *milliseconds, number(times, 1)),
        row(second, *steps, "–", number(other[0] / own[0], 0)),
    ]


def files(folder: Path) -> list[str]:
    """Every file of results/, with its digest and the command that made it, its own first line."""
    lines = [row("file", "made by", "SHA-256 begins"), "|---|---|---|"]
    for path in sorted(folder.iterdir()):
        if path.name != "README.md" and path.name[0] != ".":
            lines.append(row(f"[{path.name}]({path.name})", f"`{made_by(path)}`", digest(path)))
    return lines


def made_by(path: Path) -> str:
    """The first line of a file; of a picture that of the table beside it, "?" without one."""
    beside = path.with_suffix(".csv") if path.suffix == ".png" else path
    if not beside.exists():
        return "?"
    first = beside.read_text("utf-8").partition("\n")[0]
    if not first.startswith("# "):
        raise TableError(f"{beside.name} does not begin with the command that made {path.name}")
    return first[2:].strip()


def digest(path: Path) -> str:
    """The beginning of a file's SHA-256: a digit too small to show changes it, too."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def read(path: Path) -> pd.DataFrame:
    """A study without gaps: else a mean of few seeds would pass for one of all."""
    study = studies.read_study(path)
    if study.empty or study.isna().any(axis=None):
        raise TableError(f"{path.name} has no row, or an empty cell")
    return study


def find_numbers(text: str, pattern: str) -> list[float]:
    found = re.search(pattern, text, re.MULTILINE)
    if not found or "nan" in found.groups():
        raise TableError(f"no line, with all its numbers, is like {pattern}")
    return [float(word) for word in found.groups()]


def row(*cells) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def number(value: float, digits: int = 3) -> str:
    """With a true minus, and none before zeros; a dash for none."""
    if np.isnan(value):
        return "–"
    return f"{value:z.{digits}f}".replace("-", "−")


def spread(values: pd.Series) -> str:
    return f"{number(values.mean())} ({number(values.min())} to {number(values.max())})"


TABLES = {  # name -> function, the files that it is given
    "gray_matter": (gray_matter, "results/04.csv", "results/04_iou.csv"),
    "beads": (beads, "results/07.csv"),
    "black": (
        black,
        "results/05.csv",
        "data/beads/validation/image/beads_4.mat",
        "data/beads/validation/label/beads_4.mat",
    ),
    "kernels": (kernels, "results/06.csv"),
    "fourier": (fourier, "results/fourier_conv.txt"),
    "gray_hour": (gray_hour, "results/04_hour.csv"),
    "beads_hour": (beads_hour, "results/07_hour.csv"),
    "files": (files, "results"),
}
