"""Rows that a run keeps: what goes in comes out, and what is no result is refused."""

import json

import numpy as np
import pytest

from lib.scoreboard import keep_scoreboard, numbers_of, read_scoreboard, scoreboard

HERE = {"Dice, network": np.float32(0.5), "error, z": 2, "shape": (3, 4), "told": True}
SAID = {"Dice, network": 0.75, "shape": "any"}


def test_a_board_has_units_references_and_what_is_here():
    board = scoreboard(HERE, SAID, {"error": "voxels", "told": "yes or no"})
    assert list(board.columns) == ["unit", "reference", "here"]
    assert board["unit"].tolist() == ["", "voxels", "", "yes or no"]
    assert board["reference"].tolist() == [0.75, None, "any", None]
    assert board["here"].tolist() == [0.5, 2.0, "(3, 4)", 1.0]
    assert numbers_of(board) == {"Dice, network": 0.5, "error, z": 2.0, "told": 1.0}


def test_a_unit_of_a_quantity_goes_before_that_of_its_kind():
    units = {"error": "voxels", "error, z": "slices"}
    assert scoreboard(HERE, units=units).loc["error, z", "unit"] == "slices"


@pytest.mark.parametrize("value", [np.nan, np.inf, np.float32("nan")])
def test_a_result_is_finite(value):
    with pytest.raises(ValueError, match=r"RMSE is (nan|inf): a result must be finite"):
        scoreboard({"RMSE": value})
    with pytest.raises(ValueError, match=r"RMSE is (nan|inf)"):
        scoreboard({"RMSE": 1}, {"RMSE": value})


def test_a_number_is_one_wherever_it_stands():
    import keras

    board = scoreboard({"a": np.array(0.5), "b": keras.ops.mean(np.ones(3)), "c": np.array([0.5])})
    assert numbers_of(board) == {"a": 0.5, "b": 1.0} and board.loc["c", "here"] == "[0.5]"


@pytest.mark.parametrize("here", [{"F1": None}, {3: 1.0}])
def test_what_is_no_quantity_is_refused(here):
    with pytest.raises(ValueError, match=r"give a name, and a number or words"):
        scoreboard(here)


def test_a_reference_is_to_something():
    with pytest.raises(ValueError, match=r"references: F2 is not among \['F1'\]"):
        scoreboard({"F1": 1}, {"F2": 2})


def test_what_is_kept_is_read_again(tmp_path):
    path, board = tmp_path / "build" / "04.json", scoreboard(HERE, SAID, {"error": "voxels"})
    keep_scoreboard(board, path)
    assert read_scoreboard(path).equals(board)
    first, *_ = json.loads(path.read_text("utf-8"))
    assert first == {"quantity": "Dice, network", "unit": "", "reference": 0.75, "here": 0.5}


@pytest.mark.parametrize("value", ["null", "NaN"])
def test_rows_without_a_number_are_refused(tmp_path, value):
    row = f'{{"quantity": "F1", "unit": "", "reference": null, "here": {value}}}'
    (tmp_path / "04.json").write_text(f"[{row}]")
    with pytest.raises(ValueError, match=r"04\.json holds no scoreboard"):
        read_scoreboard(tmp_path / "04.json")


def test_no_reference_is_null_and_not_a_nan_that_only_python_reads(tmp_path):
    board = scoreboard({"Dice": 0.5, "IoU": 0.25}, {"Dice": 0.75})
    keep_scoreboard(board, tmp_path / "04.json")
    first, second = json.loads(
        (tmp_path / "04.json").read_text("utf-8"), parse_constant=pytest.fail
    )
    assert first["reference"] == 0.75 and second["reference"] is None


@pytest.mark.parametrize("text", ["{", "[1]", '{"Dice": 1}', '[{"quantity": "Dice"}]', "3"])
def test_a_file_of_anything_else_is_named(tmp_path, text):
    (tmp_path / "07.json").write_text(text)
    with pytest.raises(ValueError, match=r"07\.json holds no scoreboard, rows of quantity, unit"):
        read_scoreboard(tmp_path / "07.json")
