"""The logistic function and its integral, with Theano's limit.

In float64 both are the textbook's up to a limit. Above it, sigmoid(x) is exactly 1 and softplus(x)
exactly x. The error, less than 6e-9, makes no difference to learning. But it is millions of times
larger than a rounding error, and decides how long a run agrees with Theano's from the same seed.
Theano's softplus had another limit, 16, with an error of 1e-7; its value acts on no sample and no
gradient. Here it is as exact as its derivative, the sigmoid, allows.

In float32 there is no limit. Theano's, 15, has an error of 3e-7. But with it or without it,
rounding makes a run differ from Theano's after some thirty updates.
"""

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

# Where Theano's sigmoid of a double becomes 1.
LIMIT = 19


def sigmoid(x: TensorVariable) -> TensorVariable:
    """1 / (1 + exp(-x)), elementwise, in [0, 1]; the derivative is 0 above the limit.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.logistic import sigmoid
    >>> sigmoid(np.array([0.0, 20.0])).eval()
    array([0.5, 1. ])
    """
    return _limited(x, 1, pt.sigmoid(x))


def softplus(x: TensorVariable) -> TensorVariable:
    """log(1 + exp(x)), elementwise, without overflow; the derivative is `sigmoid`.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.logistic import softplus
    >>> softplus(np.array([0.0, 100.0])).eval().round(3)
    array([  0.693, 100.   ])
    """
    return _limited(x, x, pt.softplus(x))


def log_sigmoid(x: TensorVariable) -> TensorVariable:
    """log(sigmoid(x)), elementwise, without underflow.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.logistic import log_sigmoid
    >>> log_sigmoid(np.array([0.0, -100.0])).eval().round(3)
    array([  -0.693, -100.   ])
    """
    return -softplus(-x)


def _limited(x, above, below):
    return pt.switch(x > LIMIT, above, below) if below.dtype == "float64" else below
