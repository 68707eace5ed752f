"""Random patches for training, drawn from pairs of an image and its labels or target.

A source is an array, a `Volume`, or the path of a ``.npy`` file. A file is mapped into memory anew
for every patch (0.3 ms), so that what was read does not stay in memory.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.arrays import check_count, per_axis
from lib.volumes import Volume

AXES = {"x": 0, "y": 1, "z": 2}
FOREGROUND_KEPT = 10_000  # voxels a volume, drawn evenly: enough to centre patches on
TRIES = 1000
TILTS = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 3)]  # (axis, quarters): z to each direction


class PatchSampler:
    """Draws patches of one size from image/label pairs, each pair as likely as the others.

    A place is drawn up to half a patch beyond the volume and then moved onto it, for of places
    inside alone few hold the border. Along an axis of 24 voxels, patches of 8 show the last voxel
    five eighths as often as the middle (else one eighth), and the one 7 further in 1.5 times.

    Args:
        pairs: (image, label) sources of equal extent, each (X, Y, Z) or (X, Y, Z, C).
        size: patch extent in voxels, one number or one for each axis.
        foreground: share of patches drawn around a labelled voxel (label > 0). Where in the patch
            that voxel lies is random too, else the network learns that the centre is special.
        flips: axes ("x", "y", "z") along which a patch is mirrored every other time. Leave out
            left/right where labels know sides.
        turns: axes around which a patch is turned by 0, 90, 180 or 270 degrees; several reach all
            24 orientations, each as likely.
        contrast: each image patch, 0 or more, is raised to a power from exp(-contrast) to
            exp(contrast), all channels to the same.
        gain: then it is multiplied by a number from exp(-gain) to exp(gain).
        window: (under, upper): only patches whose label has its mean within are taken.
        keep: the chance with which a patch outside the window is kept all the same.

    Raises:
        ValueError: pairs that do not fit together in shape or place, a patch larger than a volume,
            turns of unequal extents, shares outside 0..1, contrast or gain below 0, a window with
            swapped ends.

    Warns:
        UserWarning: a volume without a labelled voxel, by name; it gives background patches.
    """

    def __init__(
        self,
        pairs: Sequence[tuple],
        size,
        *,
        foreground: float = 0.0,
        flips: Sequence[str] = (),
        turns: Sequence[str] = (),
        contrast: float = 0.0,
        gain: float = 0.0,
        window: tuple[float, float] | None = None,
        keep: float = 0.0,
    ):
        self.pairs, self.size = list(pairs), per_axis(size, "size", positive=True)
        self.foreground, self.window, self.keep = foreground, window, keep
        self.contrast, self.gain = contrast, gain
        self.flips, self.turns = _named_axes(flips, "flips"), _named_axes(turns, "turns")
        self._check()
        self._labelled = [None] * len(self.pairs)
        for i, pair in enumerate(self.pairs if foreground else ()):
            self._labelled[i] = _labelled_voxels(_opened(pair[1]), _name(pair, i))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """``count`` patches: images (count, x, y, z, C) and labels likewise, float32."""
        patches = [self._draw_one(rng) for _ in range(check_count(count, "count", 1))]
        images, labels = zip(*patches, strict=True)
        return np.stack(images), np.stack(labels)

    def _draw_one(self, rng) -> tuple[np.ndarray, np.ndarray]:
        means = []
        for _ in range(TRIES):
            number = rng.integers(len(self.pairs))
            image, label = map(_opened, self.pairs[number])
            where = self._place(rng, label.shape[:3], self._labelled[number])
            target = _patch(label, where)
            means.append(target.mean())
            if self._accepted(rng, means[-1]):
                patch = self._toned(rng, _patch(image, where), _name(self.pairs[number], number))
                return self._moved(rng, patch, target)
        raise ValueError(
            f"window={self.window}: of {TRIES} patches none had its mean within; "
            f"they went from {min(means):.4g} to {max(means):.4g}"
        )

    def _place(self, rng, extents, labelled) -> tuple[slice, ...]:
        """Anywhere, or such that a labelled voxel lies anywhere in the patch."""
        half, last = np.floor_divide(self.size, 2), np.subtract(extents, self.size)
        low, high = -half, last + half
        if labelled is not None and len(labelled) and rng.random() < self.foreground:
            voxel = labelled[rng.integers(len(labelled))]
            low, high = voxel - self.size + 1, voxel
        corner = np.clip(rng.integers(low, high, endpoint=True), 0, last)
        return tuple(slice(c, c + s) for c, s in zip(corner, self.size, strict=True))

    def _accepted(self, rng, mean: float) -> bool:
        inside = self.window is None or self.window[0] <= mean <= self.window[1]
        return inside or rng.random() < self.keep

    def _toned(self, rng, image: np.ndarray, name: str) -> np.ndarray:
        """The image with another contrast and gain."""
        if self.contrast:
            if image.min() < 0:
                holds = f"{name} holds {image.min():g}"
                raise ValueError(f"contrast={self.contrast}: {holds}; give images of 0 or more")
            image = image ** np.float32(np.exp(rng.uniform(-self.contrast, self.contrast)))
        if self.gain:
            image = image * np.float32(np.exp(rng.uniform(-self.gain, self.gain)))
        return image

    def _moved(self, rng, *patches) -> list[np.ndarray]:
        """The patches, mirrored and turned alike."""
        for axis in self.flips:
            if rng.random() < 0.5:
                patches = [np.flip(p, axis) for p in patches]
        for axis, quarters in self._quarters(rng):
            plane = [a for a in range(3) if a != axis]
            patches = [np.rot90(p, quarters, plane) for p in patches]
        return list(patches)

    def _quarters(self, rng) -> list[tuple[int, int]]:
        """Turns (axis, quarters): about the one axis; of several, about z, then z itself."""
        if len(self.turns) < 2:
            return [(axis, rng.integers(4)) for axis in self.turns]
        return [(2, rng.integers(4)), TILTS[rng.integers(len(TILTS))]]

    def _check(self) -> None:
        if not self.pairs:
            raise ValueError("pairs is empty: give at least one (image, label)")
        for share in ("foreground", "keep"):
            if not 0 <= getattr(self, share) <= 1:
                raise ValueError(f"{share}={getattr(self, share)}: give a share, 0 to 1")
        for span in ("contrast", "gain"):
            if not 0 <= getattr(self, span) < np.inf:
                raise ValueError(f"{span}={getattr(self, span)}: give 0 or more")
        window = (0, 0) if self.window is None else self.window
        if np.shape(window) != (2,) or not window[0] <= window[1]:
            raise ValueError(f"window={window}: give (under, upper), under <= upper")
        self._check_turns()
        shapes = [_shapes(pair, i) for i, pair in enumerate(self.pairs)]
        if len({tuple((*shape, 1)[3] for shape in pair) for pair in shapes}) > 1:
            raise ValueError(f"pairs differ in their channels: (image, label) are {shapes}")
        self._check_room([image[:3] for image, _ in shapes])

    def _check_room(self, extents) -> None:
        """Every volume holds a patch; else the size named, in multiples of 16 where it can be, as
        resunet3d needs, is one that fits all."""
        small = [i for i, own in enumerate(extents) if np.any(np.less(own, self.size))]
        if not small:
            return
        least = np.min(extents, axis=0).tolist()
        fits = [s if s <= n else n // 16 * 16 or n for s, n in zip(self.size, least, strict=True)]
        raise ValueError(
            f"{_name(self.pairs[small[0]], small[0])} is {extents[small[0]]}: too small for "
            f"size={self.size}; give {tuple(fits)}, say; prediction takes larger tiles, too"
            + (", resunet3d multiples of 16 only: pad the pair for it" if min(fits) < 16 else "")
        )

    def _check_turns(self) -> None:
        for axis in self.turns:
            if len({s for a, s in enumerate(self.size) if a != axis}) > 1:
                raise ValueError(
                    f"turns around {'xyz'[axis]} with size={self.size}: the other two extents "
                    "must be equal"
                )


def _shapes(pair, number: int) -> tuple[tuple, tuple]:
    """The shapes of an image and its label, checked."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"pairs[{number}] is no pair: give (image, label)")
    image, label = (_opened(source).shape for source in pair)
    if image[:3] != label[:3] or not {len(image), len(label)} <= {3, 4}:
        raise ValueError(
            f"{_name(pair, number)}: the image is {image}, its label {label}; "
            "needed are equal extents (X, Y, Z), channels last"
        )
    _check_places(pair, _name(pair, number))
    return image, label


def _check_places(pair, name: str) -> None:
    """An image and its label, where both tell their place, lie at the same one."""
    image, label = pair
    if isinstance(image, Volume) and isinstance(label, Volume) and not image.lies_as(label):
        raise ValueError(
            f"{name}: image and label lie elsewhere, their affines are {image.affine.tolist()} "
            f"and {label.affine.tolist()}; give the label on the image's grid"
        )


def _named_axes(names, argument: str) -> list[int]:
    wrong = [name for name in names if name not in AXES]
    if wrong or (isinstance(names, str) and len(names) > 1):
        raise ValueError(f"{argument}={names!r}: give axis names out of 'x', 'y', 'z' in a list")
    return list(dict.fromkeys(AXES[name] for name in names))


def _opened(source) -> np.ndarray:
    if isinstance(source, str | Path):
        if Path(source).suffix != ".npy":
            raise ValueError(f"{source}: only .npy can be mapped; load it, or save it as .npy")
        return np.load(source, mmap_mode="r")
    return source.data if isinstance(source, Volume) else source


def _name(pair, number: int) -> str:
    """What a message calls a pair: its file or volume's name, else its place in the list."""
    for source in pair:
        name = str(source) if isinstance(source, str | Path) else getattr(source, "name", "")
        if name:
            return name
    return f"pair {number}"


def _patch(array, where) -> np.ndarray:
    patch = np.asarray(array[where], np.float32)
    return patch[..., None] if patch.ndim == 3 else patch  # (x, y, z, C)


def _labelled_voxels(label, name: str) -> np.ndarray:
    """Up to `FOREGROUND_KEPT` voxels with label > 0, drawn evenly, (n, 3); plane by plane."""
    counts = np.array([np.count_nonzero(_any_channel(plane)) for plane in label])
    total = counts.sum()
    if not total:
        warnings.warn(f"{name} has no labelled voxel: only background patches", stacklevel=3)
        return np.empty((0, 3), int)
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(total, min(total, FOREGROUND_KEPT), replace=False))
    found = []
    for x, (first, count) in enumerate(zip(counts.cumsum() - counts, counts, strict=True)):
        mine = chosen[(chosen >= first) & (chosen < first + count)] - first
        if len(mine):
            yz = np.argwhere(_any_channel(label[x]))[mine]
            found.append(np.insert(yz, 0, x, axis=1))
    return np.concatenate(found)


def _any_channel(plane) -> np.ndarray:
    labelled = np.asarray(plane) > 0
    return labelled.any(-1) if labelled.ndim == 3 else labelled
