"""Results of a scan of which only the last step is read.

What is recognised: a result of a scan of which only the last entry is used, `result[-1]`. Examples
are the negative particles at the end of a Gibbs chain, or the pre-sigmoid activation there.

What takes its place: a state. Each step passes its result to the next one, which ignores it. The
result of the last step remains.

Why it is faster: nothing is stored. PyTensor copies the result of each step into an array over
time. If the shape of the result is used somewhere, this array has all steps, and its memory grows
with their number.

A scan without steps has no last one, and raises IndexError when it runs. (PyTensor alone gives
whatever is in memory there, or an empty array.) In a graph with an `ifelse`, numba computes both
branches, so that the branch that is not chosen could raise this error. There, scans with an unknown
number of steps stay as they are.
"""

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import infer_shape
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.graph.traversal import ancestors
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.raise_op import CheckAndRaise
from pytensor.scan.op import Scan
from pytensor.tensor.basic import get_underlying_scalar_constant_value, infer_static_shape
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.shape import Shape_i
from pytensor.tensor.subtensor import Subtensor, indices_from_subtensor

from rbm_sym.internal.scans import changed, inner_graph, is_tensor
from rbm_sym.link.numba.kernels import numba_version_of

try:
    from pytensor.conditional import IfElse
except ImportError:  # where PyTensor 3.0 has it
    from pytensor.ifelse import IfElse

NO_STEPS = (
    "n_steps: the last step of a scan is asked for, and it has none; n_steps is 0, or a sequence "
    "is empty"
)


class NothingYet(Op):
    """The initial value of a result before the first step: (number of steps, lengths) to an array.

    Its numbers are never read: if there is no step, it raises IndexError. That is what PyTensor's
    own AllocEmpty does not do.
    """

    __props__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype

    def make_node(self, n_steps, *lengths):
        lengths, shape = infer_static_shape(lengths)
        inputs = [pt.cast(x, "int64") for x in (n_steps, *lengths)]
        return Apply(self, inputs, [pt.tensor(dtype=self.dtype, shape=shape)])

    def do_constant_folding(self, fgraph, node):
        # Memory that was not written is not a constant.
        return False

    def perform(self, node, inputs, output_storage):
        n_steps, *lengths = inputs
        if n_steps < 1:
            raise IndexError(NO_STEPS)
        output_storage[0][0] = np.empty(lengths, self.dtype)


@numba_version_of(NothingYet)
def numba_nothing_yet(op, node, **kwargs):
    dtype = np.dtype(op.dtype)
    # Written out: in numba, constant lengths have another type than others, and a tuple of two
    # types cannot be indexed by i.
    names = [f"length_{i}" for i in range(len(node.inputs) - 1)]
    shape = "".join(f"{name}.item(), " for name in names)
    source = f"""
def nothing_yet({", ".join(["n_steps", *names])}):
    if n_steps.item() < 1:
        raise IndexError(NO_STEPS)
    return np.empty(({shape}), dtype)
"""
    namespace = {"np": np, "dtype": dtype, "NO_STEPS": NO_STEPS, "__name__": __name__}
    exec(source, namespace)
    return numba_njit(namespace["nothing_yet"])


@node_rewriter([Scan])
def last_step_only(fgraph, node):
    op, info = node.op, node.op.info
    traces = op.outer_nitsot_outs(node.outputs)
    chosen = [i for i, trace in enumerate(traces) if _only_last_is_read(fgraph, trace)]
    if not chosen or info.n_mit_mot:
        return False
    if not _has_a_step(node.inputs[0]) and any(
        isinstance(n.op, IfElse) for n in fgraph.apply_nodes
    ):
        return False

    inner = inner_graph(op)
    inner_inputs, inner_outputs = list(inner.inputs), list(inner.outputs)
    results = op.inner_nitsot_outs(inner_outputs)
    shapes = _shapes_outside(node, inner_inputs, results)
    chosen = [i for i in chosen if shapes[i] is not None]
    if not chosen:
        return False
    n_steps, sizes = node.inputs[0], op.outer_nitsot(node.inputs)
    handed_on = [results[i] for i in chosen]
    kept = [i for i in range(len(traces)) if i not in chosen]

    # Scan's order of inputs: sequences, traced states, untraced states, non-sequences. Its order of
    # outputs: traced states, traces, untraced states, the condition.
    n_first_inputs = len(inner_inputs) - info.n_non_seqs
    n_first_outputs = len(inner_outputs) - len(traces) - info.n_untraced_sit_sot - info.as_while
    new_inner_inputs = [
        *inner_inputs[:n_first_inputs],
        *(result.type() for result in handed_on),
        *inner_inputs[n_first_inputs:],
    ]
    new_inner_outputs = [
        *inner_outputs[:n_first_outputs],
        *(results[i] for i in kept),
        *op.inner_untraced_sit_sot_outs(inner_outputs),
        *handed_on,
        *inner_outputs[len(inner_outputs) - info.as_while :],
    ]
    n_first_outer = len(node.inputs) - info.n_non_seqs - len(traces)
    new_outer_inputs = [
        *node.inputs[:n_first_outer],
        *(NothingYet(results[i].dtype)(n_steps, *shapes[i]) for i in chosen),
        *(sizes[i] for i in kept),
        *op.outer_non_seqs(node.inputs),
    ]
    new_op = changed(
        op,
        new_inner_inputs,
        new_inner_outputs,
        n_nit_sot=len(kept),
        n_untraced_sit_sot=info.n_untraced_sit_sot + len(chosen),
    )
    new_outputs = new_op(*new_outer_inputs, return_list=True)

    last_steps = new_outputs[len(new_outputs) - len(chosen) :]
    others = new_outputs[: len(new_outputs) - len(chosen)]
    replacements = {"remove": [node]}
    unchanged = [x for x in node.outputs if x not in [traces[i] for i in chosen]]
    replacements |= dict(zip(unchanged, others, strict=True))
    for i, last_step in zip(chosen, last_steps, strict=True):
        for client, _ in fgraph.clients[traces[i]]:
            new = last_step
            if isinstance(client.op, Shape_i):
                new = Shape_i(client.op.i - 1)(last_step)
            elif len(_indices(client)) > 1:
                new = last_step[_indices(client)[1:]]
            replacements[client.outputs[0]] = new
    return replacements


def _has_a_step(n_steps):
    """Whether it is known to be at least 1: a constant, or checked as in `gibbs_chain`."""
    checked = n_steps.owner is not None and isinstance(n_steps.owner.op, CheckAndRaise)
    return checked or (isinstance(n_steps, Constant) and n_steps.data >= 1)


def _only_last_is_read(fgraph, trace):
    clients = fgraph.clients[trace]
    return any(_is_last(client) for client, _ in clients) and all(
        _is_last(client) or (isinstance(client.op, Shape_i) and client.op.i > 0)
        for client, _ in clients
    )


def _is_last(client):
    """Whether this Apply node takes the last entry of its input."""
    if not isinstance(client.op, Subtensor) or isinstance(_indices(client)[0], slice):
        return False
    try:
        return get_underlying_scalar_constant_value(_indices(client)[0]) == -1
    except NotScalarConstantError:
        return False


def _indices(client):
    return indices_from_subtensor(client.inputs[1:], client.op.idx_list)


def _shapes_outside(node, inner_inputs, results):
    """The shapes of a step's results, computed outside of the scan; None if that is impossible."""
    op, info = node.op, node.op.info
    # Inputs that change from step to step have the steps along their first axis.
    stacked = op.outer_seqs(node.inputs)
    for state, taps in zip(op.outer_mitsot(node.inputs), info.mit_sot_in_slices, strict=True):
        stacked = [*stacked, *[state] * len(taps)]
    stacked = [*stacked, *op.outer_sitsot(node.inputs)]
    unstacked = [*op.outer_untraced_sit_sot(node.inputs), *op.outer_non_seqs(node.inputs)]
    input_shapes = [tuple(x.shape)[1:] for x in stacked]
    input_shapes += [tuple(x.shape) if is_tensor(x) else None for x in unstacked]
    shapes = infer_shape(results, inner_inputs, input_shapes)
    # Without checks of lengths: these are made where the results are computed.
    shapes = [shape and [_without_assertion(length) for length in shape] for shape in shapes]

    inside = set(inner_inputs)
    return [None if shape is None or inside & set(ancestors(shape)) else shape for shape in shapes]


def _without_assertion(length):
    asserted = length.owner is not None and isinstance(length.owner.op, CheckAndRaise)
    return length.owner.inputs[0] if asserted else length
