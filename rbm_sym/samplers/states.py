"""Units with several states."""

import pytensor
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from rbm_sym.streams import Streams


def draw_index(theano_rng: Streams, probabilities: TensorVariable) -> TensorVariable:
    """Draw one of several states for each unit.

    Parameters
    ----------
    theano_rng : MRG_RandomStreams or RandomStreams
    probabilities : floatX tensor of at least two dimensions; they sum to 1 along the last axis

    Returns
    -------
    int64 tensor without the last axis: the index along it, drawn with these probabilities

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor.tensor as pt
    >>> from rbm_sym import MRG_RandomStreams
    >>> from rbm_sym.samplers import draw_index
    >>> probabilities = pt.matrix("probabilities")
    >>> index = draw_index(MRG_RandomStreams(seed=1), probabilities)
    >>> index.eval({probabilities: np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])})
    array([1, 2])
    """
    uniform = theano_rng.uniform(size=tuple(probabilities.shape)[:-1], dtype=pytensor.config.floatX)
    # If rounding leaves the sum below 1, the last state takes the rest.
    passed = uniform[..., None] >= pt.cumsum(probabilities, axis=-1)[..., :-1]
    return pt.sum(passed, axis=-1)
