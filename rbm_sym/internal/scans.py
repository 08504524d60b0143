"""What rewrites of scans share."""

import dataclasses

import pytensor.tensor as pt
from pytensor.scan.op import Scan


def inner_graph(op):
    """A copy of a scan's inner graph."""
    # PyTensor 3.3 keeps inner graphs frozen.
    return op.fgraph.unfreeze() if hasattr(op.fgraph, "unfreeze") else op.fgraph.clone()


def changed(op, inputs, outputs, **counts):
    """A scan with this inner graph instead, and these fields of its `info` changed."""
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
    """Whether a state is a tensor: it may be a random number generator, too."""
    return isinstance(state.type, pt.TensorType)
