"""Markov chains, unrolled by scan."""

import warnings
from collections.abc import Callable, Sequence
from numbers import Number

import pytensor
import pytensor.tensor as pt
from pytensor.compile import sharedvalue
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.replace import _vectorize_node, clone_replace
from pytensor.raise_op import CheckAndRaise
from pytensor.scan.op import Scan
from pytensor.tensor import TensorLike
from pytensor.tensor.type import TensorType
from pytensor.tensor.variable import TensorVariable

from rbm_sym.internal.arguments import check_symbolic_count
from rbm_sym.internal.types import Count, Updates
from rbm_sym.streams import building, stream_updates
from rbm_sym.streams.draws import Draw, repeated_rows_error


def gibbs_chain(
    step: Callable[..., Variable | Sequence[Variable]],
    chain_start: TensorLike | Sequence[TensorLike | None],
    n_steps: Count | None = None,
    sequences: TensorLike = (),
    non_sequences: TensorLike = (),
    name: str | None = None,
) -> tuple[TensorVariable | list[TensorVariable], Updates]:
    """Run `n_steps` steps of a Markov chain.

    Several threads may call this at once; their chains are built one after the other.

    Parameters
    ----------
    step : function from the chain's state to a variable or a list of variables
        One transition; after the state it gets an entry of each of the sequences, then the
        non-sequences. Its last result is the next state, of the dtype and number of dimensions of
        `chain_start`. It is called exactly once. Every random stream that it draws from must be
        made inside of it: a draw made before would be the same at each step.
    chain_start : tensor, or list of tensors and None
        The state before the first step. A list, as theano.scan's `outputs_info`, has an entry for
        each result of `step`: where that result is a state, its start, elsewhere None. `step` then
        gets the states in this order.
    n_steps : int or integer scalar, at least 1; None takes the length of the first sequence
    sequences : tensor or array, or a list of them
        What differs from step to step, such as a temperature: step t gets entry t along the
        leading axis of each. They must be at least `n_steps` long.
    non_sequences : tensor or array, or a list of them
        Samples that were drawn before and are the same at every step. `step` can use anything else
        without getting it as an argument.
    name : str, of the scan in printed graphs and profiles

    Returns
    -------
    outputs : what `step` returned, over time: the leading axis of each has length `n_steps`
        A list, or one variable where `step` returned one variable. If a program takes only the
        last entry `[-1]` of an output, the others are not stored.
    updates : dict from shared variable to expression
        The states of the streams after the last step, for `pytensor.function`.

    Raises
    ------
    TypeError
        if `step` does not return variables; if a state has another type than its start; if
        `n_steps` is not an integer; if a sequence is a scalar; if an argument is not a tensor
    ValueError
        if `n_steps` is below 1; if `step` draws from a stream that was made outside of it; if it
        does not return a result for each entry of `chain_start`; if none of these is a state

    Examples
    --------
    Ten chains, which each call takes 20 steps further:

    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym import RBM, gibbs_chain
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> chains = pytensor.shared(np.zeros((10, 6)), name="chains")
    >>> outputs, updates = gibbs_chain(rbm.gibbs_vhv, chains, n_steps=20)
    >>> _, _, _, _, v_mean, v_sample = outputs
    >>> updates[chains] = v_sample[-1]
    >>> sample = pytensor.function([], v_mean[-1], updates=updates)
    >>> sample().shape
    (10, 6)
    """
    starts = _starts(chain_start)
    sequences = _sequences(sequences)
    non_sequences = _tensors("non_sequences", non_sequences)
    n_steps = _step_count(n_steps, sequences)
    states = [start.type("chain_state") for start in starts if start is not None]
    entries = [sequence[0].type() for sequence in sequences]
    unchanging = [same.type() for same in non_sequences]
    with building:
        result, made_by_step = _call_once(step, *states, *entries, *unchanging)
        outputs = [result] if isinstance(result, Variable) else _as_list(result)
        if not isinstance(chain_start, list | tuple):
            starts = [None] * (len(outputs) - 1) + starts
        _check_next_states(outputs, starts)
        # For scan, a length that is known to be 1 is part of the state's type.
        outputs = [
            pt.specify_shape(output, start.type.shape)
            if start is not None and 1 in start.type.shape
            else output
            for output, start in zip(outputs, starts, strict=True)
        ]

        step_updates = stream_updates(outputs)
        _check_streams(step_updates, made_by_step)

        # Scan calls a step function with its own variables. Ours has been called already: a second
        # call would make more streams, and all later streams would get other states.
        def step_again(*own_variables):
            ours = [*entries, *states, *step_updates, *unchanging]
            return clone_replace(
                [*outputs, *step_updates.values()], dict(zip(ours, own_variables, strict=True))
            )

        over_time = pytensor.scan(
            step_again,
            sequences=sequences,
            non_sequences=non_sequences,
            outputs_info=[*starts, *step_updates],
            n_steps=n_steps,
            name=name,
            return_list=True,
            return_updates=False,
        )
    updates = {}
    for stream, states_over_time in zip(step_updates, over_time[len(outputs) :], strict=True):
        # PyTensor's own generator states are not stored over time.
        is_traced = isinstance(stream.type, TensorType)
        updates[stream] = states_over_time[-1] if is_traced else states_over_time
        _set_update(stream, updates[stream])
    over_time = over_time[: len(outputs)]
    return (over_time[0] if isinstance(result, Variable) else over_time), updates


def _starts(chain_start):
    """For each entry of `chain_start`, a tensor, or None where a result is not a state."""
    if isinstance(chain_start, list | tuple) and any(isinstance(x, Number) for x in chain_start):
        raise TypeError(
            f"chain_start: a list has a tensor or None for each result of step, not {chain_start}; "
            "make an array of these numbers"
        )
    starts = _tensors_or_none("chain_start", chain_start)
    if all(start is None for start in starts):
        raise ValueError("chain_start: a chain has a state, and no start of one is given")
    return starts


def _sequences(sequences):
    """The sequences as tensors with a leading axis."""
    sequences = _tensors("sequences", sequences)
    for i, sequence in enumerate(sequences):
        if sequence.ndim == 0:
            raise TypeError(f"sequences[{i}]: an entry for each step is needed, not a scalar")
    return sequences


def _step_count(n_steps, sequences):
    """The number of steps; if it is symbolic, its computation raises ValueError below 1."""
    if n_steps is None and sequences:
        n_steps = sequences[0].shape[0]
    check_symbolic_count("n_steps", n_steps, of="step of the chain")
    if not isinstance(n_steps, Variable):
        return n_steps
    at_least_one = CheckAndRaise(ValueError, "n_steps: at least 1 step of the chain is needed")
    return at_least_one(n_steps, pt.ge(n_steps, 1))


def _tensors(argument, values):
    """One value or a list of them, as a list of tensors."""
    tensors = _tensors_or_none(argument, values)
    if None in tensors:
        raise TypeError(f"{argument}[{tensors.index(None)}]: a tensor is needed, not None")
    return tensors


def _tensors_or_none(argument, values):
    """As `_tensors`; None stays None."""
    tensors = []
    for i, value in enumerate(values if isinstance(values, list | tuple) else [values]):
        try:
            tensors.append(None if value is None else pt.as_tensor_variable(value))
        except (TypeError, ValueError, NotImplementedError):
            raise TypeError(
                f"{argument}[{i}]: a tensor or an array is needed, not {value!r}; for the taps of "
                "Theano's dictionaries, keep what came before in a state"
            ) from None
    return tensors


def _call_once(step, *arguments):
    with sharedvalue.collect_new_shareds() as made:
        result = step(*arguments)
    # In a chain inside another, the outer one must know of the streams made here too; the
    # collector above has hidden them from it.
    outer = sharedvalue.__SHARED_CONTEXT__
    if outer is not None:
        outer.extend(made)
    return result, made


def _as_list(result):
    outputs = list(result) if isinstance(result, list | tuple) else []
    if not outputs or not all(isinstance(output, Variable) for output in outputs):
        raise TypeError(f"step: it must return a variable or a list of variables, not {result!r}")
    return outputs


def _check_streams(drawn_from, made_by_step):
    """Raise ValueError if a step draws from a stream that it has not made itself."""
    for stream in drawn_from:
        if stream not in made_by_step:
            raise ValueError(
                f"step: it draws from the stream {stream}, made outside of it or in a "
                "pytensor.scan of its own, so that every step would repeat the draw; call the "
                "stream's method inside step, and gibbs_chain for a chain inside step; a sample "
                "that is meant to be the same at every step is passed in by non_sequences"
            )


def _check_next_states(outputs, starts):
    if len(outputs) != len(starts):
        raise ValueError(
            "chain_start: a list has an entry for each result of step, the start of a state or "
            f"None; results: {len(outputs)}, entries: {len(starts)}"
        )
    for i, (next_state, start) in enumerate(zip(outputs, starts, strict=True)):
        if start is None:
            continue
        found = (getattr(next_state, "dtype", None), getattr(next_state, "ndim", None))
        if found != (start.dtype, start.ndim):
            which = "its last result" if i == len(outputs) - 1 else f"its result number {i}"
            raise TypeError(
                f"step: {which} is the next state of the chain and must be of its start's "
                f"type, {start.type}, not {next_state.type}; a sample's dtype is set where it "
                "is drawn: binomial(..., dtype=pytensor.config.floatX)"
            )


def _set_update(stream, new_state):
    """Let every function that reads the shared variable `stream` move it on to `new_state`.

    On PyTensor's own generators the attribute is deprecated: PyTensor wants users to pass the
    states in and out of every function. Theano's interface has no place for that. A stream is made
    by the call that draws from it, and only this attribute tells functions about it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting default_update is deprecated")
        stream.default_update = new_state


vectorize_any_scan = _vectorize_node.dispatch(Scan)


@_vectorize_node.register(Scan)
def vectorize_scan(op: Scan, node: Apply, *inputs: Variable) -> Apply | Sequence[Variable]:
    """Vectorize a scan as PyTensor does, but refuse it if its step draws random numbers."""
    if any(isinstance(inner.op, Draw) for inner in op.fgraph.toposort()):
        raise repeated_rows_error("a chain")
    return vectorize_any_scan(op, node, *inputs)
