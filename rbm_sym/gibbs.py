"""Markov chains, unrolled by scan."""

import warnings

import pytensor
import pytensor.tensor as pt
from pytensor.compile import sharedvalue
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.type import TensorType

from rbm_sym.arguments import check_step_count
from rbm_sym.streams import stream_updates


def gibbs_chain(step, chain_start, n_steps=None, sequences=(), non_sequences=()):
    """Run `n_steps` steps of a Markov chain.

    Parameters
    ----------
    step : function from the chain's state to a variable or a list of variables
        One transition; after the state it gets an entry of each of the sequences, then the
        non-sequences. Its last result is the next state, of the dtype and number of dimensions of
        `chain_start`. It is called exactly once. Every random stream that it draws from must be
        made inside of it: a draw made before would be the same at each step.
    chain_start : tensor
        The state before the first step.
    n_steps : int or integer scalar, at least 1; None takes the length of the first sequence
    sequences : list of tensors or arrays
        What differs from step to step, such as a temperature: step t gets entry t along the
        leading axis of each. They must be at least `n_steps` long.
    non_sequences : list of tensors or arrays
        What is the same at every step, where this has to be said: a sample drawn before. Anything
        else `step` may use without being given it.

    Returns
    -------
    outputs : what `step` returned, over time: the leading axis of each has length `n_steps`
        A list, or one variable where `step` returned one variable. A program that takes only
        the last entry `[-1]` of an output does not pay for storing the others.
    updates : dict from shared variable to expression
        The states of the streams after the last step, for `pytensor.function`.

    Raises
    ------
    TypeError
        if `step` returns no variables, or a state of another type than `chain_start`, or
        `n_steps` is no integer, or one of the sequences is a scalar
    ValueError
        if `n_steps` is below 1, or `step` draws from a stream made outside of it
    """
    sequences = [pt.as_tensor_variable(sequence) for sequence in sequences]
    for i, sequence in enumerate(sequences):
        if sequence.ndim == 0:
            raise TypeError(f"sequences[{i}]: an entry for each step is needed, not a scalar")
    if n_steps is None and sequences:
        n_steps = sequences[0].shape[0]
    check_step_count("n_steps", n_steps)
    if isinstance(n_steps, Variable):
        at_least_one = CheckAndRaise(ValueError, "n_steps: at least 1 step of the chain is needed")
        n_steps = at_least_one(n_steps, pt.ge(n_steps, 1))
    chain_start = pt.as_tensor_variable(chain_start)
    state = pt.tensor("chain_state", dtype=chain_start.dtype, shape=(None,) * chain_start.ndim)
    non_sequences = [pt.as_tensor_variable(same) for same in non_sequences]
    entries = [sequence[0].type() for sequence in sequences]
    unchanging = [same.type() for same in non_sequences]
    result, made_by_step = _call_once(step, state, *entries, *unchanging)
    outputs = [result] if isinstance(result, Variable) else _as_list(result)
    _check_next_state(outputs[-1], chain_start)
    if 1 in chain_start.type.shape:
        # To scan, a length of 1 that is known beforehand is part of the state's type.
        outputs[-1] = pt.specify_shape(outputs[-1], chain_start.type.shape)

    step_updates = stream_updates(outputs)
    for stream in step_updates:
        if stream not in made_by_step:
            raise ValueError(
                f"step: it draws from the stream {stream}, made outside of it or in a "
                "pytensor.scan of its own, so that every step would repeat the draw; call the "
                "stream's method inside step, and gibbs_chain for a chain inside step; a sample "
                "that is meant to be the same at every step is passed in by non_sequences"
            )

    # Scan calls a step function with variables of its own. Ours has been called already: a
    # second call would make further streams and shift all that are made after them.
    def step_again(*own_variables):
        return clone_replace(
            [*outputs, *step_updates.values()],
            dict(zip([*entries, state, *step_updates, *unchanging], own_variables, strict=True)),
        )

    over_time = pytensor.scan(
        step_again,
        sequences=sequences,
        non_sequences=non_sequences,
        outputs_info=[None] * (len(outputs) - 1) + [chain_start, *step_updates],
        n_steps=n_steps,
        return_list=True,
        return_updates=False,
    )
    updates = {}
    for stream, states in zip(step_updates, over_time[len(outputs) :], strict=True):
        # PyTensor's own generator states are not stored over time.
        updates[stream] = states[-1] if isinstance(stream.type, TensorType) else states
        _set_update(stream, updates[stream])
    over_time = over_time[: len(outputs)]
    return (over_time[0] if isinstance(result, Variable) else over_time), updates


def _call_once(step, *arguments):
    with sharedvalue.collect_new_shareds() as made:
        result = step(*arguments)
    # A chain inside of a chain: the outer one must hear of the streams made in here, and the
    # collector above has hidden them from its own.
    outer = sharedvalue.__SHARED_CONTEXT__
    if outer is not None:
        outer.extend(made)
    return result, made


def _as_list(result):
    outputs = list(result) if isinstance(result, list | tuple) else []
    if not outputs or not all(isinstance(output, Variable) for output in outputs):
        raise TypeError(f"step: it must return a variable or a list of variables, not {result!r}")
    return outputs


def _check_next_state(next_state, chain_start):
    found = (getattr(next_state, "dtype", None), getattr(next_state, "ndim", None))
    if found != (chain_start.dtype, chain_start.ndim):
        raise TypeError(
            f"step: its last result is the next state of the chain and must be of its start's "
            f"type, {chain_start.type}, not {next_state.type}; a sample's dtype is set where it "
            "is drawn: binomial(..., dtype=pytensor.config.floatX)"
        )


def _set_update(stream, new_state):
    """Let every function that reads the shared variable `stream` move it on to `new_state`.

    On PyTensor's own generators the attribute is deprecated, since PyTensor means to have them
    passed in and out of every function by hand. Theano's interface has no place for that: a
    stream is made where it is drawn from, and only this attribute tells functions about it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting default_update is deprecated")
        stream.default_update = new_state
