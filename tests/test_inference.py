"""Tiled prediction: nothing lost, nothing shifted, little held in memory."""

import tracemalloc

import keras
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from lib.inference import predict_volume
from lib.layers import DivisibleExtents
from lib.patches import BLENDS
from lib.volumes import Volume

pytestmark = pytest.mark.filterwarnings("ignore:overlap=.* meet without overlap:UserWarning")
quick = settings(max_examples=80, deadline=None, derandomize=True)
extents = st.tuples(*[st.integers(1, 9)] * 3)
overlaps = st.sampled_from([0, 0.1, 0.25, 0.37, 0.5, 0.75, 0.9])


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2, shape).astype(np.float32)


class Recorder:
    """A model that remembers its batches and answers with ``answer(batch)``."""

    def __init__(self, answer=lambda batch: batch):
        self.answer, self.batches = answer, []

    def __call__(self, batch):
        self.batches.append(batch.copy())
        return self.answer(batch)

    @property
    def shapes(self):
        return {batch.shape for batch in self.batches}


@quick
@given(
    extents,
    st.tuples(*[st.integers(1, 3)] * 3),
    st.sampled_from([1, 2, 4, (1, 2, 4)]),
    overlaps,
    st.sampled_from(BLENDS),
    st.integers(1, 4),
    st.sampled_from([(), (1,), (2,)]),
)
def test_identity_gives_the_volume_back(shape, times, multiple, overlap, blend, batch, channels):
    volume, model = noise(*shape, *channels), Recorder()
    size = tuple(np.multiply(times, multiple))
    result = predict_volume(model, volume, size, overlap, blend, batch, multiple=multiple)
    assert result.shape == (*shape, *(channels or (1,))) and result.dtype == np.float32
    np.testing.assert_allclose(result.reshape(volume.shape), volume, rtol=1e-5)
    assert model.shapes == {(batch, *size, *(channels or (1,)))}, "one shape, whatever is left over"


@quick
@given(extents, st.integers(1, 3), st.sampled_from([1, 2, 4]), overlaps)
def test_tiles_start_on_multiples(shape, times, multiple, overlap):
    x, y, z = np.indices(shape)
    model = Recorder()
    volume = np.stack([x, y, z], -1)
    predict_volume(model, volume, times * multiple, overlap, multiple=multiple)
    starts = np.array([batch[0, 0, 0, 0] for batch in model.batches], int)
    assert not np.any(starts % multiple)
    assert np.all(starts.max(0) + times * multiple >= shape)


def test_starts_worked_by_hand():
    model = Recorder()
    volume = np.broadcast_to(np.arange(50)[:, None, None], (50, 16, 16))
    predict_volume(model, volume, (32, 16, 16), 0.5, multiple=16)
    assert [int(batch[0, 0, 0, 0, 0]) for batch in model.batches] == [0, 16, 32]


@pytest.mark.parametrize("line, size, tile", [([1, 2, 3], 5, [1, 2, 3, 2, 1]),
                                              ([7], 4, [7, 7, 7, 7]),
                                              ([1, 2], 8, [1, 2, 1, 2, 1, 2, 1, 2])])  # fmt: skip
def test_small_volumes_are_reflected(line, size, tile):
    model = Recorder()
    result = predict_volume(model, np.reshape(line, (-1, 1, 1)), (size, 1, 1))
    assert model.batches[0].ravel().tolist() == tile and result.ravel().tolist() == line


def test_a_volume_and_other_types_are_taken():
    whole = np.arange(4 * 5 * 6, dtype=">i2").reshape(4, 5, 6)
    kept = whole.copy()
    results = [
        predict_volume(lambda b: b, source, 3, batch_size=2)
        for source in (whole, Volume.with_spacing(whole, 2), zarr.array(whole, chunks=(2, 2, 2)))
    ]
    for result in (results[0], results[1].data, results[2]):
        np.testing.assert_allclose(result[..., 0], whole, rtol=1e-5)
    assert np.array_equal(whole, kept)


def test_a_volume_gives_a_volume_at_its_place():
    affine = np.array([[0, -2, 0, 5], [1, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1.0]])
    scan = Volume(noise(5, 6, 7), affine, "head 7")
    result = predict_volume(lambda b: 2 * b, scan, 4)
    assert result.name == "head 7" and np.array_equal(result.affine, affine)
    np.testing.assert_allclose(result.data[..., 0], 2 * scan.data, rtol=1e-5)
    out = np.zeros((5, 6, 7, 1), np.float32)
    assert predict_volume(lambda b: b, scan, 4, out=out) is out


def test_the_network_s_own_factor_is_the_multiple():
    inputs = keras.Input((None, None, None, 1))
    model = keras.Model(inputs, DivisibleExtents(4)(DivisibleExtents(2)(inputs)))
    volume = np.broadcast_to(np.arange(20)[:, None, None], (20, 4, 4))
    for network in (model, keras.Sequential([model])):  # nested, too
        recorded = Recorder()
        recorded.layers = network.layers
        predict_volume(recorded, volume, 8, 0.75)  # steps of 2 without the factor
        assert [int(batch[0, 0, 0, 0, 0]) for batch in recorded.batches] == [0, 4, 8, 12]


def test_factors_that_are_no_multiples_of_each_other_are_multiplied():
    inputs = keras.Input((None, None, None, 1))
    model = keras.Model(inputs, DivisibleExtents(4)(DivisibleExtents(6)(inputs)))
    with pytest.raises(ValueError, match="size=6, multiple=12"):
        predict_volume(model, noise(6, 6, 6), 6)


@pytest.mark.filterwarnings("error")
def test_tiles_that_cannot_overlap_are_told():
    with pytest.warns(UserWarning, match=r"overlap=0.5: tiles of 4 with multiple=4 meet"):
        predict_volume(lambda b: b, noise(8, 4, 4), 4, multiple=4)
    predict_volume(lambda b: b, noise(4, 4, 4), 4, multiple=4)  # one tile
    predict_volume(lambda b: b, noise(8, 4, 4), 4, overlap=0, multiple=4)


def test_several_channels_out():
    volume = noise(7, 6, 5, 2)
    twice = lambda b: np.concatenate([b, 2 * b[..., :1]], -1)  # noqa: E731
    result = predict_volume(twice, volume, 4)
    np.testing.assert_allclose(result, twice(volume), rtol=1e-5)


def test_a_filter_of_another_library_by_tiles():
    """Its reach is 1: a tile errs at its border only, where the next has exp(5.5) its weight."""
    volume = noise(20, 24, 28)
    blur = lambda b: uniform_filter(b, (1, 3, 3, 3, 1), mode="reflect")  # noqa: E731
    error = predict_volume(blur, volume, 16, 0.75)[..., 0] - uniform_filter(volume, 3)
    most = np.ptp(volume) / 3  # of a wrong neighbour in a mean of three
    assert np.abs(error).max() < 3 * most / (1 + np.exp(5.5))


class Traced(keras.layers.Layer):
    """Counts how often its Python code runs: once a trace."""

    traces = 0

    def call(self, inputs):
        Traced.traces += 1
        return inputs


def small_net(*layers):
    inputs = keras.Input((None, None, None, 1))
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def test_a_keras_model_is_traced_once():
    model = small_net(keras.layers.Conv3D(2, 3, padding="same"), Traced())
    Traced.traces = 0
    for shape in [(9, 8, 7), (4, 4, 4), (11, 5, 6)]:
        assert predict_volume(model, noise(*shape), 4, batch_size=3).shape == (*shape, 2)
    assert Traced.traces == 1


def test_half_precision_comes_out_as_float32():
    model = small_net(keras.layers.Conv3D(1, 1, dtype="mixed_float16"))
    assert predict_volume(model, noise(5, 5, 5), 4).dtype == np.float32


def test_tiles_agree_with_the_whole_but_for_their_borders():
    keras.utils.set_random_seed(0)
    conv = [keras.layers.Conv3D(f, 3, padding="same", use_bias=False) for f in (3, 1)]
    model, volume = small_net(*conv), noise(40, 24, 32)
    whole = model.predict_on_batch(volume[None, ..., None])[0]
    inside = (slice(2, -2),) * 3  # two convolutions reach 2 voxels
    gaussian, mean, last = (
        np.abs(predict_volume(model, volume, 16, 0.5, blend) - whole)[inside].max()
        for blend in ("gaussian", "mean", "last")
    )
    # a voxel inside its border a tile has exp(-5.28) of weight, its neighbour there exp(-0.28)
    assert gaussian < 3 / (1 + np.exp(5)) * last, "a share of the border's error along each axis"
    assert gaussian < 0.1 * mean and mean < last


def test_multiples_keep_the_grid_of_pooling():
    halves = keras.layers.AveragePooling3D(2), keras.layers.UpSampling3D(2)
    model, volume = small_net(*halves), noise(18, 20, 22)
    whole = model.predict_on_batch(volume[None, ..., None])[0]
    for overlap in (0, 0.3, 0.5):
        tiled = predict_volume(model, volume, 6, overlap, multiple=2)
        np.testing.assert_allclose(tiled, whole, rtol=1e-5)
    shifted = predict_volume(model, volume, 6, 0.5)  # starts at 3, 6, ...: off the grid
    assert np.abs(shifted - whole).max() > 0.1


def peak(extent, folder):
    """(the most memory held, the size of the result) with a memory map in and out, in bytes."""
    source = np.lib.format.open_memmap(folder / "in.npy", "w+", np.uint8, (extent, 48, 48))
    out = np.lib.format.open_memmap(folder / "out.npy", "w+", np.float32, (extent, 48, 48, 1))
    source[...] = np.arange(extent)[:, None, None] % 200
    tracemalloc.start()
    assert predict_volume(lambda b: b, source, 16, out=out) is out
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(out[..., 0], source, rtol=1e-5)
    return held, out.nbytes


def test_memory_is_that_of_a_slab(tmp_path):
    (short, _), (long, result) = (peak(extent, tmp_path) for extent in (192, 384))
    assert long < 0.5 * result
    assert long < 1.2 * short, "it does not grow with the volume"


@pytest.mark.parametrize("blend", BLENDS)
def test_zarr_in_and_out(tmp_path, blend):
    volume = noise(11, 9, 10)
    source = zarr.create_array(tmp_path / "in.zarr", data=volume, chunks=(4, 4, 4))
    out = zarr.create_array(
        tmp_path / "out.zarr", shape=(11, 9, 10, 1), chunks=(4, 4, 4, 1), dtype="float32"
    )
    assert predict_volume(lambda b: b, source, 4, 0.6, blend, 3, out=out) is out
    np.testing.assert_allclose(zarr.open(tmp_path / "out.zarr")[..., 0], volume, rtol=1e-5)


def test_the_bar_counts_tiles_and_goes(bars, capsys):
    predict_volume(lambda b: b, noise(8, 8, 8), 4, 0, batch_size=3, progress=True)
    shown = capsys.readouterr().err
    assert "predict: 100%" in shown and "8/8" in shown
    assert shown.split("\r")[-2:] == [" " * len(shown.split("\r")[-2]), ""], "wiped in the end"
    predict_volume(lambda b: b, noise(8, 8, 8), 4, 0)
    assert capsys.readouterr().err == ""


def test_tqdm_s_own_variable_hides_the_bar(capsys):
    predict_volume(lambda b: b, noise(8, 8, 8), 4, 0, progress=True)  # TQDM_DISABLE: see conftest
    assert capsys.readouterr().err == ""


V = np.zeros((6, 6, 6))


@pytest.mark.parametrize(
    "volume, size, options, message",
    [
        (V, 4, {"overlap": 1}, "overlap=1: give a share"),
        (V, 4, {"overlap": -0.1}, "overlap=-0.1"),
        (V, 0, {}, "size=0"),
        (V, 2.5, {}, "size=2.5: give a whole number"),
        (V, 4, {"multiple": 3}, "size=4, multiple=3"),
        (V, 4, {"multiple": 0}, "size=4, multiple=0"),
        (V, 4, {"multiple": 0.5}, "multiple=0.5"),
        (V, 4, {"batch_size": 0}, "batch_size=0"),
        (V, 4, {"batch_size": 1.5}, "batch_size=1.5"),
        (V, 4, {"blend": "max"}, "blend='max'"),
        (V[0], 4, {}, r"volume has shape \(6, 6\)"),
        (V[:0], 4, {}, r"volume has shape \(0, 6, 6\)"),
        (V, 4, {"out": np.zeros((6, 6, 6))}, r"out has shape \(6, 6, 6\), .* \(6, 6, 6, 1\)"),
        (V, 4, {"out": np.zeros((6, 6, 6, 1), np.uint8)}, "out holds uint8"),
    ],
)
def test_errors_name_argument_and_value(volume, size, options, message):
    with pytest.raises(ValueError, match=message):
        predict_volume(lambda b: b, volume, size, **options)


@pytest.mark.parametrize("answer", [lambda b: b[:, 1:], lambda b: b[..., 0]])
def test_a_model_must_keep_the_size(answer):
    with pytest.raises(ValueError, match=r"model turned a batch \(2, 4, 4, 4, 1\) into"):
        predict_volume(answer, V, 4, batch_size=2)
