"""Convolution of volumes in Fourier space, by small DFT matrices, block by block.

Filters here correlate, as in every network: y[t] = Σ_j k[j]·x[t + j]. For large kernels the
convolution theorem (R. Bracewell, The Fourier Transform and Its Applications, 1965) is far
cheaper: transform, multiply at each frequency, transform back. The volume is cut into blocks that
overlap by the kernel (overlap-save, T. Stockham, 1966), so the transforms are short enough to be
products with DFT matrices: one matrix product an axis. These take any length, need no padding
with zeros, transform a kernel for the price of its own extent, and every Keras backend
differentiates them: the gradients of values and of kernel are the same few products, transposed.

Complex numbers are pairs of reals. The last matrix of a transform turns each pair into three
sums, so that a complex product is three real ones (Gauss's trick), and the products over all
channels at all frequencies are one batched matrix product.
"""

import math
from typing import NamedTuple

import numpy as np
from keras import ops

LONG = (64, 32, 32)  # voxels that a block gives out, up to twice that; z is transformed at the
LEAST, FEW = 8, 8  # highest cost, so it is cut on, down to LEAST, while there are not FEW blocks
UNKNOWN = 64  # what an extent counts that is not known yet
# Voxels of a kernel from which on Fourier space is quicker on two cores; JAX's direct way is slow.
LARGE, LARGE_ON_JAX = 100, 27

BOTH, REAL = np.eye(2), np.array([[1.0, 0.0]])  # keep (re, im); keep re
# (x_re + i·x_im)·(k_re + i·k_im) by three products p: p_0 - p_2 + i·(p_0 + p_1)
MIXES = {
    "values": np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]),
    "kernel": np.array([[1.0, 0.0], [-1.0, 1.0], [1.0, 1.0]]),
    "products": np.array([[1.0, 0.0, -1.0], [1.0, 1.0, 0.0]]),
}


class Blocks(NamedTuple):
    """How one axis is cut: all but ``count`` are known when the graph is built."""

    count: int  # blocks; None: as many as the extent needs when it is known
    lags: int  # extent of the kernel
    first: int  # its first lag
    inputs: int  # voxels that a block takes in
    outputs: int  # ... and gives out
    length: int  # of the DFT


def blocks(extent: int, lags: int, count: int, same: bool) -> Blocks:
    """Cut an axis that gives out ``extent`` voxels into ``count`` blocks.

    Blocks overlap by lags - 1 voxels. A single block with zeros around it ("same") needs none of
    them: they are left out, and on a circle of extent + lags // 2 voxels what goes around falls
    on voxels that are not asked for.
    """
    if count == 1 and same:
        return Blocks(1, lags, -((lags - 1) // 2), extent, extent, extent + lags // 2)
    outputs = math.ceil(extent / count)
    return Blocks(count, lags, 0, outputs + lags - 1, outputs, outputs + lags - 1)


def fourier_conv3d(inputs, kernel, same: bool, axes):
    """Correlate ``inputs`` (N, X, Y, Z, C) with ``kernel`` (x, y, z, C, K), stride 1.

    Args:
        inputs, kernel: tensors of one type, float32 or float64.
        same: zeros around the volume keep its extents, as Keras's "same"; False: "valid".
        axes: three `Blocks`, made for the extents of the result.

    Returns:
        (N, X', Y', Z', K). The gradients need both spectra, which stay in memory until then.
    """
    sizes = ops.shape(inputs)[1:4]
    extents = [n if same else n - b.lags + 1 for n, b in zip(sizes, axes, strict=True)]
    counts = [b.count or -(-n // b.outputs) for n, b in zip(extents, axes, strict=True)]
    into, of_kernel, back = (_matrices(axes, what, inputs.dtype) for what in MIXES)
    frequencies = _frequencies(axes)
    x = _transform(_cut(inputs, same, axes, counts), into, frequencies, (0, 1, 2))
    k = _transform(kernel, of_kernel, frequencies, (0, 1, 2))
    places = 3 * math.prod(frequencies)
    x = ops.reshape(x, (places, -1, inputs.shape[-1]))  # rows: blocks of all volumes
    x = ops.matmul(x, ops.reshape(k, (places, *kernel.shape[3:])))
    x = _transform(x, back, frequencies, (2, 1, 0))
    return _join(x, axes, (ops.shape(inputs)[0], *counts), extents, kernel.shape[4])


def _transform(x, matrices, frequencies, order):
    """One matrix product an axis: (x, y, z, rest) -> (frequencies of x, y, z · 3, rest) or back."""
    for axis in order:
        shape = (*frequencies[:axis], matrices[axis].shape[1], -1)
        x = ops.matmul(matrices[axis], ops.reshape(x, shape))
    return x


def _cut(x, same, axes, counts):
    """(N, X, Y, Z, C) -> (x, y, z, N, blocks of X, of Y, of Z, C)."""
    pads = [(0, 0)]
    for n, b, count in zip(ops.shape(x)[1:4], axes, counts, strict=True):
        left = (b.lags - 1) // 2 if same and b.first == 0 else 0
        end = b.inputs if b.count == 1 else (count + 1) * b.outputs
        pads.append((left, end - left - n))
    x = ops.pad(x, [*pads, (0, 0)])
    for axis in (3, 2, 1):
        x = _overlapping(x, axis, axes[axis - 1], counts[axis - 1])
    return ops.transpose(x, (2, 4, 6, 0, 1, 3, 5, 7))


def _overlapping(x, axis, b, count):
    """Split an axis in two, (blocks, inputs); each block ends with the beginning of the next."""
    if b.count == 1:
        return ops.expand_dims(x, axis)
    before, after = ops.shape(x)[:axis], ops.shape(x)[axis + 1 :]
    x = ops.reshape(x, (*before, count + 1, b.outputs, *after))
    onward = _part(_part(x, axis + 1, 0, b.lags - 1), axis, 1, count)
    return ops.concatenate([_part(x, axis, 0, count), onward], axis + 1)


def _join(x, axes, rows, extents, channels):
    """(x, y, z, N, blocks of X, of Y, of Z, C) -> (N, X, Y, Z, C), without what is too much."""
    x = ops.reshape(x, (*(b.outputs for b in axes), *rows, channels))
    x = ops.transpose(x, (3, 4, 0, 5, 1, 6, 2, 7))
    covered = [n * b.outputs for n, b in zip(rows[1:], axes, strict=True)]
    x = ops.reshape(x, (rows[0], *covered, channels))
    return ops.slice(x, [0] * 5, (rows[0], *extents, channels))


def _matrices(axes, what, dtype):
    """The DFT matrices of the three axes, as reals, one of `MIXES` in the last."""
    made = []
    for axis, (b, frequencies) in enumerate(zip(axes, _frequencies(axes), strict=True)):
        real, mix = REAL if axis == 0 else BOTH, MIXES[what] if axis == 2 else BOTH
        if what == "products":
            matrix = _as_reals(_back(b, frequencies), real, mix).transpose(0, 1, 3, 2)
        else:
            matrix = _as_reals(_waves(b, frequencies, what), mix, real.T).transpose(1, 0, 2, 3)
        rows = matrix.shape[0] * matrix.shape[1]
        made.append(ops.convert_to_tensor(matrix.reshape(rows, -1), dtype))
    return made


def _frequencies(axes):
    """How many each axis has: of x half suffice, as volumes are real."""
    return axes[0].length // 2 + 1, axes[1].length, axes[2].length


def _waves(b, frequencies, what):
    """exp(-2πi·f·p/F) for the positions of the values, exp(2πi·f·l/F) for the kernel's lags."""
    positions = -np.arange(b.inputs) if what == "values" else np.arange(b.lags) + b.first
    return np.exp(2j * np.pi / b.length * (np.outer(np.arange(frequencies), positions) % b.length))


def _back(b, frequencies):
    """The inverse; where half the spectrum is left, a frequency stands for its mirror image too."""
    turns = np.outer(np.arange(b.outputs), np.arange(frequencies)) % b.length
    own_mirror = 2 * np.arange(frequencies) % b.length == 0
    times = 1 if frequencies == b.length else np.where(own_mirror, 1, 2)
    return times / b.length * np.exp(2j * np.pi / b.length * turns)


def _as_reals(matrix, left, right):
    """A complex matrix (rows, columns) on (re, im) pairs, between two small mixing matrices."""
    pairs = np.stack([matrix.real, -matrix.imag, matrix.imag, matrix.real])
    pairs = pairs.reshape(2, 2, *matrix.shape)
    return np.einsum("qr,rsij,sp->qipj", left, pairs, right)


def reflect(inputs, kernel):
    """Continue volumes (N, X, Y, Z, C) as in a mirror that stands in each edge voxel.

    As far as ``kernel``, three extents, reaches beyond them, so that "valid" then keeps the
    extents: NumPy's padding "reflect".
    """
    for axis, lags in enumerate(kernel, start=1):
        extent, left, right = ops.shape(inputs)[axis], (lags - 1) // 2, lags // 2
        before = ops.flip(_part(inputs, axis, 1, left), axis)
        after = ops.flip(_part(inputs, axis, extent - 1 - right, right), axis)
        inputs = ops.concatenate([before, inputs, after], axis)
    return inputs


def _part(x, axis, start, length):
    """x[start : start + length] along one axis; the gradient of ops.slice is quick."""
    starts, shape = [0] * len(x.shape), list(ops.shape(x))
    starts[axis], shape[axis] = start, length
    return ops.slice(x, starts, shape)


def choose_blocks(extents, kernel, same: bool) -> tuple:
    """Three `Blocks`, as long as `LONG` or up to twice that, or as a kernel that is longer.

    Args:
        extents: (X, Y, Z) of the result; None where it is not known yet.
        kernel: (x, y, z) or more of the kernel's shape.
        same: zeros around the volume ("same").
    """
    known = [n or max(UNKNOWN, lags) for n, lags in zip(extents, kernel, strict=False)]
    x, y, z = (max(1, n // max(m, k - 1)) for n, m, k in zip(known, LONG, kernel, strict=False))
    shortest = max(1, known[2] // max(LEAST, kernel[2] - 1))
    counts = x, y, min(shortest, max(z, -(-FEW // (x * y))))
    axes = zip(known, kernel, counts, extents, strict=False)
    cut = [(blocks(n, lags, count, same and bool(e)), e) for n, lags, count, e in axes]
    return tuple(b if e else b._replace(count=None) for b, e in cut)


def is_large(kernel, backend: str) -> bool:
    """Whether a kernel (x, y, z, ...) is quicker in Fourier space on a CPU with that backend."""
    return math.prod(kernel[:3]) >= (LARGE_ON_JAX if backend == "jax" else LARGE)
