"""The streams against recorded Theano and against NumPy, compiled and in Python."""

import sys
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode

from rbm_sym import MRG_RandomStreams, RandomStreams
from rbm_sym.generators import (
    MODULUS_1,
    MODULUS_2,
    MersenneTwisterNormal,
    MersenneTwisterUniform,
    MRG31k3pUniform,
    jump,
    mersenne_twister_state,
    parallel_streams,
)

REFERENCE = Path(__file__).parent / "reference"
sys.path.insert(0, str(REFERENCE))
from stream_calls import SEEDS, draws, excerpt, probabilities  # noqa: E402

STREAMS = [RandomStreams, MRG_RandomStreams]
# Draws that go through log, cos or a product and a sum: a fused multiply-add, or another
# library's cosine, may change their last bit. All others are equal to the last bit.
ROUNDED = ("uniform_interval", "normal_even", "normal_odd", "uniform_of_bounds")


@pytest.fixture(scope="module")
def recorded():
    with np.load(REFERENCE / "streams.npz") as file:
        return dict(file)


@pytest.mark.parametrize("linker", ["numba", "py"])
@pytest.mark.parametrize("streams", STREAMS)
def test_draws_are_theanos(floatX, streams, linker, recorded):
    rng, p = streams(99), pt.matrix("p")
    calls = draws(rng, p, floatX, streams is RandomStreams)
    mode = None if linker == "numba" else Mode("py", None)
    function = pytensor.function([p], list(calls.values()), mode=mode)
    for seed in SEEDS:
        rng.seed(seed)
        for call in range(2):
            values = function(probabilities(floatX))
            for name, value in zip(calls, values, strict=True):
                theanos = recorded[f"{floatX}/{streams.__name__}/{seed}/{name}/{call}"]
                assert value.dtype == theanos.dtype, name
                ulps = 8 if name in ROUNDED else 0
                tolerance = ulps * np.finfo(floatX).eps * np.abs(theanos).max()
                np.testing.assert_allclose(
                    excerpt(value), theanos, rtol=0, atol=tolerance, err_msg=name
                )


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
