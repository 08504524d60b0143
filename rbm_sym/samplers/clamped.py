"""A chain in which some of the units are held fixed."""

from collections.abc import Callable, Sequence

import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor import TensorLike
from pytensor.tensor.variable import TensorVariable


def clamped(
    step: Callable[..., Variable | Sequence[Variable]], held: TensorLike, values: TensorLike
) -> Callable[..., TensorVariable | list[TensorVariable]]:
    """The step of a chain in which some of the visible units are held fixed.

    The other units are sampled given these: half a picture is completed, or pictures that go with a
    label are drawn. If `step` draws units given all others, as Gibbs steps do, and leaves p(v)
    unchanged, the new step leaves p(v | the held units) unchanged.

    Parameters
    ----------
    step : function from the visible units to a variable, or to a list whose last entry is the next
        state, such as `rbm.gibbs_vhv`
    held : boolean tensor or array that broadcasts to the state: which units are held
    values : tensor or array that broadcasts to the state: the values of the held units

    Returns
    -------
    function for `gibbs_chain`, with the results of `step`, the last of them clamped
        If `held` or `values` are drawn in the same graph, pass both to `gibbs_chain` too, as
        `non_sequences=[held, values]`.

    Raises
    ------
    TypeError
        if `held` is not boolean

    Examples
    --------
    The first two of four units are held at 1:

    >>> import numpy as np
    >>> from rbm_sym import RBM, gibbs_chain
    >>> from rbm_sym.samplers import clamped
    >>> rbm = RBM(n_visible=4, n_hidden=3)
    >>> held = np.array([True, True, False, False])
    >>> step = clamped(rbm.gibbs_vhv, held, values=np.ones(4))
    >>> outputs, updates = gibbs_chain(step, np.zeros((2, 4)), n_steps=10)
    >>> outputs[-1][-1].eval()[:, :2]
    array([[1., 1.],
           [1., 1.]])
    """
    held = pt.as_tensor_variable(held)
    if held.dtype != "bool":
        raise TypeError(
            f"held: a boolean mask of the visible units is needed, not a {held.type}; make one of "
            "a list of units by setting these to True"
        )

    def clamped_step(state, held=held, values=values):
        def hold(state):
            return pt.switch(held, pt.cast(values, state.dtype), state)

        result = step(hold(state))
        if isinstance(result, list | tuple):
            return [*result[:-1], hold(result[-1])]
        return hold(result)

    return clamped_step
