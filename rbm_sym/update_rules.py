"""Update rules: how parameters change with their gradients.

A rule is a function from (parameters, gradients, learning rate) to a dict from shared variable to
expression, for `pytensor.function`. Further functions change the gradients first, set the learning
rate, or average the parameters. All of them can be combined:

    gradients = weight_decay(params, gradients, 1e-4, of=[W])
    lr = falling_to_zero(0.05, n_updates, updates)
    updates |= momentum(params, gradients, lr)
    averages = [moving_average(updates[p], p.get_value(), 0.999, updates) for p in params]

A function that takes `updates` adds to it what it has to remember from one update to the next, as
the tutorial's `get_pseudo_likelihood_cost(updates)` does.
"""

from collections.abc import Sequence

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pytensor.graph.basic import Variable
from pytensor.tensor import TensorLike
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.variable import TensorVariable

from rbm_sym.internal.arguments import (
    check_learning_rate,
    check_number,
    check_shared,
    check_symbolic_count,
)
from rbm_sym.internal.types import Count, Scalar, Updates


def gradient_descent(
    params: Sequence[TensorSharedVariable],
    gradients: Sequence[TensorVariable],
    lr: Scalar,
) -> Updates:
    """θ ← θ - lr g, the tutorial's rule.

    Parameters
    ----------
    params : list of shared variables
    gradients : list of expressions, one for each, of its shape and dtype
    lr : number above 0, or symbolic scalar
        Learning rate.

    Returns
    -------
    dict from shared variable to expression

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.update_rules import gradient_descent
    >>> w = pytensor.shared(np.array([1.0, -2.0]), name="w")
    >>> updates = gradient_descent([w], [pt.grad(pt.sum(w**2), w)], lr=0.1)
    >>> updates[w].eval()
    array([ 0.8, -1.6])
    """
    return {param: param - step for param, step in _steps(params, gradients, lr)}


def momentum(
    params: Sequence[TensorSharedVariable],
    gradients: Sequence[TensorVariable],
    lr: Scalar,
    coefficient: Scalar = 0.9,
) -> Updates:
    """m ← coefficient m - lr g, θ ← θ + m  (Polyak 1964).

    As `gradient_descent`; `coefficient` is a number in [0, 1) or a symbolic scalar. Each parameter
    has its own m, which starts at 0.

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.update_rules import momentum
    >>> w = pytensor.shared(1.0, name="w")
    >>> updates = momentum([w], [2 * w], lr=0.1, coefficient=0.5)
    >>> train = pytensor.function([], [], updates=updates)
    >>> for _ in range(2):
    ...     _ = train()
    >>> round(float(w.get_value()), 6)
    0.54
    """
    coefficient = _fraction("coefficient", coefficient)
    updates = {}
    for param, step in _steps(params, gradients, lr):
        velocity = _velocity(param)
        updates[velocity] = coefficient * velocity - step
        updates[param] = param + updates[velocity]
    return updates


def nesterov(
    params: Sequence[TensorSharedVariable],
    gradients: Sequence[TensorVariable],
    lr: Scalar,
    coefficient: Scalar = 0.9,
) -> Updates:
    """m ← coefficient m - lr g, θ ← θ + coefficient m - lr g, with the new m  (Nesterov 1983).

    As `momentum`. The parameters θ are those at the point ahead, where the gradient is computed
    (Sutskever et al. 2013).

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.update_rules import nesterov
    >>> w = pytensor.shared(1.0, name="w")
    >>> updates = nesterov([w], [2 * w], lr=0.1, coefficient=0.5)
    >>> round(float(updates[w].eval()), 6)
    0.7
    """
    coefficient = _fraction("coefficient", coefficient)
    updates = {}
    for param, step in _steps(params, gradients, lr):
        velocity = _velocity(param)
        updates[velocity] = coefficient * velocity - step
        updates[param] = param + coefficient * updates[velocity] - step
    return updates


def weight_decay(
    params: Sequence[TensorSharedVariable],
    gradients: Sequence[TensorVariable],
    rate: Scalar,
    of: Sequence[TensorSharedVariable],
) -> list[TensorVariable]:
    """g + rate θ for the parameters in `of`, g for the others.

    This adds the gradient of rate / 2 Σ θ² over the parameters in `of`.

    Parameters
    ----------
    params, gradients : as for `gradient_descent`
    rate : number of at least 0, or symbolic scalar
    of : list of the parameters that decay: usually the weights, not the biases

    Returns
    -------
    list of expressions: the gradients to descend

    Examples
    --------
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.update_rules import weight_decay
    >>> W, bias = pytensor.shared(2.0, name="W"), pytensor.shared(3.0, name="bias")
    >>> gradients = [pt.constant(0.5), pt.constant(0.5)]
    >>> of_W, of_bias = weight_decay([W, bias], gradients, rate=0.1, of=[W])
    >>> round(float(of_W.eval()), 6), round(float(of_bias.eval()), 6)
    (0.7, 0.5)
    """
    _check_gradients(params, gradients)
    check_number("rate", rate, least=0)
    if not isinstance(of, list | tuple):
        raise TypeError(f"of: a list of parameters is needed, not {of!r}")
    for param in of:
        if param not in params:
            raise ValueError(f"of: {param} is none of params, {params}; take some of these")
    return [
        gradient + _in_floatX(rate) * param if param in of else gradient
        for param, gradient in zip(params, gradients, strict=True)
    ]


def centered(
    gradients: Sequence[TensorVariable], visible_mean: TensorLike, hidden_mean: TensorLike
) -> list[TensorVariable]:
    """The centered gradient of an RBM, from that of its W, hbias and vbias.

    It is the gradient in the parameters of the same RBM written with v - μ for v and h - λ for h.
    It does not depend on which of a unit's two states is called 1:

        ∇W - μ ∇c' - ∇b λ',    ∇c - (∇W centered)'μ,    ∇b - (∇W centered) λ

    (Montavon and Müller 2012; Cho, Raiko and Ilin 2011; Melchior, Fischer and Wiskott 2016, whose
    μ and λ are moving averages over data and model.)

    Parameters
    ----------
    gradients : list of the gradients of W (n_visible, n_hidden), hbias and vbias
    visible_mean, hidden_mean : tensors or arrays, μ (n_visible,) and λ (n_hidden,)
        Usually the mean states of the units. Whatever they are, small steps raise the likelihood.

    Returns
    -------
    list of three expressions, in the same order

    Raises
    ------
    ValueError
        if there are not three gradients

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.update_rules import centered
    >>> gradients = [pt.constant(np.ones(shape)) for shape in [(3, 2), 2, 3]]
    >>> of_W, of_hbias, of_vbias = centered(gradients, np.full(3, 0.5), np.full(2, 0.2))
    >>> of_W.eval().round(6)
    array([[0.3, 0.3],
           [0.3, 0.3],
           [0.3, 0.3]])
    """
    if len(gradients) != 3:
        raise ValueError(
            f"gradients: those of W, hbias and vbias are needed, not {len(gradients)}; pass on the "
            "others as they are"
        )
    of_W, of_hbias, of_vbias = gradients
    visible_mean, hidden_mean = map(_in_floatX, (visible_mean, hidden_mean))
    of_W = of_W - pt.outer(visible_mean, of_hbias) - pt.outer(of_vbias, hidden_mean)
    return [of_W, of_hbias - pt.dot(visible_mean, of_W), of_vbias - pt.dot(of_W, hidden_mean)]


def moving_average(
    expression: Variable, start: ArrayLike, decay: Scalar, updates: Updates
) -> TensorSharedVariable:
    """a ← decay a + (1 - decay) expression, as a shared variable.

    Parameters
    ----------
    expression : floatX tensor
    start : array of its shape
    decay : number in [0, 1), or symbolic scalar: the nearer to 1, the longer the memory
    updates : dict for the training function; the new average is added

    Returns
    -------
    shared floatX variable, the average; in a graph, its value before the update

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.update_rules import moving_average
    >>> updates = {}
    >>> average = moving_average(pt.constant(np.ones(2)), np.zeros(2), 0.9, updates)
    >>> updates[average].eval()
    array([0.1, 0.1])
    """
    decay = _fraction("decay", decay)
    average = pytensor.shared(np.array(start, dtype=pytensor.config.floatX), name="average")
    updates[average] = decay * average + (1 - decay) * expression
    return average


def falling_to_zero(lr: Scalar, n_updates: Count, updates: Updates) -> TensorVariable:
    """lr (1 - t / n_updates) at update t = 0, 1, …, then 0: a symbolic floatX scalar.

    Parameters
    ----------
    lr : number above 0, or symbolic scalar
    n_updates : int, at least 1, or integer scalar
    updates : dict for the training function; the count t, a shared int64, is added

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.update_rules import falling_to_zero
    >>> updates = {}
    >>> lr = falling_to_zero(0.5, 4, updates)
    >>> rate_of_update = pytensor.function([], lr, updates=updates)
    >>> [float(rate_of_update()) for _ in range(5)]
    [0.5, 0.375, 0.25, 0.125, 0.0]
    """
    check_learning_rate("lr", lr)
    check_symbolic_count("n_updates", n_updates, of="update")
    count = pytensor.shared(np.int64(0), name="n_updates_done")
    updates[count] = count + 1
    return _in_floatX(lr) * _in_floatX(pt.maximum(0, 1 - count / n_updates))


def _steps(params, gradients, lr):
    _check_gradients(params, gradients)
    check_learning_rate("lr", lr)
    lr = _in_floatX(lr)
    return [(p, gradient * lr) for p, gradient in zip(params, gradients, strict=True)]


def _check_gradients(params, gradients):
    for i, param in enumerate(params):
        check_shared(f"params[{i}]", param)
    if len(set(params)) < len(params):
        raise ValueError(f"params: each can be updated only once, and one is there twice: {params}")
    if len(params) != len(gradients):
        raise ValueError(
            f"gradients: one for each of the {len(params)} parameters is needed, not "
            f"{len(gradients)}"
        )


def _velocity(param):
    zeros = np.zeros_like(param.get_value(borrow=True))
    return pytensor.shared(zeros, name=f"velocity_of_{param.name}", borrow=True)


def _fraction(name, value):
    check_number(name, value, least=0, below=1)
    return _in_floatX(value)


def _in_floatX(value):  # noqa: N802 (PyTensor's name)
    return pt.cast(value, pytensor.config.floatX)
