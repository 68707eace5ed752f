"""Pythons on other backends than TensorFlow, one for each, to which pieces of code are sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LISTEN = """
import json, sys, traceback
for line in sys.stdin:
    code, *sys.argv[1:] = json.loads(line)
    try:
        exec(code, {})
        fault = ""
    except BaseException:
        fault = traceback.format_exc()
    print("ANSWER" + json.dumps(fault), flush=True)
"""
RUNNING = {}


def run_elsewhere(backend: str, code: str, *words) -> None:
    """Run a piece of code, which finds the words in sys.argv[1:], on "jax" or "torch".

    The interpreter is started once and serves all tests. Skips the test where the backend is not
    installed; an error there is an error here.
    """
    pytest.importorskip(backend)
    python = RUNNING.get(backend) or RUNNING.setdefault(backend, _start(backend))
    python.stdin.write(json.dumps([code, *map(str, words)]) + "\n")
    python.stdin.flush()
    for line in python.stdout:
        if line.startswith("ANSWER"):
            fault = json.loads(line.removeprefix("ANSWER"))
            assert not fault, fault
            return
    raise AssertionError(f"the Python on {backend} is gone: {python.wait()}")


def _start(backend: str) -> subprocess.Popen:
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # JAX compiles for half a minute else
    return subprocess.Popen(
        [sys.executable, "-c", LISTEN], env=environment, cwd=root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
