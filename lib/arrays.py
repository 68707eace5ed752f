"""What is asked of arrays and arguments, once: the messages name argument, value and rule."""

import numpy as np


def finite(x, name: str) -> np.ndarray:
    """As an array.

    Raises:
        ValueError: it is empty or holds NaN or infinity; the text holds ``name``.
    """
    values = np.asarray(x)
    if values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} of shape {values.shape} is empty or holds NaN or infinity")
    return values


def check_extents(shape) -> None:
    """Three extents, whole numbers of 1 or more.

    Raises:
        ValueError: ``shape`` is anything else.
    """
    if np.shape(shape) != (3,) or any(n < 1 or n != int(n) for n in shape):
        raise ValueError(f"shape={shape}: give three extents, whole numbers of 1 or more")


def check_count(value, name: str) -> None:
    """A whole number, 0 or more.

    Raises:
        ValueError: ``value`` is anything else; the text holds ``name``.
    """
    if not (value >= 0 and value % 1 == 0):
        raise ValueError(f"{name}={value}: give a whole number, 0 or more")
