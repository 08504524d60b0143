"""The layers of a perceptron against NumPy, and what they refuse."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from enumeration import sigmoid

import rbm_sym.logistic
from rbm_sym.mlp import HiddenLayer, LogisticRegression

PYTHON = "FAST_COMPILE"


def evaluate(inputs, outputs, *values):
    return pytensor.function(inputs, outputs, mode=PYTHON)(*values)


@pytest.mark.parametrize(
    ("activation", "factor"),
    [(pt.tanh, 1), (pt.sigmoid, 4), (rbm_sym.logistic.sigmoid, 4), (None, 1)],
)
def test_weights_are_the_generators_next_numbers(floatX, activation, factor):
    rng = np.random.RandomState(3)
    layer = HiddenLayer(rng, pt.matrix(), 5, 4, activation=activation)
    expected = np.random.RandomState(3).uniform(-1, 1, size=(5, 4)) * factor * np.sqrt(6 / 9)
    W, b = (param.get_value() for param in layer.params)
    assert W.dtype == b.dtype == floatX
    np.testing.assert_allclose(W, expected, rtol=1e-6 if floatX == "float32" else 1e-14)
    assert b.shape == (4,) and not b.any()


@pytest.mark.parametrize(
    ("activation", "by_hand"),
    [(None, lambda x: x), (pt.tanh, np.tanh), (rbm_sym.logistic.sigmoid, sigmoid)],
)
def test_output_of_a_hidden_layer(floatX, activation, by_hand):
    rng = np.random.RandomState(0)
    W, b = rng.normal(size=(3, 2)).astype(floatX), rng.normal(size=2).astype(floatX)
    x = pt.matrix("x")
    shared = [pytensor.shared(value) for value in (W, b)]
    layer = HiddenLayer(None, x, 3, 2, *shared, activation=activation)
    assert layer.params == shared and layer.input is x
    values = rng.normal(size=(6, 3)).astype(floatX)
    output = evaluate([x], layer.output, values)
    assert output.dtype == floatX
    np.testing.assert_allclose(output, by_hand(values @ W + b), rtol=1e-5)


@pytest.fixture
def classifier(floatX):
    """A LogisticRegression of random parameters, with its input."""
    x = pt.matrix("x")
    layer = LogisticRegression(x, n_in=3, n_out=4)
    assert not any(param.get_value().any() for param in layer.params)
    rng = np.random.RandomState(0)
    layer.W.set_value(rng.normal(size=(3, 4)).astype(floatX))
    layer.b.set_value(rng.normal(size=4).astype(floatX))
    return layer


def test_classes_cost_and_errors(floatX, classifier):
    rng = np.random.RandomState(1)
    x, y = rng.normal(size=(50, 3)).astype(floatX), rng.randint(4, size=50).astype("int32")
    symbolic_y = pt.ivector("y")
    cost, errors = classifier.negative_log_likelihood(symbolic_y), classifier.errors(symbolic_y)
    outputs = [classifier.p_y_given_x, classifier.y_pred, cost, errors]
    p, predicted, cost, errors = evaluate([classifier.input, symbolic_y], outputs, x, y)

    scores = x.astype("float64") @ classifier.W.get_value() + classifier.b.get_value()
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert p.dtype == cost.dtype == floatX
    np.testing.assert_allclose(p, expected, rtol=1e-5)
    assert np.array_equal(predicted, expected.argmax(axis=1))
    np.testing.assert_allclose(cost, -np.log(expected[np.arange(50), y]).mean(), rtol=1e-5)
    assert errors == np.mean(predicted != y) and 0 < errors < 1


def test_gradient_is_of_the_cost(double):
    x = pt.constant(np.random.RandomState(1).normal(size=(5, 3)))
    layer = LogisticRegression(x, n_in=3, n_out=4)
    y = pt.as_tensor(np.array([0, 3, 1, 1, 2], dtype="int32"))
    gradient = evaluate([], pt.grad(layer.negative_log_likelihood(y), layer.b))
    # All classes are equally probable: the mean of P(y | x) minus the one that is right.
    np.testing.assert_allclose(gradient, 0.25 - np.array([1, 2, 1, 1]) / 5, rtol=1e-12)


def test_the_cost_neither_overflows_nor_vanishes(floatX):
    x = pt.constant(np.array([[-1e4], [1e4]], dtype=floatX))
    layer = LogisticRegression(x, n_in=1, n_out=2)
    layer.W.set_value(np.array([[0, 1]], dtype=floatX))
    for classes, expected in [([0, 1], 0), ([1, 0], 1e4)]:
        y = pt.as_tensor(np.array(classes, dtype="int32"))
        assert evaluate([], layer.negative_log_likelihood(y)) == expected


@pytest.mark.parametrize("mode", [PYTHON, None])
@pytest.mark.parametrize("classes", [[0, 4], [-1, 0]])
def test_a_class_out_of_range_is_found_when_it_is_used(double, mode, classes):
    """Where only the function's call brings it: compiled code would read beside the matrix."""
    layer = LogisticRegression(pt.constant(np.ones((2, 3))), n_in=3, n_out=4)
    y = pt.ivector("y")
    function = pytensor.function([y], layer.negative_log_likelihood(y), mode=mode)
    np.testing.assert_allclose(function(np.array([0, 3], dtype="int32")), np.log(4))
    with pytest.raises(ValueError, match="y: classes from 0 to 3 are needed"):
        function(np.array(classes, dtype="int32"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_in": 0}, ValueError, "n_in: at least 1 unit"),
        ({"n_out": 2.0}, TypeError, "n_out: an integer"),
        ({"rng": np.random.default_rng(0)}, TypeError, "rng: a numpy.random.RandomState"),
        ({"input": np.zeros((2, 3))}, TypeError, "input: .*not ndarray"),
        ({"input": pt.vector()}, ValueError, "input: .*1 dimensions"),
        ({"W": pt.as_tensor(np.zeros((2, 3)))}, ValueError, r"W: .*\(3, 2\).*\(2, 3\)"),
        ({"b": pt.as_tensor(np.zeros(3))}, ValueError, r"b: .*\(2,\).*\(3,\)"),
    ],
)
def test_hidden_layer_refuses(double, arguments, error, message):
    arguments = {"rng": np.random.RandomState(0), "input": pt.matrix(), **arguments}
    with pytest.raises(error, match=message):
        HiddenLayer(**{"n_in": 3, "n_out": 2, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_in": True}, TypeError, "n_in: an integer"),
        ({"n_out": 0}, ValueError, "n_out: at least 1 class"),
        ({"input": pt.imatrix()}, TypeError, "input: .*floatX"),
    ],
)
def test_logistic_regression_refuses(double, arguments, error, message):
    with pytest.raises(error, match=message):
        LogisticRegression(**{"input": pt.matrix(), "n_in": 3, "n_out": 2, **arguments})


@pytest.mark.parametrize("y", [np.zeros(5), pt.vector(), pt.imatrix()])
@pytest.mark.parametrize("method", ["negative_log_likelihood", "errors"])
def test_classes_must_be_a_vector_of_integers(double, method, y):
    layer = LogisticRegression(pt.matrix(), 3, 2)
    with pytest.raises(TypeError, match="y: a vector of integers is needed, not"):
        getattr(layer, method)(y)
