"""FourierConv3D beside Keras's Conv3D and PyTorch's conv3d: forward + all gradients, peak memory.

    python benchmarks/bench_fourier_conv.py [> results/fourier_conv.txt]
    python benchmarks/bench_fourier_conv.py --headline         the [16,16,8] rows only
    KERAS_BACKEND=jax python benchmarks/bench_fourier_conv.py [> results/fourier_conv_jax.txt]

A row is one layer, one volume, stride 1, padding "same": seconds for value, input, kernel and bias
gradients in one compiled graph, the least of the repetitions, which take turns between the ways in
one process. Each peak is that of a process of its own, framework included (first line). PyTorch
comes from requirements-bench.txt; without it its columns stay empty.
"""

import argparse
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
sys.path.insert(0, str(ROOT))
SHAPES = [(32, 32, 32), (64, 64, 64), (128, 128, 32)]
KERNELS = [(1, 1, 1), (3, 3, 3), (6, 6, 3), (16, 16, 8)]
CHANNELS = [(1, 16), (4, 4), (16, 16)]
MOST = {"tensorflow": 5e10, "torch": 5e9, "jax": 2e9}  # multiplications: more takes minutes
MISSING = {"seconds": [math.nan], "peak": math.nan}
HEADLINE = ((128, 128, 32), (16, 16, 8), (4, 4))

PROGRAM = """
import json, resource, sys, time
import keras, numpy as np
from keras import ops
from lib.layers import FourierConv3D
from lib.models import large_kernel_autoencoder

def compiled(layer, x, peer=False):
    g = np.random.default_rng(1).random(layer.compute_output_shape(x.shape), np.float32)
    g = ops.convert_to_tensor(g)
    def loss(x, *weights):
        y = layer.convolution_op(x, weights[0]) + weights[1]
        return ops.sum(y * g)
    values = [ops.convert_to_tensor(v) for v in [x, *layer.get_weights()]]
    if keras.backend.backend() == "jax":
        import jax
        run = jax.jit(jax.grad(loss, (0, 1, 2)))
        return lambda: jax.block_until_ready(run(*values))
    if keras.backend.backend() == "torch":
        import torch
        if peer:
            values[:2] = values[0].permute(0, 4, 1, 2, 3), values[1].permute(4, 3, 0, 1, 2)
            values, g = [v.contiguous() for v in values], g.permute(0, 4, 1, 2, 3).contiguous()
            pads = [n for k in layer.kernel_size[::-1] for n in ((k - 1) // 2, k // 2)]
            def loss(x, *weights):
                y = torch.nn.functional.conv3d(torch.nn.functional.pad(x, pads), *weights)
                return (y * g).sum()
        values = [v.detach().requires_grad_() for v in values]
        return lambda: torch.autograd.grad(loss(*values), values)
    import tensorflow as tf
    @tf.function
    def run(*values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = loss(*values)
        return tape.gradient(total, values)
    return lambda: [v.numpy() for v in run(*values)]

def network(x, method):
    model = large_kernel_autoencoder(x.shape[1:])
    for layer in model.layers:
        if isinstance(layer, FourierConv3D):
            layer.method = method
    model.compile("adam", "mse")
    return lambda: model.train_on_batch(x, x)

def least(runs, seconds, repeats):
    best = [float("inf")] * len(runs)
    for run in runs:
        run()
    began = time.perf_counter()
    for done in range(repeats):
        for i in range(len(runs))[:: 1 if done % 2 else -1]:  # there and back
            start = time.perf_counter()
            runs[i]()
            best[i] = min(best[i], time.perf_counter() - start)
        if time.perf_counter() - began > seconds and done:
            break
    return best

job = json.loads(sys.argv[1])
seconds = []
if job["training"]:
    x = np.random.default_rng(0).random((1, 256, 256, 32, 1), np.float32)
    seconds = least([network(x, job["training"])], 0, job["repeats"])
elif job["shape"]:
    x = np.random.default_rng(0).random((1, *job["shape"], job["channels"][0]), np.float32)
    runs = []
    for method in job["methods"]:
        peer = method == "PyTorch's own"
        layer = FourierConv3D(job["channels"][1], job["kernel"], method="auto" if peer else method)
        layer.build(x.shape)
        runs.append(compiled(layer, x, peer))
    seconds = least(runs, job["limit"], job["repeats"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": seconds, "peak": peak}))
"""


def run(
    methods=(), case=(None, (1, 1, 1), (1, 1)), repeats=30, limit=1.5, backend=None, training=None
) -> dict:
    """Seconds of each method, or of a training step with ``training``, and the process's peak."""
    shape, kernel, channels = case
    job = {"shape": shape, "kernel": kernel, "channels": channels, "methods": methods}
    job = json.dumps({**job, "repeats": repeats, "limit": limit, "training": training})
    backend = backend or BACKEND
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}
    command = [sys.executable, "-c", PROGRAM, job]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{job}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cases(backend):
    """The grid, without what takes the direct ways minutes."""
    for case in itertools.product(SHAPES, KERNELS, CHANNELS):
        if math.prod(itertools.chain(*case)) <= MOST[backend]:
            yield case


def table(chosen) -> None:
    from lib.fourier import is_large

    peers = importlib.util.find_spec("torch") is not None
    print(f"bare process: {run()['peak']:.2f} GiB; times in ms, peaks in GiB")
    print(
        f"{'volume':>14}{'kernel':>11}{'C':>7} |{'Conv3D':>9}{'auto':>9} {'way':8}{'Fourier':>9}"
        f"{'Conv3D/auto':>12}{'PyTorch':>9} | peak{'Conv3D':>7}{'auto':>6}{'PyTorch':>8}"
    )
    for case in chosen:
        shape, kernel, channels = case
        direct, auto, fourier = run(["direct", "auto", "fourier"], case)["seconds"]
        way = is_large((*kernel, *channels), BACKEND)
        with ThreadPoolExecutor() as pool:  # memory alone: these two may run at once
            alone = partial(run, case=case, repeats=1)
            peaks = [done["peak"] for done in pool.map(alone, [["direct"], ["auto"]])]
        torch = run(["PyTorch's own"], case, backend="torch") if peers else MISSING
        print(
            f"{'x'.join(map(str, shape)):>14}{','.join(map(str, kernel)):>11}"
            f"{channels[0]:4}{channels[1]:3} |{direct * 1e3:9.1f}{auto * 1e3:9.1f} "
            f"{'Fourier' if way else 'direct':8}{fourier * 1e3:9.1f}{direct / auto:12.2f}"
            f"{torch['seconds'][0] * 1e3:9.1f} |     {peaks[0]:7.2f}{peaks[1]:6.2f}"
            f"{torch['peak']:8.2f}",
            flush=True,
        )
    if BACKEND != "tensorflow":
        return
    print("a training step of large_kernel_autoencoder, [16,16,8], 256x256x32, batch 1:")
    for method, name in {"auto": "FourierConv3D", "direct": "Conv3D"}.items():
        step = run(repeats=2, training=method)
        print(f"    {name}: {step['seconds'][0]:.2f} s, peak {step['peak']:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--headline", action="store_true", help="one row of the grid")
    table([HEADLINE] if parser.parse_args().headline else cases(BACKEND))


if __name__ == "__main__":
    main()
