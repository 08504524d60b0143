"""The logistic function and its integral, with the limit of Theano's.

In float64 both are the textbook's up to a limit. Above it, sigmoid(x) is exactly 1 and softplus(x)
exactly x: off by less than 6e-9, which no learning can feel. But it is millions of times larger
than a rounding error, and decides how long a run stays on the path that Theano took from the same
seed. Theano's softplus, whose value acts on no sample and no gradient, was cut off above 16 already
and was off by 1e-7; here it is as near to the truth as its derivative, the sigmoid, allows.

In float32 there is no limit. Theano's, 15, is 3e-7 off, but there rounding leaves Theano's path
after some thirty updates with it as without it.
"""

import pytensor.tensor as pt

# Where Theano's sigmoid of a double becomes 1.
LIMIT = 19


def sigmoid(x):
    """1 / (1 + exp(-x)), elementwise, in [0, 1]; the derivative is 0 above the limit.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.logistic import sigmoid
    >>> sigmoid(np.array([0.0, 20.0])).eval()
    array([0.5, 1. ])
    """
    return _limited(x, 1, pt.sigmoid(x))


def softplus(x):
    """log(1 + exp(x)), elementwise, without overflow; the derivative is `sigmoid`.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.logistic import softplus
    >>> softplus(np.array([0.0, 100.0])).eval().round(3)
    array([  0.693, 100.   ])
    """
    return _limited(x, x, pt.softplus(x))


def log_sigmoid(x):
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
