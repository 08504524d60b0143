"""Sigmoid and softplus against the textbook, and at the limit of Theano's sigmoid."""

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym.logistic import log_sigmoid, sigmoid, softplus


def evaluate(points):
    """Of the points: sigmoid, softplus, log sigmoid and the derivatives of the first two."""
    x = pt.vector(dtype=points.dtype)
    derivatives = [pt.grad(function(x).sum(), x) for function in (sigmoid, softplus)]
    outputs = [sigmoid(x), softplus(x), log_sigmoid(x), *derivatives]
    values = pytensor.function([x], outputs, mode="FAST_COMPILE")(points)
    assert all(value.dtype == points.dtype for value in values)
    return values


def test_they_are_the_textbooks_but_for_the_limits_error(floatX):
    furthest = 80 if floatX == "float32" else 700
    x = np.concatenate([np.linspace(-furthest, furthest, 41), np.linspace(-25, 25, 401)])
    y, integral, logarithm, slope, slope_of_integral = evaluate(x.astype(floatX))
    x = x.astype(floatX).astype("float64")
    exact = np.exp(-np.logaddexp(0, -x))
    error = {"rtol": 6e-9 + 8 * np.finfo(floatX).eps, "atol": 0}
    np.testing.assert_allclose(y, exact, **error)
    np.testing.assert_allclose(integral, np.logaddexp(0, x), **error)
    np.testing.assert_allclose(logarithm, -np.logaddexp(0, -x), **error)
    np.testing.assert_allclose(slope, exact * (1 - exact), rtol=0, atol=error["rtol"])
    np.testing.assert_allclose(slope_of_integral, exact, **error)


def test_nothing_overflows(floatX):
    values = evaluate(np.array([-1e30, 1e30], dtype=floatX))
    expected = [[0, 1], [0, 1e30], [-1e30, 0], [0, 0], [0, 1]]
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=0)


def test_above_the_limit_sigmoid_is_1_and_softplus_is_x():
    x = np.array([18.0, 19.0, np.nextafter(19, 20), 19.5, 30])
    y, integral, _, slope, slope_of_integral = evaluate(x)
    above = x > 19
    assert ((y == 1) == above).all() and ((integral == x) == above).all()
    assert ((slope == 0) == above).all() and ((slope_of_integral == 1) == above).all()
