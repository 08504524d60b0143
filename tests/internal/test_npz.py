"""Arrays of `.npz` files that may be damaged, or made to do harm."""

import io
import zipfile

import numpy as np
import pytest

from rbm_sym.internal.npz import read_npz


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
