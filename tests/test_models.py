"""The networks: size, shape, extents, and the same output on every backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from lib.models import resunet3d, unet_3l

ROOT = Path(__file__).resolve().parents[1]


def test_resunet3d_has_the_parameters_of_the_reference():
    model = resunet3d(6, (128, 128, 128, 1))
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert (model.count_params(), trained) == (8_453_629, 8_447_773)


def test_resunet3d_first_block_by_hand():
    """Filters 1, 1 channel in: the first block is conv 1->2 (56), conv 2->4 (220), shortcut (8)."""
    model = resunet3d(1, (16, 16, 16, 1))
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert sorted(tuple(w.shape) for w in kernels[:3]) == [
        (1, 1, 1, 1, 4),
        (3, 3, 3, 1, 2),
        (3, 3, 3, 2, 4),
    ]


@pytest.mark.parametrize("extents", [(16, 16, 16), (32, 16, 48)])
@pytest.mark.parametrize(("channels", "activation"), [(1, "relu"), (3, "softmax"), (2, None)])
def test_resunet3d_keeps_the_extents_and_has_the_head_asked_for(extents, channels, activation):
    model = resunet3d(1, (None, None, None, 2), channels, activation)
    answer = np.asarray(model(np.random.default_rng(0).normal(size=(2, *extents, 2))))
    assert answer.shape == (2, *extents, channels)
    if activation == "softmax":
        np.testing.assert_allclose(answer.sum(-1), 1, rtol=1e-5)
    if activation == "relu":
        assert answer.min() >= 0


@pytest.fixture
def keep_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "policy, build",  # TensorFlow pools no float16 volumes on a CPU
    [("mixed_float16", lambda x: resunet3d(1, x)), ("mixed_bfloat16", lambda x: unet_3l(x, 1))],
)
def test_the_head_answers_in_float32_under_mixed_precision(keep_policy, policy, build):
    keras.config.set_dtype_policy(policy)
    model = build((16, 16, 16, 1))
    assert f"mixed_{model.layers[2].compute_dtype}" == policy
    assert np.asarray(model(np.zeros((1, 16, 16, 16, 1)))).dtype == np.float32


def test_extents_that_do_not_fit_are_refused_when_built():
    with pytest.raises(ValueError, match=r"axis 2 .* 100 voxels.*multiple of 16"):
        resunet3d(1, (16, 100, 16, 1))


def test_extents_that_do_not_fit_are_refused_when_called():
    with pytest.raises(ValueError, match=r"axis 3 .* 20 voxels.*multiple of 16"):
        resunet3d(1)(np.zeros((1, 16, 16, 20, 1)))


@pytest.mark.parametrize(
    ("filters", "kernel", "count"), [(8, (3, 3, 6), 198_545), (4, (2, 2, 4), 14_913)]
)
def test_unet_3l_has_the_parameters_of_the_reference(filters, kernel, count):
    assert unet_3l((256, 256, 32, 1), filters, kernel).count_params() == count


def test_unet_3l_is_the_network_drawn():
    """One filter, kernels of one voxel: channels into and out of each convolution, in order."""
    model = unet_3l((8, 8, 8, 2), 1, 1)
    kernels = [tuple(w.shape) for w in model.trainable_weights if w.name == "kernel"]
    down = [(2, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4)]
    up = [(4, 2), (2 + 2, 2), (2, 2), (2, 1), (1 + 1, 1), (1, 2), (2, 1)]
    assert kernels == [(1, 1, 1, *channels) for channels in down + up]


@pytest.mark.parametrize("extents", [(4, 4, 4), (8, 12, 20)])
def test_unet_3l_keeps_the_extents_and_answers_between_0_and_1(extents):
    batch = np.random.default_rng(0).normal(size=(2, *extents, 3))
    answer = np.asarray(unet_3l((None, None, None, 3), 2)(batch))
    assert answer.shape == (2, *extents, 1) and 0 < answer.min() < answer.max() < 1


def test_unet_3l_refuses_extents_that_do_not_fit():
    with pytest.raises(ValueError, match=r"axis 3 .* 30 voxels.*multiple of 4"):
        unet_3l((16, 16, 30, 1), 2)
    with pytest.raises(ValueError, match=r"axis 1 .* 6 voxels.*multiple of 4"):
        unet_3l(first_filters=2)(np.zeros((1, 6, 8, 8, 1)))


@pytest.mark.parametrize("build", [lambda: resunet3d(1), lambda: unet_3l(first_filters=1)])
def test_a_saved_model_answers_the_same(build, tmp_path):
    model, batch = build(), np.random.default_rng(0).normal(size=(1, 16, 16, 16, 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)


ELSEWHERE = """
import sys
import numpy as np
from lib.models import resunet3d, unet_3l
folder = sys.argv[1]
model = eval(sys.argv[2])
model.load_weights(folder + "/model.weights.h5")
batch = np.load(folder + "/batch.npy")
answer = model(batch, training=False)
answer = answer.detach().numpy() if hasattr(answer, "detach") else np.asarray(answer)
np.save(folder + "/answer.npy", answer)
"""


BUILDS = ["resunet3d(2, (16, 32, 16, 1), 2, 'sigmoid')", "unet_3l((16, 32, 16, 1), 2)"]


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("build", BUILDS)
def test_every_backend_gives_the_same_output_from_the_same_weights(backend, build, tmp_path):
    pytest.importorskip(backend)
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = eval(build)
    model.set_weights([w + rng.uniform(-0.05, 0.05, w.shape) for w in model.get_weights()])
    batch = rng.normal(size=(2, 16, 32, 16, 1)).astype(np.float32)
    model.save_weights(tmp_path / "model.weights.h5")
    np.save(tmp_path / "batch.npy", batch)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # JAX compiles for half a minute else
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path), build]
    subprocess.run(command, env=environment, check=True, cwd=ROOT)
    here, there = np.asarray(model(batch, training=False)), np.load(tmp_path / "answer.npy")
    assert np.ptp(here) > 0.1  # not saturated
    np.testing.assert_allclose(there, here, atol=1e-4)
