"""Ops that draw from a generator.

Such an Op takes the state of a generator and gives the next state and the draws. A state is a plain
integer array: it is saved, compared and passed through a scan like any other tensor. Each Op has a
reference implementation, `perform`, for every linker that has no other. A backend's own versions,
in `rbm_sym.link`, give the same numbers to the last bit.
"""

import pytensor.tensor as pt
from pytensor.gradient import grad_undefined
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.type import integer_dtypes


class Draw(Op):
    """`n` draws from a generator: (state, n) to (next state, vector of n draws).

    Parameters
    ----------
    dtype : str, of the draws
    inplace : bool
        Whether the state may be overwritten. A rewrite sets it after the graph is built, because
        scan accepts no inner graph with an Op that destroys its input.
    """

    __props__: tuple[str, ...] = ("dtype", "inplace")

    state_type: pt.TensorType | None = None

    def __init__(self, dtype="float64", inplace=False):
        self.dtype = dtype
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, state, n):
        state, n = pt.as_tensor_variable(state), pt.as_tensor_variable(n)
        self.check_type("state", state, self.state_type)
        if n.dtype not in integer_dtypes or n.ndim != 0:
            raise TypeError(f"n: the number of draws is an integer scalar, not a {n.type}")
        return self.apply(state, pt.cast(n, "int64"))

    def check_type(self, name, variable, expected):
        if (variable.dtype, variable.ndim) != (expected.dtype, expected.ndim):
            raise TypeError(f"{name}: {self} takes a {expected}, not a {variable.type}")

    def apply(self, *inputs):
        return Apply(self, list(inputs), [inputs[0].type(), pt.vector(dtype=self.dtype)])

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, node, (state_shape, _) = arguments
        return [state_shape, (node.inputs[1],)]

    def pullback(self, inputs, outputs, cotangents):
        reason = "a random draw has no derivative"
        return [grad_undefined(self, i, x, reason) for i, x in enumerate(inputs)]


class Bernoulli(Draw):
    """0 or 1 for each probability: (state, p) to (next state, sample of the shape of p).

    Each uniform number is compared with p when it is drawn; no array holds all of them.

    Parameters
    ----------
    dtype : str, of the sample
    precision : "float32" or "float64", of the uniform draws
    inplace : bool, as for `Draw`
    """

    __props__ = ("dtype", "precision", "inplace")

    def __init__(self, dtype, precision, inplace=False):
        super().__init__(dtype, inplace)
        self.precision = precision

    def make_node(self, state, p):
        state, p = pt.as_tensor_variable(state), pt.as_tensor_variable(p)
        self.check_type("state", state, self.state_type)
        return Apply(self, [state, p], [state.type(), p.type.clone(dtype=self.dtype)()])

    def infer_shape(self, *arguments):
        *_, shapes = arguments
        return shapes


@_vectorize_node.register(Draw)
def vectorize_draw(op, node, state, *parameters):
    """Vectorize a draw whose parameters get more axes; refuse it if it is not a Bernoulli sample.

    A Bernoulli sample makes a draw for each number of its new shape, one after the other. Its next
    state is the one after all of them. Other draws are vectors, whose length may depend on the new
    axes.
    """
    if state.type.ndim == op.state_type.ndim and isinstance(op, Bernoulli):
        return op.make_node(state, *parameters)
    raise repeated_rows_error(op)


def repeated_rows_error(what):
    return NotImplementedError(
        f"vectorize_graph: {what} would draw the same numbers for each row; build it in the shape "
        "that is wanted"
    )
