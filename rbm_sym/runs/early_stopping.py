"""Early stopping: when to end training."""

from math import ceil

import numpy as np


class EarlyStopping:
    """Ends training when the validation error has not fallen enough for long enough.

    Training makes at least `patience` updates. If the error falls below `threshold` times the least
    one before, training makes at least `increase` times as many updates as so far. This is the
    tutorial's rule; Prechelt (1998) compares others.

    Parameters
    ----------
    patience : int, at least 1
    increase : number of at least 1
    threshold : number above 0, at most 1

    Attributes
    ----------
    patience : number, the updates to make, as known by now
    least_error : float, the least error that `is_best` has got; infinity at first

    Examples
    --------
    >>> from rbm_sym.runs import EarlyStopping
    >>> stopping = EarlyStopping(patience=100)
    >>> stopping.is_best(n_updates=60, error=0.3)
    True
    >>> stopping.updates_left(60)
    59
    >>> stopping.is_best(n_updates=119, error=0.31)
    False
    >>> stopping.updates_left(119)
    0
    """

    def __init__(self, patience: int, increase: float = 2.0, threshold: float = 0.995) -> None:
        self.patience: float = patience
        self.increase = increase
        self.threshold = threshold
        self.least_error = np.inf

    def is_best(self, n_updates: int, error: float) -> bool:
        """Whether `error`, measured after `n_updates` updates, is the least so far."""
        if not error < self.least_error:
            return False
        if error < self.threshold * self.least_error:
            # The tutorial counts updates from 0.
            self.patience = max(self.patience, self.increase * (n_updates - 1))
        self.least_error = error
        return True

    def updates_left(self, n_updates: int) -> int:
        """How many more updates to make after `n_updates`, as known by now."""
        return max(0, ceil(self.patience) + 1 - n_updates)
