"""Graphs drawn at random, of what energies, their gradients and samplers are made of.

All lengths are known here, so that everything that is put together fits; how much of them a graph
knows beforehand is drawn. Numbers stay near 1, and nothing that depends on rounding is compared
with anything, so that two ways to compute a graph agree as far as rounding goes.
"""

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

from rbm_sym import MRG_RandomStreams, RandomStreams, gibbs_chain

LENGTHS = [1, 2, 3, 7, 17, 33, 40]
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"]
LAYOUTS = ["rows", "columns", "strided", "reversed", "read-only"]


class RandomGraph:
    """A graph and arguments for it; the same seed always draws the same.

    Attributes
    ----------
    inputs, outputs : lists of variables
    updates : dict from shared variable to expression
    arguments : list of arrays, one for each input
    shared : list of shared variables, whose values `reset` brings back
    makers : list of str, the parts that were drawn
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.floatX = self.one_of(["float32", "float64"])
        self.streams = self.one_of([MRG_RandomStreams, RandomStreams])(1 + seed % 1000)
        self.lengths = self.rng.choice(LENGTHS, 3, replace=False).tolist()
        if self.chance(0.1):
            self.lengths[0] = 0
        self.ones_are_known = self.chance(0.5)
        # Every layout and every dtype is compiled anew: most graphs keep to the usual ones.
        self.has_layouts, self.has_dtypes = self.chance(0.25), self.chance(0.3)
        self.inputs, self.arguments, self.shared, self.updates = [], [], [], {}
        self.makers = []

        # Pairs of a variable and its shape.
        self.matrices = [self.new_input(self.shape(), name) for name in "xyz"]
        self.W = self.new_shared((self.length(), self.length()), "W")
        self.matrices.append(self.W)
        self.n_steps = self.some_count()
        self.column = pt.lscalar("column")
        self.add_input(self.column, np.int64(0))

        self.outputs = []
        for _ in range(self.rng.integers(1, 4)):
            maker = self.one_of(MAKERS)
            made = maker(self)
            if made is not None:
                self.makers.append(maker.__name__)
                self.matrices.append(made)
                self.outputs.append(made[0])
        self.outputs.append(self.matrices[-1][0].sum(axis=0))
        if self.chance(0.6):
            self.add_derivatives()
        self.start = [variable.get_value() for variable in self.shared]

    def chance(self, probability):
        return self.rng.random() < probability

    def one_of(self, things):
        return things[self.rng.integers(len(things))]

    def length(self):
        return self.one_of(self.lengths)

    def shape(self):
        return self.length(), self.length()

    def some_float(self):
        """The graph's precision, or now and then the other one."""
        mixed = self.has_dtypes and self.chance(0.3)
        return self.one_of(["float32", "float64"]) if mixed else self.floatX

    def known(self, shape):
        """What a type says of a shape.

        Lengths of 1 are known everywhere or nowhere: PyTensor's scans have no derivative where
        only some of the types that meet in them know it.
        """
        return tuple(
            length if (self.ones_are_known if length == 1 else self.chance(0.3)) else None
            for length in shape
        )

    def numbers(self, shape, dtype, kind=None):
        kind = kind or self.one_of(["binary", "grey", "normal"])
        if dtype == "bool" or kind == "binary":
            return self.rng.random(shape) < self.one_of([0, 0.1, 0.5, 1])
        if not dtype.startswith("float"):
            return self.rng.integers(0 if dtype.startswith("uint") else -3, 4, shape)
        if kind == "grey":
            return self.rng.integers(0, 9, shape) / 8
        return self.rng.standard_normal(shape) / 2

    def laid_out(self, array):
        layout = self.one_of(LAYOUTS) if self.has_layouts else "rows"
        if layout == "columns":
            return np.asfortranarray(array)
        if layout == "strided":
            wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
            wide[..., ::2] = array
            return wide[..., ::2]
        if layout == "reversed":
            return array[::-1].copy()[::-1]
        if layout == "read-only":
            array.flags.writeable = False
        return array

    def add_input(self, variable, argument):
        self.inputs.append(variable)
        self.arguments.append(argument)

    def new_input(self, shape, name, dtype=None, kind=None):
        if dtype is None:
            is_whole = self.has_dtypes and self.chance(0.5)
            dtype = self.one_of(INTEGERS) if is_whole else self.some_float()
        variable = pt.tensor(name, dtype=dtype, shape=self.known(shape))
        self.add_input(variable, self.laid_out(self.numbers(shape, dtype, kind).astype(dtype)))
        return variable, shape

    def new_shared(self, shape, name):
        value = self.numbers(shape, self.floatX, "normal").astype(self.floatX)
        variable = pytensor.shared(value, name=name, shape=self.known(shape))
        self.shared.append(variable)
        return variable, shape

    def some_count(self):
        """A number of steps: a constant, a shared variable or an input."""
        number = self.one_of([1, 2, 3, 20])
        kind = self.rng.integers(3)
        if kind == 0:
            return number
        if kind == 1:
            return pytensor.shared(np.int64(number), name="n_steps")
        n_steps = pt.lscalar("n_steps")
        self.add_input(n_steps, np.int64(number))
        return n_steps

    def scalar(self):
        """A factor: a number, or an input of any precision."""
        if self.chance(0.4):
            return self.one_of([0.25, -1, 2, -0.5])
        dtype = self.one_of(["float32", "float64", "int8"]) if self.has_dtypes else self.floatX
        scalar = pt.scalar("c", dtype=dtype)
        self.add_input(scalar, np.asarray(self.one_of([1, -1] + [0.5] * (dtype != "int8")), dtype))
        return scalar

    def matrix(self, rows=None, columns=None, is_float=False):
        """Something at hand that fits, turned around if need be; or something new."""
        fitting = [
            (x.T, shape[::-1]) if turned else (x, shape)
            for x, shape in self.matrices
            for turned in (False, True)
            if rows in (None, shape[turned]) and columns in (None, shape[1 - turned])
            and not (is_float and not x.dtype.startswith("float"))
        ]  # fmt: skip
        if fitting and self.chance(0.9):
            # The latest ones are likelier: graphs become deep.
            return fitting[-1 - min(self.rng.geometric(0.3) - 1, len(fitting) - 1)]
        rows = self.length() if rows is None else rows
        columns = self.length() if columns is None else columns
        return self.new_input((rows, columns), "m", self.some_float())

    def vector(self, length):
        return self.new_input((length,), "v", self.some_float())[0]

    def product(self):
        x, (m, k) = self.matrix()
        y, (_, n) = self.matrix(rows=k, is_float=True)
        return near_one(pt.dot(x, y)), (m, n)

    def add_derivatives(self):
        """Of something that depends on W: first derivatives, second ones, an update."""
        W, _ = self.W
        cost = pt.softplus(self.matrices[-1][0]).sum() / 64
        if not cost.dtype.startswith("float"):
            return
        gradient = pytensor.grad(cost, W, disconnected_inputs="ignore")
        self.outputs += [cost, gradient]
        if self.chance(0.3):
            direction = pt.constant(0.25, dtype=self.floatX)
            again = pytensor.grad((gradient * direction).sum(), W, disconnected_inputs="ignore")
            self.outputs.append(again)
        if self.chance(0.5):
            new_W = W - pt.constant(0.125, dtype=self.floatX) * gradient
            self.updates[W] = pt.cast(new_W, self.floatX)

    def reset(self):
        """Give all shared variables, streams too, the values they had first."""
        for variable, value in zip(self.shared, self.start, strict=True):
            variable.set_value(value)
        self.streams.seed()


def near_one(x):
    return x / 8 if x.dtype.startswith("float") else x


# The parts: each a function from the graph to a variable and its shape, or None.


def product(graph):
    return graph.product()


def product_and_bias(graph):
    x, (m, n) = graph.product()
    return x + graph.vector(n), (m, n)


def matrix_plus_products(graph):
    x, (m, n) = graph.product()
    z, _ = graph.matrix(rows=m, columns=n, is_float=True)
    result = z - graph.scalar() * x
    if graph.chance(0.5):
        y, (_, k) = graph.matrix(rows=m)
        w, _ = graph.matrix(rows=k, columns=n, is_float=True)
        result = result + graph.scalar() * (graph.scalar() * pt.dot(y, w))
    return near_one(result), (m, n)


def elementary(graph):
    x, shape = graph.matrix(is_float=True)
    function = graph.one_of([pt.sigmoid, pt.softplus, pt.tanh, lambda x: x * pt.sigmoid(x)])
    return function(x), shape


def one_column_flipped(graph):
    x, (m, n) = graph.matrix()
    if not n:
        return None
    w, (_, k) = graph.matrix(rows=n, is_float=True)
    i = graph.one_of([graph.column, 0, n - 1, -1])
    flips = [lambda z: 1 - z, lambda z: 0.5 - z, lambda z: 0 * z]
    if x.dtype == "bool":
        flips = [pt.invert]
    elif not x.dtype.startswith("uint"):
        # PyTensor itself fails to rewrite the negative of an unsigned number.
        flips.append(lambda z: -z)
    flip = graph.one_of(flips)
    flipped = pt.set_subtensor(x[:, i], pt.cast(flip(x[:, i]), x.dtype))
    return near_one(pt.dot(x, w) - 2 * pt.dot(flipped, w)), (m, k)


def columns_set(graph):
    x, (m, n) = graph.matrix(is_float=True)
    i = graph.column
    if not n:
        return None
    where = graph.one_of([x[:, :1], x[:, i:], x[:, ::2], x[:, i], x[:1]])
    change = graph.one_of([pt.set_subtensor, pt.inc_subtensor])
    w, (_, k) = graph.matrix(rows=n, is_float=True)
    return near_one(pt.dot(change(where, 0.5), w) + pt.dot(x, w)), (m, k)


def sums(graph):
    x, (m, n) = graph.matrix(is_float=True)
    axis = graph.one_of([0, 1])
    total = graph.one_of([pt.sum, pt.mean])(x, axis=axis, keepdims=True)
    return near_one(near_one(x * total)), (m, n)


def product_with_equal_numbers(graph):
    x, (m, n) = graph.matrix(is_float=True)
    equal = pt.alloc(np.asarray(0.25, x.dtype), x.shape[1])
    return near_one(pt.outer(pt.dot(x, equal), graph.vector(n))), (m, n)


def part(graph):
    x, (m, n) = graph.matrix()
    if graph.chance(0.5):
        return x[::-1], (m, n)
    return x[: (m + 1) // 2], ((m + 1) // 2, n)


def sample(graph):
    """A sample, rounded or not, and a product; its probabilities come from outside."""
    p, (m, n) = graph.new_input(graph.shape(), "p", graph.some_float(), kind="grey")
    drawn = graph.streams.binomial(size=p.shape, n=1, p=p, dtype=graph.some_float())
    drawn = disconnected_grad(drawn)
    w, (_, k) = graph.matrix(rows=n, is_float=True)
    return near_one(pt.dot(pt.round(drawn), w) + pt.dot(drawn, w)), (m, k)


def chain(graph):
    """A chain by `gibbs_chain`, of which ends, all steps or shapes are read."""
    state, (m, n) = graph.matrix(is_float=True)
    w, (_, k) = graph.matrix(rows=n, is_float=True)
    dtype = state.dtype

    def step(v, w):
        h = pt.tanh(pt.dot(v, w) / 4)
        v = pt.cast(pt.sigmoid(pt.dot(h, w.T) / 4), dtype)
        return [h.sum(), h, v]

    outputs, _ = gibbs_chain(step, state, graph.n_steps, non_sequences=w)
    total, h, v = outputs
    if graph.chance(0.5):
        return near_one(pt.dot(v[-1], w) + h[-1]), (m, k)
    return near_one(v[-1] * total.mean() / 64 + v.sum(axis=0) / 64), (m, n)


def noisy_chain(graph):
    """A chain with draws whose probabilities are the same at every step."""
    p, (m, n) = graph.new_input(graph.shape(), "p", graph.floatX, kind="grey")
    w, (_, k) = graph.matrix(rows=n, is_float=True)

    def step(v, w):
        drawn = graph.streams.binomial(size=p.shape, n=1, p=p, dtype=graph.floatX)
        return [pt.dot(drawn, w), v * 0.5 + drawn]

    (products, states), updates = gibbs_chain(step, p, graph.n_steps, non_sequences=w)
    graph.updates |= updates
    return disconnected_grad(near_one(products[-1] + pt.dot(states[-1], w))), (m, k)


def plain_scan(graph):
    """A scan by PyTensor alone, with a sequence and two states."""
    w, (n, k) = graph.matrix(is_float=True)
    x, (m, _) = graph.matrix(columns=n, is_float=True)
    if not m:
        return None
    start = pt.zeros_like(pt.dot(x[0], w))
    outputs = pytensor.scan(
        lambda row, total, w: (total + pt.dot(row, w) / 8, pt.tanh(pt.dot(row, w))),
        sequences=[x],
        outputs_info=[start, None],
        non_sequences=[w],
        return_updates=False,
    )
    return near_one(outputs[1] + outputs[0][-1]), (m, k)


MAKERS = [
    product, product_and_bias, matrix_plus_products, elementary, one_column_flipped, columns_set,
    sums, product_with_equal_numbers, part, sample, chain, noisy_chain, plain_scan,
]  # fmt: skip
