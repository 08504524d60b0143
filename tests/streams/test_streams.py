"""The streams against recorded Theano and against NumPy, compiled and in Python."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from pytensor.compile.mode import Mode
from pytensor.graph.replace import clone_replace, vectorize_graph
from stream_calls import SEEDS, at_the_edge, chain_step, draws, excerpts

from rbm_sym import MRG_RandomStreams, RandomStreams, gibbs_chain
from rbm_sym.streams.mersenne_twister import (
    MersenneTwisterNormal,
    MersenneTwisterUniform,
    mersenne_twister_state,
)
from rbm_sym.streams.mrg31k3p import (
    MODULUS_1,
    MODULUS_2,
    MRG31k3pUniform,
    jump,
    parallel_streams,
)

REFERENCE = Path(__file__).parents[1] / "reference"

STREAMS = [RandomStreams, MRG_RandomStreams]


@pytest.fixture(scope="module")
def recorded():
    with np.load(REFERENCE / "streams.npz") as file:
        return dict(file)


# Every linker there is: the default one (numba), C with Python's help, and Python.
MODES = {"numba": None, "cvm": Mode("cvm", "fast_run"), "py": Mode("py", None)}
COMPILER = shutil.which("g++") or ""


@pytest.mark.parametrize("floatX", mostly_slow(["float32", "float64"]), indirect=True)
@pytest.mark.parametrize("linker", mostly_slow(MODES))
@pytest.mark.parametrize("streams", mostly_slow([MRG_RandomStreams, RandomStreams]))
def test_draws_are_theanos_to_the_last_bit(floatX, streams, linker, recorded):
    p = pt.matrix("p")
    compiled = partial(pytensor.function, mode=MODES[linker])
    rng, chain_rng = streams(99), streams(99)
    calls = draws(rng, p, floatX, streams is RandomStreams)
    outputs, updates = gibbs_chain(chain_step(chain_rng, floatX), pt.round(p), n_steps=5)
    with pytensor.config.change_flags(cxx=COMPILER):
        function = compiled([p], list(calls.values()))
        chain = compiled([p], outputs, updates=updates)
    names = [*calls, "chain_0", "chain_1", "chain_2"]
    for row, seed in enumerate(SEEDS):
        rng.seed(seed)
        chain_rng.seed(seed)
        for call, values in enumerate(excerpts([function, chain], [rng, chain_rng], floatX)):
            for name, value in zip(names, values, strict=True):
                theanos = recorded[f"{floatX}/{streams.__name__}/{name}"][row, call]
                assert value.dtype == theanos.dtype, name
                np.testing.assert_array_equal(value, theanos, err_msg=name)


@pytest.mark.parametrize("floatX", mostly_slow(["float32", "float64"]), indirect=True)
@pytest.mark.parametrize("streams", STREAMS)
def test_a_probability_that_equals_the_random_number_falls_as_in_theano(floatX, streams, recorded):
    """Where < and <= differ: chance comes to that once in 2**31 draws or more."""
    edge = at_the_edge(streams, pytensor.function, pt.vector("p"))
    theanos = recorded[f"{floatX}/{streams.__name__}/edge"]
    np.testing.assert_array_equal(edge, theanos)
    assert (theanos[0] == 0).any()


@pytest.mark.parametrize("streams", STREAMS)
def test_scaled_draws_have_derivatives_by_their_parameters(streams, double):
    """Of avg + std z: 1 and z; of low + (high - low) u: 1 - u and u."""
    a, b = pt.dscalars("a", "b")
    normal = streams(3).normal((5,), avg=a, std=b)
    uniform = streams(3).uniform((5,), low=a, high=b)
    outputs = [normal, *pt.grad(normal.sum(), [a, b]), uniform, *pt.grad(uniform.sum(), [a, b])]
    function = pytensor.function([a, b], outputs, mode="FAST_COMPILE")
    x, by_avg, by_std, y, by_low, by_high = function(2.0, 5.0)
    z, u = (x - 2) / 5, (y - 2) / 3
    expected = [5, z.sum(), (1 - u).sum(), u.sum()]
    np.testing.assert_allclose([by_avg, by_std, by_low, by_high], expected, rtol=1e-12)


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
@pytest.mark.parametrize("op", [MersenneTwisterUniform(), MersenneTwisterNormal()])
def test_mersenne_twister_is_numpys(op, mode):
    state, n = pytensor.shared(mersenne_twister_state(7)), pt.lscalar()
    new_state, drawn = op(state, n)
    function = pytensor.function([n], drawn, updates={state: new_state}, mode=mode)
    numpys = np.random.RandomState(7)
    method = numpys.random_sample if "Uniform" in str(op) else numpys.standard_normal
    for count in (5, 0, 1, 7, 1300):
        assert np.array_equal(function(count), method(count))


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
@pytest.mark.parametrize(
    "start",
    [
        (11, 22, 33, 44, 55, 66),
        # The largest words, and two recurrences that meet: a difference of 0 counts as 2**31 - 1.
        (MODULUS_1 - 1,) * 3 + (MODULUS_2 - 1,) * 3,
        (1, 1, 0, 2**7, 1, 0),
    ],
)
def test_mrg31k3p_is_its_recurrence(start, mode):
    """Against the two recurrences as published, in Python integers."""
    x, y = list(start[:3]), list(start[3:])
    expected = []
    for _ in range(50):
        x = [(2**22 * x[1] + (2**7 + 1) * x[2]) % MODULUS_1, x[0], x[1]]
        y = [(2**15 * y[0] + (2**15 + 1) * y[2]) % MODULUS_2, y[0], y[1]]
        difference = x[0] - y[0]
        expected.append((difference + MODULUS_1 if difference <= 0 else difference) / 2**31)
    state = pytensor.shared(np.array(start, dtype="int32").reshape(6, 1))
    new_state, drawn = MRG31k3pUniform("float64")(state, pt.as_tensor(50))
    drawn, new_state = pytensor.function([], [drawn, new_state], mode=mode)()
    assert np.array_equal(drawn, expected)
    assert new_state[:, 0].tolist() == x + y


def test_parallel_streams_are_jumps_apart():
    states = parallel_streams([12345] * 6, 20)
    assert states.shape == (6, 20) and states.dtype == np.int32
    state = np.full(6, 12345)
    for column in states.T:
        assert np.array_equal(column, state)
        state = jump(state, 2**72)
    far, near = np.full(6, 12345), np.full(6, 12345)
    for _ in range(8):
        near = jump(near, 1)
    assert np.array_equal(jump(far, 8), near)


@pytest.mark.parametrize("streams", STREAMS)
def test_each_call_makes_a_stream_of_its_own(streams):
    rng = streams(3)
    first, second = rng.uniform((4,)), rng.uniform((4,))
    function = pytensor.function([], [first, second], mode="FAST_COMPILE")
    a, b = function()
    c, d = function()
    assert len({tuple(x) for x in (a, b, c, d)}) == 4
    assert len(rng.updates()) == len(rng.states) == 2


@pytest.mark.parametrize("streams", STREAMS)
def test_states_can_be_read_and_set(streams):
    rng = streams(3)
    function = pytensor.function([], [rng.uniform((4,)), rng.normal((3,))], mode="FAST_COMPILE")
    function()
    saved = [state.get_value() for state in rng.states]
    expected = function()
    for state, value in zip(rng.states, saved, strict=True):
        state.set_value(value)
    for value, again in zip(function(), expected, strict=True):
        assert np.array_equal(value, again)


def test_one_draw_used_twice_is_drawn_once():
    u = MRG_RandomStreams(3).uniform((4,))
    twice = pytensor.function([], [u, u + 1], mode="FAST_COMPILE")()
    assert np.array_equal(twice[0] + 1, twice[1])


@pytest.mark.parametrize("streams", STREAMS)
def test_a_draw_has_no_derivative(streams, double):
    """A gradient through a sample that was not held constant is refused, not taken as zero."""
    p = pt.vector()
    sample = streams(3).binomial(size=p.shape, p=p, dtype="float64")
    with pytest.raises(pytensor.gradient.NullTypeGradError):
        pt.grad(sample.sum(), p)
    constant = pt.grad((sample * p).sum(), p, consider_constant=[sample])
    drawn, gradient = pytensor.function([p], [sample, constant], mode="FAST_COMPILE")([0.5] * 9)
    assert np.array_equal(drawn, gradient)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MRG_RandomStreams(0), ValueError, "seed: 0"),
        (lambda: MRG_RandomStreams(MODULUS_2), ValueError, f"seed: {MODULUS_2}"),
        (lambda: MRG_RandomStreams([1, 2, 3, 0, 0, 0]), ValueError, "seed: "),
        (lambda: MRG_RandomStreams([1, 2]), TypeError, "seed: .*six"),
        (lambda: MRG_RandomStreams(1.5), TypeError, "seed: .*1.5"),
        (lambda: MRG_RandomStreams(10**30), ValueError, "seed: 1000"),
        (lambda: RandomStreams(-1), ValueError, "seed: -1"),
        (lambda: RandomStreams("a"), TypeError, "seed: 'a'"),
        (lambda: MRG_RandomStreams().binomial(p=pt.vector()), TypeError, "size: "),
        (lambda: MRG_RandomStreams().binomial((2,), n=2), NotImplementedError, "n: "),
        (lambda: MRG_RandomStreams().uniform((0,)), ValueError, "size: .*not 0"),
        (lambda: MRG_RandomStreams().uniform([2]), TypeError, "size: .*tuple"),
        (lambda: MRG_RandomStreams().uniform((2,), dtype="int64"), TypeError, "dtype: .*int64"),
        (lambda: RandomStreams().uniform((2,), ndim=2), ValueError, "ndim: 2"),
        (lambda: RandomStreams().uniform(pt.vector(dtype="float64")), TypeError, "size: "),
        (lambda: RandomStreams().uniform((2.5,)), TypeError, "size: "),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
@pytest.mark.parametrize("streams", STREAMS)
def test_a_sample_that_is_vectorised_draws_for_each_row(streams, mode, double):
    """One row after the other, as a sample of the larger shape draws; the stream moves as far."""
    p, rows = pt.vector("p"), pt.matrix("rows")
    rng = streams(3)
    sample = rng.binomial(size=p.shape, p=p, dtype="float64")
    (stream,) = rng.states
    one, next_one = sample, stream.default_update
    many, next_many = vectorize_graph([one, next_one], {p: rows})
    inputs = {stream: stream.type()}
    many, next_many = clone_replace([many, next_many], inputs)
    function = pytensor.function([inputs[stream], rows], [many, next_many], mode=mode)
    state, grey = stream.get_value(), np.full((30, 20), 0.5)
    found, state_after = function(state, grey)
    flat = pytensor.function([p], sample, mode=mode)
    np.testing.assert_array_equal(found.ravel(), flat(grey.ravel()))
    np.testing.assert_array_equal(state_after, stream.get_value())


@pytest.mark.parametrize("streams", STREAMS)
def test_draws_that_would_be_the_same_in_each_row_are_refused(streams, double):
    p = pt.vector("p")
    rng = streams(3)
    for draw in (
        rng.uniform(size=p.shape),
        rng.normal(size=p.shape),
        rng.uniform(size=(5,), low=p),
        rng.normal(size=(5,), avg=p),
    ):
        with pytest.raises(NotImplementedError, match=r"vectorize_graph: .*the same numbers"):
            vectorize_graph(draw, {p: pt.matrix("rows")})
    step = lambda p: p * rng.uniform(size=p.shape)  # noqa: E731
    (chain, _), (calm, _) = (gibbs_chain(f, p, 3) for f in (step, pt.tanh))
    with pytest.raises(NotImplementedError, match=r"vectorize_graph: a chain .*the same numbers"):
        vectorize_graph(chain, {p: pt.matrix("rows")})
    rows = np.random.default_rng(0).random((2, 4))
    found = vectorize_graph(calm, {p: pt.constant(rows)}).eval(mode="FAST_COMPILE")
    np.testing.assert_allclose(found[:, -1], np.tanh(np.tanh(np.tanh(rows))))
