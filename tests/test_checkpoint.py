"""Named arrays in a file: whole, or not at all."""

import resource

import numpy as np
import pytensor
import pytest
from processes import in_a_process

from rbm_sym.checkpoint import load_arrays, save_arrays, set_values, values_of

ARRAYS = {"W": np.arange(6.0).reshape(2, 3), "hbias": np.zeros(3, "float32")}


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "model with a näme.npz"
    save_arrays(path, ARRAYS, {"k": 15, "dataset": "digits"})
    arrays, settings = load_arrays(path, ["W", "hbias"])
    assert settings == {"k": 15, "dataset": "digits"}
    for name, array in ARRAYS.items():
        assert np.array_equal(arrays[name], array) and arrays[name].dtype == array.dtype
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == {"W", "hbias", "settings", "sha256"}
    assert set(load_arrays(path)[0]) == {"W", "hbias"}


def test_what_stood_there_survives_a_failure(tmp_path):
    path = tmp_path / "model.npz"
    save_arrays(path, ARRAYS, {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_arrays(path, {}, {"settings": object()})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


def save_with_limits(path, limits):
    """Save with each limit on the size of files in turn; each save must fail and leave no trace."""
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        with pytest.raises(OSError, match=r"model\.npz: cannot be written \(File too large\)"):
            save_arrays(path, {"W": np.ones(1000)}, {"k": 15})
        assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def test_a_write_that_fails_after_any_number_of_bytes_leaves_what_stood_there(tmp_path):
    path = tmp_path / "model.npz"
    save_arrays(path, {"W": np.zeros(1000)}, {"k": 15})
    before, limits = path.read_bytes(), range(0, path.stat().st_size, 16)
    assert in_a_process(save_with_limits, path, limits) == 0
    assert path.read_bytes() == before and not load_arrays(path)[0]["W"].any()


def test_missing_files_and_arrays_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.npz: cannot be read \(No such file"):
        load_arrays(tmp_path / "model.npz", [])
    save_arrays(tmp_path / "model.npz", ARRAYS, {})
    with pytest.raises(ValueError, match=r"model\.npz: .*vbias is missing"):
        load_arrays(tmp_path / "model.npz", ["W", "vbias"])


def test_damaged_files_are_refused_or_unharmed(tmp_path):
    """Every truncation, and every byte changed: an error that names the file, or the same."""
    path = tmp_path / "model.npz"
    save_arrays(path, ARRAYS, {"k": 15})
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    for i in range(len(whole)):
        damaged.append(whole[:i] + bytes([whole[i] ^ 0x5A]) + whole[i + 1 :])
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            arrays, settings = load_arrays(path, ["W", "hbias"])
        except ValueError as error:
            assert "model.npz" in str(error)
            refused += 1
        else:
            assert settings == {"k": 15}
            assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert refused > 0.8 * len(damaged)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, W=np.array([object()], dtype=object), settings=np.array("{}"))
    with pytest.raises(ValueError, match=r"model\.npz"):
        load_arrays(path, ["W"])
    np.savez(path, W=np.array(["a"]), settings=np.array("{}"))
    with pytest.raises(ValueError, match="'W' holds no numbers"):
        load_arrays(path, ["W"])


def test_changed_arrays_are_found_where_their_own_checksums_are_right(tmp_path):
    """As when a file is put together anew from parts of two."""
    path = tmp_path / "model.npz"
    save_arrays(path, ARRAYS, {"k": 15})
    with np.load(path) as file:
        held = dict(file)
    for changed in (
        {"W": held["W"] + 1e-9},
        {"W": held["W"].reshape(3, 2)},
        {"hbias": held["hbias"].view("int32")},
        {"settings": np.array('{"k": 16}')},
        {"another": np.zeros(1)},
    ):
        np.savez(path, **(held | changed))
        with pytest.raises(ValueError, match=r"model\.npz: .*SHA-256"):
            load_arrays(path, ["W"])


def test_files_without_a_checksum_are_read(tmp_path):
    """Those of version 0.1.0."""
    np.savez(tmp_path / "model.npz", **ARRAYS, settings=np.array('{"k": 15}'))
    arrays, settings = load_arrays(tmp_path / "model.npz", ["W"])
    assert settings == {"k": 15} and np.array_equal(arrays["W"], ARRAYS["W"])
    np.savez(tmp_path / "model.npz", **ARRAYS, settings=np.array("[15]"))
    with pytest.raises(ValueError, match="settings are not a dictionary"):
        load_arrays(tmp_path / "model.npz", ["W"])


def test_variables_get_their_values_back(tmp_path):
    W, bit = pytensor.shared(ARRAYS["W"], name="W"), pytensor.shared(np.int64(3), name="bit")
    variables = [W, bit, pytensor.shared(np.zeros(2))]
    values = values_of(variables)
    assert list(values) == ["0 W", "1 bit", "2 None"]
    save_arrays(tmp_path / "state.npz", values, {})
    W.set_value(np.ones((2, 3)))
    bit.set_value(4)
    set_values(variables, load_arrays(tmp_path / "state.npz")[0])
    assert np.array_equal(W.get_value(), ARRAYS["W"]) and bit.get_value() == 3
    assert bit.get_value().dtype == np.int64


def test_values_of_other_variables_are_refused_before_any_is_set():
    W, bias = pytensor.shared(np.zeros((2, 3)), name="W"), pytensor.shared(np.zeros(3), name="b")
    for others, message in [
        ({"0 W": np.ones((2, 3))}, "are needed, not"),
        ({"0 W": np.ones((2, 3)), "1 c": np.ones(3)}, "'1 b'"),
        ({"0 W": np.ones((2, 3)), "1 b": np.ones(4)}, r"'1 b' must be .*\(3,\), not .*\(4,\)"),
        ({"0 W": np.ones((2, 3)), "1 b": np.ones(3, "float32")}, "float64 .* not float32"),
    ]:
        with pytest.raises(ValueError, match=message):
            set_values([W, bias], others)
        assert not W.get_value().any()
