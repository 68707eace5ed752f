"""Deconvolution beside scikit-image: time, and what comes out of noisy beads.

    python benchmarks/bench_deconvolution.py [> results/deconvolution.txt]

The PSF is a Gaussian of (1.5, 1.5, 4) voxels, 13x13x31: given, learned from four other volumes, or
found blindly from one of (2.4, 2.4, 6.4). "anew" is the Wiener filter of this file, on the bare
volume as scikit-image's: what writing it ourselves would save.
"""

import time
from functools import partial

import numpy as np
from scipy import fft
from skimage import filters, restoration

from lib.metrics import correlation
from lib.microscopy.bead_sets import bead_pair
from lib.microscopy.blur import on_grid
from lib.microscopy.deconvolution import (
    blind_richardson_lucy,
    linear_background,
    richardson_lucy,
    wiener,
)
from lib.microscopy.psf import estimate_psf, gaussian_psf

SIGMA, WIDE, SIZE = (1.5, 1.5, 4), (2.4, 2.4, 6.4), (13, 13, 31)
SHAPES = (64, 64, 32), (128, 128, 32), (128, 128, 64)
BALANCE, VOLUMES, RIM = 0.001, 5, 4


def wiener_here(volume, psf, balance):
    """scikit-image's formula with real, in-place transforms."""
    along = [np.fft.fftfreq(n) for n in volume.shape[:2]] + [np.fft.rfftfreq(volume.shape[2])]
    turns = np.meshgrid(*(2 * np.pi * f for f in along), indexing="ij", sparse=True)
    laplacian = sum(2 - 2 * np.cos(t.astype(np.float32)) for t in turns)
    transfer = fft.rfftn(on_grid(psf, volume.shape))
    spectrum = fft.rfftn(volume)
    spectrum *= transfer.conj()
    spectrum /= transfer.real**2 + transfer.imag**2 + balance * laplacian**2
    return fft.irfftn(spectrum, volume.shape, overwrite_x=True)


def seconds(*calls, repeats=5) -> list[float]:
    """The best time of each, taken in turns."""
    best = [np.inf] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            began = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def print_times() -> None:
    psf = gaussian_psf(SIGMA, SIZE).astype(np.float32)
    skimage_wiener = partial(restoration.wiener, clip=False)
    skimage_rl = partial(restoration.richardson_lucy, clip=False)
    print("ms, one thread, float32   RL, one iteration   Wiener")
    print(f"{'':24}{'lib':>10}{'skimage':>10}{'lib':>10}{'skimage':>10}{'anew':>10}  differs by")
    for shape in SHAPES:
        v = np.random.default_rng(0).random(shape, np.float32)
        rl = seconds(*(partial(f, v, psf, 10) for f in (richardson_lucy, skimage_rl)))
        ways = wiener, skimage_wiener, wiener_here
        times = [t / 10 for t in rl] + seconds(*(partial(f, v, psf, BALANCE) for f in ways))
        apart = np.abs(skimage_wiener(v, psf, BALANCE) - wiener_here(v, psf, BALANCE)).max()
        print(f"{shape!s:24}" + "".join(f"{1e3 * t:10.1f}" for t in times) + f"  {apart:.0e}")


def restorations(volume, psf, learned, wide):
    """(what, result) of each way."""
    ground = linear_background(volume)
    above = np.maximum(volume - ground, 0)
    yield "the volume itself", volume
    sharpened = filters.unsharp_mask(volume, SIGMA, 3, preserve_range=True)
    yield "sharpen, amount 3", sharpened
    yield "Wiener, skimage", restoration.wiener(volume, psf, BALANCE, clip=False)
    yield "Wiener, lib", wiener(volume, psf, BALANCE)
    for n in (10, 30, 100, 300, 1000):
        theirs = restoration.richardson_lucy(above, psf, n, clip=False)
        yield f"RL {n:3}, skimage, background subtracted", theirs
        yield f"RL {n:3}, lib, background subtracted", richardson_lucy(above, psf, n)
        modelled = richardson_lucy(volume, psf, n, background=ground)
        yield f"RL {n:3}, lib, background in the model", modelled
    for n in (10, 20, 50, 100):
        fast = richardson_lucy(volume, psf, n, background=ground, accelerate=True)
        yield f"RL {n:3}, lib, accelerated", fast
    yield "RL 100, learned PSF", richardson_lucy(volume, learned, 100, background=ground)
    yield "RL 100, wide PSF", richardson_lucy(volume, wide, 100, background=ground)
    yield (
        "blind, 5 x 10, from the wide PSF",
        blind_richardson_lucy(volume, 5, psf=wide, background=ground)[0],
    )


def print_scores() -> None:
    psf, wide = (gaussian_psf(s, SIZE).astype(np.float32) for s in (SIGMA, WIDE))
    volumes, truths = zip(*(bead_pair(sigma=SIGMA, seed=s) for s in range(100, 104)), strict=True)
    learned = estimate_psf(truths, volumes, (13, 13, 25))
    scores = {}
    rim = np.ones((64, 64, 32), bool)
    rim[RIM:-RIM, RIM:-RIM, RIM:-RIM] = False
    for seed in range(VOLUMES):
        volume, truth = bead_pair(sigma=SIGMA, seed=seed)
        for what, result in restorations(volume, psf, learned, wide):
            own = correlation(truth, result), correlation(truth[rim], result[rim])
            scores.setdefault(what, []).append(own)
    print(f"\nCorrelation with the truth, {VOLUMES} windows of noisy beads in a glow")
    print(f"{'':42}{'mean':>8}{'spread':>8}  within {RIM} voxels of the border")
    for what, rows in scores.items():
        (mean, edge), spread = np.mean(rows, 0), np.std(rows, 0)
        print(f"{what:42}{mean:8.3f}{spread[0]:8.3f}{edge:8.3f}")


if __name__ == "__main__":
    print_times()
    print_scores()
