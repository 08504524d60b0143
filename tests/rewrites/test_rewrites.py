"""Graphs compiled with the rewrites and without them compute the same."""

import itertools
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import assert_agree as assert_agree_within
from pytensor.compile import optdb
from pytensor.compile.mode import Mode, get_default_mode
from pytensor.scan.op import Scan

from rbm_sym import RBM, MRG_RandomStreams, RandomStreams, gibbs_chain
from rbm_sym.link.numba.elementary import VectorFunction
from rbm_sym.link.numba.panels import Panels
from rbm_sym.link.numba.products import MatrixPlusProduct, SparseProduct
from rbm_sym.link.numba.sums import MatrixSum
from rbm_sym.rewrites import ALL, NAMES, without
from rbm_sym.rewrites.last_step import NothingYet
from rbm_sym.streams.mersenne_twister import MersenneTwisterBernoulli, mersenne_twister_state

FLOATS = mostly_slow(["float64", "float32"])
assert_agree = partial(assert_agree_within, tolerance={"float32": 2e-5, "float64": 1e-12})

by_example = settings(max_examples=100)


def both(inputs, outputs, left_out=ALL, **options):
    """The function compiled with the rewrites, and without them; a failing rewrite is an error."""
    with pytensor.config.change_flags(on_opt_error="raise"):
        fast = pytensor.function(inputs, outputs, **options)
        with without(left_out):
            return fast, pytensor.function(inputs, outputs, **options)


def ops_of(function):
    """All Ops of a compiled function, those inside of scans too."""
    ops = []
    for node in function.maker.fgraph.toposort():
        ops.append(node.op)
        if isinstance(node.op, Scan):
            ops += [inner.op for inner in node.op.fgraph.toposort()]
    return ops


LAYOUTS = ["rows", "columns", "padded", "strided", "reversed"]


@st.composite
def matrices(draw, m, n, dtype, layouts=("rows",)):
    """An m x n matrix of any density, in one of these layouts in memory."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.05, 0.13, 0.4, 0.8, 1.0]))
    numbers = (
        rng.standard_normal((2 * m, 2 * n)) if draw(st.booleans()) else np.ones((2 * m, 2 * n))
    )
    numbers = (numbers * (rng.random(numbers.shape) < density)).astype(dtype)
    return in_layout(draw(st.sampled_from(layouts)), numbers)


def in_layout(layout, numbers):
    """A quarter of the numbers of a matrix, as a matrix that lies in memory as said."""
    m, n = numbers.shape[0] // 2, numbers.shape[1] // 2
    return {
        "rows": lambda: numbers[:m, :n].copy(),
        "columns": lambda: np.asfortranarray(numbers[:m, :n]),
        "padded": lambda: numbers[:m, :n],
        "strided": lambda: numbers[::2, ::2],
        "reversed": lambda: numbers[:m, :n][::-1, ::-1],
    }[layout]()


sizes = st.sampled_from([0, 1, 2, 7, 16, 17, 33, 60])


@pytest.fixture(scope="module", params=FLOATS)
def products(request):
    x, y = (pt.matrix(name, dtype=request.param) for name in "xy")
    bias = pt.vector("bias", dtype=request.param)
    functions = both([x, y, bias], [pt.dot(x, y), pt.dot(y.T, x.T), pt.tanh(x).dot(y) + bias])
    fast, plain = ([op for op in ops_of(f) if isinstance(op, SparseProduct)] for f in functions)
    assert len(fast) == 3 and not plain
    return request.param, *functions


@by_example
@given(data=st.data(), m=sizes, k=sizes, n=sizes)
def test_products(products, data, m, k, n):
    dtype, fast, plain = products
    x, y = (data.draw(matrices(*shape, dtype, LAYOUTS)) for shape in ((m, k), (k, n)))
    bias = np.linspace(-1, 1, n).astype(dtype)
    assert_agree(fast(x, y, bias), plain(x, y, bias))


@pytest.mark.parametrize("layouts", [*itertools.product(LAYOUTS, LAYOUTS)])
def test_products_of_all_layouts(products, layouts):
    dtype, fast, plain = products
    rng = np.random.default_rng(0)
    for m, k, n in itertools.product([1, 2, 40], [1, 60], [1, 7, 40]):
        shapes = (2 * m, 2 * k), (2 * k, 2 * n)
        x, y = (
            in_layout(layout, rng.standard_normal(shape).astype(dtype))
            for layout, shape in zip(layouts, shapes, strict=True)
        )
        bias = np.ones(n, dtype)
        assert_agree(fast(x, y, bias), plain(x, y, bias))


def test_factors_that_are_small_integers():
    z, x, y = pt.dmatrices("zxy")
    i, j = (pt.scalar(name, dtype="int8") for name in "ij")
    fast, plain = both([z, x, y, i, j], [z + i * (j * pt.dot(x, y))])
    ones = np.ones((20, 20))
    assert_agree(fast(ones, ones, ones, 100, 100), plain(ones, ones, ones, 100, 100))


@pytest.mark.slow
@pytest.mark.parametrize(("matrix", "scalar"), [("float32", "float64"), ("float64", "float32")])
def test_factors_of_another_precision(matrix, scalar):
    z, x, y = (pt.matrix(name, dtype=matrix) for name in "zxy")
    c = pt.scalar("c", dtype=scalar)
    with pytensor.config.change_flags(on_opt_error="raise"):
        updates = [
            z - c * pt.dot(x, y),
            c * z + pt.dot(x, y),
            pt.cast(z - c * pt.dot(x, y), matrix),
        ]
        fast, plain = both([z, x, y, c], updates)
    numbers = np.random.default_rng(0).standard_normal((3, 20, 20)).astype(matrix)
    assert_agree(fast(*numbers, 0.375), plain(*numbers, 0.375))


def test_equal_numbers_of_another_length():
    x, n = pt.dmatrix("x"), pt.lscalar("n")
    fast = pytensor.function([x, n], pt.dot(x, pt.alloc(0.5, n)))
    with pytest.raises(ValueError):
        fast(np.ones((5, 40)), 3)


def test_bernoulli_op_of_float32_probabilities():
    """A probability so near 1 - u that float32 and float64 disagree about it."""
    state = mersenne_twister_state(3)
    uniform = np.random.RandomState(3).random_sample(2000)
    p = np.minimum((1 - uniform).astype("float32"), np.float32(0.5))
    probability = pt.fvector("p")
    sample = MersenneTwisterBernoulli("int8", "float64")(state, probability)[1]
    compiled, reference = (
        pytensor.function([probability], sample, mode=m) for m in (None, "FAST_COMPILE")
    )
    np.testing.assert_array_equal(compiled(p), reference(p))


def test_scan_that_carries_a_generator_of_pytensor():
    x, W = pt.dmatrices("xW")
    generator = pytensor.shared(np.random.default_rng(5))

    def step(v, generator, W):
        generator, uniform = pt.random.uniform(size=v.shape, rng=generator, return_next_rng=True)
        return [pt.cast(uniform < pt.sigmoid(pt.dot(v, W)), "float64"), generator]

    (v, _) = pytensor.scan(
        step, outputs_info=[x, generator], non_sequences=[W], n_steps=40, return_updates=False
    )
    fast, plain = both([x, W], [v[-1]])
    arguments = np.ones((5, 33)), np.zeros((33, 33))
    assert any(isinstance(op, Panels) for op in ops_of(fast))
    assert_agree(fast(*arguments), plain(*arguments))


def test_names_are_those_of_the_rewrites():
    """Excluding a name that is none would change nothing, and no test would notice."""
    registered = {rewriter.name for rewriter in optdb.query("+rbm_sym")}
    assert registered == set(NAMES)


@pytest.fixture(scope="module", params=FLOATS)
def matrix_plus_products(request):
    z, x, y = (pt.matrix(name, dtype=request.param) for name in "zxy")
    c = pt.scalar("c", dtype=request.param)
    scaled = c * (pt.dot(x, y) - pt.dot(x * x, 2 * y) / c)
    functions = both([z, x, y, c], [z - scaled, scaled + c * z, z + pt.dot(x, y) + z.sum()])
    fast, plain = ([op for op in ops_of(f) if isinstance(op, MatrixPlusProduct)] for f in functions)
    assert fast and not plain
    return request.param, *functions


@by_example
@given(data=st.data(), m=sizes, k=sizes, n=sizes)
def test_matrix_plus_products(matrix_plus_products, data, m, k, n):
    dtype, fast, plain = matrix_plus_products
    z, x, y = (data.draw(matrices(*shape, dtype)) for shape in ((m, n), (m, k), (k, n)))
    before, c = z.copy(), np.asarray(0.3, dtype)
    assert_agree(fast(z, x, y, c), plain(z, x, y, c))
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize("known", [(1, None), (None, 1), (1, 1)])
@pytest.mark.parametrize("of", ["the product", "the matrix"])
def test_one_row_or_column_that_is_added_to_all(known, of, double):
    z_shape, rows, columns = ((None, None), *known) if of == "the product" else (known, None, None)
    z, c = pt.matrix("z", shape=z_shape), pt.scalar("c")
    x, y = pt.matrix("x", shape=(rows, None)), pt.matrix("y", shape=(None, columns))
    rng = np.random.default_rng(0)
    shapes = (z_shape[0] or 3, z_shape[1] or 4), (rows or 3, 2), (2, columns or 4)
    values = [rng.normal(size=shape) for shape in shapes]
    fast, plain = both([z, x, y, c], [z - c * pt.dot(x, y), pt.dot(x, y) + z])
    assert_agree(fast(*values, 0.5), plain(*values, 0.5))
    assert not any(isinstance(op, MatrixPlusProduct) for op in ops_of(fast))


def test_a_factor_that_is_no_number(matrix_plus_products):
    """Rows without anything to add stay as they are; the others show it."""
    dtype, fast, _ = matrix_plus_products
    ones, x = np.ones((20, 20), dtype), np.zeros((20, 20), dtype)
    x[0] = 1
    for c in (np.nan, np.inf):
        difference, _, _ = fast(ones, x, ones, np.asarray(c, dtype))
        assert not np.isfinite(difference[0]).any()


def test_product_of_unequal_lengths(products):
    dtype, fast, _ = products
    with pytest.raises(ValueError, match="columns of the first"):
        fast(np.ones((2, 3), dtype), np.ones((4, 5), dtype), np.ones(5, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_elementary_functions_to_the_last_places(dtype):
    x = pt.vector("x", dtype=dtype)
    function = pytensor.function([x], [pt.sigmoid(x), pt.softplus(x)])
    assert sum(isinstance(op, VectorFunction) for op in ops_of(function)) == 2
    info = np.finfo(dtype)
    largest = -np.log(float(info.smallest_subnormal))
    numbers = np.random.default_rng(0).uniform(-largest, largest, 100_000)
    near_0 = np.random.default_rng(0).normal(size=100_000)
    special = [0.0, -0.0, 1e-30, -1e-30, largest, -largest, 1e30, -1e30, np.inf, -np.inf]
    x = np.concatenate([numbers, near_0, special]).astype(dtype)
    exact = x.astype(np.longdouble)
    with np.errstate(over="ignore", under="ignore"):
        t = np.exp(-np.abs(exact))
        sigmoid = np.where(exact >= 0, 1, t) / (1 + t)
        softplus = np.maximum(exact, 0) + np.log1p(t)
    for found, expected in zip(function(x), (sigmoid, softplus), strict=True):
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(found[~finite], expected[~finite])
        distance = np.abs(found[finite] - expected[finite])
        unit = np.maximum(np.spacing(expected[finite].astype(dtype)), info.smallest_subnormal)
        assert (distance / unit).max() <= 4
    assert np.isnan(function(np.array([np.nan], dtype))).all()


@pytest.fixture(scope="module", params=FLOATS)
def sums(request):
    x = pt.matrix("x", dtype=request.param)
    equal_numbers = pt.alloc(np.asarray(0.25, request.param), x.shape[0])
    functions = both([x], [x.sum(0), x.sum(1), x.mean(0) ** 2, pt.dot(x.T, equal_numbers)])
    fast, plain = ([op for op in ops_of(f) if isinstance(op, MatrixSum)] for f in functions)
    assert len(fast) == 3 and not plain
    return request.param, *functions


@by_example
@given(data=st.data(), m=sizes.filter(bool), n=sizes)
def test_sums(sums, data, m, n):
    dtype, fast, plain = sums
    x = data.draw(matrices(m, n, dtype))
    assert_agree(fast(x), plain(x))


@pytest.fixture(scope="module", params=FLOATS)
def columns(request):
    x, y = (pt.matrix(name, dtype=request.param) for name in "xy")
    z, i = pt.vector("z", dtype=request.param), pt.lscalar("i")
    flipped = [
        pt.set_subtensor(x[:, i], 1 - x[:, i]), pt.set_subtensor(x[:, 1], np.int8(-1) - x[:, 1]),
    ]  # fmt: skip
    others = [
        pt.set_subtensor(x[:, i], z), pt.set_subtensor(x[:, 1], 0),
        pt.set_subtensor(x[:, i], 2 - x[:, i]), pt.set_subtensor(x[:, i], 1 - x[:, 0]),
        pt.inc_subtensor(x[:, i], 1 - x[:, i]), pt.set_subtensor(x[i], 1 - x[i]),
        pt.set_subtensor(x[:, i:], 1 - x[:, i:]), pt.set_subtensor(x[:, ::2], 6),
    ]  # fmt: skip
    products = [pt.dot(matrix, y) for matrix in [x, *flipped, *others]]
    functions = both([x, y, z, i], products)
    names = [str(op) for op in ops_of(functions[0])]
    assert sum("Set" in name for name in names) == 7, "only what is no flip is still set"
    return request.param, *functions


@by_example
@given(data=st.data(), m=sizes.filter(bool), k=sizes.filter(lambda k: k > 1), n=sizes)
def test_one_column_replaced(columns, data, m, k, n):
    dtype, fast, plain = columns
    x, y = data.draw(matrices(m, k, dtype)), data.draw(matrices(k, n, dtype))
    i = data.draw(st.integers(-min(m, k), min(m, k) - 1))
    z = np.linspace(-1, 1, m).astype(dtype)
    assert_agree(fast(x, y, z, i), plain(x, y, z, i))


def test_a_column_replaced_keeps_to_its_bound(columns):
    """Whatever the size of the numbers, and for the column set to something else too."""
    dtype, fast, _ = columns
    rng = np.random.default_rng(0)
    m, k, n = 20, 12, 5
    sizes = 10.0 ** rng.integers(-12, 12, (m, k))
    x, y = (sizes * rng.standard_normal((m, k))).astype(dtype), rng.standard_normal((k, n))
    y, z = y.astype(dtype), np.zeros(m, dtype)
    exact_x, exact_y = x.astype(np.longdouble), y.astype(np.longdouble)
    found = fast(x, y, z, 3)
    for place, column, value in ((1, 3, 1 - exact_x[:, 3]), (3, 3, 0), (4, 1, 0)):
        replaced = exact_x.copy()
        replaced[:, column] = value
        size = np.abs(replaced)
        size[:, column] += 1 if place == 1 else 0
        bound = 4 * (k + 4) * np.finfo(dtype).eps / 2 * (size @ np.abs(exact_y))
        assert (np.abs(found[place] - replaced @ exact_y) <= bound).all()


@pytest.mark.parametrize("dtype", mostly_slow(["uint8", "int8", "bool"]))
def test_a_column_of_whole_numbers_replaced(dtype, double):
    x, W = pt.matrix("x", dtype=dtype), pt.matrix("W")
    flipped = pt.set_subtensor(x[:, 1], pt.cast(1 - x[:, 1], dtype))
    with pytensor.config.change_flags(on_opt_error="raise"):
        product = pytensor.function([x, W], [pt.dot(x, W), pt.dot(flipped, W)])
    x = np.array([[1, 1, 0], [1, 100, 0]]).astype(dtype)
    found = product(x, np.ones((3, 1)))
    x[:, 1] = (1 - x[:, 1].astype(int)).astype(dtype)
    np.testing.assert_array_equal(found[1], x.astype("float64") @ np.ones((3, 1)))


@pytest.mark.parametrize("floatX", mostly_slow(["float32", "float64"]), indirect=True)
@pytest.mark.parametrize("streams", mostly_slow([MRG_RandomStreams, RandomStreams]))
def test_rounded_sample(streams, floatX):
    """Only a sample is its own rounding; the product with the weights is made once."""
    theano_rng, x, W = streams(3), pt.matrix("x"), pt.matrix("W")
    sample = theano_rng.binomial(size=x.shape, n=1, p=x, dtype=floatX)
    uniform = theano_rng.uniform(size=x.shape, dtype=floatX)
    matrices = [sample, pt.round(sample), pt.round(uniform), pt.round(x)]
    fast, plain = both([x, W], [pt.dot(matrix, W) for matrix in matrices])
    numbers = np.random.default_rng(2).random((2, 30, 30)).astype(floatX)
    found = fast(*numbers)
    theano_rng.seed()
    assert_agree(found, plain(*numbers))
    assert sum(isinstance(op, SparseProduct) for op in ops_of(fast)) == 3


@pytest.fixture(scope="module", params=FLOATS)
def scans(request):
    dtype = request.param
    x, W, n_steps = pt.matrix("x", dtype=dtype), pt.matrix("W", dtype=dtype), pt.lscalar("n_steps")

    def step(v):
        h = pt.tanh(pt.dot(v, W))
        return [h.sum(), h, pt.tanh(pt.dot(h, W.T))]

    outputs, updates = gibbs_chain(step, x, n_steps)
    assert not updates
    total, h, v = outputs
    functions = both([x, W, n_steps], [total, h[-1], h.shape[1], h[-1, :, 0], v[-1], v[-1].shape])
    return dtype, *functions


@by_example
@given(data=st.data(), m=sizes.filter(bool), k=sizes.filter(bool), n=sizes.filter(bool))
def test_scans(scans, data, m, k, n):
    dtype, fast, plain = scans
    x, W = data.draw(matrices(m, k, dtype)), data.draw(matrices(k, n, dtype))
    n_steps = data.draw(st.integers(1, 5))
    assert_agree(fast(x, W / 8, n_steps), plain(x, W / 8, n_steps))


def test_scans_are_rewritten(scans):
    _, fast, _ = scans
    (scan,) = (op for op in ops_of(fast) if isinstance(op, Scan))
    assert scan.info.n_nit_sot == 1, "of three results only the one read at every step is stored"
    assert scan.info.n_untraced_sit_sot == 2
    assert any(isinstance(op, Panels) for op in ops_of(fast))


@pytest.mark.parametrize("dtype", mostly_slow(["float32", "int64"]))
def test_scan_of_no_steps(dtype):
    """A last step that is not there is an error; PyTensor alone shows what lies in memory."""
    x, n_steps = pt.tensor3("x", dtype=dtype), pt.lscalar("n_steps")
    _, products = pytensor.scan(
        lambda count, x: (count + 1, (count + 1) * x),
        outputs_info=[pt.constant(0, dtype=dtype), None],
        non_sequences=x,
        n_steps=n_steps,
        return_updates=False,
    )
    batch = np.ones((2, 3, 4), dtype)
    for mode in (None, Mode("py", get_default_mode().optimizer)):
        multiply = pytensor.function([x, n_steps], products[-1], mode=mode)
        assert any(isinstance(op, NothingYet) for op in ops_of(multiply))
        np.testing.assert_array_equal(multiply(batch, 3), 3 * batch)
        with pytest.raises(IndexError, match="n_steps: the last step of a scan is asked for"):
            multiply(batch, 0)


def test_scan_of_no_steps_that_nobody_reads(double):
    """Numba computes both branches of an ifelse, and PyTensor alone gives the one that is right."""
    x, n_steps = pt.matrix("x"), pt.lscalar("n_steps")
    doubled, _ = pytensor.scan(
        lambda x: [2 * x, x + 1], outputs_info=[None, x], n_steps=n_steps, return_updates=False
    )
    fast, plain = both([x, n_steps], [pytensor.ifelse(pt.gt(n_steps, 0), doubled[-1], x)])
    for n in (0, 3):
        assert_agree(fast(np.ones((2, 3)), n), plain(np.ones((2, 3)), n))


def test_numbers_that_are_used_again_and_again(double):
    """Newton's method, unrolled: there are 6^12 ways through this graph."""
    a = pt.scalar("a")
    y = a.dimshuffle("x")
    for _ in range(12):
        y = y - (y * y - pt.exp(-y)) / (2 * y + pt.exp(-y))
    mode = get_default_mode().excluding("fusion")
    root = pytensor.function([a], y, mode=Mode("py", mode.optimizer))
    np.testing.assert_allclose(root(1.0) ** 2, np.exp(-root(1.0)))


@pytest.mark.parametrize("known", mostly_slow([[1, 33], [None, 33], [20, None], [20, 33]]))
def test_scan_of_shapes_that_are_known(known, double):
    x, W = pt.matrix("x", shape=tuple(known)), pt.matrix("W", shape=(33, 33))
    outputs, _ = gibbs_chain(lambda v: [v.sum(), pt.tanh(v), pt.dot(v, W) / 9], x, 3)
    fast, plain = both([x, W], [output[-1] for output in outputs])
    rng = np.random.default_rng(0)
    arguments = rng.random((known[0] or 20, 33)), rng.random((33, 33))
    assert_agree(fast(*arguments), plain(*arguments))
    assert any(isinstance(op, NothingYet) for op in ops_of(fast))


def training_function(streams=MRG_RandomStreams, persistent=True, k=2):
    floatX = pytensor.config.floatX
    rng = np.random.RandomState(3)
    rbm = RBM(n_visible=30, n_hidden=20, numpy_rng=rng, theano_rng=streams(5))
    chain = pytensor.shared(np.zeros((6, 20), floatX)) if persistent else None
    cost, updates = rbm.get_cost_updates(lr=0.1, persistent=chain, k=k)
    return pytensor.function([rbm.input], cost, updates=updates), rbm.params, chain


@pytest.fixture(scope="module")
def trained():
    """A function to what training with all rewrites leaves, by PCD or by CD."""
    return cache(train)


def train(persistent):
    """Costs, parameters and the end of the chain; the compiled function, and the weights."""
    update, params, chain = training_function(persistent=persistent)
    batches = (np.random.default_rng(0).random((20, 6, 30)) < 0.2).astype("float64")
    costs = [update(batch) for batch in batches]
    end = chain.get_value() if persistent else None
    return costs, [p.get_value() for p in params], end, update, params[0]


def test_weights_are_updated_in_place(trained, double):
    *_, update, W = trained(True)
    (op,) = {op for op in ops_of(update) if isinstance(op, MatrixPlusProduct)}
    assert op.inplace
    memory, before = W.get_value(borrow=True), W.get_value()
    update(np.eye(6, 30))
    assert np.shares_memory(memory, W.get_value(borrow=True))
    assert not np.array_equal(before, W.get_value())


@pytest.mark.parametrize(
    ("left_out", "persistent"),
    mostly_slow([(ALL, True), (ALL, False), *((name, True) for name in NAMES)]),
)
def test_training_is_the_same_without(left_out, persistent, trained, double):
    """All draws are equal, and only rounding differs, whichever of the rewrites is left out."""
    costs, params, chain, *_ = trained(persistent)
    with without(left_out):
        other_costs, other_params, other_chain, *_ = train(persistent)
    np.testing.assert_allclose(costs, other_costs, rtol=1e-9)
    for one, other in zip(params, other_params, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)
    np.testing.assert_array_equal(chain, other_chain)


def test_what_is_left_out_is_left_out_inside_of_scans_too(double):
    with without(ALL):
        plain, _, _ = training_function()
    assert any(isinstance(op, Scan) for op in ops_of(plain))
    assert not [
        op
        for op in ops_of(plain)
        if type(op).__module__.startswith(("rbm_sym.rewrites", "rbm_sym.link"))
    ]
    with pytest.raises(ValueError, match=r"name: one of .*not 'products'"), without("products"):
        pass


@pytest.mark.parametrize("streams", [MRG_RandomStreams, RandomStreams])
def test_chain_keeps_no_trace(streams, floatX):
    function, _, _ = training_function(streams=streams, k=5)
    (scan,) = (op for op in ops_of(function) if isinstance(op, Scan))
    assert scan.info.n_nit_sot == scan.info.n_sit_sot == 0


@st.composite
def random_graphs(draw):
    """Inputs of a random graph of what an energy, its gradient and a sampler are made of."""
    x, y, W = (pt.dmatrix(name) for name in "xyW")
    bias, i = pt.dvector("bias"), pt.lscalar("i")
    # Square matrices, so that all fit together; i chooses a column.
    at_hand = [x, y, W]
    matrix = lambda: draw(st.sampled_from(at_hand))  # noqa: E731
    makers = [
        lambda: pt.dot(matrix(), matrix()),
        lambda: pt.dot(matrix(), matrix()) + bias,
        lambda: matrix() - 0.1 * pt.dot(matrix().T, matrix()) / x.shape[0],
        lambda: pt.sigmoid(matrix()),
        lambda: pt.softplus(matrix()) - bias,
        lambda: pt.set_subtensor(matrix()[:, i], 1 - matrix()[:, i]),
        lambda: pt.set_subtensor(matrix()[:, i : i + 3], 0.5),
        lambda: matrix().T * matrix().sum(axis=draw(st.integers(0, 1)), keepdims=True),
        lambda: pt.cast(matrix() > 0.3, "float64"),
        lambda: chain(matrix(), matrix(), bias, draw(st.integers(1, 40))),
    ]
    for _ in range(draw(st.integers(2, 5))):
        at_hand.append(draw(st.sampled_from(makers))() / 4)
    outputs = [at_hand[-1], at_hand[-2].sum(axis=0)]
    if draw(st.booleans()):
        outputs.append(
            pytensor.grad(pt.softplus(at_hand[-1]).mean(), W, disconnected_inputs="ignore")
        )
    return [x, y, W, bias, i], outputs


def chain(state, W, bias, n_steps):
    """The end of a chain without draws: as a Gibbs step, but with thresholds."""

    def step(v):
        h = pt.cast(pt.dot(v, W) + bias > 0.5, "float64")
        return [h, pt.sigmoid(pt.dot(h, W.T) - 1)]

    outputs, _ = gibbs_chain(step, state, n_steps)
    return outputs[1][-1]


def check_random_graph(graph, left_out):
    inputs, outputs = graph
    rng = np.random.default_rng(0)
    x, y = (rng.random((2, 33, 33)) < 0.2).astype("float64")
    arguments = x, y, rng.standard_normal((33, 33)), rng.standard_normal(33), 5
    functions = both(inputs, outputs, left_out, on_unused_input="ignore")
    found, expected = (function(*arguments) for function in functions)
    assert_agree(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [ALL, *NAMES])
def test_random_graphs(left_out):
    check = settings(by_example, max_examples=6)(given(graph=random_graphs())(check_random_graph))
    check(left_out=left_out)


MEMORY_PROGRAM = """
import numpy as np, pytensor, pytensor.tensor as pt, rbm_sym
from peers import peak_memory

pytensor.config.floatX = "float64"
k = pt.lscalar("k")
rbm = rbm_sym.RBM(n_hidden=16)
cost, updates = rbm.get_cost_updates(persistent={persistent}, k=k)
update = pytensor.function([rbm.input, k], cost, updates=updates)
batch = np.zeros((500, 784), pytensor.config.floatX)
update(batch, 2)
before = peak_memory()
update(batch, 400)
print(peak_memory() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("persistent", ["None", "pytensor.shared(np.zeros((500, 16), 'float64'))"])
def test_memory_does_not_grow_with_the_chain(persistent):
    program = MEMORY_PROGRAM.format(persistent=persistent)
    evidence = Path(__file__).parents[2] / "scripts" / "evidence"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=evidence
    )
    assert not run.returncode, run.stderr
    # A trace of the visible units alone would take 1,200 MiB.
    assert float(run.stdout) < 10
