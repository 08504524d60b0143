"""Models that are saved and loaded."""

import numpy as np
import pytensor
import pytest

from rbm_sym import DBN, RandomStreams
from rbm_sym.checkpoint import load_arrays, save_arrays
from rbm_sym.models import load_dbn, load_rbm, save_model


def test_an_rbm_comes_back(floatX, make_rbm, tmp_path):
    rbm, path = make_rbm(), tmp_path / "rbm.npz"
    save_model(path, rbm, {"k": 15})
    streams = RandomStreams(3)
    with pytensor.config.change_flags(floatX="float32" if floatX == "float64" else "float64"):
        found, settings = load_rbm(path, streams)
    assert settings == {"k": 15} and found.theano_rng is streams
    assert (found.n_visible, found.n_hidden, found.W.dtype) == (4, 3, floatX)
    for param, expected in zip(found.params, rbm.params, strict=True):
        np.testing.assert_array_equal(param.get_value(), expected.get_value())
        assert param.name == expected.name
    assert load_rbm(path)[0].theano_rng is not None


def test_a_deep_network_comes_back(floatX, tmp_path):
    rng, path = np.random.RandomState(1), tmp_path / "dbn.npz"
    dbn = DBN(rng, None, 6, [5, 4], 3)
    variables = [*dbn.params, *(rbm.vbias for rbm in dbn.rbm_layers)]
    for variable in variables:
        shape = variable.get_value().shape
        variable.set_value(rng.normal(size=shape).astype(floatX))
    save_model(path, dbn)
    found, settings = load_dbn(path)
    assert settings == {} and found.n_layers == 2
    again = [*found.params, *(rbm.vbias for rbm in found.rbm_layers)]
    for variable, expected in zip(again, variables, strict=True):
        np.testing.assert_array_equal(variable.get_value(), expected.get_value())
    x = rng.rand(7, 6).astype(floatX)
    outputs = [
        network.logLayer.p_y_given_x.eval({network.x: x}, mode="FAST_COMPILE")
        for network in (dbn, found)
    ]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W": np.zeros(4)}, r"W must be a float matrix, not float64 of shape \(4,\)"),
        ({"W": np.zeros((4, 3), int)}, "W must be a float matrix, not int64"),
        ({"hbias": np.zeros(3, "float32")}, "not all of one dtype"),
        ({"vbias": np.array([0, 0, 0, np.nan])}, "infinite or undefined numbers"),
        ({"hbias": np.zeros(2)}, r"rbm\.npz: hbias is of shape \(2,\), not \(3,\)"),
        ({"W": None}, "W is missing"),
    ],
)
def test_what_is_no_rbm_is_refused(double, make_rbm, tmp_path, changes, message):
    path = tmp_path / "rbm.npz"
    save_model(path, make_rbm())
    arrays, settings = load_arrays(path)
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    save_arrays(path, arrays, settings)
    with pytest.raises(ValueError, match=message):
        load_rbm(path)


def test_one_kind_of_model_is_not_the_other(double, make_rbm, tmp_path):
    save_model(tmp_path / "rbm.npz", make_rbm())
    save_model(tmp_path / "dbn.npz", DBN(np.random.RandomState(0), None, 4, [3], 2))
    with pytest.raises(ValueError, match=r"no deep belief network, but W, hbias, vbias"):
        load_dbn(tmp_path / "rbm.npz")
    with pytest.raises(ValueError, match="W is missing"):
        load_rbm(tmp_path / "dbn.npz")
    arrays, settings = load_arrays(tmp_path / "dbn.npz")
    save_arrays(tmp_path / "dbn.npz", arrays | {"hbias_0": np.zeros(2)}, settings)
    with pytest.raises(ValueError, match=r"hbias_0 is of shape \(2,\), not \(3,\)"):
        load_dbn(tmp_path / "dbn.npz")
