"""A chain in which part of the units are held."""

import pytensor.tensor as pt


def clamped(step, held, values):
    """The step of a chain in which part of the visible units are held.

    The others are then sampled given these: half a picture is completed, or what goes with a label
    is found. If `step` draws units given all others, as Gibbs steps do, and leaves p(v) unchanged,
    the new step leaves p(v | the held units) unchanged.

    Parameters
    ----------
    step : function from the visible units to a variable or a list of which the last is the next
        state, such as `rbm.gibbs_vhv`
    held : boolean tensor or array that broadcasts to the state: which units are held
    values : tensor or array that broadcasts to the state: what they are held at

    Returns
    -------
    function for `gibbs_chain`, with the results of `step`, the last of them clamped
        If `held` or `values` are drawn in the same graph, give both once more to `gibbs_chain`, as
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
            f"held: a boolean mask of the visible units is needed, not a {held.type}; units that "
            "are listed by their numbers make none"
        )

    def clamped_step(state, held=held, values=values):
        def hold(state):
            return pt.switch(held, pt.cast(values, state.dtype), state)

        result = step(hold(state))
        if isinstance(result, list | tuple):
            return [*result[:-1], hold(result[-1])]
        return hold(result)

    return clamped_step
