"""What the rewrites of scans share."""

import dataclasses

import pytensor.tensor as pt
from pytensor.scan.op import Scan


def inner_graph(op):
    """A copy of a scan's inner graph."""
    # PyTensor 3.3 keeps inner graphs frozen.
    return op.fgraph.unfreeze() if hasattr(op.fgraph, "unfreeze") else op.fgraph.clone()


def changed(op, inputs, outputs, **counts):
    """The scan `op` with another inner graph, and with these fields of its `info` changed."""
    return Scan(
        list(inputs),
        list(outputs),
        dataclasses.replace(op.info, **counts),
        mode=op.mode,
        profile=op.profile,
        truncate_gradient=op.truncate_gradient,
        name=op.name,
        allow_gc=op.allow_gc,
    )


def is_tensor(state):
    """Whether a scan's state is a tensor; it may also be a random number generator."""
    return isinstance(state.type, pt.TensorType)
