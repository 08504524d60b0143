"""The minibatch loop over a compiled training function, and when to stop."""

from math import ceil

import numpy as np

from rbm_sym.arguments import check_count

UPDATES_BETWEEN_LOOKS = 100
DIVERGED = "training has diverged; take a smaller learning rate"


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


def compile_now(function, updates, arguments=(0,)):
    """Call a compiled function once and take its effect back.

    PyTensor turns a function into machine code at its first call. Made here, that call does not
    count as training.

    Parameters
    ----------
    function : compiled function
    updates : dict whose keys are all shared variables that `function` changes
    arguments : of the call; by default the first minibatch's index
    """
    before = {variable: variable.get_value() for variable in updates}
    function(*arguments)
    for variable, value in before.items():
        variable.set_value(value, borrow=True)


def run_epoch(update, n_batches, after_update=None, watched=(), costs=None, first=0):
    """Call `update` for every minibatch, in order.

    Parameters
    ----------
    update : function from the minibatch's index, 0 to n_batches - 1, to its monitoring cost
    n_batches : int
    after_update : function of the cost, called after each update, or None
    watched : shared variables, usually the parameters, which must stay finite: they are looked at
        every 100 updates and at the end
    costs : (n_batches,) array that gets the costs, one after each update; a new one for None
    first : int, the minibatch to begin with

    Returns
    -------
    (n_batches,) float64, or `costs`: the costs

    Raises
    ------
    FloatingPointError
        if a cost or a watched variable is infinite or not a number: training has diverged
    """
    costs = np.empty(n_batches) if costs is None else costs
    for index in range(first, n_batches):
        costs[index] = update(index)
        if not np.isfinite(costs[index]):
            raise FloatingPointError(f"the cost of minibatch {index} is {costs[index]}: {DIVERGED}")
        if (index + 1) % UPDATES_BETWEEN_LOOKS == 0 or index + 1 == n_batches:
            check_finite(watched)
        if after_update is not None:
            after_update(costs[index])
    return costs


def check_finite(variables):
    """Raise unless all numbers in shared variables are finite.

    Raises
    ------
    FloatingPointError
        naming the first variable with an infinite or undefined number
    """
    for variable in variables:
        if not np.isfinite(variable.get_value(borrow=True)).all():
            raise FloatingPointError(
                f"{variable.name} holds infinite or undefined numbers: {DIVERGED}"
            )


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
