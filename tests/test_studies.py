"""A study beside a run: by hand on numbers that a reader can check."""

import numpy as np
import pandas as pd
import pytest

from lib.scoreboard import read_scoreboard
from lib.studies import (
    beyond_study,
    compare_with_study,
    curves_beside_study,
    curves_over_runs,
    groups_beside_study,
    name_numbers,
    read_hour,
    table_of,
)


def test_a_run_is_kept_and_set_beside_its_study(tmp_path):
    (tmp_path / "results").mkdir()
    assert compare_with_study({"Dice": 1.0}, "04", root=tmp_path)[0].isna().sum().sum() == 1 + 3
    rows = "# make study NB=04 SEEDS=2\nseed,Dice\n0,0.8\n1,0.9\n"
    (tmp_path / "results/04.csv").write_text(rows, "utf-8")
    numbers = {"Dice": 0.95, "IoU": 0.7}
    table, study = compare_with_study(numbers, "04", {"IoU": 0.8}, {"IoU": "1"}, tmp_path)
    kept = read_scoreboard(tmp_path / "build/04.json")
    assert kept.loc["IoU"].tolist() == ["1", 0.8, 0.7] and pd.isna(kept.loc["Dice", "reference"])
    columns = ["here", "mean", "lowest", "highest"]
    assert table.loc["Dice", columns].astype(float).round(6).tolist() == [0.95, 0.85, 0.8, 0.9]
    assert len(study) == 2
    assert table.loc["IoU", "here"] == 0.7 and table.loc["IoU", columns].isna().sum() == 3
    assert beyond_study(table, 0.04) == ["Dice"] and beyond_study(table, 0.06) == []


def test_a_table_s_numbers_by_name():
    table = pd.DataFrame({"F1": [0.5, np.nan], "RMSE": [1.0, 2.0]}, index=["a", "b"])
    assert name_numbers(table) == {"F1, a": 0.5, "RMSE, a": 1, "RMSE, b": 2}
    pd.testing.assert_frame_equal(table_of(name_numbers(table), ["F1", "RMSE"]), table)
    assert table_of({"seed": 1, "F1, a, b": 2}, ["F1"]).to_dict() == {"F1": {"a, b": 2}}
    assert name_numbers(table[["F1"]], table[["RMSE"]].loc[["b"]]) == {"F1, a": 0.5, "RMSE, b": 2}
    rows = pd.DataFrame({("a", "alone"): {"F1": 0.5}}).T
    assert name_numbers(rows) == {"F1, a, alone": 0.5}


def test_an_hour_s_table_is_read_as_numbers(tmp_path):
    lines = ["# make hour NB=07", "# hour: seed 0", "quantity,unit,reference,short,hour"]
    lines += ["training,s,,60,240", "shape,,any,(2),(3)", '"Dice, net",,0.9,0.5,0.75']
    (tmp_path / "07_hour.csv").write_text("\n".join(lines) + "\n")
    table = read_hour(tmp_path / "07_hour.csv")
    runs = table[["short", "hour"]]
    assert table.index.tolist() == ["training", "Dice, net"]
    assert runs.to_dict("list") == {"short": [60, 0.5], "hour": [240, 0.75]}
    np.testing.assert_array_equal(table["reference"], [np.nan, 0.9])
    assert list(table) == ["reference", "short", "hour"]
    curves = curves_over_runs(runs, "training", {"network": "Dice, net"})
    assert [list(values) for values in curves["network"]] == [[60, 240], [0.5, 0.75]]
    with pytest.raises(KeyError, match="IoU"):
        curves_over_runs(table, "training", {"network": "IoU"})


def test_curves_of_a_run_and_of_a_study():
    run = {"dice, 4 s": 0.7, "dice, 2 s": 0.5, "dice": 1, "other, 2 s": 1}
    study = pd.DataFrame([run, {"dice, 2 s": 0.6, "dice, 4 s": 0.8, "other, 2 s": 2}]).assign(
        **{"dice, 16 s": 0.9}
    )
    panels = curves_beside_study(run, study, {"network": "dice, {} s"})
    assert list(panels) == ["this run", "2 seeds"]
    assert panels["this run"]["network"][0] == [2, 4]
    np.testing.assert_array_equal(panels["this run"]["network"][1], [[0.5, 0.7]])
    assert panels["2 seeds"]["network"][0] == [2, 4, 16]
    np.testing.assert_array_equal(
        panels["2 seeds"]["network"][1], [[0.5, 0.7, 0.9], [0.6, 0.8, 0.9]]
    )
    assert list(curves_beside_study(run, pd.DataFrame(), {"a": "dice, {} s"})) == ["this run"]
    panels = curves_beside_study(run, study, {"a": "dice, {} s"}, {"level": "other, 2 s"})
    assert panels["this run"]["level"][0] == [2, 4] and panels["2 seeds"]["level"][0] == [2, 16]
    assert panels["this run"]["level"][1].tolist() == [[1, 1]]
    assert panels["2 seeds"]["level"][1].tolist() == [[1, 1], [2, 2]]
    for level in ({"level": "nothing"}, {"a": "other, 2 s"}):
        with pytest.raises(ValueError, match=r"levels.*: no number '.*', or a curve's name"):
            curves_beside_study(run, study, {"a": "dice, {} s"}, level)
    with pytest.raises(ValueError, match="none is called"):
        curves_beside_study(run, study, {"a": "iou, {} s"})
    with pytest.raises(ValueError, match="'dice' needs one"):
        curves_beside_study(run, study, {"a": "dice"})
    assert list(curves_beside_study(run, study[["other, 2 s"]], {"a": "dice, {} s"})) == [
        "this run"
    ]


def test_groups_of_a_run_and_of_a_study():
    study = pd.DataFrame({"dice, 1": [0.5, 0.6], "dice, 2": [0.7, 0.8]})
    groups = groups_beside_study({1: [0.4]}, study, "dice, {}", [1, 2, 3])
    assert list(groups) == ["1", "2"] and groups["1"]["volumes of this run"] == [0.4]
    assert groups["1"]["2 seeds"].tolist() == [0.5, 0.6] and list(groups["2"]) == ["2 seeds"]
