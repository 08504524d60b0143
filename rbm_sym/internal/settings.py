"""Settings of a graph, such as its learning rate, that do not become part of the compiled code."""

import numpy as np
import pytensor
from pytensor.graph.basic import Variable


def shared_setting(name, value, dtype):
    """A number as a shared variable; a variable stays as it is.

    A number in a graph would be part of the compiled code, and another value would need a new
    compilation.
    """
    if isinstance(value, Variable):
        return value
    return pytensor.shared(np.asarray(value, dtype=dtype), name=name)
