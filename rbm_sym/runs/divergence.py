"""Training that has diverged: a cost or a parameter is infinite or undefined."""

from collections.abc import Iterable

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

DIVERGED = "training has diverged; take a smaller learning rate"


def check_finite(variables: Iterable[SharedVariable]) -> None:
    """Raise unless all numbers in shared variables are finite.

    Raises
    ------
    FloatingPointError
        with the name of the first variable that has an infinite or undefined number

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym.runs import check_finite
    >>> check_finite([pytensor.shared(1.0, name="w")])
    >>> check_finite([pytensor.shared(np.inf, name="w")])
    Traceback (most recent call last):
        ...
    FloatingPointError: w holds infinite or undefined numbers: training has diverged; ...
    """
    for variable in variables:
        value = variable.get_value(borrow=True)
        if getattr(value, "dtype", np.dtype(int)).kind == "f" and not np.isfinite(value).all():
            raise FloatingPointError(
                f"{variable.name} holds infinite or undefined numbers: {DIVERGED}"
            )
