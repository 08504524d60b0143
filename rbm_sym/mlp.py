"""Layers of a multilayer perceptron, as in the tutorial's chapters on them."""

from collections.abc import Callable

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor import TensorLike
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import integer_dtypes
from pytensor.tensor.variable import TensorVariable

from rbm_sym.internal.arguments import check_count, check_numpy_rng, check_tensor
from rbm_sym.logistic import sigmoid


class HiddenLayer:
    """Units whose output is activation(x W + b).

    Parameters
    ----------
    rng : numpy.random.RandomState for the weights; not used if W is given
    input : symbolic floatX matrix (batch, n_in)
    n_in, n_out : int, at least 1
    W : symbolic floatX matrix (n_in, n_out), usually shared; None draws it uniformly from
        ±sqrt(6 / (n_in + n_out)), and 4 times that for the sigmoid (Glorot and Bengio 2010)
    b : symbolic floatX vector (n_out,); None makes shared zeros
    activation : function of a tensor, or None for a linear layer. The sigmoid is
        `rbm_sym.logistic.sigmoid` or PyTensor's own.

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Attributes
    ----------
    input, W, b, and `params`, the list [W, b]
    output : floatX (batch, n_out)

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.mlp import HiddenLayer
    >>> layer = HiddenLayer(np.random.RandomState(1), pt.matrix("x"), n_in=6, n_out=4)
    >>> layer.output.eval({layer.input: np.eye(6)[:2]}).shape
    (2, 4)
    """

    def __init__(
        self,
        rng: np.random.RandomState | None,
        input: TensorVariable,
        n_in: int,
        n_out: int,
        W: TensorSharedVariable | None = None,
        b: TensorSharedVariable | None = None,
        activation: Callable[[TensorVariable], TensorVariable] | None = pt.tanh,
    ) -> None:
        check_count("n_in", n_in, of="unit")
        check_count("n_out", n_out, of="unit")
        check_tensor("input", input, (None, n_in))
        floatX = pytensor.config.floatX
        if W is None:
            check_numpy_rng("rng", rng)
            bound = np.sqrt(6.0 / (n_in + n_out))
            initial_W = np.asarray(rng.uniform(low=-bound, high=bound, size=(n_in, n_out)), floatX)
            if activation in (sigmoid, pt.sigmoid):
                initial_W *= 4
            W = pytensor.shared(initial_W, name="W", borrow=True)
        if b is None:
            b = pytensor.shared(np.zeros(n_out, dtype=floatX), name="b", borrow=True)
        check_tensor("W", W, (n_in, n_out))
        check_tensor("b", b, (n_out,))

        self.input = input
        self.W = W
        self.b = b
        linear_output = pt.dot(input, W) + b
        self.output = linear_output if activation is None else activation(linear_output)
        self.params = [W, b]


class LogisticRegression:
    """Classes whose log-probabilities are linear in the input: P(y = i | x) = softmax(x W + b)_i.

    Parameters
    ----------
    input : symbolic floatX matrix (batch, n_in)
    n_in, n_out : int, at least 1; n_out is the number of classes

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Attributes
    ----------
    input, the shared W (n_in, n_out) and b (n_out,), zeros at first, and `params`, the list [W, b]
    p_y_given_x : floatX (batch, n_out), P(y | x)
    y_pred : int64 (batch,), the most probable class

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.mlp import LogisticRegression
    >>> classifier = LogisticRegression(pt.matrix("x"), n_in=6, n_out=4)
    >>> classifier.p_y_given_x.eval({classifier.input: np.eye(6)[:2]})
    array([[0.25, 0.25, 0.25, 0.25],
           [0.25, 0.25, 0.25, 0.25]])
    >>> cost = classifier.negative_log_likelihood(np.array([3, 1]))
    >>> round(float(cost.eval({classifier.input: np.eye(6)[:2]})), 6)
    1.386294
    """

    def __init__(self, input: TensorVariable, n_in: int, n_out: int) -> None:
        check_count("n_in", n_in, of="unit")
        check_count("n_out", n_out, of="class")
        check_tensor("input", input, (None, n_in))
        floatX = pytensor.config.floatX
        self.input = input
        self.n_out = n_out
        self.W = pytensor.shared(np.zeros((n_in, n_out), dtype=floatX), name="W", borrow=True)
        self.b = pytensor.shared(np.zeros(n_out, dtype=floatX), name="b", borrow=True)
        self._pre_softmax = pt.dot(input, self.W) + self.b
        self.p_y_given_x = pt.special.softmax(self._pre_softmax, axis=1)
        self.y_pred = pt.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]

    def negative_log_likelihood(self, y: TensorLike) -> TensorVariable:
        """The mean over the batch of -log P(y | x), a floatX scalar.

        Parameters
        ----------
        y : integer vector (batch,), symbolic or not, of classes from 0 to n_out - 1

        Raises
        ------
        TypeError
            if `y` is not an integer vector
        ValueError
            if one of its classes is out of range; raised when a compiled function is called
        """
        y = _as_classes(y)
        # Compiled code does not check indices. One that is out of range would read memory beside
        # the matrix, and the gradient would overwrite it.
        in_range = pt.all(pt.ge(y, 0) & pt.lt(y, self.n_out))
        y = CheckAndRaise(ValueError, f"y: classes from 0 to {self.n_out - 1} are needed")(
            y, in_range
        )
        log_p_y_given_x = pt.special.log_softmax(self._pre_softmax, axis=1)
        return -pt.mean(log_p_y_given_x[pt.arange(y.shape[0]), y])

    def errors(self, y: TensorLike) -> TensorVariable:
        """The share of the batch whose most probable class is not `y`, a float64 scalar.

        `y` is an integer vector (batch,), symbolic or not; anything else raises TypeError.
        """
        return pt.mean(pt.neq(self.y_pred, _as_classes(y)))


def _as_classes(y):
    y = pt.as_tensor_variable(y)
    if y.ndim != 1 or y.dtype not in integer_dtypes:
        raise TypeError(f"y: a vector of integers is needed, not a {y.type}")
    return y
