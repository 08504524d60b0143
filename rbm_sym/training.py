"""The minibatch loop over a compiled training function, and when to stop."""

from math import ceil

import numpy as np

from rbm_sym.arguments import check_count


def count_batches(n_examples, batch_size, of="training examples"):
    """How many whole minibatches there are; the incomplete last one is left out.

    `of` says of what there are `n_examples`.

    Raises
    ------
    TypeError, ValueError
        if `batch_size` is no integer from 1 to `n_examples`
    """
    check_count("batch_size", batch_size, of="example")
    if batch_size > n_examples:
        raise ValueError(f"batch_size: at most the number of {of}, {n_examples}, not {batch_size}")
    return n_examples // batch_size


def compile_now(update, updates):
    """Call `update(0)` once and take its effect back.

    PyTensor turns a function into machine code at its first call. Made here, that call does not
    count as training.

    Parameters
    ----------
    update : compiled function of a minibatch's index
    updates : dict whose keys are all shared variables that `update` changes
    """
    before = {variable: variable.get_value() for variable in updates}
    update(0)
    for variable, value in before.items():
        variable.set_value(value, borrow=True)


def run_epoch(update, n_batches, after_update=None):
    """Call `update` for every minibatch, in order.

    Parameters
    ----------
    update : function from the minibatch's index, 0 to n_batches - 1, to its monitoring cost
    n_batches : int
    after_update : function of the cost, called after each update, or None

    Returns
    -------
    (n_batches,) float64: the costs

    Raises
    ------
    FloatingPointError
        if a cost is infinite or not a number: training has diverged
    """
    costs = np.empty(n_batches)
    for index in range(n_batches):
        costs[index] = update(index)
        if not np.isfinite(costs[index]):
            raise FloatingPointError(
                f"the cost of minibatch {index} is {costs[index]}: training has diverged; take a "
                "smaller learning rate"
            )
        if after_update is not None:
            after_update(costs[index])
    return costs


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
