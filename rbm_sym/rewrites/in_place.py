"""Results that take the memory of an input.

What is recognised: an Op of ours that could overwrite its first input, where nothing else reads
that afterwards: the state of a random stream, weights that are updated.

What takes its place: the same Op with its property `inplace` set. It may not stand there from the
beginning: an Op that destroys its input may not be in the inner graph that scan is given.

Why it is faster: nothing is copied. A state of MRG31k3p is larger than what is drawn from it.
"""

from pytensor.graph.rewriting.basic import node_rewriter

from rbm_sym.link.numba.products import MatrixPlusProduct
from rbm_sym.streams.draws import Draw


@node_rewriter([Draw, MatrixPlusProduct], inplace=True)
def in_place(fgraph, node):
    if node.op.inplace:
        return False
    properties = node.op._props_dict() | {"inplace": True}
    return type(node.op)(**properties).make_node(*node.inputs).outputs
