"""Training runs, and what they leave when something happens to them."""

import contextlib
import re
import resource
import signal
import time
from collections import Counter

from PIL import Image
from programs import ROOT, run, start

from rbm_sym.checkpoint import load_arrays
from rbm_sym.internal.files import UNFINISHED
from rbm_sym.runs.checkpoints import FILE, load_checkpoint

DYING = ROOT / "tests" / "helpers" / "dying.py"


def contents(output):
    """What a run has left: the bytes of each file, of the checkpoint all but its times."""
    found = {path.name: path.read_bytes() for path in output.iterdir() if path.name != FILE}
    arrays, state = load_checkpoint(output)
    state = {name: value for name, value in state.items() if name != "seconds"}
    return found | {FILE: ({name: array.tobytes() for name, array in arrays.items()}, state)}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        assert found[name] == expected[name], f"{name} differs"


def assert_whole(output):
    """Nothing under a final name is half written."""
    for path in output.iterdir():
        if path.name.startswith(UNFINISHED):
            continue
        if path.suffix == ".npz":
            load_arrays(path)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        else:
            text = path.read_text()
            assert re.fullmatch(r"update,epoch,cost\n(\d+,\d+,-?[\d.]+(e-?\d+)?\n)*", text)
            epochs = Counter(re.findall(r",(\d+),", text))
            assert len(set(epochs.values())) <= 1, "each epoch is whole"


def resume(output, *more, program="train_rbm.py", **options):
    result = run(program, "--resume", output, *more, **options)
    assert result.returncode == 0, result.stderr
    return result


@contextlib.contextmanager
def started(*arguments, **options):
    """A process that runs a program, and that is no more when the context is left."""
    with start(*arguments, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def die(place, calls, arguments, output, cwd):
    """Train until the process kills itself at a place."""
    die_in("train_rbm.py", place, calls, *arguments, "--output", output, cwd=cwd)
    assert_whole(output)


def die_in(program, place, calls, *arguments, **options):
    result = run(DYING, program, place, calls, *arguments, **options)
    assert result.returncode == -signal.SIGKILL, result.stderr


def wait_for(path, process, seconds=120):
    end = time.monotonic() + seconds
    while not path.exists() and process.poll() is None:
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.001)
    assert path.exists(), process.communicate()


def wait_for_line(process, pattern):
    for line in process.stdout:
        if re.search(pattern, line):
            return line
    raise AssertionError(process.communicate())


def files_of_at_most(n_bytes):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def check_line(result, message):
    assert result.returncode == 2
    assert re.fullmatch(rf"train_rbm\.py: error: .*{message}.*\n", result.stderr), result.stderr
