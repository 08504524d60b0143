"""The rounding of a Bernoulli sample.

What is recognised: round(x) of a sample x that is drawn inside the graph. The tutorial rounds its
pictures for the pseudo-likelihood, and a training function may draw them from their grey levels.

What takes its place: x, whose numbers are 0 and 1 already.

Why it is faster: the rounded pictures are then the same variable as the pictures in the gradient.
So their product with the weights is computed only once.
"""

from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.scalar.basic import RoundHalfToEven
from pytensor.tensor.elemwise import Elemwise

from rbm_sym.streams.draws import Bernoulli


@node_rewriter([Elemwise])
def rounded_sample(fgraph, node):
    if not isinstance(node.op.scalar_op, RoundHalfToEven):
        return False
    (x,) = node.inputs
    if x.owner is None or not isinstance(x.owner.op, Bernoulli) or x is not x.owner.outputs[1]:
        return False
    return [x] if x.dtype == node.outputs[0].dtype else False
