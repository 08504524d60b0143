"""Files that are written whole or not at all."""

import io
import multiprocessing
import os
import resource
import signal
import zipfile

import numpy as np
import pytest
from processes import in_a_process

from rbm_sym.internal.files import only_writer, read_npz, remove_unfinished, whole_file


def test_the_file_takes_the_place_of_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with whole_file(path) as unfinished:
        assert unfinished.suffix == ".txt" and unfinished.parent == tmp_path
        unfinished.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failure_leaves_what_stood_there(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(type(error)), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_error_names_the_file_that_was_meant(tmp_path):
    path = tmp_path / "nowhere" / "file.txt"
    message = r"nowhere/file\.txt: cannot be written \(No such file"
    with pytest.raises(OSError, match=message), whole_file(path) as unfinished:
        unfinished.write_text("text")


def write_and_be_killed(path):
    with whole_file(path) as unfinished:
        unfinished.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_leaves_is_removed(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    assert in_a_process(write_and_be_killed, path) == -signal.SIGKILL
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 2
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def write_up_to(most, path):
    """Write 3,000 bytes with a limit on the size of files; the error is what the limit gives."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    message = r"file\.bin: cannot be written \(File too large\)"
    with pytest.raises(OSError, match=message), whole_file(path) as unfinished:
        unfinished.write_bytes(bytes(3000))


@pytest.mark.parametrize("most", [0, 1, 2999])
def test_a_full_disk_leaves_what_stood_there(tmp_path, most):
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")
    assert in_a_process(write_up_to, most, path) == 0
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def hold(folder, connection):
    with only_writer(folder):
        connection.send("held")
        connection.recv()


def test_a_folder_has_one_writer_and_its_lock_ends_with_the_process(tmp_path):
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, theirs))
    process.start()
    assert ours.recv() == "held"
    message = "another run is writing into this folder"
    with pytest.raises(BlockingIOError, match=message), only_writer(tmp_path):
        pass
    process.kill()
    process.join()
    with only_writer(tmp_path):
        pass
    with only_writer(tmp_path):
        assert not list(tmp_path.iterdir())


def npy(array, claimed):
    """An .npy file whose header claims another shape."""
    stream = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": claimed}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def npz(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def test_no_more_is_read_than_a_file_holds():
    three = np.arange(3.0)
    assert np.array_equal(read_npz(npz(x=npy(three, (3,))))["x"], three)
    for claimed in [(2,), (4,), (2**40, 2**20), (2**62,), (-3,), (-1, -3), (3, 0)]:
        with pytest.raises(ValueError, match="unreadable"):
            read_npz(npz(x=npy(three, claimed)))
    with pytest.raises(ValueError, match="x holds Python objects"):
        read_npz(npz(x=npy(np.zeros(1, "V8"), (1,)).replace(b"'|V8'", b"'|O8'")))


def test_columns_first_and_empty_arrays_are_read():
    stream = io.BytesIO()
    arrays = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "empty": np.zeros((0, 2))}
    np.savez(stream, **arrays)
    for name, array in read_npz(stream.getvalue()).items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)
        assert array.flags.writeable


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for value in (0.0, 1.0):
            archive.writestr("x.npy", npy(np.full(1, value), (1,)))
    with pytest.raises(ValueError, match="twice"):
        read_npz(stream.getvalue())
