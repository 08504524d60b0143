"""When a function is compiled: before training, not during its first update."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pytensor.compile.sharedvalue import SharedVariable


def compile_now(
    function: Callable,
    updates: Iterable[SharedVariable],
    arguments: Sequence = (0,),
    meanwhile: Mapping[SharedVariable, Any] | tuple[()] = (),
) -> None:
    """Call a compiled function once, and undo its effect.

    PyTensor makes a function's machine code at its first call. If that call is made here, it does
    not count as training, and a signal during it ends the program at once.

    Parameters
    ----------
    function : compiled function
    updates : iterable of all shared variables that `function` changes, such as an update dictionary
    arguments : sequence, the arguments of the call; by default the index of the first minibatch
    meanwhile : dict from other shared variables to their values during the call, such as fewer
        steps of a chain

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.runs import compile_now
    >>> w = pytensor.shared(8.0, name="w")
    >>> updates = {w: 0.9 * w}
    >>> train = pytensor.function([], w, updates=updates)
    >>> compile_now(train, updates, arguments=())
    >>> float(w.get_value())
    8.0
    """
    meanwhile = dict(meanwhile)
    before = {variable: variable.get_value() for variable in [*updates, *meanwhile]}
    try:
        for variable, value in meanwhile.items():
            variable.set_value(value)
        function(*arguments)
    finally:
        for variable, value in before.items():
            variable.set_value(value, borrow=True)
