"""Intensities by hand and against numpy."""

import numpy as np
import pytest

from lib.intensity import intensity_cropping, rescale


@pytest.mark.parametrize(
    "values, expected",
    [
        ([2.0, 4.0, 3.0], [0, 1, 0.5]),
        ([[-1], [3]], [[0], [1]]),
        ([7, 7, 7], [0, 0, 0]),
        ([0.0], [0]),
        (np.array([-32768, 0, 32767], np.int16), [0, 32768 / 65535, 1]),
        (np.array([0, 255], np.uint8), [0, 1]),
        (np.array([-(2**31), 2**31 - 1], np.int32), [0, 1]),
        (np.array([10**9, 10**9 + 1, 10**9 + 4]), [0, 0.25, 1]),  # one number in float32
        (np.array([1e9, 1e9 + 1, 1e9 + 4]), [0, 0.25, 1]),
        (np.array([0, 5e-61, 1e-60]), [0, 0.5, 1]),
        (np.array([False, True]), [0, 1]),
        (np.array([1, 3], np.float16), [0, 1]),
        (np.array([1, 3], ">f8"), [0, 1]),
    ],
)
def test_rescale(values, expected):
    result = rescale(values)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_rescale_leaves_its_argument_alone():
    values = np.array([1, 5], np.float32)
    rescale(values)
    assert values.tolist() == [1, 5]


def test_cropping_by_hand():
    target = np.array([-5, 0, 1, 2, 3, 4, 100], np.float32)
    cropped, other = intensity_cropping(target, np.array([[-1, 4.5], [60, 2]]), percentile=75)
    assert cropped.tolist() == [0, 0, 1, 2, 3, 4, 4]  # of 1, 2, 3, 4, 100 the 75th percentile is 4
    assert other.tolist() == [[0, 4], [4, 2]]
    assert cropped.dtype == other.dtype == np.float32
    assert target[0] == -5, "a copy"


@pytest.mark.parametrize("percentile", [0.5, 50, 99, 100])
def test_cropping_takes_the_percentile_of_the_positive_values(percentile):
    rng = np.random.default_rng(0)
    target, others = rng.normal(0, 9, (6, 5, 4)), rng.normal(5, 30, (2, 7, 3))
    bound = np.percentile(target[target > 0], percentile)
    result = intensity_cropping(target, *others, percentile=percentile)
    for before, after in zip((target, *others), result, strict=True):
        np.testing.assert_allclose(after, np.clip(before, 0, bound), rtol=1e-6)
    assert len(result) == 3 and result[0].max() == np.float32(bound)


def test_cropping_takes_integers():
    (result,) = intensity_cropping(np.array([-32768, 1, 32767], np.int16), percentile=100)
    assert result.tolist() == [0, 1, 32767]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: rescale([1, np.nan]), r"x of shape \(2,\) is empty or holds NaN"),
        (lambda: rescale([1, -np.inf]), "x of shape"),
        (lambda: rescale([]), r"x of shape \(0,\)"),
        (lambda: intensity_cropping([1, np.nan]), "target of shape"),
        (lambda: intensity_cropping([1.0], [0], [np.inf]), r"others\[1\] of shape \(1,\)"),
        (lambda: intensity_cropping([-3, -1.5]), "target has no positive value.*-1.5"),
        (lambda: intensity_cropping([1], percentile=0), "percentile=0"),
        (lambda: intensity_cropping([1], percentile=101), "percentile=101"),
        (lambda: intensity_cropping([1], percentile=np.nan), "percentile=nan"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
