"""Types that many public signatures share."""

from typing import Any

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.variable import TensorVariable

# A setting of a graph, as a number or as a symbolic scalar.
Count = int | np.integer | TensorVariable
Scalar = float | np.floating | TensorVariable

# From a shared variable to the expression of its next value. The keys are Any because a dict's
# type has to name them exactly, and `pytensor.function` names them in another way.
Updates = dict[Any, Variable]

# Examples, one in each row, and the class of each.
LabelledSet = tuple[TensorSharedVariable, TensorVariable]
