"""Files that are written whole or not at all."""

import pytest

from rbm_sym.files import whole_file


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
