"""Files that are written whole or not at all."""

import multiprocessing
import os
import resource
import signal

import pytest
from processes import in_a_process

from rbm_sym.internal.files import only_writer, remove_unfinished, whole_file


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
