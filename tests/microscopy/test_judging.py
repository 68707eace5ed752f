"""Restored volumes judged: Gaussian blobs, whose scores are known."""

import numpy as np
import pytest
from blobs import CENTRES, blobs

from lib.microscopy.judging import (
    bead_scores,
    brightness,
    depth_profiles,
    light,
    score_beads,
    score_borders,
)


def test_scores_of_the_truth_in_another_unit():
    truth = blobs(sigma=1)
    scores = bead_scores(truth, 50 * truth, CENTRES, 0.3)
    names = ["correlation", "RMSE", "SSIM", "precision", "recall", "F1"]
    assert [scores[name] for name in names] == pytest.approx([1, 0, 1, 1, 1, 1])
    assert scores["error x"] < 0.1 and scores["elongation"] == pytest.approx(1, abs=0.02)


def test_scores_of_a_bead_missed_and_one_moved():
    truth = blobs()
    moved = blobs(CENTRES[:2] + (0, 1, 0))
    scores = bead_scores(truth, moved, CENTRES, 0.3)
    assert (scores["precision"], scores["recall"]) == (1, pytest.approx(2 / 3))
    assert scores["error y"] == pytest.approx(1, abs=0.1) and scores["error x"] < 0.1
    gain = np.vdot(truth, moved) / np.vdot(moved, moved)
    assert scores["RMSE"] == pytest.approx(np.sqrt(np.mean((truth - gain * moved) ** 2)))


def test_border_scores_know_no_unit_and_see_the_border():
    truths = [blobs(), blobs(CENTRES[:2])]
    noise = [truth + 0.01 * np.sign(truth - 0.1) for truth in truths]
    worse = [output.copy() for output in noise]
    for output in worse:
        output[:3] += 0.2
    methods = {"same": [7 * truth for truth in truths], "noise": noise, "worse": worse}
    table = score_borders({"alone": methods}, truths)
    same, scores, spoiled = (table.loc[(method, "alone")] for method in methods)
    assert same["correlation"] == pytest.approx(1)
    assert spoiled["correlation"] < scores["correlation"]
    assert spoiled["border over black"] > 2 * scores["border over black"]
    assert scores["border RMSE"] == pytest.approx(0.01, rel=0.05) and same["border RMSE"] < 1e-9


def test_brightness_by_hand():
    truth = np.array([[[0.2, 0.6, 1.0]]])
    assert brightness(truth, np.array([[[9.0, 0.3, 0.1]]])) == pytest.approx(0.4 / 1.6)
    assert brightness(truth, truth) == 1 and brightness(truth, 0 * truth) == 0
    assert brightness(truth, truth / 2) == pytest.approx(0.5)
    assert np.isnan(brightness(truth / 2, truth))
    with pytest.raises(ValueError, match=r"volume \(1, 1, 2\): they must agree"):
        brightness(truth, truth[..., :2])


def test_light_by_hand():
    truth, output = np.array([[[0.0, 0.2, 0.6, 1.0]]]), np.array([[[0.4, 0.5, 0.4, 0.4]]])
    assert light(truth, output)["volume"] == 2
    assert light(truth, output)["brightness"] == pytest.approx(0.5)
    by_hand = np.corrcoef(truth.ravel(), output.ravel())[0, 1]
    assert light(truth, output)["correlation"] == pytest.approx(by_hand)


def test_methods_are_scored_with_their_own_thresholds():
    truths, known = [blobs(), blobs(CENTRES[:2])], [blobs(CENTRES[1:])]
    ghost = 0.5 * blobs(((6, 6, 20),))  # below the threshold that its training volume asks for
    outputs = {"ghost": [truth + ghost for truth in truths], "truth": truths}
    tuning = {"ghost": [known[0] + ghost], "truth": known}
    table = score_beads(outputs, truths, tuning, known)
    assert list(table.index) == ["ghost", "truth"] and (table["F1"] == 1).all()
    by_hand = np.corrcoef(known[0].ravel(), tuning["ghost"][0].ravel())[0, 1]
    assert table.loc["ghost", "training"] == pytest.approx(by_hand)
    lowest = [np.corrcoef(t.ravel(), (t + ghost).ravel())[0, 1] for t in truths]
    assert table.loc["ghost", "correlation"] == pytest.approx(np.mean(lowest))


def test_borders_of_every_method_in_every_look():
    truths = [blobs()]
    noisy, clean = [blobs() + 0.01], [blobs() * 2]
    looks = {"alone": {"a": noisy, "b": clean}, "margin": {"a": clean, "b": noisy}}
    table = score_borders(looks, truths)
    assert list(table.index) == [("a", "alone"), ("a", "margin"), ("b", "alone"), ("b", "margin")]
    assert (table.loc[("a", "alone")] == table.loc[("b", "margin")]).all()
    assert table.loc[("a", "alone"), "border RMSE"] > table.loc[("a", "margin"), "border RMSE"]


def test_a_profile_runs_through_the_brightest_bead_inside():
    truth = np.zeros((20, 21, 22))
    truth[1, 1, 1], truth[9, 10, 12] = 2, 1
    zs, values = depth_profiles({"truth": truth}, truth)["truth"]
    assert list(zs) == list(range(4, 21)) and values[8] == 1 and values.sum() == 1
    for shape, reach in [((16, 20, 20), 8), ((20, 20), 8), ((20, 20, 20), 0)]:
        with pytest.raises(ValueError, match=f"reach={reach}: give"):
            depth_profiles({}, np.zeros(shape), reach)
    with pytest.raises(ValueError, match=r"'a' has shape \(20, 21, 21\)"):
        depth_profiles({"a": truth[..., 1:]}, truth)


def test_methods_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="'a' has 1 outputs, 0 tuning: needed are 1 and 1"):
        score_beads({"a": [blobs()]}, [blobs()], {}, [blobs()])
    for looks in ({}, {"alone": {"a": []}, "margin": {}}):
        with pytest.raises(ValueError, match="give the same ones in each look"):
            score_borders(looks, [blobs()])
