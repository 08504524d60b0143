"""Numbers that are spread out over arrays of one element.

What is recognised: arithmetic among arrays all of whose axes have length one, and changes of their
axes: the learning rate, the size of the minibatch, a derivative of the cost, before they are
multiplied with a matrix.

What takes its place: the same arithmetic among numbers, spread out once at the end.

Why it is faster: it is compiled faster, since what is left has half the nodes.
"""

import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.tensor.basic import MakeVector
from pytensor.tensor.elemwise import DimShuffle, Elemwise


def as_number(variable):
    """A variable without axes, equal to the one element of this one; None if none is at hand.

    Arithmetic is not looked into, so that no graph is gone through once for each way through it:
    inputs come before what is made of them, and are numbers then that are spread out.
    """
    if variable.type.ndim == 0:
        return variable
    if not all(variable.type.broadcastable):
        return None
    if isinstance(variable, Constant):
        return pt.constant(variable.data.reshape(()), dtype=variable.dtype)
    node = variable.owner
    if node is None:
        return None
    if isinstance(node.op, DimShuffle | MakeVector) and len(node.inputs) == 1:
        return as_number(node.inputs[0])
    return None


@node_rewriter([DimShuffle, Elemwise])
def number(fgraph, node):
    output, *others = node.outputs
    if others or output.type.ndim == 0 or any(x.type.ndim == 0 for x in node.inputs):
        return False
    if isinstance(node.op, DimShuffle):
        found = as_number(output)
    else:
        numbers = [as_number(x) for x in node.inputs]
        found = None if None in numbers else Elemwise(node.op.scalar_op)(*numbers)
    return [found.dimshuffle(["x"] * output.type.ndim)] if found is not None else False
