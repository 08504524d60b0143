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
from pytensor.tensor.variable import TensorVariable

# Where Theano's sigmoid of a double becomes 1.
LIMIT = 19


def sigmoid(x: TensorVariable) -> TensorVariable:
    """1 / (1 + exp(-x)), elementwise, in [0, 1]; the derivative is 0 above the limit."""
    return _limited(x, 1, pt.sigmoid(x))


def softplus(x: TensorVariable) -> TensorVariable:
    """log(1 + exp(x)), elementwise, without overflow; the derivative is `sigmoid`."""
    return _limited(x, x, pt.softplus(x))


def log_sigmoid(x: TensorVariable) -> TensorVariable:
    """log(sigmoid(x)), elementwise, without underflow."""
    return -softplus(-x)


def _limited(x, above, below):
    return pt.switch(x > LIMIT, above, below) if below.dtype == "float64" else below
