"""Compiled functions on disk: whatever happens to their files, a run ends with the same bits.

Files of one small function are damaged in this process, and those of a run by whole runs, which
take longer.
"""

import ctypes
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core.caching import FunctionCache, IndexDataCacheFile
from programs import ROOT, run
from pytensor.link.numba import cache as pytensors
from runs import assert_same, contents, files_of_at_most

from rbm_sym.link.numba import compile_cache
from rbm_sym.link.numba.compile_cache import SUFFIX, CheckedFiles

# --- damage ---------------------------------------------------------------------------------------


def changed(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 16
    replace(path, content)


def replace(path, content):
    path.unlink()
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def replace_by_link_to_itself(path):
    """What no user may read, not even root."""
    path.unlink()
    path.symlink_to(path.name)


DAMAGES = {
    "empty": lambda path: replace(path, b""),
    "cut in its checksum": lambda path: replace(path, path.read_bytes()[:20]),
    "cut after its checksum": lambda path: replace(path, path.read_bytes()[:32]),
    "cut short": lambda path: replace(path, path.read_bytes()[:-1]),
    "a bit changed": lambda path: changed(path, 0.9),
    "its checksum changed": lambda path: changed(path, 0),
    "zeros": lambda path: replace(path, bytes(path.stat().st_size)),
    "something else": lambda path: replace(path, random.Random(0).randbytes(5000)),
    "a folder": replace_by_folder,
    "unreadable": replace_by_link_to_itself,
}


# --- one function ---------------------------------------------------------------------------------


def square(x):
    return x * x


def cube(x):
    return x * x * x


@pytest.fixture
def compile_square(tmp_path, monkeypatch, caplog):
    """A function that compiles `square`, or reads it from the disk, and says whether it did."""
    monkeypatch.setattr(pytensors, "NUMBA_CACHE_PATH", tmp_path)

    def compile_function(function=square, argument=3.0):
        # Each stands for a process of its own.
        monkeypatch.setattr(compile_cache, "_said", [])
        caplog.clear()
        monkeypatch.setitem(pytensors.CACHED_SRC_FUNCTIONS, function, "test")
        compiled = numba.njit(cache=True)(function)
        assert compiled(argument) == function(argument)
        return bool(compiled.stats.cache_hits)

    assert not compile_function()
    assert compile_function()
    return compile_function


def lines(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_one_line_and_made_anew(tmp_path, compile_square, caplog, damage, suffix):
    (path,) = tmp_path.glob(f"*.{suffix}")
    DAMAGES[damage](path)
    assert not compile_square()
    (line,) = lines(caplog)
    assert str(path) in line and "compiled anew" in line and "\n" not in line
    if damage == "a folder":
        path.rmdir()
        assert not compile_square()
    assert compile_square(), "the file is whole again"
    assert not lines(caplog)


def test_what_is_whole_but_cannot_be_used_is_made_anew(tmp_path, compile_square, caplog):
    """As machine code of numba's that this numba does not know."""
    (path,) = tmp_path.glob("*.nbc")
    files = CheckedFiles(tmp_path, path.name.partition(SUFFIX)[0], 0)
    (key,) = files._load_index()
    for useless in ("text", (1, 2), None):
        files.save(key, useless)
        assert not compile_square()
        assert len(lines(caplog)) == (useless is not None)
        assert compile_square()


def test_more_damage_is_still_one_line(tmp_path, compile_square, caplog):
    assert not compile_square(argument=3)
    for path in tmp_path.glob("*.nb?"):
        replace(path, b"")
    assert not compile_square()
    assert len(lines(caplog)) == 1


def test_a_missing_file_is_no_damage(tmp_path, compile_square, caplog):
    for suffix in ("nbc", "nbi"):
        (path,) = tmp_path.glob(f"*.{suffix}")
        path.unlink()
        assert not compile_square()
        assert not lines(caplog)
        assert compile_square()


def test_the_folder_may_go_while_a_process_runs(tmp_path, compile_square, caplog):
    shutil.rmtree(tmp_path)
    assert not compile_square()
    (line,) = lines(caplog)
    assert str(tmp_path) in line and "No such file" in line and "base_compiledir" in line
    tmp_path.write_text("a file where the folder was")
    assert not compile_square()
    assert "Not a directory" in lines(caplog)[0]


def test_a_full_disk_leaves_functions_out(tmp_path, compile_square, caplog):
    """The index fits, and what it points to does not: the next process must not be misled."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (index,) = tmp_path.glob("*.nbi")
    most = index.stat().st_size + 500
    before = {path: path.read_bytes() for path in tmp_path.glob("*.nbc")}
    replace(index, b"")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        assert not compile_square(argument=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(lines(caplog)) == 1
    assert before == {path: path.read_bytes() for path in tmp_path.glob("*.nbc")}
    assert len(CheckedFiles(tmp_path, index.name.partition(SUFFIX)[0], 0)._load_index()) == 1
    # The index now has integers, and points to the machine code for floating-point numbers.
    assert not compile_square(argument=3)
    assert not lines(caplog)
    assert compile_square(argument=3)
    assert not compile_square()


def test_no_changed_byte_and_no_shorter_file_is_read(tmp_path, monkeypatch):
    files = CheckedFiles(tmp_path, "function", 0)
    files.save("key", b"machine code")
    assert files.load("key") == b"machine code" and files.load("other key") is None
    for path in tmp_path.iterdir():
        whole = path.read_bytes()
        for place in range(len(whole)):
            changed_byte = bytes([*whole[:place], whole[place] ^ 1, *whole[place + 1 :]])
            for damaged in (whole[:place], changed_byte):
                path.write_bytes(damaged)
                monkeypatch.setattr(compile_cache, "_said", [])
                assert files.load("key") is None
                assert len(compile_cache._said) == 1
        path.write_bytes(whole)
    assert files.load("key") == b"machine code"


def test_caches_of_others_are_left_alone(tmp_path, compile_square, caplog, monkeypatch):
    """PyTensor's own files, should it be used without this package, and other users of numba."""
    assert all(SUFFIX in path.name for path in tmp_path.iterdir())
    assert not Path(FunctionCache(square)._cache_file._index_path).exists()
    (tmp_path / "of_another_user.py").write_text("def function(x):\n    return x + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from of_another_user import function

    assert numba.njit(cache=True)(function)(1) == 2
    (index,) = (tmp_path / "__pycache__").glob("*.nbi")
    assert numba.njit(cache=True)(function)._cache._cache_file.__class__ is IndexDataCacheFile
    index.write_bytes(b"")
    with pytest.raises(EOFError):
        numba.njit(cache=True)(function)(1)
    assert not lines(caplog)


# --- no folder ------------------------------------------------------------------------------------

PROGRAM = """
import os, sys
import pytensor
import pytensor.tensor as pt
import rbm_sym
x = pt.vector("x")
assert pytensor.function([x], x + 1)([2.0]) == 3
if not os.fork():
    sys.exit()
os.wait()
assert os.listdir(pytensor.config.base_compiledir / "numba")
print(pytensor.config.base_compiledir)
"""


@pytest.mark.parametrize("where", ["home", "flags", "a file"])
def test_without_a_folder_a_temporary_one_serves(tmp_path, where):
    """PyTensor may be imported first, and a process that was forked may end before."""
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "folder"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    if where == "home":
        environment |= {"PYTENSOR_FLAGS": "", "HOME": str(nowhere)}
    elif where == "flags":
        environment |= {"PYTENSOR_FLAGS": f"base_compiledir={nowhere}"}
    else:
        nowhere = tmp_path / "compiled"
        nowhere.mkdir()
        (nowhere / "numba").touch()
        environment |= {"PYTENSOR_FLAGS": f"base_compiledir={nowhere}"}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said = rf"rbm_sym: no folder for .* at {re.escape(str(nowhere))}.*base_compiledir=FOLDER\n"
    assert re.fullmatch(said, result.stderr), result.stderr
    used = Path(result.stdout.strip())
    assert used.parent == tmp_path and not used.exists()


# --- whole runs -----------------------------------------------------------------------------------

# The state of the shared streams is small: checkpoints are smaller than machine code.
SMALL = [
    "--batch-size", 200, "--k", 1, "--n-hidden", 10, "--n-samples", 1, "--n-chains", 2,
    "--stream", "shared",
]  # fmt: skip
# A kernel, and the whole of an update.
PARTS = {"kernel": "panels._fill_panels-", "graph": "string.numba_funcified_fgraph-"}


class Runs:
    """Runs of train_rbm.py, each of which finds its compiled functions in a copy of one folder."""

    def __init__(self, folder):
        self.folder, self.warm, self.begun = folder, folder / "warm", folder / "begun"
        self.count = 0
        # Compiled here, once.
        self.train("first run", self.warm, self.begun)
        self.expected = {"first run": contents(self.begun)}
        output = self.output("resume")
        self.train("resume", self.warm, output)
        self.expected["resume"] = contents(output)

    def copy(self):
        """A folder with all compiled functions."""
        self.count += 1
        return Path(shutil.copytree(self.warm, self.folder / f"compiled {self.count}"))

    def output(self, how):
        """A folder for a run's output, in which a run of one epoch lies if it is to go on."""
        self.count += 1
        output = self.folder / f"{how} {self.count}"
        if how == "resume":
            shutil.copytree(self.begun, output)
        return output

    def train(self, how, compiled, output, **options):
        """Train, and return what was said on stderr."""
        if how == "resume":
            arguments = ["--resume", output, "--epochs", 2]
        else:
            arguments = [*SMALL, "--epochs", 1, "--output", output]
        flags = f"base_compiledir={compiled}"
        result = run("train_rbm.py", *arguments, cwd=self.folder, flags=flags, **options)
        assert result.returncode == 0, result.stderr
        return result.stderr

    def check(self, how, compiled, message, **options):
        """Train: the same bits, and one line."""
        output = self.output(how)
        said = self.train(how, compiled, output, **options)
        assert re.fullmatch(rf"rbm_sym: .*{message}.*\n", said), said
        assert_same(contents(output), self.expected[how])


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("runs"))


def largest(compiled, part, suffix):
    files = (compiled / "numba").glob(f"{PARTS[part]}*.{suffix}")
    return max(files, key=lambda path: path.stat().st_size)


def without_rights():
    """In a child: even if it is root's, permissions are obeyed."""
    drop, override, search = 24, 1, 2  # as Linux numbers them
    for capability in (override, search):
        ctypes.CDLL(None).prctl(drop, capability, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first run", "resume"])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_survives_a_damaged_file(runs, damage, suffix, how):
    compiled = runs.copy()
    path = largest(compiled, "kernel", suffix)
    DAMAGES[damage](path)
    runs.check(how, compiled, f"{re.escape(str(path))}: .* compiled anew")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first run", "resume"])
def test_a_run_survives_if_all_files_are_damaged(runs, how):
    compiled = runs.copy()
    for path in (compiled / "numba").iterdir():
        DAMAGES["a bit changed"](path)
    runs.check(how, compiled, "compiled anew")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first run", "resume"])
def test_a_run_survives_files_that_it_may_not_read(runs, how):
    compiled = runs.copy()
    path = largest(compiled, "kernel", "nbc")
    path.chmod(0)
    runs.check(how, compiled, "Permission denied", preexec_fn=without_rights)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first run", "resume"])
def test_a_run_survives_a_folder_that_it_may_not_write(runs, how):
    compiled = runs.copy()
    largest(compiled, "graph", "nbi").unlink()
    (compiled / "numba").chmod(0o555)
    runs.check(how, compiled, "cannot be kept .*Permission denied", preexec_fn=without_rights)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first run", "resume"])
def test_a_run_survives_a_full_disk(runs, how):
    """Its own files fit; the machine code of an update does not."""
    compiled = runs.copy()
    path = largest(compiled, "graph", "nbc")
    most = path.stat().st_size - 10_000
    path.unlink()
    runs.check(how, compiled, "cannot be kept .*File too large", preexec_fn=files_of_at_most(most))
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first run", "resume"])
def test_a_run_survives_without_a_folder(runs, how):
    (runs.folder / "a file").touch()
    runs.check(how, runs.folder / "a file" / "folder", "a temporary one")
