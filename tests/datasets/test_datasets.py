"""Every test writes real files; small sets of 2 by 3 pixels stand for MNIST."""

import copyreg
import functools
import gzip
import hashlib
import http.server
import importlib.resources
import io
import os
import pickle
import re
import runpy
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytensor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbm_sym.datasets import PARTS, load_data, mnist, npz, read_arrays, reading

PIXELS = 6


def grey_sets():
    """Three pairs of uint8 arrays; in IDX files the first two are one training set."""
    generator = np.random.default_rng(5)
    return [
        (generator.integers(0, 256, (n, PIXELS), np.uint8), generator.integers(0, 10, n, np.uint8))
        for n in (25, 5, 4)
    ]


def float_sets():
    return [((x / 256).astype(np.float32), y.astype(np.int64)) for x, y in grey_sets()]


def assert_same(found, expected=None):
    expected = expected or float_sets()
    assert len(found) == 3
    for (x, y), (expected_x, expected_y) in zip(found, expected, strict=True):
        assert x.dtype.kind == "f" and x.dtype.isnative and y.dtype == np.int32
        assert x.flags.c_contiguous and x.flags.writeable
        np.testing.assert_array_equal(x, expected_x, strict=x.dtype == np.float32)
        np.testing.assert_array_equal(y, expected_y)


def error_line(dataset, kind=ValueError):
    """The message of the error that a data set gives; always one line that names the file."""
    with pytest.raises(kind) as caught:
        read_arrays(dataset)
    message = str(caught.value)
    assert "\n" not in message
    assert str(dataset) in message
    return message


def write(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def named_arrays(sets):
    return {
        f"{part}_{axis}": values
        for part, pair in zip(PARTS, sets, strict=True)
        for axis, values in zip("xy", pair, strict=True)
    }


# --- pickles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_pickle_of_every_protocol(tmp_path, protocol, pack):
    path = write(tmp_path / "sets", pack(pickle.dumps(float_sets(), protocol)))
    assert_same(read_arrays(path))
    assert_same(read_arrays(str(path)))


def python_2_array(array, binary):
    """A pickled array as Python 2 wrote it: NumPy's old module names, bytes as str."""

    def text(value):
        if binary:
            return b"T" + struct.pack("<i", len(value)) + value
        return b"S" + repr(value)[1:].encode() + b"\n"

    code, order = array.dtype.str[1:].encode(), array.dtype.str[:1].encode()
    shape = b"(" + b"".join(b"I%d\n" % length for length in array.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + text(b"b") + b"tR"
        b"(I1\n" + shape + b"cnumpy\ndtype\n(" + text(code) + b"I0\nI1\ntR"
        b"(I3\n" + text(order) + b"NNNI-1\nI-1\nI0\ntbI00\n" + text(array.tobytes()) + b"tb"
    )


@pytest.mark.parametrize("binary", [True, False], ids=["protocol 2", "protocol 0"])
def test_pickle_of_python_2(tmp_path, binary):
    pairs = (
        b"(" + python_2_array(x, binary) + python_2_array(y, binary) + b"t" for x, y in float_sets()
    )
    data = (b"\x80\x02" if binary else b"") + b"(" + b"".join(pairs) + b"t."
    assert_same(read_arrays(write(tmp_path / "mnist.pkl.gz", gzip.compress(data))))


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_of_other_orders_and_dtypes(tmp_path, protocol):
    """Columns first, the other byte order, double precision, every second row."""
    (a, b), (c, d), (e, f) = float_sets()
    sets = [
        (np.asfortranarray(a), b.astype(">i2")),
        (c.astype(">f8"), d.astype(np.uint8)),
        (np.repeat(e, 2, axis=0)[::2], f),
    ]
    assert_same(read_arrays(write(tmp_path / "sets", pickle.dumps(sets, protocol))))


class Call:
    """Pickled as a call of a function with these arguments."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments, state)

    def __reduce__(self):
        return self.reduced


def array_of_state(shape, dtype, data, state=None):
    rebuild = np.array([0]).__reduce__()[0]
    return Call(rebuild, np.ndarray, (0,), b"b", state=state or (1, shape, dtype, False, data))


def from_buffer(data, dtype, shape):
    return Call(np._core.numeric._frombuffer, data, dtype, shape, "C")


def instead_of_first(thing):
    """Three pairs of which the first picture array is something else."""
    (_, labels), valid, test = float_sets()
    return pickle.dumps([(thing, labels), valid, test], 4)


MARK = "open('executed', 'w').close()"
NESTED_TUPLE = b")" + b"\x85" * 200_000
F4 = np.dtype("f4")

HOSTILE = {
    "os.system": (instead_of_first(Call(os.system, "touch executed")), f"{os.name}.system"),
    "eval": (instead_of_first(Call(eval, MARK)), "builtins.eval"),
    "exec, protocol 0": (pickle.dumps(Call(exec, MARK), 0), "__builtin__.exec"),
    "Popen": (instead_of_first(Call(subprocess.Popen, ["touch", "executed"])), "subprocess.Popen"),
    "getattr": (instead_of_first(Call(getattr, Call(__import__, "os"), "system")), "getattr"),
    "partial": (instead_of_first(functools.partial(eval, MARK)), "functools.partial"),
    "dotted name": (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile"),
    "dunder name": (b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__new__\x93.", "numpy.dtype.__new__"),
    "numpy.load": (instead_of_first(Call(np.load, "x")), "numpy.load"),
    "numpy scalar": (instead_of_first(np.float64(1)), "multiarray.scalar"),
    "INST": (b"(Vtouch executed\niposix\nsystem\n.", "posix.system"),
    "OBJ": (b"(cposix\nsystem\nVtouch executed\no.", "posix.system"),
    "NEWOBJ": (b"\x80\x02csubprocess\nPopen\n(Vtouch executed\nt\x81.", "subprocess.Popen"),
    "text that breaks the line": (b"\x80\x04\x8c\x04os\n\n\x8c\x06\x1b[31ms\x93.", r"os\n\n"),
    "decode": (b"c_codecs\ndecode\n.", "_codecs.decode"),
    "other encoding": (
        instead_of_first(
            array_of_state((1, 1), F4, Call(__import__("_codecs").encode, "x", "hex"))
        ),
        "'hex'",
    ),
    "persistent id": (b"Pevil\n.", "persistent"),
    "binary persistent id": (b"\x80\x02K\x01Q.", "persistent"),
    "object array": (instead_of_first(np.array([[None]])), "'O8'"),
    "structured array": (instead_of_first(np.zeros(2, "i4, f4")), "dictionary"),
    "bare records": (instead_of_first(np.zeros(2, "V8")), "'V8'"),
    "dates": (instead_of_first(np.zeros((2, 2), "M8[s]")), "'M8'"),
    "text array": (instead_of_first(np.array([["a"]])), "'U1'"),
    "buffer of objects": (instead_of_first(from_buffer(b"12345678", np.dtype("O"), (1,))), "'O8'"),
    "huge shape": (
        instead_of_first(array_of_state((2**40, 2**20), F4, b"1234")),
        "do not fit its shape",
    ),
    "huge buffer shape": (
        instead_of_first(from_buffer(b"1234", F4, (2**62,))),
        "do not fit its shape",
    ),
    "huge ndarray": (instead_of_first(Call(np.ndarray, (2**62,))), "AttributeError"),
    "huge bytes": (instead_of_first(array_of_state((1,), F4, Call(bytes, 2**50))), "bytes"),
    "shape with text": (instead_of_first(array_of_state(("a" * 9, 2**40), F4, b"")), "integers"),
    "negative shape": (instead_of_first(array_of_state((-1, -1), F4, b"1234")), "ValueError"),
    "dtype that is none": (instead_of_first(array_of_state((1, 1), "f4", b"1234")), "dtype"),
    "no array": (instead_of_first(F4), "AttributeError"),
    "no array at all": (
        instead_of_first(Call(__import__("_codecs").encode, "x", "latin1")),
        "AttributeError",
    ),
    "a list": (instead_of_first([[0.5]]), "AttributeError"),
    "two pairs": (pickle.dumps(float_sets()[:2]), "three (pictures, labels) pairs"),
    "state for a class": (b"cnumpy\ndtype\nK\x01b.", "TypeError"),
    "state for a list": (b"]K\x01b.", "AttributeError"),
    "dictionary": (pickle.dumps(named_arrays(float_sets())), "dictionary"),
    # Hashing this would overflow the C stack and end the process.
    "nested key": (b"\x80\x04}" + NESTED_TUPLE + b"K\x01s.", "set"),
    "nested set": (b"\x80\x04\x8f(" + NESTED_TUPLE + b"\x90.", "set"),
    "nested frozenset": (b"\x80\x04(" + NESTED_TUPLE + b"\x91.", "set"),
    # The C unpickler would allocate 32 gigabytes for this place in its memo.
    "far place in memo": (b"]r\xff\xff\xff\x7f.", "pairs"),
    "bytes that are not there": (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".", "EOFError"),
    "empty file": (b"", "EOFError"),
    "no pickle": (b"train,valid,test\n", "pickle"),
}


@pytest.mark.parametrize(("data", "named"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickle_is_refused_without_running_it(tmp_path, monkeypatch, data, named):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "hostile.pkl", data)
    assert named in error_line(path)
    assert os.listdir(tmp_path) == ["hostile.pkl"]


def test_refusal_of_a_long_name_is_short(tmp_path):
    path = write(tmp_path / "hostile.pkl", b"cos\n" + b"x" * 100_000 + b"\n.")
    assert len(error_line(path)) < 1000


def test_extension_code_is_refused_even_if_its_object_is_cached(tmp_path):
    copyreg.add_extension("os", "getcwd", 240)
    try:
        assert pickle.loads(b"\x80\x02\x82\xf0)R.") == os.getcwd()  # fills the cache
        assert "extension code" in error_line(write(tmp_path / "pickle", b"\x80\x02\x82\xf0)R."))
    finally:
        copyreg.remove_extension("os", "getcwd", 240)


@pytest.mark.parametrize("protocol", range(6))
def test_truncated_pickle(tmp_path, protocol):
    data = pickle.dumps(float_sets(), protocol)
    for length in range(0, len(data), 97):
        error_line(write(tmp_path / "short.pkl", data[:length]))


# --- gzip ---------------------------------------------------------------------------------------


def test_gzip_is_read_to_its_end(tmp_path):
    data = gzip.compress(pickle.dumps(float_sets()))
    assert "gzip" in error_line(write(tmp_path / "truncated.gz", data[:-4]))
    assert "CRC" in error_line(write(tmp_path / "checksum.gz", data[:-8] + b"1234" + data[-4:]))
    assert "gzip" in error_line(write(tmp_path / "followed.gz", data + b"more"))


def test_damaged_gzip(tmp_path):
    data = gzip.compress(pickle.dumps(float_sets()))
    middle = len(data) // 2
    assert "gzip" in error_line(
        write(tmp_path / "damaged.gz", data[:middle] + bytes(20) + data[middle + 20 :])
    )


def test_unpacking_stops_at_a_bound(tmp_path, monkeypatch):
    for module in (reading, npz):
        monkeypatch.setattr(module, "MOST_BYTES", 10**6)
    zeros = write(tmp_path / "zeros.gz", gzip.compress(bytes(10**6 + 1)))
    assert "more than 1,000,000 bytes" in error_line(zeros)
    sets = named_arrays([(np.zeros((n, PIXELS), np.uint8), np.zeros(n)) for n in (10**5,) * 3])
    np.savez_compressed(tmp_path / "zeros.npz", **sets)
    assert "more than 1,000,000 bytes" in error_line(tmp_path / "zeros.npz")


# --- IDX ----------------------------------------------------------------------------------------

FOUR_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def four_idx_files():
    (train_x, train_y), (valid_x, valid_y), (test_x, test_y) = grey_sets()
    x, y = np.concatenate([train_x, valid_x]), np.concatenate([train_y, valid_y])
    arrays = x.reshape(-1, 2, 3), y, test_x.reshape(-1, 2, 3), test_y
    return dict(zip(FOUR_NAMES, map(idx_bytes, arrays), strict=True))


def write_idx(folder, rename=str, pack=bytes, **changed):
    for name, data in four_idx_files().items():
        write(folder / rename(name), pack(changed.get(name.replace("-", "_"), data)))
    return folder


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    "rename",
    [
        str,
        lambda name: f"{name}.gz",
        lambda name: name.replace("-idx", ".idx"),
        lambda name: f"emnist-digits-{name.replace('t10k', 'test')}.gz",
    ],
    ids=["MNIST", "gz", "dot", "EMNIST"],
)
def test_idx_folder_and_file(tmp_path, rename, pack):
    """Thirty training pictures, of which the last sixth is for validation."""
    write_idx(tmp_path, rename, pack)
    assert_same(read_arrays(tmp_path))
    for name in FOUR_NAMES:
        assert_same(read_arrays(tmp_path / rename(name)))


def test_idx_folder_with_packed_and_plain_files_and_other_things(tmp_path):
    write_idx(tmp_path)
    write_idx(tmp_path, lambda name: f"{name}.gz", gzip.compress)
    write(tmp_path / "notes.txt", b"other")
    assert_same(read_arrays(tmp_path))


def test_idx_folder_with_a_folder_of_such_a_name(tmp_path):
    write_idx(tmp_path, lambda name: name.replace("-idx", ".idx"))
    (tmp_path / FOUR_NAMES[0]).mkdir()
    assert_same(read_arrays(tmp_path))


def test_idx_folder_with_several_data_sets(tmp_path):
    write_idx(tmp_path)
    write_idx(tmp_path, lambda name: f"other-{name}", train_labels_idx1_ubyte=idx_bytes(ZEROS_30))
    assert "name one file" in error_line(tmp_path)
    assert_same(read_arrays(tmp_path / FOUR_NAMES[0]))
    assert not read_arrays(tmp_path / f"other-{FOUR_NAMES[0]}")[0][1].any()


ZEROS_30 = np.zeros(30, np.uint8)
IMAGES = four_idx_files()["train-images-idx3-ubyte"]
BAD_IDX = {
    "wrong magic": ({"train_images_idx3_ubyte": b"\0\0\x09\x03" + IMAGES[4:]}, "0x00000903"),
    "labels as images": ({"train_images_idx3_ubyte": idx_bytes(ZEROS_30)}, "0x00000801"),
    "images as labels": ({"train_labels_idx1_ubyte": IMAGES}, "0x00000803"),
    "empty file": ({"train_images_idx3_ubyte": b""}, "magic"),
    "short header": ({"train_images_idx3_ubyte": IMAGES[:12]}, "truncated"),
    "truncated": ({"train_images_idx3_ubyte": IMAGES[:-1]}, "truncated"),
    "huge claim": (
        {"train_images_idx3_ubyte": IMAGES[:4] + b"\xff" * 12 + IMAGES[16:]},
        "truncated",
    ),
    "followed by more": ({"t10k_labels_idx1_ubyte": idx_bytes(ZEROS_30) + b"1"}, "other bytes"),
    "count": (
        {"train_labels_idx1_ubyte": idx_bytes(ZEROS_30[1:])},
        "29 labels for the 30 pictures",
    ),
    "empty set": (
        {
            "t10k_images_idx3_ubyte": idx_bytes(np.zeros((0, 2, 3), np.uint8)),
            "t10k_labels_idx1_ubyte": idx_bytes(ZEROS_30[:0]),
        },
        "test_x",
    ),
    "other picture size": (
        {
            "t10k_images_idx3_ubyte": idx_bytes(np.zeros((30, 2, 2), np.uint8)),
            "t10k_labels_idx1_ubyte": idx_bytes(ZEROS_30),
        },
        "[6, 6, 4]",
    ),
}


@pytest.mark.parametrize(("changed", "named"), BAD_IDX.values(), ids=BAD_IDX)
def test_bad_idx(tmp_path, changed, named):
    assert named in error_line(write_idx(tmp_path, **changed))
    assert named in error_line(write_idx(tmp_path, pack=gzip.compress, **changed))


def test_idx_file_missing(tmp_path):
    assert "train-images" in error_line(tmp_path, FileNotFoundError)
    write_idx(tmp_path)
    (tmp_path / FOUR_NAMES[3]).unlink()
    assert FOUR_NAMES[3] in error_line(tmp_path, FileNotFoundError)


def test_idx_file_under_a_name_that_says_nothing(tmp_path):
    assert "train-images-idx3-ubyte" in error_line(write(tmp_path / "images", IMAGES))


# --- .npz ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    path = tmp_path / "sets.npz"
    save(path, **named_arrays(grey_sets()))
    assert_same(read_arrays(path))
    save(path, **named_arrays(float_sets()))
    assert_same(read_arrays(path))
    save(path, **named_arrays([(x.reshape(-1, 2, 3), y) for x, y in grey_sets()]))
    assert_same(read_arrays(path))
    assert_same(read_arrays(path.rename(tmp_path / "sets")))


def test_npz_of_double_precision_and_of_bits(tmp_path):
    generator = np.random.default_rng(1)
    doubles = [(generator.random((5, PIXELS)), np.arange(5)) for _ in range(3)]
    np.savez(tmp_path / "doubles.npz", **named_arrays(doubles))
    assert_same(read_arrays(tmp_path / "doubles.npz"), doubles)
    bits = [(x > 0.5, y) for x, y in doubles]
    np.savez(tmp_path / "bits.npz", **named_arrays(bits))
    assert_same(read_arrays(tmp_path / "bits.npz"), [(x.astype("f4"), y) for x, y in bits])


def test_npz_without_an_array(tmp_path):
    arrays = named_arrays(grey_sets())
    del arrays["valid_y"]
    np.savez(tmp_path / "sets.npz", **arrays)
    assert "valid_y is missing" in error_line(tmp_path / "sets.npz")


def test_npz_with_objects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Call(os.system, "touch executed")], dtype=object)
    np.savez("sets.npz", **named_arrays(grey_sets()) | {"train_x": objects})
    assert "train_x holds Python objects" in error_line(tmp_path / "sets.npz")
    assert os.listdir(tmp_path) == ["sets.npz"]


def test_npz_that_claims_a_huge_array(tmp_path):
    np.savez(tmp_path / "sets.npz", **named_arrays(grey_sets()))
    data = (tmp_path / "sets.npz").read_bytes()
    assert data.count(b"(25, 6), }   ") == 1
    claim = data.replace(b"(25, 6), }   ", b"(1000000,6),}")
    error_line(write(tmp_path / "claim.npz", claim))


def test_npz_checksum_counts(tmp_path):
    """The header, made to speak of fewer pictures, is as well guarded as the pictures."""
    pair = (
        np.arange(6000, dtype=np.uint16).view(np.uint8).reshape(2000, PIXELS),
        np.zeros(2000, int),
    )
    np.savez(tmp_path / "sets.npz", **named_arrays([pair] * 3))
    data = (tmp_path / "sets.npz").read_bytes()
    fewer = data.replace(b"(2000, 6)", b"(1000, 6)", 1)
    assert "CRC" in error_line(write(tmp_path / "a.npz", fewer))
    assert "CRC" in error_line(write(tmp_path / "b.npz", data.replace(b"\1\1\2", b"\1\3\2", 1)))


def test_npz_with_a_very_long_header(tmp_path):
    """NumPy's message has several lines here."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1)}" + b" " * 20_000
    size = struct.pack("<I", len(header))
    with zipfile.ZipFile(tmp_path / "sets.npz", "w") as archive:
        for name in named_arrays(grey_sets()):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x02\x00" + size + header + b"1")
    assert "Header info length" in error_line(tmp_path / "sets.npz")


# --- what the arrays must be --------------------------------------------------------------------


def changed_x(change):
    """The sets with the validation pictures changed."""
    train, (x, y), test = float_sets()
    return [train, (change(x.copy()), y), test]


def changed_y(change):
    train, (x, y), test = float_sets()
    return [train, (x, change(y.copy())), test]


def with_first(value):
    def change(array):
        array.flat[0] = value
        return array

    return change


BAD_ARRAYS = {
    "above one": (changed_x(with_first(1.5)), "valid_x goes from"),
    "just above one": (changed_x(with_first(np.nextafter(np.float32(1), 2))), "1.0000001"),
    "negative": (changed_x(with_first(-0.25)), "valid_x goes from -0.25"),
    "NaN": (changed_x(with_first(np.nan)), "valid_x holds NaN"),
    "infinite": (changed_x(with_first(np.inf)), "to inf"),
    "grey levels as int64": (changed_x(lambda x: (x * 255).astype(np.int64)), "save them as uint8"),
    "no pictures": (changed_x(lambda x: x[:0]), "valid_x has the shape (0, 6)"),
    "no pixels": (changed_x(lambda x: x[:, :0]), "valid_x has the shape (5, 0)"),
    "one dimension": (changed_x(lambda x: x[:, 0]), "valid_x has the shape (5,)"),
    "four dimensions": (changed_x(lambda x: x[:, None, None]), "valid_x has the shape"),
    "fewer pixels": (changed_x(lambda x: x[:, :5]), "[6, 5, 6] pixels"),
    "fewer pictures": (changed_x(lambda x: x[:1]), "1 pictures and valid_y 5 labels"),
    "float labels": (changed_y(lambda y: y + 0.5), "valid_y is of dtype float64"),
    "label matrix": (changed_y(lambda y: y[:, None]), "valid_y is of dtype int64 and shape (5, 1)"),
    "fewer labels": (changed_y(lambda y: y[:1]), "5 pictures and valid_y 1 labels"),
    "no labels": (changed_y(lambda y: y[:0]), "5 pictures and valid_y 0 labels"),
    "negative label": (changed_y(with_first(-1)), "valid_y goes from -1"),
    "large label": (changed_y(with_first(2**40)), "to 1099511627776"),
}


@pytest.mark.parametrize(("sets", "named"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays(tmp_path, sets, named):
    np.savez(tmp_path / "sets.npz", **named_arrays(sets))
    assert named in error_line(tmp_path / "sets.npz")
    assert named in error_line(write(tmp_path / "sets.pkl", pickle.dumps(sets, 2)))


@pytest.mark.parametrize("dtype", ["c8", "U3", "M8[s]", "i4, f4"])
def test_pictures_that_are_not_numbers(tmp_path, dtype):
    arrays = named_arrays(float_sets()) | {"train_x": np.zeros((25, PIXELS), dtype)}
    np.savez(tmp_path / "sets.npz", **arrays)
    assert "train_x is of dtype" in error_line(tmp_path / "sets.npz")


def test_missing_file(tmp_path):
    assert "no such file" in error_line(tmp_path / "mnist.pkl.gz", FileNotFoundError)


@pytest.mark.parametrize("dataset", [None, 3, b"mnist.pkl.gz", grey_sets()])
def test_dataset_that_is_no_path(dataset):
    with pytest.raises(TypeError, match="dataset must be"):
        read_arrays(dataset)


# --- damage of any kind -------------------------------------------------------------------------


@st.composite
def damages(draw):
    """A change of a few bytes, then perhaps a cut."""
    edits = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5))
    end = draw(st.one_of(st.just(1.0), st.floats(0, 1)))

    def damage(data):
        data = bytearray(data)
        for place, value in edits:
            data[int(place * (len(data) - 1))] = value
        return bytes(data[: round(end * len(data))])

    return damage


def npz_bytes(folder, save):
    save(folder / "sets.npz", **named_arrays(grey_sets()))
    return (folder / "sets.npz").read_bytes()


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """A folder, and valid files under the names that they get in it."""
    folder = tmp_path_factory.mktemp("whole")
    pickles = [pickle.dumps(float_sets(), protocol) for protocol in range(6)]
    archives = [npz_bytes(folder, save) for save in (np.savez, np.savez_compressed)]
    files = [("sets", data) for data in (*pickles, gzip.compress(pickles[2]), *archives)]
    return write_idx(folder), files + list(four_idx_files().items())


def members_damaged(whole, damage):
    """An .npz file whose arrays are damaged, and its checksums those of the damaged arrays."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            target.writestr(name, damage(source.read(name)))
    return stream.getvalue()


# What reading a file is not to do.
ACTIONS = {"os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "socket.connect"}
ACTIONS |= {"subprocess.Popen", "shutil.rmtree", "ctypes.dlopen"}


class Watch:
    """Notes what the interpreter is asked to do; Python cannot remove it again."""

    def __init__(self):
        self.is_on, self.seen = False, []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if self.is_on and (event in ACTIONS or (event == "open" and "r" not in str(arguments[1]))):
            self.seen.append((event, arguments))

    def __enter__(self):
        self.is_on = True

    def __exit__(self, *exception):
        self.is_on = False


class Memory:
    """Watches how much more memory this process holds at once than when the context began."""

    def __init__(self):
        self.most = 0

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is held now
        self.before = self.peak()

    def __exit__(self, *exception):
        self.most = max(self.most, self.peak() - self.before)

    def peak(self):
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


@pytest.mark.slow
def test_damaged_files_give_an_error_or_a_valid_result(whole_files, pytestconfig):
    """--fuzz-inputs of them over all formats, and nothing more than a few arrays in memory."""
    folder, files = whole_files
    outcomes, watch, memory = Counter(), Watch(), Memory()

    @settings(max_examples=pytestconfig.getoption("--fuzz-inputs"))
    @given(
        which=st.integers(0, len(files) - 1), inside=st.booleans(), pack=st.booleans(),
        damage=damages(),
    )  # fmt: skip
    def read_damaged(which, inside, pack, damage):
        name, whole = files[which]
        is_archive = whole.startswith(b"PK")
        data = members_damaged(whole, damage) if inside and is_archive else damage(whole)
        path = write(folder / name, gzip.compress(data, 1) if pack else data)
        try:
            with memory, watch:
                sets = read_arrays(path)
        except ValueError as problem:
            assert str(path) in str(problem) and "\n" not in str(problem)
            outcomes["refused"] += 1
        else:
            for x, y in sets:
                assert x.ndim == 2 and x.size and x.min() >= 0 and x.max() <= 1
                assert y.shape == (len(x),) and y.dtype == np.int32
            outcomes["read"] += 1
        finally:
            path.write_bytes(whole)

    read_damaged()
    assert not watch.seen
    assert memory.most < 16 * 2**20
    assert outcomes["refused"] > 100 and outcomes["read"] > 100
    print(f"{outcomes}, at most {memory.most / 2**20:.1f} MiB for one file")


# --- the digits in the package ------------------------------------------------------------------


def test_digits():
    sets = read_arrays("digits")
    assert [x.shape for x, _ in sets] == [(10_000, 784), (1_000, 784), (1_000, 784)]
    assert all(x.dtype == np.float32 and set(y) == set(range(10)) for x, y in sets)
    assert [y[:5].tolist() for _, y in sets] == [[5, 0, 4, 1, 9], [3, 8, 6, 9, 6], [7, 2, 1, 0, 4]]
    grey_levels = b"".join((x * 256).astype(np.uint8).tobytes() for x, _ in sets)
    assert hashlib.sha256(grey_levels).hexdigest() == (
        "29f57744d3f3151d489809dbb1b68436e31619de81a4283fcea9c19ac8391f7f"
    )


def test_digits_are_small_and_attributed():
    folder = importlib.resources.files("rbm_sym") / "data"
    assert len((folder / "digits.npz").read_bytes()) <= 2_000_000
    assert "Attribution-Share Alike 3.0" in (folder / "README.md").read_text()


def test_make_digits(tmp_path, monkeypatch):
    """The script's bytes depend on the pictures only, and give them back."""
    script = Path(__file__).parents[2] / "scripts" / "upkeep" / "make_digits.py"
    source = write(tmp_path / "mnist.pkl", pickle.dumps(float_sets()))
    for name in ("one.npz", "two.npz"):
        command = [str(script), str(source), "--output", str(tmp_path / name)]
        monkeypatch.setattr(sys, "argv", command)
        runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert_same(read_arrays(tmp_path / "one.npz"))
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        for member in archive.infolist():
            assert member.compress_type == zipfile.ZIP_LZMA
            assert member.date_time == (1980, 1, 1, 0, 0, 0)
    with np.load(tmp_path / "one.npz") as arrays:
        assert {name: arrays[name].dtype for name in arrays} == dict.fromkeys(
            named_arrays(grey_sets()), np.dtype(np.uint8)
        )


# --- MNIST from the cache or the network --------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, no network, and the small set's checksums in the place of MNIST's."""
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in four_idx_files().items()}
    monkeypatch.setattr(mnist, "MNIST_SHA256", checksums)
    monkeypatch.setattr(mnist, "MIRRORS", (f"https://127.0.0.1:{closed_port()}/",))
    monkeypatch.setenv("RBM_SYM_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_pinned_names_are_those_of_idx():
    assert tuple(mnist.MNIST_SHA256) == FOUR_NAMES
    assert all(mirror.startswith("https://") and mirror[-1] == "/" for mirror in mnist.MIRRORS)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_mnist_from_the_cache(cache, pack):
    write_idx(cache, lambda name: name if pack is bytes else f"{name}.gz", pack)
    assert_same(read_arrays("mnist"))


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("USERPROFILE", "/home/someone")
    monkeypatch.setenv("RBM_SYM_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert mnist.cache_folder() == Path("/home/someone/.cache/rbm_sym")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert mnist.cache_folder() == Path("/caches/rbm_sym")
    monkeypatch.setenv("RBM_SYM_DATA", "/own")
    assert mnist.cache_folder() == Path("/own")


def test_mnist_in_the_cache_with_another_checksum(cache):
    write_idx(cache, train_labels_idx1_ubyte=idx_bytes(ZEROS_30))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte: not MNIST's file.*delete it"):
        read_arrays("mnist")


def test_mnist_without_network(cache):
    with pytest.raises(ConnectionError) as caught:
        read_arrays("mnist")
    message = str(caught.value)
    assert "\n" not in message and "refused" in message
    assert str(cache) in message and '"digits"' in message and FOUR_NAMES[0] in message
    assert not cache.exists()


@pytest.mark.parametrize("mirror", ["http://127.0.0.1/", "file:///", "ftp://127.0.0.1/"])
def test_mnist_is_fetched_over_https_only(cache, monkeypatch, mirror):
    monkeypatch.setattr(mnist, "MIRRORS", (mirror,))
    with pytest.raises(ConnectionError, match="unknown url type"):
        read_arrays("mnist")


class MirrorHandler(http.server.BaseHTTPRequestHandler):
    """A good mirror under /good, and several bad ones."""

    def do_GET(self):
        *_, mirror, file = self.path.split("/")
        self.server.requests.append(self.path)
        data = gzip.compress(four_idx_files()[file.removesuffix(".gz")])
        if mirror == "wrong":
            data = gzip.compress(b"something else")
        if mirror == "bomb":
            data = gzip.compress(bytes(100_001))
        self.send_response({"insecure": 302, "moved": 302, "absent": 404}.get(mirror, 200))
        scheme = "http" if mirror == "insecure" else "https"
        self.send_header("Location", f"{scheme}://{self.headers['Host']}/good/{file}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if mirror == "broken" else data)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine, signed by itself."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", f"{path}.crt"]
    subprocess.run([*command.split(), *options], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def server(certificate, cache, monkeypatch):
    """An https server whose certificate Python trusts; gives its address and its requests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MirrorHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.requests = []
        server.handle_error = lambda *arguments: None
        server.address = f"https://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_mnist_is_downloaded_once(server, cache, monkeypatch, capsys):
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server.address}/good/",))
    assert_same(read_arrays("mnist"))
    assert sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in FOUR_NAMES)
    assert capsys.readouterr().err.splitlines() == [
        f"downloading {server.address}/good/{name}.gz" for name in FOUR_NAMES
    ]
    assert_same(read_arrays("mnist"))
    assert len(server.requests) == 4


BAD_MIRRORS = {
    "wrong": "SHA-256",
    "broken": "gzip",
    "bomb": "more than 100,000 bytes",
    "insecure": "unknown url type: http",
    "absent": "404",
}


@pytest.mark.parametrize(("bad", "named"), BAD_MIRRORS.items())
def test_bad_mirror(server, cache, monkeypatch, bad, named):
    """It leaves nothing in the cache, and the next mirror is asked."""
    monkeypatch.setattr(mnist, "MOST_DOWNLOADED_BYTES", 100_000)
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server.address}/{bad}/",))
    with pytest.raises(ConnectionError, match=f"/{bad}/.*{named}"):
        read_arrays("mnist")
    assert not cache.exists()
    mirrors = (f"{server.address}/{bad}/", f"{server.address}/good/")
    monkeypatch.setattr(mnist, "MIRRORS", mirrors)
    assert_same(read_arrays("mnist"))


def test_mirror_that_moved_within_https(server, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server.address}/moved/",))
    assert_same(read_arrays("mnist"))


def test_certificate_that_nobody_knows(server, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server.address}/good/",))
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        read_arrays("mnist")


def test_progress_on_a_terminal(monkeypatch):
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    with open(reader, "rb") as screen, open(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        report = mnist.progress_report("https://mirror/file", 200)
        report(100)
        report(200)
        assert screen.readline() == (
            b"\rdownloading https://mirror/file 50 %\rdownloading https://mirror/file 100 %\r\n"
        )


def test_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server.address}/good/",))
    monkeypatch.setenv("RBM_SYM_DATA", str(write(tmp_path / "file", b"") / "cache"))
    with pytest.raises(OSError, match=r"cannot be written.*RBM_SYM_DATA"):
        read_arrays("mnist")


# --- load_data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_load_data(tmp_path, capsys, floatX):
    path = write(tmp_path / "mnist.pkl.gz", gzip.compress(pickle.dumps(float_sets(), 2)))
    with pytensor.config.change_flags(floatX=floatX):
        sets = load_data(path)
    assert capsys.readouterr().out == "... loading data\n"
    assert isinstance(sets, list) and all(isinstance(pair, tuple) for pair in sets)
    for (x, y), (expected_x, expected_y) in zip(sets, float_sets(), strict=True):
        assert x.type.dtype == floatX and y.type.dtype == "int32" and y.type.ndim == 1
        assert x.get_value(borrow=True).flags.writeable
        np.testing.assert_array_equal(x.get_value(), expected_x)
        stored = y.owner.inputs[0]
        assert stored.type.dtype == floatX
        np.testing.assert_array_equal(stored.get_value(), expected_y)
