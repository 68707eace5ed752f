"""Tuning, comparing: by hand on numbers that a reader can check."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.evaluation import (
    Tuned,
    apply_methods,
    rate_methods,
    read_trials,
    score_methods,
    show_table,
    show_tuning,
    tune,
)

ROOT = Path(__file__).resolve().parents[1]


def closeness(truth, output):
    return -abs(truth - output)


def test_the_best_value_has_the_highest_mean_over_all_pairs():
    tuned = tune(lambda image, gain: gain * image, [1, 2, 3], [(1.0, 2.0), (10.0, 21.0)], closeness)
    assert tuned == Tuned(2, [1, 2, 3], [-6.0, -0.5, -5.0]) and tuned.inside


@pytest.mark.parametrize("best, inside", [(1, False), (2, True), (3, False)])
def test_the_edge_of_the_grid_is_named(best, inside):
    assert Tuned(best, [1, 2, 3], [0.0, 0.0, 0.0]).inside is inside


@pytest.mark.parametrize("values, pairs", [([], [(1, 1)]), ([1], [])])
def test_nothing_to_tune_on(values, pairs):
    message = f"{len(values)} values, {len(pairs)} pairs"
    with pytest.raises(ValueError, match=message):
        tune(lambda image, value: image, values, pairs, closeness)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_method_sees_every_image_in_order(threads):
    methods = {"twice": lambda image: 2 * image, "same": lambda image: image}
    outputs = apply_methods(methods, [1, 5, 3], threads)
    assert outputs == {"twice": [2, 10, 6], "same": [1, 5, 3]}


def test_scores_by_method_and_volume():
    outputs = {"a": [1.0, 4.0], "b": [0.0, 0.0]}
    table = score_methods(outputs, [1.0, 2.0], {"closeness": closeness, "truth": lambda t, o: t})
    assert table.loc[("a", 1)].tolist() == [-2, 2] and table.loc[("b", 0)].tolist() == [-1, 1]
    means = table.groupby("method", sort=False).mean()
    assert means["closeness"].to_dict() == {"a": -1.0, "b": -1.5}
    with pytest.raises(ValueError, match="'a' has 2 outputs for 1 truths"):
        score_methods(outputs, [1.0], {"closeness": closeness})


def test_a_score_of_every_method_for_every_pair():
    methods = {"as it is": float, "twice": lambda image: 2 * image}
    rated = rate_methods(methods, [(1, 2), (10, 5)], closeness, threads=2)
    assert rated == {"as it is": [-1.0, -5.0], "twice": [0.0, -15.0]}
    for methods, pairs in [({}, [(1, 2)]), ({"as it is": float}, [])]:
        with pytest.raises(ValueError, match=f"{len(methods)} methods, {len(pairs)} pairs"):
            rate_methods(methods, pairs, closeness)


def test_trials_by_network_schedule_and_rate(tmp_path):
    path = tmp_path / "rates.csv"
    rows = ["# made by hand", "network,schedule,rate,correlation", "b,falling,0.1,0.5"]
    rows += ["a,constant,0.1,0.2", "a,constant,1,0.7", "a,falling,0.1,0.6"]
    path.write_text("\n".join(rows), "utf-8")
    tried = read_trials(path, ["b", "a"])
    assert list(tried.index) == [("b", "falling"), ("a", "constant"), ("a", "falling")]
    assert tried.loc["a"].stack().idxmax() == ("constant", 1.0)
    assert np.isnan(tried.loc[("b", "falling"), 1.0])
    with pytest.raises(ValueError, match=r"rates.csv holds \['b', 'a'\], not \['c'\]"):
        read_trials(path, ["c"])


@pytest.mark.parametrize("number", ["06", "07"])
def test_the_best_of_the_committed_trials_is_not_at_the_edge(number):
    path = ROOT / "results" / f"{number}_rates.csv"
    for network in pd.read_csv(path, comment="#")["network"].unique():
        tried = read_trials(path, [network]).dropna(axis="columns")
        assert tried.stack().idxmax()[2] in tried.columns[1:-1], network


def test_a_table_of_what_was_tried():
    table = show_tuning({"Wiener": Tuned(0.01, [0.1, 0.01, 0.001], [0.2, 0.4, 0.3])}, "fit")
    assert table.loc["Wiener"].tolist() == ["0.1, 0.01, 0.001", "0.01", "0.400"]


def test_a_table_to_be_read():
    rows = {"a": [0.12345, 1.9999, np.nan], "b": ["0.5 mm", 1234567, None]}
    shown = show_table(rows, 2)
    assert shown["a"].tolist() == ["0.12", "2", "–"]
    assert shown["b"].tolist() == ["0.5 mm", "1,234,567", "–"]
