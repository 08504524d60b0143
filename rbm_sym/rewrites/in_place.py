"""Results that are written into the memory of an input.

What is recognised: an Op of this package that could overwrite its first input, if nothing else
reads that input afterwards. Such inputs are the states of random streams, and updated weights.

What takes its place: the same Op with `inplace` set. It cannot be in the graph from the beginning,
because scan accepts no inner graph with an Op that destroys its input.

Why it is faster: nothing is copied. A state of MRG31k3p is larger than the numbers drawn from it.
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
