"""What arrays and arguments must be."""

import numpy as np
import pytest

from lib.arrays import check_count, per_axis, real_array


@pytest.mark.parametrize(
    "kind, expected",
    [("u2", "f4"), ("i8", "f4"), ("?", "f4"), ("f2", "f4"), ("f4", "f4"), ("f8", "f8")],
)
def test_types(kind, expected):
    assert real_array(np.ones((1, 2, 3), kind), "volume").dtype == expected


@pytest.mark.parametrize(
    "value, text",
    [
        (np.ones((2, 2)), r"volume is float64 \(2, 2\): give real numbers \(X, Y, Z\)"),
        (np.ones((2, 0, 2)), r"volume is float64 \(2, 0, 2\): give"),
        (np.ones((1, 1, 1), complex), "volume is complex128"),
        (np.full((1, 1, 2), "a"), "volume is <U1"),
        (np.array([[[1, -0.5]]]), "volume holds -0.5: give finite values, 0 or more"),
        (np.array([[[1, np.nan]]]), "volume holds nan: give finite values, 0 or more"),
        (np.array([[[1, np.inf]]]), "volume holds inf: give finite values, 0 or more"),
    ],
)
def test_bad_arrays(value, text):
    with pytest.raises(ValueError, match=text):
        real_array(value, "volume", 0)


@pytest.mark.parametrize("value", [-1, 2.5, np.nan, np.inf])
def test_bad_counts(value):
    with pytest.raises(ValueError, match=f"beads={value}: give a whole number, 0 or more"):
        check_count(value, "beads")


def test_negative_values_may_be_allowed():
    assert real_array([[[-3.0]]], "volume") == -3
    with pytest.raises(ValueError, match=r"volume holds -inf: give finite values$"):
        real_array([[[-np.inf]]], "volume")


@pytest.mark.parametrize("value, axes", [(5, (5, 5, 5)), ((1, 2, 3), (1, 2, 3)), (4.0, (4, 4, 4)),
                                         (np.array([1, 2, 3]), (1, 2, 3))])  # fmt: skip
def test_per_axis(value, axes):
    result = per_axis(value, "size")
    assert result == axes and all(type(v) is int for v in result)
    assert per_axis(0.5, "gap", float) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("value", [1.5, (1, 2), "8", True, None, np.inf, np.nan, (1, 2, np.inf)])
def test_per_axis_names_what_it_refuses(value):
    with pytest.raises(ValueError, match=r"size=.*whole number, or three"):
        per_axis(value, "size")
    for kind, number in ((int, "a whole number"), (float, "a number")):
        with pytest.raises(ValueError, match=rf"size=\(1, 0, 2\): give {number} above 0, or three"):
            per_axis((1, 0, 2), "size", kind, positive=True)
