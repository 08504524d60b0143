"""Results of a scan of which only the last step is read.

What is recognised: a result of a scan whose only use is its last entry, `result[-1]`: the negative
particles at the end of a Gibbs chain, the pre-sigmoid activation of the last step.

What takes its place: a state. Each step hands its result on to the next one, which does not look
at it, and the last step's is what remains.

Why it is faster: nothing is stored. PyTensor copies a result of each step into an array over time,
of all steps where it is asked for the shape of the result, and memory grows with their number.
"""

import numpy as np
import pytensor.tensor as pt
from numba.cpython.unsafe.tuple import tuple_setitem
from pytensor.compile import optdb
from pytensor.compile.builders import infer_shape
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.graph.traversal import ancestors
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.raise_op import CheckAndRaise
from pytensor.scan.op import Scan
from pytensor.tensor.basic import get_underlying_scalar_constant_value
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.shape import Shape_i
from pytensor.tensor.subtensor import Subtensor, indices_from_subtensor

from rbm_sym.rewrites.scans import changed, inner_graph, is_tensor


class NothingYet(Op):
    """What a result is before the first step: an array of these lengths of NaN, integers of zero.

    PyTensor's own Alloc would do, but numba compiles an assignment to a whole array for seconds,
    most of them for the text of its error.
    """

    __props__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype

    def make_node(self, *lengths):
        lengths = [pt.cast(length, "int64") for length in lengths]
        return Apply(self, lengths, [pt.tensor(dtype=self.dtype, shape=(None,) * len(lengths))])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.full(inputs, self.value())

    def value(self):
        dtype = np.dtype(self.dtype)
        return dtype.type(np.nan if dtype.kind == "f" else 0)


@register_funcify_default_op_cache_key(NothingYet)
def numba_nothing_yet(op, node, **kwargs):
    value, ndim = op.value(), len(node.inputs)
    no_shape = (0,) * ndim

    @numba_njit
    def nothing_yet(*lengths):
        shape = no_shape
        for i in range(ndim):
            shape = tuple_setitem(shape, i, lengths[i].item())
        return np.full(shape, value)

    return nothing_yet


@node_rewriter([Scan])
def last_step_only(fgraph, node):
    op, info = node.op, node.op.info
    traces = op.outer_nitsot_outs(node.outputs)
    chosen = [i for i, trace in enumerate(traces) if _only_last_is_read(fgraph, trace)]
    if not chosen or info.n_mit_mot:
        return False

    inner = inner_graph(op)
    inner_inputs, inner_outputs = list(inner.inputs), list(inner.outputs)
    results = op.inner_nitsot_outs(inner_outputs)
    shapes = _shapes_outside(node, inner_inputs, results)
    chosen = [i for i in chosen if shapes[i] is not None]
    if not chosen:
        return False
    sizes = op.outer_nitsot(node.inputs)
    handed_on = [results[i] for i in chosen]
    kept = [i for i in range(len(traces)) if i not in chosen]

    # Scan's order: inputs are sequences, traced states, untraced states, what does not change;
    # outputs are traced states, traces, untraced states, the condition.
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
        # What they are before the first step only shows where there is none.
        *(NothingYet(results[i].dtype)(*shapes[i]) for i in chosen),
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
    """The shapes of a step's results, computed outside of the scan; None where that cannot be."""
    op, info = node.op, node.op.info
    # What changes from step to step has its steps in front.
    stacked = op.outer_seqs(node.inputs)
    for state, taps in zip(op.outer_mitsot(node.inputs), info.mit_sot_in_slices, strict=True):
        stacked = [*stacked, *[state] * len(taps)]
    stacked = [*stacked, *op.outer_sitsot(node.inputs)]
    unstacked = [*op.outer_untraced_sit_sot(node.inputs), *op.outer_non_seqs(node.inputs)]
    input_shapes = [tuple(x.shape)[1:] for x in stacked]
    input_shapes += [tuple(x.shape) if is_tensor(x) else None for x in unstacked]
    shapes = infer_shape(results, inner_inputs, input_shapes)
    # Lengths that should be equal are compared where the results are computed.
    shapes = [shape and [_without_assertion(length) for length in shape] for shape in shapes]

    inside = set(inner_inputs)
    return [None if shape is None or inside & set(ancestors(shape)) else shape for shape in shapes]


def _without_assertion(length):
    asserted = length.owner is not None and isinstance(length.owner.op, CheckAndRaise)
    return length.owner.inputs[0] if asserted else length


# Before PyTensor decides how much of each trace it keeps.
optdb.register(
    "rbm_sym_last_step_only",
    dfs_rewriter(last_step_only, ignore_newtrees=True), "numba", "rbm_sym", position=1.61,
)  # fmt: skip
