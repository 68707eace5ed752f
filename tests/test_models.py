"""The networks: size, shape, extents, and the same output on every backend."""

import keras
import numpy as np
import pytest
from elsewhere import run_elsewhere

from lib.layers import FourierConv3D
from lib.models import large_kernel_autoencoder, resunet3d, unet_3l, with_activation


def test_resunet3d_has_the_parameters_of_the_reference():
    model = resunet3d(6, input_shape=(128, 128, 128, 1))
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert (model.count_params(), trained) == (8_453_629, 8_447_773)


def test_resunet3d_first_block_by_hand():
    """Filters 1, 1 channel in: the first block is conv 1->2 (56), conv 2->4 (220), shortcut (8)."""
    model = resunet3d(1, input_shape=(16, 16, 16, 1))
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert sorted(tuple(w.shape) for w in kernels[:3]) == [
        (1, 1, 1, 1, 4),
        (3, 3, 3, 1, 2),
        (3, 3, 3, 2, 4),
    ]


@pytest.mark.parametrize(
    "extents, channels, activation",
    [((16, 16, 16), 1, "relu"), ((32, 16, 48), 3, "softmax"), ((16, 16, 16), 2, None)],
)
def test_resunet3d_keeps_the_extents_and_has_the_head_asked_for(extents, channels, activation):
    model = resunet3d(
        1, input_shape=(None, None, None, 2), out_channels=channels, activation=activation
    )
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
    [
        ("mixed_float16", lambda x: resunet3d(1, input_shape=x)),
        ("mixed_bfloat16", lambda x: unet_3l(x, first_filters=1)),
        ("mixed_float16", lambda x: large_kernel_autoencoder(x, kernel_size=4)),
        (
            "mixed_float16",
            lambda x: with_activation(large_kernel_autoencoder(x, kernel_size=4), "sigmoid"),
        ),
    ],
)
def test_the_head_answers_in_float32_under_mixed_precision(keep_policy, policy, build):
    keras.config.set_dtype_policy(policy)
    model = build((16, 16, 16, 1))
    assert f"mixed_{model.layers[2].compute_dtype}" == policy
    assert np.asarray(model(np.zeros((1, 16, 16, 16, 1)))).dtype == np.float32


def test_extents_that_do_not_fit_are_refused_when_built():
    with pytest.raises(ValueError, match=r"axis 2 .* 100 voxels.*multiple of 16"):
        resunet3d(1, input_shape=(16, 100, 16, 1))


@pytest.mark.parametrize(
    ("filters", "kernel", "count"), [(8, (3, 3, 6), 198_545), (4, (2, 2, 4), 14_913)]
)
def test_unet_3l_has_the_parameters_of_the_reference(filters, kernel, count):
    model = unet_3l((256, 256, 32, 1), first_filters=filters, kernel_size=kernel)
    assert model.count_params() == count


def test_unet_3l_is_the_network_drawn():
    """One filter, kernels of one voxel: channels into and out of each convolution, in order."""
    model = unet_3l((8, 8, 8, 2), first_filters=1, kernel_size=1)
    kernels = [tuple(w.shape) for w in model.trainable_weights if w.name == "kernel"]
    down = [(2, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4)]
    up = [(4, 2), (2 + 2, 2), (2, 2), (2, 1), (1 + 1, 1), (1, 2), (2, 1)]
    assert kernels == [(1, 1, 1, *channels) for channels in down + up]


@pytest.mark.parametrize("extents", [(4, 4, 4), (8, 12, 20)])
def test_unet_3l_keeps_the_extents_and_answers_between_0_and_1(extents):
    batch = np.random.default_rng(0).normal(size=(2, *extents, 3))
    answer = np.asarray(unet_3l((None, None, None, 3), first_filters=2)(batch))
    assert answer.shape == (2, *extents, 1) and 0 < answer.min() < answer.max() < 1


def test_unet_3l_refuses_extents_that_do_not_fit():
    with pytest.raises(ValueError, match=r"axis 3 .* 30 voxels.*multiple of 4"):
        unet_3l((16, 16, 30, 1), first_filters=2)
    with pytest.raises(ValueError, match=r"axis 1 .* 6 voxels.*multiple of 4"):
        unet_3l(first_filters=2)(np.zeros((1, 6, 8, 8, 1)))


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]


def shaken(model):
    """The model with weights that leave nothing at its start value."""
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(-0.05, 0.05, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize(
    "arguments, count",  # hidden: kernel, then gamma, beta, mean, variance; at the end kernel, bias
    [
        ({}, (2048 * 1 * 4 + 16) + (2048 * 4 * 4 + 16) + (2048 * 4 * 1 + 1)),
        ({"normalise": False}, (2048 * 1 * 4 + 4) + (2048 * 4 * 4 + 4) + (2048 * 4 * 1 + 1)),
        ({"kernel_size": (4, 4, 2), "filters": (3,)}, (32 * 1 * 3 + 12) + (32 * 3 * 1 + 1)),
    ],
)
def test_large_kernel_autoencoder_has_the_parameters_counted_by_hand(arguments, count):
    assert large_kernel_autoencoder(**arguments).count_params() == count


@pytest.mark.parametrize("padding", ["reflect", "same", "valid"])
def test_large_kernel_autoencoder_is_the_network_drawn(padding):
    model = large_kernel_autoencoder(
        (None, None, None, 2), kernel_size=(6, 5, 3), filters=(3, 1, 4), padding=padding
    )
    assert [(type(c), c.kernel_size, c.padding) for c in convolutions(model)] == 4 * [
        (FourierConv3D, (6, 5, 3), padding)
    ]
    channels = [tuple(c.kernel.shape[3:]) for c in convolutions(model)]
    assert channels == [(2, 3), (3, 1), (1, 4), (4, 1)]
    assert [c.use_bias for c in convolutions(model)] == [False, False, False, True]
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    assert kinds == 3 * ["FourierConv3D", "BatchNormalization", "Activation"] + [
        "FourierConv3D",
        "Activation",
    ]


def test_large_kernel_autoencoder_s_defaults_are_the_documented_ones():
    model = large_kernel_autoencoder()
    assert [(c.kernel_size, c.filters, c.padding) for c in convolutions(model)] == [
        ((16, 16, 8), filters, "reflect") for filters in (4, 4, 1)
    ]
    assert model.layers[-1].activation is keras.activations.sigmoid
    assert convolutions(model)[-1].bias.numpy() == 0  # a share of a half


@pytest.mark.parametrize(
    "kernel, extents, activation",
    [((16, 16, 8), (17, 12, 9), "sigmoid"), ((3, 4, 2), (6, 7, 5), None)],
)
def test_the_plain_variant_is_the_same_network_of_conv3d(kernel, extents, activation):
    own = {"kernel_size": kernel, "activation": activation, "normalise": False}
    plain = large_kernel_autoencoder((*extents, 2), padding="same", **own)
    hidden = [keras.layers.Conv3D(4, kernel, padding="same", activation="relu") for _ in "12"]
    last = keras.layers.Conv3D(1, kernel, padding="same", activation=activation)
    by_hand = keras.Sequential([keras.Input((*extents, 2)), *hidden, last])
    by_hand.set_weights(shaken(plain).get_weights())
    batch = np.random.default_rng(1).normal(size=(2, *extents, 2))
    expected = np.asarray(by_hand(batch))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(plain(batch), expected, atol=1e-5 * np.abs(expected).max())


def test_normalisation_stands_before_the_relu():
    model = shaken(
        large_kernel_autoencoder((4, 4, 4, 1), kernel_size=1, filters=(1,), activation=None)
    )
    kernel, gamma, beta, mean, variance, *last = (w.ravel()[0] for w in model.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 4, 1))
    normal = gamma * (kernel * x - mean) / np.sqrt(variance + 1e-3) + beta
    assert normal.min() < 0 < normal.max()
    expected = last[0] * np.maximum(normal, 0) + last[1]
    np.testing.assert_allclose(model(x, training=False), expected, atol=1e-5)


@pytest.mark.parametrize("share, activation", [(0.003, "sigmoid"), (0.9, None)])
def test_large_kernel_autoencoder_starts_at_the_share(share, activation):
    model = large_kernel_autoencoder(
        kernel_size=(4, 4, 2), filters=(2,), activation=activation, share=share
    )
    batch = np.random.default_rng(0).normal(size=(1, 6, 6, 6, 1))
    model.layers[1].kernel.assign(0 * model.layers[1].kernel)  # the last kernel then meets zeros
    expected = share if activation else np.log(share / (1 - share))
    np.testing.assert_allclose(model(batch), expected, rtol=1e-5, atol=1e-7)


def test_large_kernel_autoencoder_takes_any_extents_and_answers_between_0_and_1():
    batch = np.random.default_rng(0).normal(size=(2, 11, 20, 9, 3))
    answer = np.asarray(large_kernel_autoencoder((None, None, None, 3))(batch))
    assert answer.shape == (2, 11, 20, 9, 1) and 0 < answer.min() < answer.max() < 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"filters": ()}, r"filters=\(\), share=0.5: give one or more, and 0 < share < 1"),
        ({"share": 0}, "share=0: give one"),
        ({"share": 1.0}, "share=1.0: give one"),
        ({"share": float("nan")}, "share=nan: give one"),
    ],
)
def test_large_kernel_autoencoder_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        large_kernel_autoencoder(**arguments)


def test_with_activation_is_the_same_network_with_one_step_more():
    logits = large_kernel_autoencoder(kernel_size=(4, 4, 2), activation=None)
    model = with_activation(logits, "sigmoid")
    batch = np.random.default_rng(0).normal(size=(2, 5, 6, 4, 1))
    assert model.name == "large_kernel_autoencoder_sigmoid"
    for _ in range(2):
        expected = 1 / (1 + np.exp(-np.asarray(logits(batch))))
        np.testing.assert_allclose(model(batch), expected, atol=1e-6)
        shaken(logits)  # the weights are shared: the change must show
    assert np.ptp(expected) > 0.05


def test_a_saved_model_answers_the_same(tmp_path):
    logits = large_kernel_autoencoder(kernel_size=(4, 4, 2), activation=None, share=0.1)
    model = shaken(with_activation(logits, "sigmoid"))
    batch = np.random.default_rng(0).normal(size=(1, 6, 7, 8, 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)


ELSEWHERE = """
import sys
import numpy as np
from lib.models import large_kernel_autoencoder, resunet3d
folder, *builds = sys.argv[1:]
batch = np.load(folder + "/batch.npy")
for number, build in enumerate(builds):
    model = eval(build)
    model.load_weights(f"{folder}/{number}.weights.h5")
    np.save(f"{folder}/{number}.npy", model.predict_on_batch(batch))
"""


BUILDS = [
    "resunet3d(1, input_shape=(16, 32, 16, 1), out_channels=2, activation='sigmoid')",
    "large_kernel_autoencoder((16, 32, 16, 1), kernel_size=(4, 4, 2), share=0.3)",
]


def answers_elsewhere(backend, models, batch, folder):
    """The answers of the same builds with the same weights on another backend."""
    np.save(folder / "batch.npy", batch)
    for number, model in enumerate(models):
        model.save_weights(folder / f"{number}.weights.h5")
    run_elsewhere(backend, ELSEWHERE, folder, *BUILDS)
    return [np.load(folder / f"{number}.npy") for number in range(len(models))]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_backend_gives_the_same_output_from_the_same_weights(backend, tmp_path):
    keras.utils.set_random_seed(0)
    models = [shaken(eval(build)) for build in BUILDS]
    batch = np.random.default_rng(1).normal(size=(1, 16, 32, 16, 1)).astype(np.float32)
    answers = answers_elsewhere(backend, models, batch, tmp_path)
    for build, model, there in zip(BUILDS, models, answers, strict=True):
        here = np.asarray(model(batch, training=False))
        assert np.ptp(here) > 0.1, f"{build} is saturated"
        np.testing.assert_allclose(there, here, atol=1e-4, err_msg=build)
