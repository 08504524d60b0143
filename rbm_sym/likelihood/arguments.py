"""The numbers of a model and of examples, checked."""

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from rbm_sym.internal.arguments import check_finite_parameters
from rbm_sym.rbm import check_binary

# float64 numbers that stay in a processor's cache.
NUMBERS_AT_ONCE = 2**17


def parameters_of(rbm):
    """The values of W, hbias and vbias."""
    check_binary("rbm", rbm)
    values = [
        param.get_value(borrow=True) if isinstance(param, SharedVariable) else param.eval()
        for param in (rbm.W, rbm.hbias, rbm.vbias)
    ]
    check_finite_parameters("rbm", values)
    return values


def set_parameters(rbm, values):
    """Set W, hbias and vbias, of any shapes, to copies of these values."""
    for param, value in zip((rbm.W, rbm.hbias, rbm.vbias), values, strict=True):
        param.set_value(value)


def checked_examples(rbm, data):
    """The examples as an array; raises unless they are grey levels, of as many pixels as `rbm`."""
    if isinstance(data, SharedVariable):
        data = data.get_value(borrow=True)
    data = np.asarray(data)
    expected = f"a numeric array of shape (examples, {rbm.n_visible})"
    if data.dtype.kind not in "biuf":
        raise TypeError(f"data: {expected} is needed, not one of {data.dtype}")
    if data.ndim != 2 or data.shape[1] != rbm.n_visible or not len(data):
        raise ValueError(f"data: {expected} is needed, not one of shape {data.shape}")
    if not (data.min() >= 0 and data.max() <= 1):
        raise ValueError(
            f"data: values in [0, 1] are needed, not from {data.min()} to {data.max()}; divide "
            "by the largest"
        )
    return data


def checked_binary(examples):
    """The same examples; raises unless they are zeros and ones."""
    others = examples[(examples != 0) & (examples != 1)]
    if others.size:
        raise ValueError(
            f"data: zeros and ones are needed, for which the RBM has probabilities, not "
            f"{others[0]}; draw them with rbm_sym.datasets.draw_binary"
        )
    return examples
