"""The programs, run as a user runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]


def start(script, *arguments, cwd, flags="", stdout=subprocess.PIPE, **options):
    """A process that runs a program, and whose output can be read."""
    flags = ",".join(filter(None, [os.environ.get("PYTENSOR_FLAGS"), flags]))
    return subprocess.Popen(
        [sys.executable, "-W", "error", path_of(script), *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTENSOR_FLAGS": flags},
        **options,
    )


def path_of(script):
    """A program's file, in whichever folder of scripts/ it lies."""
    path = ROOT / "scripts" / script
    return path if path.exists() else next((ROOT / "scripts").rglob(path.name))


def run(script, *arguments, **options):
    """The process, when it has ended."""
    process = start(script, *arguments, **options)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def save_bars(path, seed=0):
    """A data set of pictures of 3 x 4 pixels: a bar on the left or on the right."""
    rng = np.random.RandomState(seed)
    arrays = {}
    for name, count in [("train", 64), ("valid", 8), ("test", 30)]:
        labels = rng.randint(2, size=count)
        pictures = np.zeros((count, 3, 4), dtype="uint8")
        pictures[np.arange(count), :, 3 * labels] = 255
        arrays |= {f"{name}_x": pictures, f"{name}_y": labels}
    np.savez(path, **arrays)
    return path


def check_refusal(result, message):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last_line = result.stderr.strip().splitlines()[-1]
    assert re.search(message, last_line), last_line
    assert "compiling" not in result.stdout


def picture_size(path):
    with Image.open(path) as picture:
        return picture.size
