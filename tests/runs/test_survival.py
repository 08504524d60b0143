"""Runs that are killed, stopped, starved and damaged, and go on as if nothing had happened.

How many kills, damages and minutes there are is an option; see docs/reliability.md.
"""

import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from cases import mostly_slow
from programs import ROOT, check_refusal, run, save_bars
from runs import (
    DYING,
    assert_same,
    assert_whole,
    check_line,
    contents,
    die,
    files_of_at_most,
    resume,
    started,
    wait_for,
    wait_for_line,
)
from threadpoolctl import threadpool_info

from rbm_sym.checkpoint import load_arrays, save_arrays
from rbm_sym.internal.files import UNFINISHED
from rbm_sym.runs.checkpoints import FILE, load_checkpoint

EPOCHS, UPDATES_AN_EPOCH, ROWS = 4, 6, 5
# In the order in which a checkpoint names them.
LIBRARIES = ["SciPy", "NumPy"]
SIZE = ["--n-hidden", 12, "--batch-size", 10, "--n-chains", 5]
# What must go on to the bit: both algorithms, both streams, both precisions. These two are compiled
# for other tests too.
KINDS = {
    "PCD, MRG, float32": [],
    "CD, shared, float64": [
        "--algorithm", "cd", "--k", 1, "--stream", "shared", "--floatX", "float64"
    ],
}  # fmt: skip
ALL_KINDS = {
    f"{algorithm}, {stream}, {floatX}": [
        "--algorithm", algorithm, "--k", 15 if algorithm == "pcd" else 1, "--stream", stream,
        "--floatX", floatX,
    ]
    for algorithm in ("pcd", "cd")
    for stream in ("mrg", "shared")
    for floatX in ("float32", "float64")
} | {
    "likelihood": ["--recipe", "likelihood", "--n-temperatures", 20, "--n-runs", 4],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ein Lauf, größer")


@pytest.fixture(scope="module")
def data(folder):
    return save_bars(folder / "bars.npz")


@pytest.fixture(scope="module")
def options(data):
    """A function from a kind of run to all options but the output."""

    def make(kind=(), epochs=EPOCHS, rows=ROWS, checkpoint_every="0min"):
        always = ["--dataset", data, *SIZE, "--epochs", epochs, "--n-samples", rows]
        return [*always, "--checkpoint-every", checkpoint_every, *kind]

    return make


@pytest.fixture(scope="module")
def uninterrupted(folder, options):
    """A function to what a run of some kind leaves if nothing happens to it."""
    found = {}

    def finish(name, kind=(), **more):
        key = json.dumps([name, more])
        if key not in found:
            output = folder / f"uninterrupted {len(found)}"
            result = run("train_rbm.py", *options(kind, **more), "--output", output, cwd=folder)
            assert result.returncode == 0, result.stderr
            found[key] = contents(output)
        return dict(found[key])

    return finish


# --- killed ---------------------------------------------------------------------------------------

LAST_SAVE = 1 + EPOCHS * UPDATES_AN_EPOCH + ROWS
PLACES = {
    "in an epoch": ("save", 10),
    "update 0": ("save", 0),
    "at an epoch's end": ("save", UPDATES_AN_EPOCH),
    "after training": ("save", EPOCHS * UPDATES_AN_EPOCH),
    "between samples": ("save", EPOCHS * UPDATES_AN_EPOCH + 3),
    "before it is finished": ("save!", LAST_SAVE),
}


@pytest.mark.parametrize("kind", mostly_slow(KINDS))
@pytest.mark.parametrize("place", mostly_slow(PLACES))
def test_a_killed_run_goes_on_to_the_bit(folder, options, uninterrupted, kind, place):
    output = folder / f"killed, {kind}, {place}"
    die(*PLACES[place], options(KINDS[kind]), output, folder)
    n_updates = load_checkpoint(output)[1]["n_updates"]
    assert n_updates == min(PLACES[place][1], EPOCHS * UPDATES_AN_EPOCH)
    result = resume(output, "--checkpoint-every", "1epoch", cwd=folder)
    assert f"... resuming after update {n_updates}\n" in result.stdout
    assert_same(contents(output), uninterrupted(kind, KINDS[kind]))


@pytest.mark.parametrize("calls", range(30, 36))
@pytest.mark.parametrize("place", ["fsync", "fsync!", "replace", "replace!"])
@pytest.mark.slow
def test_a_run_killed_while_it_saves_goes_on(folder, options, uninterrupted, place, calls):
    """Before and after a file or a folder is flushed, or renamed: checkpoints and all else."""
    output = folder / f"killed at {place} {calls}"
    die(place, calls, options(), output, folder)
    resume(output, cwd=folder)
    assert_same(contents(output), uninterrupted("PCD, MRG, float32"))


@pytest.mark.slow
def test_kills_at_random_moments(folder, options, uninterrupted, pytestconfig, capsys):
    """One run in ten is killed at any time, the others while they train, save and sample."""
    n_kills = pytestconfig.getoption("--kills")
    kinds = ALL_KINDS if n_kills >= 100 else KINDS
    rng, phases = random.Random(1), []
    seconds = {}
    for i in range(n_kills):
        name = list(kinds)[i % len(kinds)]
        expected = uninterrupted(name, kinds[name], epochs=20, rows=20)
        output = folder / f"random {i}"
        arguments = [*options(kinds[name], epochs=20, rows=20), "--output", output]
        if name not in seconds:
            seconds[name] = duration(arguments, output, folder)
            assert_same(contents(output), expected)
            shutil.rmtree(output)
        with started("train_rbm.py", *arguments, cwd=folder) as process:
            if i % 10:
                wait_for(output / FILE, process)
                time.sleep(rng.uniform(0, seconds[name]))
            else:
                time.sleep(rng.uniform(0, 2))
        if output.exists():
            assert_whole(output)
        phases.append(phase(output))
        if phases[-1] == "nothing saved":
            assert run("train_rbm.py", *arguments, cwd=folder).returncode == 0
        else:
            resume(output, cwd=folder)
        assert_same(contents(output), expected)
        shutil.rmtree(output)
    with capsys.disabled():
        counts = ", ".join(f"{phases.count(name)} {name}" for name in dict.fromkeys(phases))
        print(f"\n{n_kills} of {n_kills} killed runs ended with the same bits ({counts})")
    assert len(phases) == n_kills
    if n_kills >= 100:
        assert {"in an epoch", "between samples"} <= set(phases)


def duration(arguments, output, cwd):
    """Seconds from a run's first checkpoint to its end."""
    with started("train_rbm.py", *arguments, cwd=cwd) as process:
        wait_for(output / FILE, process)
        began = time.monotonic()
        process.communicate()
        return time.monotonic() - began


def phase(output):
    """Where a run was when it was last saved."""
    if not (output / FILE).exists():
        return "nothing saved"
    _, state = load_checkpoint(output)
    if state["finished"]:
        return "finished"
    if state["n_rows"]:
        return "between samples"
    if state["n_updates"] % UPDATES_AN_EPOCH:
        return "in an epoch"
    return "at an epoch's end" if state["n_updates"] else "at update 0"


# --- stopped --------------------------------------------------------------------------------------


# After which call a signal comes, and how many updates have been made then.
STOPS = {
    "training": ("record", 13, 14),
    "compiling": ("restore", 0, 0),
    "sampling": ("draw", 1, 24),
}


@pytest.mark.parametrize(
    ("number", "moment"),
    mostly_slow([*product([signal.SIGINT, signal.SIGTERM], STOPS), (signal.SIGHUP, "training")]),
)
def test_a_stopped_run_says_how_to_go_on(folder, options, uninterrupted, number, moment):
    function, calls, n_updates = STOPS[moment]
    output = folder / f"stopped {number}, {moment}"
    place = f"{function}:{signal.Signals(number).name}"
    arguments = [*options(checkpoint_every="10min"), "--output", output]
    result = run(DYING, "train_rbm.py", place, calls, *arguments, cwd=folder)
    assert result.returncode == 128 + number and result.stderr == ""
    said = rf"\.\.\. stopped after update {n_updates}; go on with: python (.*)"
    command = shlex.split(re.fullmatch(said, result.stdout.splitlines()[-1])[1])
    assert command[1:] == ["--resume", str(output)]
    assert_whole(output)
    assert not [path for path in output.iterdir() if path.name.startswith(UNFINISHED)]
    resume(output, "--checkpoint-every", "0min", cwd=folder)
    assert_same(contents(output), uninterrupted("PCD, MRG, float32"))


@pytest.mark.parametrize("before", [None, "finished"])
def test_a_run_that_is_stopped_before_it_begins(folder, options, before):
    """While its graphs are made: there is nothing to resume yet."""
    output = folder / f"not begun, {before}"
    arguments = [*options(epochs=1, rows=1), "--output", output]
    if before:
        assert run("train_rbm.py", *arguments, cwd=folder).returncode == 0
    result = run(DYING, "train_rbm.py", "samples:SIGINT", 0, *arguments, cwd=folder)
    assert result.returncode == 128 + signal.SIGINT and result.stderr == ""
    assert result.stdout.splitlines()[-1] == "... stopped before training began"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["its reader", "its training curve"])
def test_a_run_that_loses_something_is_saved(folder, options, uninterrupted, what):
    """As in `train_rbm.py | head`, or when somebody tidies up."""
    long = dict(epochs=150, rows=60, checkpoint_every="10min")
    output = folder / f"lost {what}"
    with started("train_rbm.py", *options(**long), "--output", output, cwd=folder) as process:
        wait_for_line(process, "Training epoch 2,")
        if what == "its reader":
            process.stdout.close()
        else:
            (output / "training_curve.csv").unlink()
            process.send_signal(signal.SIGTERM)
        process.wait()
    assert process.returncode == 128 + signal.SIGTERM
    assert load_checkpoint(output)[1]["n_updates"] > 2 * UPDATES_AN_EPOCH
    resume(output, cwd=folder)
    assert_same(contents(output), uninterrupted("PCD, MRG, float32", **long))


def test_a_second_signal_ends_at_once_and_a_folder_has_one_run(folder, options):
    """While the disk does not answer."""
    output = folder / "hanging"
    hanging = [DYING, "train_rbm.py", "fsync?", 40, *options(), "--output", output]
    with started(*hanging, cwd=folder) as process:
        wait_for_line(process, "hanging")
        check_refusal(
            run("train_rbm.py", "--resume", output, cwd=folder), "another run is writing into this"
        )
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None, "the first signal waits until everything is saved"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)  # a tenth of the time for which the disk hangs
        assert process.returncode == -signal.SIGINT
    assert_whole(output)
    assert load_checkpoint(output)[1]["n_updates"] > 0


# --- resumed --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unfinished(folder, options):
    """A function that makes a folder with a run that was killed in an epoch."""
    made = folder / "unfinished"
    die("save", 10, options(), made, folder)
    return lambda name: Path(shutil.copytree(made, folder / name))


@pytest.mark.slow
def test_a_finished_run_is_left_alone_and_more_epochs_go_on(folder, options, uninterrupted):
    output = folder / "more epochs"
    finished = [*options(epochs=2), "--output", output]
    assert run("train_rbm.py", *finished, cwd=folder).returncode == 0
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.iterdir()}
    result = resume(output, "--output", Path("more epochs/"), cwd=folder)
    assert "finished" in result.stdout
    other = run("train_rbm.py", "--resume", output, "--dataset", "digits", cwd=folder)
    check_refusal(other, "--dataset: digits is not the data")
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.iterdir()
    }
    resume(output, "--epochs", EPOCHS, cwd=folder)
    assert_same(contents(output), uninterrupted("PCD, MRG, float32"))
    # A finished run may be made anew, in its own place.
    assert run("train_rbm.py", *finished, cwd=folder).returncode == 0


@pytest.mark.slow
def test_other_settings_and_data_are_refused(folder, unfinished, options):
    output = unfinished("refused")
    before = contents(output)
    save_bars(folder / "other bars.npz", seed=1)
    for more, message in [
        (["--k", 3], "--k: the run in .* has 15, not 3"),
        (["--floatX", "float64"], "--floatX: .* has float32, not float64"),
        (["--epochs", 3], "--epochs: .* has 4, not 3"),
        (["--recipe", "likelihood"], "--recipe: .* has tutorial, not likelihood"),
        (["--dataset", "other bars.npz"], "--dataset: .*other bars.npz is not the data of this"),
        (["--dataset", "digits"], "--dataset: digits is not the data"),
        (["--output", "elsewhere"], "--output: .*in its own folder, not in elsewhere"),
        (["--checkpoint-every", "often"], "--checkpoint-every: minutes, epochs or both"),
    ]:
        check_refusal(run("train_rbm.py", "--resume", output, *more, cwd=folder), message)
    check_refusal(run("train_rbm.py", *options(), "--output", output, cwd=folder), "unfinished run")
    for nowhere, message in [("nowhere", "nowhere: cannot be opened"), (".", f"{FILE}: cannot be")]:
        check_refusal(run("train_rbm.py", "--resume", nowhere, cwd=folder), message)
    assert_same(contents(output), before)


@pytest.mark.slow
def test_a_changed_data_set_is_noticed_and_a_moved_one_is_not(
    folder, data, unfinished, options, uninterrupted
):
    output, kept = unfinished("moved"), folder / "moved bars.npz"
    shutil.move(data, kept)
    try:
        check_refusal(run("train_rbm.py", "--resume", output, cwd=folder), "no such file")
        save_bars(data, seed=2)
        check_refusal(run("train_rbm.py", "--resume", output, cwd=folder), "is not the data")
        elsewhere = output.rename(folder / "moved itself")
        resume(elsewhere, "--dataset", kept, cwd=folder)
    finally:
        shutil.move(kept, data)
    found, expected = contents(elsewhere), uninterrupted("PCD, MRG, float32")
    for files in (found, expected):
        del files["rbm.npz"]  # its settings name the data set
    found[FILE][1]["settings"]["dataset"] = str(data)
    assert_same(found, expected)


@pytest.mark.slow
def test_a_recipe_whose_rate_has_fallen_to_zero_has_no_more_epochs(folder, options):
    output = folder / "recipe"
    die("save", 10, options(ALL_KINDS["likelihood"]), output, folder)
    result = run("train_rbm.py", "--resume", output, "--epochs", 9, cwd=folder)
    check_refusal(result, "--epochs: .*rate is zero")


@pytest.mark.slow
def test_checkpoints_of_other_formats_and_with_other_contents_are_refused(folder, unfinished):
    output = unfinished("formats")
    arrays, state = load_arrays(output / FILE)
    (W,) = (name for name in arrays if name.endswith(" W"))
    for changed_arrays, changed_state, message in [
        ({}, {"format": 1}, "a checkpoint of format 1, and this program reads format 2"),
        ({}, {"format": None}, "format None"),
        ({}, {"n_updates": "ten"}, "'n_updates' is 'ten'"),
        ({}, {"n_updates": 11}, r"'costs' must be .*\(11,\), not .*\(10,\)"),
        ({}, {"n_updates": 25}, "25 updates and 0 rows of samples are not of a run with 24 and 5"),
        ({}, {"n_updates": -1}, "-1 updates"),
        ({}, {"n_rows": -1}, "-1 rows"),
        ({}, {"n_rows": 6}, "6 rows"),
        ({}, {"settings": {"n_hidden": 12}}, "its settings are not those of this program"),
        ({}, {"settings": state["settings"] | {"epoch": 5}}, "its settings are not those"),
        ({}, {"settings": state["settings"] | {"n_hidden": "many"}}, "--n-hidden: .*many"),
        ({}, {"settings": state["settings"] | {"k": 10**30}}, "--k: .*not 10{30}"),
        ({}, {"settings": state["settings"] | {"n_hidden": 13}}, r"must be .*\(10, 13\), not .*"),
        ({W: arrays[W].astype("float64")}, {}, "W' must be of dtype float32"),
        ({"training/9 v": np.zeros(1)}, {}, "are needed, not"),
        ({"picture": np.zeros((3, 3), "uint8")}, {}, "'picture' must be of dtype uint8 and shape"),
    ]:
        save_arrays(output / FILE, arrays | changed_arrays, state | changed_state)
        check_refusal(run("train_rbm.py", "--resume", output, cwd=folder), message)
    for begin, message in [("training/", "are needed"), ("sampling/", "are needed"), ("costs", "")]:
        fewer = {name: array for name, array in arrays.items() if not name.startswith(begin)}
        save_arrays(output / FILE, fewer, state)
        check_refusal(run("train_rbm.py", "--resume", output, cwd=folder), message)


@pytest.mark.slow
def test_other_versions_are_told(folder, unfinished, uninterrupted):
    output = unfinished("versions")
    arrays, state = load_arrays(output / FILE)
    features = state["versions"]["processor features"].split()
    others = [*features[1:], "avx9"]
    state["versions"] |= {
        "numpy": "1.26.4", "processor features": " ".join(others), "source of rbm_sym": "0" * 64
    }  # fmt: skip
    save_arrays(output / FILE, arrays, state)
    said = resume(output, cwd=folder).stdout
    assert (
        f"round otherwise: numpy 1.26.4 then, {np.__version__} now; processor features then but "
        f"not now: avx9; processor features now but not then: {features[0]}; the source of "
        "rbm_sym has changed\n"
    ) in said
    # What has been done since was done with what there is now.
    assert_same(contents(output), uninterrupted("PCD, MRG, float32"))


@pytest.mark.slow
def test_a_checkpoint_of_fewer_versions_goes_on(folder, unfinished, uninterrupted):
    """As earlier programs wrote it, of which it is not known what else has changed."""
    output = unfinished("fewer versions")
    arrays, state = load_arrays(output / FILE)
    known = ("rbm_sym", "python", "pytensor", "numba", "numpy")
    state["versions"] = {name: state["versions"][name] for name in known}
    save_arrays(output / FILE, arrays, state)
    said = resume(output, cwd=folder).stdout
    (line,) = re.findall(r"round otherwise: (.*)", said)
    assert re.fullmatch(r"llvmlite, scipy, .*, source of rbm_sym not recorded then", line)
    assert " now" not in line
    assert_same(contents(output), uninterrupted("PCD, MRG, float32"))


@pytest.mark.parametrize(
    ("program", "option", "flags"),
    mostly_slow(
        [
            ("train_rbm.py", "--epochs", ""),
            ("train_dbn.py", "--finetuning-epochs", "mode=FAST_COMPILE,cxx="),
        ]
    ),
)
def test_a_run_of_the_house_before_goes_on(folder, data, program, option, flags):
    """Its programs lay elsewhere, and were one with what is rbm_sym.runs now."""
    output = folder / f"before, {program}"
    output.mkdir()
    kept = ROOT / "tests" / "reference" / "checkpoints" / program.replace(".py", ".npz")
    shutil.copy(kept, output / FILE)
    before = load_checkpoint(output)[1]
    assert before["finished"]
    more = [option, before["settings"][option.strip("-").replace("-", "_")] + 1]
    said = resume(output, "--dataset", data, *more, program=program, flags=flags, cwd=folder).stdout
    assert f"... resuming after update {before['n_updates']}\n" in said
    after = load_checkpoint(output)[1]
    assert after["finished"] and after["n_updates"] > before["n_updates"]


WITHOUT_THREADPOOLCTL = "import sys; sys.modules['threadpoolctl'] = None; "


def changes(tmp_path, before, code="", **environment):
    """What a new process finds changed about `versions`, and its own."""
    code += "import json; from rbm_sym.runs import versions; before = json.loads(input()); "
    code += "print(json.dumps([versions.changed_versions(before), versions.versions()]))"
    environment["PYTHONPATH"] = str(environment.pop("rbm_sym", ROOT))
    result = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(before), env=os.environ | environment,
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def versions_here(folder):
    return changes(folder, {})[1]


def test_the_same_is_no_change(folder, versions_here):
    assert changes(folder, versions_here)[0] is None


@pytest.mark.parametrize(
    ("environment", "change"),
    [
        ({"OPENBLAS_NUM_THREADS": "2"}, "threads of {}'s BLAS 1 then, 2 now"),
        ({"OPENBLAS_CORETYPE": "Prescott"}, r"kernels of {}'s BLAS \w+ then, \w+ now"),
    ],
)
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="OpenBLAS takes no more threads than cores")
def test_another_way_of_the_same_blas_is_told(folder, versions_here, environment, change):
    """Where SciPy and NumPy bring an OpenBLAS each, as their wheels do."""
    if [library["internal_api"] for library in threadpool_info()].count("openblas") != 2:
        pytest.skip("needs two of OpenBLAS")
    expected = "; ".join(change.format(name) for name in LIBRARIES)
    assert re.fullmatch(expected, changes(folder, versions_here, **environment)[0])


def test_another_processor_is_told(folder, versions_here):
    found, _ = changes(folder, versions_here, NUMBA_CPU_NAME="generic")
    before = versions_here["processor"]
    gone = ", ".join(sorted(versions_here["processor features"].split()))
    assert found == (
        f"processor {before} then, generic now; processor features then but not now: {gone}"
    )


def test_another_source_is_told(tmp_path, versions_here):
    shutil.copytree(ROOT / "rbm_sym", tmp_path / "rbm_sym")
    assert changes(tmp_path, versions_here, rbm_sym=tmp_path)[0] is None
    path = tmp_path / "rbm_sym" / "link" / "numba" / "sums.py"
    # One character, as of a constant; here of the docstring.
    path.write_text(path.read_text().replace(".", "!", 1))
    found, _ = changes(tmp_path, versions_here, rbm_sym=tmp_path)
    assert found == "the source of rbm_sym has changed"


def test_another_mode_is_told(folder, versions_here):
    flags = ",".join(filter(None, [os.environ.get("PYTENSOR_FLAGS"), "mode=FAST_COMPILE"]))
    found, _ = changes(folder, versions_here, PYTENSOR_FLAGS=flags)
    before = versions_here["PyTensor's flags"]
    now = before.replace("mode=Mode", "mode=FAST_COMPILE")
    assert now != before and found == f"PyTensor's flags {before} then, {now} now"


def test_without_threadpoolctl_the_blas_is_not_known(folder, versions_here):
    found, without = changes(folder, versions_here, WITHOUT_THREADPOOLCTL)
    names = [name for name in versions_here if "BLAS" in name]
    assert len(names) == 8 and {without[name] for name in names} == {"unknown"}
    assert found == f"{', '.join(names)} not known now"
    assert changes(folder, without)[0] == f"{', '.join(names)} not recorded then"
    assert changes(folder, without, WITHOUT_THREADPOOLCTL)[0] is None


# --- damaged --------------------------------------------------------------------------------------


def damages(data, count, rng):
    """Bytes changed and ends cut off, each place once; `count` of each kind, or all places."""
    places = range(len(data))
    if count is not None and count < len(data):
        places = sorted(rng.sample(places, count))
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
    for place in places:
        yield data[:place]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", "large"])
def test_a_damaged_checkpoint_is_refused_or_unharmed(folder, options, pytestconfig, size):
    """All bytes of a small one with --flips all, and 3,000 of one of 784 x 500 weights."""
    flips = pytestconfig.getoption("--flips")
    output = folder / f"flipped, {size}"
    die("save", 3, options(KINDS["CD, shared, float64"]), output, folder)
    arrays, state = load_checkpoint(output)
    if size == "large":
        arrays["training/W"] = np.random.RandomState(0).rand(784, 500)
        save_arrays(output / FILE, arrays, state)
        flips = "3000" if flips == "all" else str(int(flips) // 10)
    whole = (output / FILE).read_bytes()
    count, refused, same = (None if flips == "all" else int(flips)), 0, 0
    for damaged in damages(whole, count, random.Random(2)):
        (output / FILE).write_bytes(damaged)
        try:
            found_arrays, found_state = load_checkpoint(output)
        except ValueError as error:
            assert str(output / FILE) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert found_state == state and set(found_arrays) == set(arrays)
            for name, array in arrays.items():
                np.testing.assert_array_equal(found_arrays[name], array, strict=True)
            same += 1
    assert refused > same
    print(f"{size} checkpoint of {len(whole)} bytes: {refused} refused, {same} unharmed")


@pytest.mark.slow
def test_the_program_refuses_damaged_checkpoints_in_one_line(folder, unfinished):
    output = unfinished("damaged")
    whole = (output / FILE).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:300] + b"\0" + whole[301:]):
        (output / FILE).write_bytes(damaged)
        for how in (["--resume", output], ["--output", output]):
            check_refusal(run("train_rbm.py", *how, cwd=folder), "not a whole file of this program")


# --- starved --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint(folder, options, uninterrupted):
    """A limit that the checkpoint exceeds, then ones that only other files do."""
    kind = "CD, shared, float64"
    output = folder / "full"
    die("save", 3, options(KINDS[kind]), output, folder)
    expected = uninterrupted(kind, KINDS[kind])
    sizes = [len(data) - 1 for name, data in expected.items() if name != FILE]
    size, stopped = (output / FILE).stat().st_size, set()
    for limit in sorted([0, 1, size // 2, size - 1, *(n for n in sizes if n > size)]):
        before = load_checkpoint(output)[1]["n_updates"]
        result = run(
            "train_rbm.py", "--resume", output, cwd=folder, preexec_fn=files_of_at_most(limit)
        )
        check_line(result, r"cannot be written \(File too large\)")
        stopped.add(re.search(r"([\w.]+): cannot be written", result.stderr)[1])
        assert load_checkpoint(output)[1]["n_updates"] >= before
        assert_whole(output)
    assert stopped >= {FILE, "training_curve.png"}
    resume(output, cwd=folder)
    assert_same(contents(output), expected)


@pytest.mark.slow
def test_a_folder_that_goes_is_one_line(folder, options):
    output = folder / "gone"
    long = options(epochs=100_000, checkpoint_every="10min")
    with started("train_rbm.py", *long, "--output", output, cwd=folder) as process:
        wait_for_line(process, "Training epoch 2,")
        output.rename(folder / "moved away")
        stdout, stderr = process.communicate()
    result = subprocess.CompletedProcess([], process.returncode, stdout, stderr)
    check_line(result, r"gone/.*: cannot be written \(No such file or directory\)")


@pytest.mark.slow
def test_what_cannot_fit_is_refused_with_the_figure(folder, data):
    for huge in (
        ["--n-hidden", 10**9],
        ["--batch-size", 64, "--n-hidden", 10**8],
        ["--epochs", 10**12],
        ["--n-samples", 10**9],
    ):
        result = run("train_rbm.py", "--dataset", data, *huge, "--output", "huge", cwd=folder)
        check_refusal(result, r"--n-hidden, --batch-size.* [\d,.]+ GB of memory are needed, and")
        assert not list((folder / "huge").iterdir())


def test_what_a_process_may_take_is_respected(folder, data):
    """2 GB of address space, most of which Python and its libraries have taken."""
    result = run(
        "train_rbm.py", "--dataset", data, "--n-hidden", 10**7, "--output", "huge", cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9)),
    )  # fmt: skip
    check_refusal(result, r"GB of memory are needed, and [01]\.\d GB are free")


# --- diverged -------------------------------------------------------------------------------------


def test_divergence_keeps_the_last_good_checkpoint(folder, options):
    output = folder / "diverged"
    result = run(
        "train_rbm.py", *options(), "--learning-rate", 1e38, "--output", output, cwd=folder
    )
    check_line(
        result,
        r"epoch 0, update \d: .*training has diverged; take a smaller learning rate; "
        r".*checkpoint\.npz is from before that",
    )
    arrays, state = load_checkpoint(output)
    number = int(re.search(r"update (\d)", result.stderr)[1])
    assert state["n_updates"] == number - 1
    parameters = [a for name, a in arrays.items() if re.search(" (W|hbias|vbias)$", name)]
    assert len(parameters) == 3 and all(np.isfinite(array).all() for array in parameters)


# --- repeated -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", [[], ["--algorithm", "cd", "--k", 1, "--stream", "shared"]])
def test_the_same_bits_whether_compiled_now_or_before(tmp_path, kind):
    """Of the real size, where sums are long enough to depend on their order."""
    flags = f"base_compiledir={tmp_path / 'compiled'}"
    left = []
    for name in ("just compiled", "from the disk"):
        few = ["--epochs", 1, "--n-samples", 1, "--n-chains", 5, *kind]
        result = run("train_rbm.py", *few, "--output", tmp_path / name, cwd=tmp_path, flags=flags)
        assert result.returncode == 0, result.stderr
        left.append(contents(tmp_path / name))
    assert_same(*left)
