"""Restored bead volumes judged: light, beads found, border; a table for all methods at once."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.arrays import finite
from lib.metrics import best_gain, border_over_black, correlation, rmse, ssim
from lib.microscopy.beads import bead_elongation, best_threshold, detect_beads, match_beads

CLOSE = (3, 3, 6)  # voxels around a bead of 3 that hold its restored image, and seldom another
BRIGHT = 0.5  # of the brightest: where `brightness` looks
TRUE = 0.3  # of the brightest; a true bead is 0.6 or brighter, see `lib.microscopy.phantoms`


def score_beads(
    outputs: Mapping[str, Sequence],
    truths: Sequence,
    tuning: Mapping[str, Sequence],
    known: Sequence,
) -> pd.DataFrame:
    """`bead_scores` of every method, each with the threshold that finds most on training volumes.

    Args:
        outputs: method -> restored volumes (X, Y, Z).
        truths: of these volumes.
        tuning: method -> restored training volumes, as many as in ``known``.
        known: the truths of those.

    Returns:
        One row for each method, means over the volumes, the lowest correlation first; the column
        "training" is the correlation on the training volumes.

    Raises:
        ValueError: as `bead_scores` and `best_threshold`, or a number of volumes that differs.
    """
    for method, restored in outputs.items():
        counts = len(restored), len(tuning.get(method, ()))
        if counts != (len(truths), len(known)):
            rule = f"needed are {len(truths)} and {len(known)}, as there are truths"
            raise ValueError(f"{method!r} has {counts[0]} outputs, {counts[1]} tuning: {rule}")
    centres = [detect_beads(truth, TRUE) for truth in truths]
    known_centres = [detect_beads(truth, TRUE) for truth in known]
    rows = {}
    for method, restored in outputs.items():
        threshold, _ = best_threshold(known_centres, tuning[method])
        triples = zip(truths, restored, centres, strict=True)
        scores = pd.DataFrame([bead_scores(*triple, threshold) for triple in triples])
        fits = [correlation(*pair) for pair in zip(known, tuning[method], strict=True)]
        rows[method] = {**scores.mean(), "training": np.mean(fits)}
    return pd.DataFrame(rows).T.sort_values("correlation")


def bead_scores(
    truth: np.ndarray, output: np.ndarray, centres: np.ndarray, threshold: float
) -> dict[str, float]:
    """All that bead notebooks ask of a restored volume.

    Args:
        truth, output: (X, Y, Z); the output in any unit.
        centres: of the true beads, (n, 3), voxels.
        threshold: of `detect_beads`, as `best_threshold` chose it.

    Returns:
        "correlation"; "RMSE" and "SSIM" after the gain that suits the output best; "precision",
        "recall" and "F1" of the beads found; "error x", "error y" and "error z" of their places in
        voxels; "elongation" of the true beads in the output (`bead_elongation`).

    Raises:
        ValueError: as the functions beneath.
    """
    match = match_beads(centres, detect_beads(output, threshold))
    fitted = best_gain(truth, output)
    scores = {"correlation": correlation(truth, output)}
    scores |= {"RMSE": rmse(truth, fitted), "SSIM": ssim(truth, fitted)}
    scores |= {"precision": match.precision, "recall": match.recall, "F1": match.f1}
    scores |= {f"error {axis}": error for axis, error in zip("xyz", match.errors, strict=True)}
    return scores | {"elongation": bead_elongation(output, centres, CLOSE)}


def score_borders(looks: Mapping[str, Mapping[str, Sequence]], truths: Sequence) -> pd.DataFrame:
    """How good restored volumes are, and how much worse at their border, seen in several ways.

    Args:
        looks: look -> {method: restored volumes}, such as "window alone" and "with a margin"; each
            volume counts after its best gain.
        truths: of these volumes, (X, Y, Z) each, all of one shape.

    Returns:
        Index (method, look), methods in the order of the first look; columns "correlation": the
        mean; "border RMSE": of the outermost 8 voxels of all volumes; "border over black":
        `lib.metrics.border_over_black`.

    Raises:
        ValueError: no look, or methods that differ among them; shapes that differ, or a constant
            truth.
    """
    methods = [list(outputs) for outputs in looks.values()]
    if not methods or any(set(own) != set(methods[0]) for own in methods):
        raise ValueError(f"looks holds the methods {methods}: give the same ones in each look")
    rows = {}
    for method in methods[0]:
        for look, outputs in looks.items():
            rows[method, look] = _border_scores(truths, outputs[method])
    return pd.DataFrame(rows).T


def _border_scores(truths: Sequence, outputs: Sequence) -> dict[str, float]:
    pairs = list(zip(truths, outputs, strict=True))
    fitted = [best_gain(truth, output) for truth, output in pairs]
    mean = float(np.mean([correlation(truth, output) for truth, output in pairs]))
    squares = np.square(np.subtract(truths, fitted))
    squares[:, 8:-8, 8:-8, 8:-8] = np.nan
    outer, ratio = float(np.sqrt(np.nanmean(squares))), border_over_black(truths, fitted)
    return {"correlation": mean, "border RMSE": outer, "border over black": ratio}


def brightness(truth: np.ndarray, volume: np.ndarray) -> float:
    """How bright a volume is where the truth is: 1 as bright as the truth, 0 black.

    Args:
        truth, volume: (X, Y, Z), one unit.

    Returns:
        The mean of the volume where the truth is above `BRIGHT`, over that of the truth; NaN where
        it is so nowhere.

    Raises:
        ValueError: the shapes differ, or values that are not finite.
    """
    if np.shape(truth) != np.shape(volume):
        raise ValueError(f"truth {np.shape(truth)}, volume {np.shape(volume)}: they must agree")
    truth, volume = finite(truth, "truth"), finite(volume, "volume")
    bright = truth > BRIGHT
    return float(volume[bright].mean() / truth[bright].mean()) if bright.any() else float("nan")


def light(truth: np.ndarray, output: np.ndarray) -> dict[str, float]:
    """How like the truth (X, Y, Z) a volume of the same unit is.

    "correlation", "brightness" and "volume": how much of the output is above `TRUE`, in units of
    how much of the truth is.

    Raises:
        ValueError: as `brightness` and `correlation`.
    """
    volume = float(np.mean(np.greater(output, TRUE)) / np.mean(np.greater(truth, TRUE)))
    fit = correlation(truth, output)
    return {"correlation": fit, "brightness": brightness(truth, output), "volume": volume}


def depth_profiles(volumes: Mapping[str, np.ndarray], truth: np.ndarray, reach: int = 8) -> dict:
    """Lines along z through the brightest voxel of the truth that lies ``reach`` inside or more.

    Args:
        volumes: name -> (X, Y, Z).
        truth: (X, Y, Z).
        reach: voxels to both sides.

    Returns:
        name -> (z, values), as `lib.charts.show_curves` takes them.

    Raises:
        ValueError: a truth of 2 ``reach`` voxels or fewer along an axis, or another shape.
    """
    if truth.ndim != 3 or reach < 1 or min(truth.shape) <= 2 * reach:
        rule = "give (X, Y, Z), more than twice a reach of 1 or more each"
        raise ValueError(f"truth has shape {truth.shape}, reach={reach}: {rule}")
    for name, volume in volumes.items():
        if volume.shape != truth.shape:
            raise ValueError(f"{name!r} has shape {volume.shape}: needed is {truth.shape}")
    inside = truth[(slice(reach, -reach),) * 3]
    x, y, z = np.add(np.unravel_index(inside.argmax(), inside.shape), reach)
    near = np.arange(z - reach, z + reach + 1)
    return {name: (near, volume[x, y, near]) for name, volume in volumes.items()}
