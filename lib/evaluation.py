"""What notebooks do alike: tune one parameter, apply methods to volumes, score them, show a table.

A method is any function from an image to an output; a pair is (image, truth); a score takes
(truth, output), and more is better where something is chosen by it.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

NONE = "–"  # in a table, where there is no number


@dataclass(frozen=True)
class Tuned:
    """What `tune` found.

    Attributes:
        best: the value with the highest mean score.
        values, scores: all that were tried, and the mean score of each.
    """

    best: object
    values: list
    scores: list[float]

    @property
    def inside(self) -> bool:
        """Whether the best value has neighbours on both sides: not at the edge of the grid."""
        return self.best not in (self.values[0], self.values[-1])


def tune(
    method: Callable, values: Sequence, pairs: Sequence, score: Callable, threads: int = 1
) -> Tuned:
    """Try a parameter's values on training pairs.

    Args:
        method: (image, value) -> output.
        values: in order, so that `Tuned.inside` has a meaning.
        pairs: [(image, truth)].
        score: (truth, output) -> number, more is better.
        threads: pairs at a time, for methods that run on one thread each, such as SciPy's.

    Raises:
        ValueError: nothing to try or nothing to try it on.
    """
    if not len(values) or not len(pairs):
        raise ValueError(f"{len(values)} values, {len(pairs)} pairs: give at least one of each")
    scores = []
    with ThreadPoolExecutor(threads) as pool:
        for value in tqdm(values, "tune", leave=False):
            outputs = pool.map(method, [image for image, _ in pairs], [value] * len(pairs))
            rated = [score(truth, out) for (_, truth), out in zip(pairs, outputs, strict=True)]
            scores.append(float(np.mean(rated)))
    return Tuned(values[int(np.argmax(scores))], list(values), scores)


def apply_methods(methods: Mapping[str, Callable], images: Sequence, threads: int = 1) -> dict:
    """Every method's output for every image: name -> [output], in the order of the images.

    Args:
        methods: name -> method.
        images: arrays.
        threads: images at a time, as in `tune`.
    """
    outputs = {}
    with ThreadPoolExecutor(threads) as pool:
        for name, method in tqdm(methods.items(), "apply", leave=False):
            outputs[name] = list(pool.map(method, images))
    return outputs


def score_methods(outputs: Mapping, truths: Sequence, scores: Mapping) -> pd.DataFrame:
    """One row for each method and volume, one column for each score.

    Args:
        outputs: name -> [output], as from `apply_methods`.
        truths: one for each output.
        scores: name -> function (truth, output) -> number.

    Returns:
        Index (method, volume): ``table.groupby("method", sort=False).mean()`` is the mean.

    Raises:
        ValueError: a method with more or fewer outputs than there are truths.
    """
    rows = []
    for method, own in outputs.items():
        if len(own) != len(truths):
            raise ValueError(f"{method!r} has {len(own)} outputs for {len(truths)} truths")
        for volume, (truth, output) in enumerate(zip(truths, own, strict=True)):
            row = {name: score(truth, output) for name, score in scores.items()}
            rows.append({"method": method, "volume": volume, **row})
    return pd.DataFrame(rows).set_index(["method", "volume"])


def rate_methods(
    methods: Mapping[object, Callable], pairs: Sequence, score: Callable, threads: int = 1
) -> dict[object, list[float]]:
    """One score of every method for every pair: name -> [score], in the order of the pairs.

    Args:
        methods: name -> method.
        pairs: [(image, truth)].
        score: (truth, output) -> number.
        threads: images at a time, as in `tune`.

    Raises:
        ValueError: no method or no pair.
    """
    if not methods or not len(pairs):
        raise ValueError(f"{len(methods)} methods, {len(pairs)} pairs: give at least one of each")
    images, truths = zip(*pairs, strict=True)
    outputs = apply_methods(methods, images, threads)
    table = score_methods(outputs, truths, {"score": score})["score"]
    return {name: table[name].tolist() for name in methods}


def read_trials(path, networks: Sequence[str]) -> pd.DataFrame:
    """What a benchmark found for each learning rate and schedule of some networks.

    Args:
        path: a table with the columns network, schedule, rate and correlation.
        networks: in the order wanted.

    Returns:
        Index (network, schedule), one column for each rate, NaN where it was not tried:
        ``table.loc[network].stack().idxmax()`` is the best (schedule, rate). What was tried
        several times counts by its mean.

    Raises:
        ValueError: a network that the table lacks.
    """
    trials = pd.read_csv(path, comment="#")
    if missing := set(networks) - set(trials["network"]):
        raise ValueError(f"{path} holds {list(trials['network'].unique())}, not {sorted(missing)}")
    return trials.pivot_table("correlation", ["network", "schedule"], "rate").loc[list(networks)]


def show_table(rows, digits: int = 3) -> pd.DataFrame:
    """A table to be read: numbers rounded, whole ones without a point, a dash where there is none.

    Args:
        rows: a `pandas.DataFrame`, or what makes one.
        digits: behind the point.
    """

    def shown(value) -> str:
        if isinstance(value, str):
            return value
        if value is None or np.isnan(value):
            return NONE
        value = round(float(value), digits) + 0.0  # no -0
        return f"{value:,.{digits}f}" if value % 1 else f"{value:,.0f}"

    return pd.DataFrame(rows).map(shown)


def show_tuning(tuned: Mapping[str, Tuned], score: str, digits: int = 3) -> pd.DataFrame:
    """What was tried for each name, the best value, and its mean score, as a table to be read."""
    table = pd.DataFrame(columns=["tried", "best", score])
    for name, own in tuned.items():
        tried = ", ".join(f"{value:g}" for value in own.values)
        table.loc[name] = tried, f"{own.best:g}", max(own.scores)
    return show_table(table, digits)
