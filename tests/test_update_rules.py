"""Update rules against the same recursions in NumPy; the centered gradient against enumeration."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from enumeration import EnumeratedRBM

from rbm_sym.update_rules import (
    centered,
    falling_to_zero,
    gradient_descent,
    momentum,
    moving_average,
    nesterov,
    weight_decay,
)

PYTHON = "FAST_COMPILE"
TARGET = np.array([[1.0, -2.0], [0.5, 3.0]])
LEARNING_RATE = 0.1


def quadratic():
    """A parameter W, and the gradient of Σ (W - TARGET)² / 2, far from trivial after one step."""
    W = pytensor.shared(np.zeros((2, 2)), name="W")
    return W, W - TARGET


def path(updates, W, n_updates=5):
    """W after each update."""
    function = pytensor.function([], updates=updates, mode=PYTHON)
    values = []
    for _ in range(n_updates):
        function()
        values.append(W.get_value())
    return values


def test_gradient_descent(double):
    W, gradient = quadratic()
    expected = [(1 - 0.9**t) * TARGET for t in range(1, 6)]
    np.testing.assert_allclose(path(gradient_descent([W], [gradient], LEARNING_RATE), W), expected)


@pytest.mark.parametrize("rule", [momentum, nesterov])
def test_momentum(double, rule):
    """Nesterov's W is the point ahead: where plain momentum would be with one more push."""
    W, gradient = quadratic()
    found = path(rule([W], [gradient], LEARNING_RATE, coefficient=0.8), W)
    w, velocity, expected = 0, 0, []
    for _ in range(5):
        step = LEARNING_RATE * (w - TARGET)
        velocity = 0.8 * velocity - step
        w = w + (velocity if rule is momentum else 0.8 * velocity - step)
        expected.append(w)
    np.testing.assert_allclose(found, expected)


def test_nesterov_is_the_lookahead_form(double):
    """x ← x + m with the gradient at x + coefficient m, seen from y = x + coefficient m."""
    W, gradient = quadratic()
    found = path(nesterov([W], [gradient], LEARNING_RATE, coefficient=0.8), W)
    x, velocity = 0, 0
    for y in found:
        velocity = 0.8 * velocity - LEARNING_RATE * (x + 0.8 * velocity - TARGET)
        x = x + velocity
        np.testing.assert_allclose(y, x + 0.8 * velocity)


def test_weight_decay_pulls_at_the_weights_alone(double):
    W, gradient = quadratic()
    bias = pytensor.shared(np.ones(2), name="bias")
    of_W, of_bias = weight_decay([W, bias], [gradient, bias * 2], 0.01, of=[W])
    W.set_value(TARGET)
    np.testing.assert_allclose(of_W.eval(), 0.01 * TARGET)
    assert of_bias.eval().tolist() == [2, 2]


def test_moving_average(double):
    W, gradient = quadratic()
    updates = gradient_descent([W], [gradient], LEARNING_RATE)
    average = moving_average(updates[W], np.ones((2, 2)), 0.75, updates)
    expected, averages = np.ones((2, 2)), []
    function = pytensor.function([], average, updates=updates, mode=PYTHON)
    for _ in range(3):
        averages.append(function())
        np.testing.assert_allclose(averages[-1], expected)
        expected = 0.75 * expected + 0.25 * W.get_value()
    np.testing.assert_allclose(average.get_value(), expected)


def test_learning_rate_falls_to_zero_and_stays_there(double):
    updates = {}
    lr = falling_to_zero(0.2, 4, updates)
    function = pytensor.function([], lr, updates=updates, mode=PYTHON)
    np.testing.assert_allclose([function() for _ in range(6)], [0.2, 0.15, 0.1, 0.05, 0, 0])


def test_parts_combine(double):
    """All at once, as in the module's docstring, with symbolic numbers."""
    W, gradient = quadratic()
    updates = {}
    lr = falling_to_zero(pytensor.shared(0.2), 5, updates)
    gradients = weight_decay([W], [gradient], pytensor.shared(0.1), of=[W])
    updates |= momentum([W], gradients, lr, pytensor.shared(0.5))
    average = moving_average(updates[W], W.get_value(), 0.9, updates)
    found = path(updates, W)
    w, velocity, mean = np.zeros((2, 2)), 0, np.zeros((2, 2))
    for t in range(5):
        velocity = 0.5 * velocity - 0.2 * (1 - t / 5) * (w - TARGET + 0.1 * w)
        w = w + velocity
        mean = 0.9 * mean + 0.1 * w
        np.testing.assert_allclose(found[t], w)
    np.testing.assert_allclose(average.get_value(), mean)


def test_rules_keep_floatX(floatX):  # noqa: N802
    W = pytensor.shared(np.zeros((2, 2), floatX), name="W")
    updates = {}
    lr = falling_to_zero(0.2, 4, updates)
    gradients = weight_decay([W], [W - np.ones((2, 2), floatX)], 0.1, of=[W])
    for rule in (gradient_descent, momentum, nesterov):
        updates |= rule([W], gradients, lr)
        moving_average(updates[W], W.get_value(), 0.9, updates)
        pytensor.function([], updates=updates, mode=PYTHON)()
    means = np.full(2, 0.5), pytensor.shared(np.full(2, 0.5))
    gradients = centered([W, W[0], W[0]], *means)
    assert {gradient.dtype for gradient in gradients} == {floatX}
    assert {new.dtype for variable, new in updates.items() if variable.dtype != "int64"} == {floatX}


MU, LAM = np.array([0.2, 0.9, 0.4]), np.array([0.7, 0.3])


def test_centered_gradient_is_that_of_the_centered_parameters(double, make_rbm):
    """Of the exact log-likelihood, by differences.

        E(v, h) = -b̃'(v - μ) - c̃'(h - λ) - (v - μ)'W(h - λ)

    In these parameters b = b̃ - Wλ and c = c̃ - W'μ. A step along the gradient in W, b̃ and c̃ moves
    W, b and c as `centered` says.
    """
    W, c, b = (param.get_value() for param in make_rbm(n_visible=3, n_hidden=2).params)
    data = np.array([[0, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0.0]])

    def likelihood(W, c_tilde, b_tilde):
        model = EnumeratedRBM(W, c_tilde - W.T @ MU, b_tilde - W @ LAM)
        return model.mean_log_likelihood(data)

    def difference_quotients(function, arguments, step=1e-6):
        for i, argument in enumerate(arguments):
            gradient = np.zeros_like(argument)
            for place in np.ndindex(argument.shape):
                moved = [a.copy() for a in arguments]
                moved[i][place] += step
                above = function(*moved)
                moved[i][place] -= 2 * step
                gradient[place] = (above - function(*moved)) / (2 * step)
            yield gradient

    plain = difference_quotients(lambda *p: EnumeratedRBM(*p).mean_log_likelihood(data), [W, c, b])
    found = [g.eval() for g in centered([pt.as_tensor(g) for g in plain], MU, LAM)]
    of_W, of_c, of_b = difference_quotients(likelihood, [W, c + W.T @ MU, b + W @ LAM])
    expected = [of_W, of_c - of_W.T @ MU, of_b - of_W @ LAM]
    for found_one, expected_one in zip(found, expected, strict=True):
        np.testing.assert_allclose(found_one, expected_one, atol=1e-8)


def test_centered_gradient_does_not_see_which_state_is_called_one(double, make_rbm):
    """Flip a visible unit in data and model, and the means with it: the same step results.

    With v_1 replaced by 1 - v_1: W_1 and b_1 change sign and c gains W_1. (The plain gradient's
    step depends on it.)
    """
    rbm = make_rbm(n_visible=3, n_hidden=2)
    W, c, b = (param.get_value() for param in rbm.params)
    data = np.array([[0, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0.0]])
    flip = np.array([-1.0, 1, 1])

    def step(W, c, b, data, mu):
        model = EnumeratedRBM(W, c, b)
        means = [1 / (1 + np.exp(-(v @ W + c))) for v in (data, model.visible)]
        gradients = [
            model.visible.T @ (model.p_visible[:, None] * means[1]) - data.T @ means[0] / 4,
            model.p_visible @ means[1] - means[0].mean(axis=0),
            model.p_visible @ model.visible - data.mean(axis=0),
        ]
        moves = centered([pt.as_tensor(g) for g in gradients], mu, LAM)
        return [p - 0.1 * move.eval() for p, move in zip((W, c, b), moves, strict=True)]

    W1, c1, b1 = step(W, c, b, data, MU)
    flipped = (W * flip[:, None], c + W[0], b * flip)
    W2, c2, b2 = step(*flipped, np.abs(data - [1, 0, 0]), np.abs(MU - [1, 0, 0]))
    np.testing.assert_allclose([*W2.ravel(), *b2], [*(W1 * flip[:, None]).ravel(), *(b1 * flip)])
    np.testing.assert_allclose(c2, c1 + W1[0])


def test_wrong_arguments_are_named(double):
    W, gradient = quadratic()
    cases = [
        (lambda: gradient_descent([W], [], 0.1), ValueError, "gradients: one for each of the 1"),
        (lambda: gradient_descent([gradient], [gradient], 0.1), TypeError, r"params\[0\]: a sh"),
        (lambda: gradient_descent([W], [gradient], 0), ValueError, "lr: .*not 0"),
        (lambda: gradient_descent([W, W], [W, W], 0.1), ValueError, "params: .*twice"),
        (lambda: centered([W, W], 0, 0), ValueError, "gradients: those of W, hbias and vbias.* 2"),
        (lambda: weight_decay([W], [gradient], 1, of=W), TypeError, "of: a list"),
        (lambda: falling_to_zero(0.1, pt.lvector(), {}), TypeError, "n_updates: an integer scalar"),
        (lambda: falling_to_zero(0.1, pt.dscalar(), {}), TypeError, "n_updates: an integer scalar"),
        (lambda: momentum([W], [gradient], 0.1, 1), ValueError, "coefficient: .*not 1"),
        (lambda: momentum([W], [gradient], 0.1, "x"), TypeError, "coefficient: .*not 'x'"),
        (lambda: weight_decay([W], [gradient], -1, of=[W]), ValueError, "rate: .*not -1"),
        (lambda: weight_decay([W], [gradient], 1, of=[gradient]), ValueError, "of: .*none of par"),
        (lambda: moving_average(W, 0, float("nan"), {}), ValueError, "decay: .*not nan"),
        (lambda: moving_average(W, 0, pt.dvector(), {}), TypeError, "decay: a scalar"),
        (lambda: falling_to_zero(0.1, 0, {}), ValueError, "n_updates: .*not 0"),
    ]  # fmt: skip
    for call, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
