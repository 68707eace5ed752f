"""A training judged on its way, and the time of a step."""

import time
from dataclasses import replace

import numpy as np
import pytest

from lib.metrics import correlation
from lib.microscopy.autoencoder import Recipe, build
from lib.microscopy.learning import JudgeAt, learn, step_seconds

SMALL = Recipe(kernel_size=(3, 3, 3), filters=(2,), patch=8, batch=2, rate=1e-2)
IMAGE = np.random.default_rng(0).random((12, 12, 12), np.float32)
LABEL = (IMAGE > 0.8).astype(np.float32)
PAIRS = [(IMAGE, LABEL)]
VOLUMES = [(IMAGE, LABEL), (IMAGE[::-1], LABEL)]


def test_the_last_score_is_that_of_the_answer():
    learned = learn(PAIRS, SMALL, VOLUMES, [3, 20], seed=1)
    own = [correlation(label, learned.autoencoder(image)) for image, label in VOLUMES]
    assert learned.scores.shape == (2, 2) and learned.steps == [3, 20]
    np.testing.assert_allclose(learned.scores[:, 1], own, atol=1e-5)


def test_a_point_on_the_way_is_where_a_shorter_training_ends():
    whole, short = (learn(PAIRS, SMALL, VOLUMES, steps) for steps in ([10, 30], [10]))
    np.testing.assert_allclose(whole.scores[:, 0], short.scores[:, 0], atol=1e-6)
    np.testing.assert_array_equal(
        whole.scores, learn(PAIRS, replace(SMALL, steps=500), VOLUMES, [10, 30]).scores
    )


def test_the_unet_variant_learns_too_and_one_number_of_steps_may_come_twice():
    recipe = replace(SMALL, unet=True, loss="binary_crossentropy")
    learned = learn(PAIRS, recipe, VOLUMES, [2, 2])
    network = learned.autoencoder.network
    assert network.name == "unet_3l" and int(network.optimizer.iterations) == 10
    np.testing.assert_array_equal(learned.scores[:, 0], learned.scores[:, 1])


def test_judged_after_just_so_many_steps_over_the_epochs():
    network = build(PAIRS, SMALL)
    judged = JudgeAt([7, 1, 9], lambda model: int(model.optimizer.iterations))
    x = np.zeros((5, 8, 8, 8, 1), np.float32)
    network.fit(x, x, batch_size=1, epochs=2, verbose=0, callbacks=[judged])
    assert judged.scores == {1: 1, 7: 7, 9: 9}


@pytest.mark.parametrize("steps", [[], [0, 3]])
def test_steps_are_counted_from_one(steps):
    with pytest.raises(ValueError, match="give 1 or more"):
        JudgeAt(steps, id)


class Sleeper:
    """Takes `seconds` a step, and far longer for the first."""

    def __init__(self, log, name, seconds):
        self.log, self.name, self.seconds = log, name, [0.2] + 9 * [seconds]

    def train_on_batch(self, images, labels):
        self.log.append(self.name)
        time.sleep(self.seconds.pop(0))


def test_networks_step_in_turn_and_the_first_step_does_not_count():
    log = []
    sleepers = {"a": Sleeper(log, "a", 0.01), "b": Sleeper(log, "b", 0.04)}
    seconds = step_seconds(sleepers, (0, 0), rounds=3)
    assert log == ["a", "b"] * 4
    assert 0.01 <= seconds["a"] < 0.04 <= seconds["b"] < 0.2


@pytest.mark.parametrize(("networks", "rounds"), [({}, 3), ({"a": None}, 0)])
def test_something_must_be_timed(networks, rounds):
    with pytest.raises(ValueError, match=f"rounds={rounds}: give 1 or more"):
        step_seconds(networks, (0, 0), rounds)
