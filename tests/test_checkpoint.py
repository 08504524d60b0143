"""Named arrays in a file: whole, or not at all."""

import numpy as np
import pytest

from rbm_sym.checkpoint import load_arrays, save_arrays

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
        assert set(file) == {"W", "hbias", "settings"}


def test_what_stood_there_survives_a_failure(tmp_path):
    path = tmp_path / "model.npz"
    save_arrays(path, ARRAYS, {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_arrays(path, {}, {"settings": object()})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


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
