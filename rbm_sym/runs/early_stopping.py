"""When to stop."""

from math import ceil

import numpy as np


class EarlyStopping:
    """When to stop: once the validation error has not fallen by enough for long enough.

    Training makes `patience` updates. Whenever the error falls below `threshold` times the least
    one before, it is to go on until it has made `increase` times the updates made so far. This is
    the tutorial's rule; Prechelt (1998) compares others.

    Parameters
    ----------
    patience : int, at least 1
    increase : number of at least 1
    threshold : number above 0, at most 1

    Attributes
    ----------
    least_error : of all that `is_best` was told; infinity at first

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

    def __init__(self, patience, increase=2.0, threshold=0.995):
        self.patience = patience
        self.increase = increase
        self.threshold = threshold
        self.least_error = np.inf

    def is_best(self, n_updates, error):
        """Whether `error`, measured after `n_updates` updates, is the least so far."""
        if not error < self.least_error:
            return False
        if error < self.threshold * self.least_error:
            # The tutorial counts updates from 0.
            self.patience = max(self.patience, self.increase * (n_updates - 1))
        self.least_error = error
        return True

    def updates_left(self, n_updates):
        """How many updates are to follow after `n_updates`, as far as is known by now."""
        return max(0, ceil(self.patience) + 1 - n_updates)
