"""A network that knows the physics: Richardson-Lucy with a given or learned PSF, then a small CNN.

The unrolled iterations undo the blur, as the physics of the image says; what they leave, noise and
the grain that comes with many iterations, a few learned convolutions judge from three stages of
the same unrolling. After Y. Li et al., Incorporating the image formation process into deep learning
improves network performance, Nature Methods 19 (2022), whose steps are learned themselves; here
only PSF and judgement are, so four volumes suffice.
"""

from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import layers

from lib.arrays import real_array
from lib.inference import predict_volume
from lib.intensity import rescale
from lib.microscopy.deconvolution import linear_background, richardson_lucy
from lib.microscopy.psf import estimate_psf
from lib.sampling import PatchSampler
from lib.training import PatchDataset, adam, train

STAGES = (5, 20, 60)  # accelerated steps whose estimates the CNN sees: blurred, sharper, grainy
TILE = (128, 128, 96)  # voxels that the CNN sees at once


@dataclass(frozen=True, eq=False)
class RichardsonLucyNetwork:
    """What `train_richardson_lucy_network` returns; apply it by a call, ``network(volume)``.

    Args:
        psf: (a, b, c), centre at ``size // 2``.
        head: the CNN, (N, x, y, z, 1 + stages) -> (N, x, y, z, 1).
        history: of its training, as from `lib.training.train`; empty for one that was loaded.
    """

    psf: np.ndarray
    head: keras.Model
    history: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """The beads of an observed volume.

        Args:
            volume: (X, Y, Z) in any unit, any extents. Give the whole, for it is scaled by its
                own darkest and brightest voxel; clip dead and hot pixels first. Richardson-Lucy
                runs on the whole, the CNN tile by tile (`lib.inference.predict_volume`).

        Returns:
            (X, Y, Z) float32, 0 or more, in units of the labels trained on.

        Raises:
            ValueError: not 3D, NaN or infinity, or nothing above its background.
        """
        stages = richardson_lucy_stages(volume, self.psf)
        tile = np.minimum(stages.shape[:3], TILE)  # a function is called in any thread, eagerly
        return np.maximum(predict_volume(self.head.__call__, stages, tile, 0.25)[..., 0], 0)

    def save(self, folder) -> Path:
        """Write ``psf.npy`` and ``head.keras`` to a folder, made if need be; return it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "psf.npy", self.psf)
        self.head.save(folder / "head.keras")
        return folder

    @classmethod
    def load(cls, folder) -> "RichardsonLucyNetwork":
        """What `save` wrote.

        Raises:
            FileNotFoundError: the folder lacks ``psf.npy``.
            ValueError: it lacks ``head.keras``.
        """
        psf = np.load(Path(folder) / "psf.npy")
        return cls(psf, keras.saving.load_model(Path(folder) / "head.keras"))


def train_richardson_lucy_network(
    pairs,
    psf: np.ndarray | None = None,
    *,
    psf_size=(9, 9, 25),
    patch=16,
    steps: int = 600,
    learning_rate: float = 5e-3,
    seed: int = 0,
    folder=None,
) -> RichardsonLucyNetwork:
    """Learn the PSF, where none is given, and the CNN from pairs of an image and its truth.

    Args:
        pairs: [(image, label)], each (X, Y, Z); images in any unit, each scaled by its own
            darkest and brightest voxel; labels 0 or more, in any unit, one for all.
        psf: (a, b, c), centre at ``size // 2``; None: `estimate_psf` finds it from the pairs.
        psf_size: extents of the PSF to be found, in voxels: about as far as a lone bead's image
            reaches, and no larger than the volumes; of no account where a PSF is given.
        patch: extent of the training patches in voxels, one number or one for each axis.
        steps: of training, four patches each, most of them around beads.
        learning_rate: the highest, see `lib.training.adam`.
        seed: decides weights and patches.
        folder: where to leave history and best weights; None: nowhere.

    Returns:
        The network, ready to be called.

    Raises:
        ValueError: what `PatchSampler`, `estimate_psf`, `richardson_lucy` or `adam` refuses;
            arrays that are not 3D or hold NaN, infinity or labels below 0; black labels; an image
            with nothing above its background.
    """
    pairs, optimizer = _checked(pairs, patch), adam(learning_rate, steps)
    if psf is None:
        psf = _learned_psf(pairs, psf_size)
    stages = [(richardson_lucy_stages(image, psf), label) for image, label in pairs]
    highest = np.max([stage.max((0, 1, 2)) for stage, _ in stages], axis=0)
    head = _head(highest, max(float(label.max()) for _, label in pairs), seed)
    black = float(np.mean([np.mean(np.square(label)) for _, label in pairs]))
    head.compile(optimizer, loss="mse", loss_weights=1 / black)
    sampler = PatchSampler(stages, patch, foreground=0.7, flips=["x", "y", "z"])
    epochs = max(1, steps // 50)
    feed = PatchDataset(sampler, 4, steps // epochs, seed=seed)
    history = train(head, feed, epochs, folder=folder)
    return RichardsonLucyNetwork(np.asarray(psf), head, history)


def richardson_lucy_stages(volume: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """The image above its background and its estimates after `STAGES` accelerated iterations.

    Returns:
        (X, Y, Z, 1 + stages) float32, in units of the first estimate's highest value: a single hot
        pixel, which no PSF explains, hardly moves it.

    Raises:
        ValueError: a volume that is not 3D, holds NaN or infinity, or has nothing above its
            background, as a constant one; a PSF that `richardson_lucy` refuses.
    """
    image = rescale(real_array(volume, "volume"))
    background = linear_background(image)
    signal = image - background
    if not signal.max() > 0:
        raise ValueError(
            f"volume of {np.min(volume):g} to {np.max(volume):g} has nothing above its background: "
            "give bright objects on a dark ground"
        )
    estimates = richardson_lucy(image, psf, STAGES, background=background, accelerate=True)
    stages = np.stack([signal, *estimates], axis=-1, dtype=np.float32)
    stages /= estimates[0].max()
    return stages


def stage_views(stages: np.ndarray) -> dict[str, np.ndarray]:
    """`richardson_lucy_stages` by name, each scaled to its brightest voxel, to be looked at."""
    names = ["image above background", *(f"{steps} steps" for steps in STAGES)]
    return {name: stages[..., n] / stages[..., n].max() for n, name in enumerate(names)}


def _checked(pairs, patch) -> list:
    """The pairs, labels as floating point numbers: mistakes show before the long work begins."""
    pairs = list(pairs)
    PatchSampler(pairs, patch)
    for number, (image, label) in enumerate(pairs):
        real_array(image, f"image of pair {number}")
        pairs[number] = image, real_array(label, f"label of pair {number}", 0)
    if not any(label.any() for _, label in pairs):
        raise ValueError(
            f"pairs: all {len(pairs)} labels are 0 everywhere, there is nothing to see"
        )
    return pairs


def _learned_psf(pairs, size) -> np.ndarray:
    images, labels = zip(*((rescale(image), label) for image, label in pairs), strict=True)
    return estimate_psf(labels, images, size)


def _head(highest, unit: float, seed: int) -> keras.Model:
    """Three convolutions that see all before them, added to a linear guess.

    What goes in is scaled by ``highest``, one value a channel, what comes out by ``unit``, so that
    weights near 1 fit whatever the units.
    """
    glorot = keras.initializers.GlorotUniform(keras.random.SeedGenerator(seed))
    inputs = keras.Input((None, None, None, len(highest)))
    x = scaled = layers.Normalization(mean=0 * highest, variance=highest**2)(inputs)
    for _ in range(3):
        new = layers.Conv3D(12, (3, 3, 5), padding="same", kernel_initializer=glorot)(x)
        x = layers.Concatenate()([x, layers.LeakyReLU(0.1)(new)])
    correction = layers.Conv3D(1, 3, padding="same", kernel_initializer="zeros")(x)
    guess = layers.Conv3D(1, 1, kernel_initializer=glorot)(scaled)
    outputs = layers.Rescaling(unit)(layers.Add()([guess, correction]))
    return keras.Model(inputs, outputs, name="richardson_lucy_network")
