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


def check_count(value, name: str, least: int = 0) -> int:
    """A whole number, ``least`` or more.

    Raises:
        ValueError: ``value`` is anything else; the text holds ``name``.
    """
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not (value >= least and value % 1 == 0):
        raise ValueError(f"{name}={value!r}: give a whole number, {least} or more")
    return int(value)


def real_array(value, name: str, least: float = -np.inf) -> np.ndarray:
    """As (X, Y, Z) float64, if that it is, else float32.

    Raises:
        ValueError: another number of dimensions or no numbers, a value below ``least``, infinite
            or not a number; the text holds ``name``.
    """
    array = np.asarray(value)
    if array.ndim != 3 or not array.size or array.dtype.kind not in "buif":
        raise ValueError(f"{name} is {array.dtype} {array.shape}: give real numbers (X, Y, Z)")
    array = array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)
    for extreme in (array.min(), array.max()):  # NaN, if one value is
        if not (np.isfinite(extreme) and extreme >= least):
            rule = "finite values" if least == -np.inf else f"finite values, {least:g} or more"
            raise ValueError(f"{name} holds {extreme:g}: give {rule}")
    return array


def per_axis(value, name: str, kind=int, *, positive: bool = False) -> tuple:
    """``value`` as one ``kind`` per axis; a single number serves all three.

    Raises:
        ValueError: ``value`` is neither one number nor three, not finite, has a fraction where
            ``kind`` is int, or is not above 0 where it must be; the text holds ``name``.
    """
    values = np.asarray(value)
    fits = values.dtype.kind in "iuf" and values.shape in [(), (3,)] and np.isfinite(values).all()
    if not fits or (kind is int and np.any(values % 1)) or (positive and np.any(values <= 0)):
        number = ("a whole number" if kind is int else "a number") + " above 0" * positive
        raise ValueError(f"{name}={value!r}: give {number}, or three, one for each axis")
    return tuple(kind(v) for v in np.broadcast_to(values, 3))
