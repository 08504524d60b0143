"""The chain: what it returns, what it moves on, and what it refuses."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from pytensor.compile import sharedvalue

from rbm_sym import MRG_RandomStreams, RandomStreams, gibbs_chain
from rbm_sym.streams import stream_updates

PYTHON = "FAST_COMPILE"
STREAMS = [RandomStreams, MRG_RandomStreams]


def noise_step(rng):
    """A step whose every draw shows: it adds fresh noise to the state."""

    def step(state):
        noise = rng.uniform(size=state.shape, dtype="float64")
        return [noise, state + noise]

    return step


@pytest.mark.parametrize("n_steps", [1, 2, np.int64(5)])
@pytest.mark.parametrize("streams", STREAMS)
def test_outputs_over_time_and_fresh_draws(double, streams, n_steps):
    rng = streams(5)
    outputs, updates = gibbs_chain(noise_step(rng), pt.zeros((2, 3)), n_steps)
    function = pytensor.function([], outputs, updates=updates, mode=PYTHON)
    all_noise = []
    for _ in range(2):
        noise, states = function()
        assert noise.shape == states.shape == (n_steps, 2, 3)
        np.testing.assert_allclose(states, np.cumsum(noise, axis=0), rtol=1e-14)
        all_noise.extend(noise.ravel())
    assert len(set(all_noise)) == 2 * n_steps * 6, "a draw was repeated"


def test_draws_are_those_of_the_stream_in_order(double):
    """Step by step, the numbers that RandomState gives: nothing is skipped or drawn in vain."""
    rng = RandomStreams(5)
    outputs, updates = gibbs_chain(noise_step(rng), pt.zeros(4), 3)
    noise, _ = pytensor.function([], outputs, updates=updates, mode=PYTHON)()
    numpys = np.random.RandomState(np.random.RandomState(5).randint(2**30))
    assert np.array_equal(noise, numpys.random_sample((3, 4)))


def test_compiled_chain_equals_the_python_one(double):
    results = []
    for mode in (PYTHON, None):
        rng = MRG_RandomStreams(5)
        outputs, updates = gibbs_chain(noise_step(rng), pt.zeros((2, 3)), 4)
        function = pytensor.function([], [o[-1] for o in outputs], updates=updates, mode=mode)
        results.append([function(), function()])
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("streams", STREAMS)
def test_a_forgotten_update_repeats_no_draw(double, streams):
    outputs, _ = gibbs_chain(noise_step(streams(5)), pt.zeros(4), 3)
    function = pytensor.function([], outputs[0], mode=PYTHON)
    assert not np.intersect1d(function(), function()).size


# Scan's own, for its old interface: it returns updates.
scan_by_hand = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@scan_by_hand
@pytest.mark.parametrize("mode", [PYTHON, None])
@pytest.mark.parametrize("n_steps", mostly_slow([3, 1]))
@pytest.mark.parametrize("streams", mostly_slow(STREAMS))
def test_a_scan_called_by_hand_draws_afresh_too(double, streams, n_steps, mode):
    outputs, updates = pytensor.scan(
        noise_step(streams(5)), outputs_info=[None, pt.zeros(4)], n_steps=n_steps
    )
    function = pytensor.function([], outputs[0], updates=updates, mode=mode)
    draws = np.concatenate([function().ravel(), function().ravel()])
    assert len(set(draws)) == 2 * n_steps * 4


@scan_by_hand
@pytest.mark.parametrize("mode", [PYTHON, None])
@pytest.mark.parametrize("streams", mostly_slow(STREAMS))
def test_a_scan_called_by_hand_whose_updates_are_forgotten_is_refused(double, streams, mode):
    rng = streams(5)
    outputs, updates = pytensor.scan(noise_step(rng), outputs_info=[None, pt.zeros(4)], n_steps=3)
    forgetful = pytensor.function([], outputs[0], mode=mode)
    with pytest.raises(RuntimeError, match="stream_0 would repeat its draws: pass the updates"):
        forgetful()
    # Nothing is wrong with the stream itself.
    assert pytensor.function([], outputs[0], updates=updates, mode=mode)().shape == (3, 4)


@scan_by_hand
def test_a_scan_by_hand_within_a_chain_is_refused(double):
    rng = RandomStreams(5)

    def step(state):
        inner, _ = pytensor.scan(noise_step(rng), outputs_info=[None, state], n_steps=2)
        return inner[1][-1]

    with pytest.raises(ValueError, match=r"in a pytensor.scan of its own.*gibbs_chain for a chain"):
        gibbs_chain(step, pt.zeros(3), 3)


def test_step_is_called_exactly_once(double):
    calls = []

    def step(state):
        calls.append(state)
        return state + 1

    gibbs_chain(step, pt.zeros(2), 7)
    assert len(calls) == 1


def test_one_variable_gives_one_variable_and_a_list_a_list(double):
    alone, _ = gibbs_chain(lambda state: state + 1, pt.zeros(2), 3)
    listed, _ = gibbs_chain(lambda state: [state + 1], pt.zeros(2), 3)
    paired, _ = gibbs_chain(lambda state: (2 * state, state + 1), pt.zeros(2), 3)
    assert isinstance(alone, pt.TensorVariable)
    assert isinstance(listed, list) and len(listed) == 1
    assert isinstance(paired, list) and len(paired) == 2
    values = pytensor.function([], [alone, listed[0], *paired], mode=PYTHON)()
    assert values[0].tolist() == values[1].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert values[2].tolist() == [[0, 0], [2, 2], [4, 4]]


def test_states_where_theano_had_them(double):
    """A list of starts as theano.scan's outputs_info: states anywhere, in their order."""
    rng = RandomStreams(5)

    def step(a, b, scale):
        noise = rng.uniform(size=a.shape, dtype="float64")
        return [a + b, noise, b + scale]

    starts = [pt.zeros(3), None, pt.ones(3)]
    outputs, updates = gibbs_chain(step, starts, 4, non_sequences=pt.constant(2.0), name="sums")
    a, noise, b = pytensor.function([], outputs, updates=updates, mode=PYTHON)()
    assert list(updates) == rng.states and len(set(noise.ravel())) == 12
    np.testing.assert_array_equal(b[:, 0], [3, 5, 7, 9])
    np.testing.assert_array_equal(a[:, 0], [1, 4, 9, 16])
    assert outputs[0].owner.inputs[0].owner.op.name == "sums"


def test_one_sequence_without_a_list(double):
    states, _ = gibbs_chain(lambda x, a: x + a, pt.zeros(()), sequences=np.arange(4.0))
    np.testing.assert_array_equal(states.eval(mode=PYTHON), [0, 1, 3, 6])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"chain_start": [None, pt.zeros(4)]}, ValueError, "chain_start: .*results: 1, entries: 2"),
        ({"chain_start": [0.0, 1.0]}, TypeError, r"chain_start: .*not \[0.0, 1.0\]; make an array"),
        ({"chain_start": [None]}, ValueError, "chain_start: a chain has a state"),
        ({"chain_start": [{"initial": 1, "taps": [-2]}]}, TypeError, r"chain_start\[0\]: .*taps"),
        ({"non_sequences": [None]}, TypeError, r"non_sequences\[0\]: .*not None"),
        ({"sequences": [object()]}, TypeError, r"sequences\[0\]: .*not <object"),
    ],
)
def test_bad_states_and_sequences(double, arguments, error, message):
    arguments = {"chain_start": pt.zeros(4), "n_steps": 2} | arguments
    with pytest.raises(error, match=message):
        gibbs_chain(lambda x, *others: x, **arguments)


def test_models_built_in_several_threads(double):
    """Whatever the others make meanwhile, each chain knows which streams its own step has made."""
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(build_a_chain, seed) for seed in range(40)]
    for seed, future in enumerate(futures):
        states, updates, streams = future.result()
        assert list(updates) == streams.states and len(streams.states) == 1
        found = pytensor.function([], states[-1], updates=updates, mode=PYTHON)()
        random = np.random.RandomState(np.random.RandomState(seed).randint(2**30))
        np.testing.assert_allclose(found, random.random_sample((3, 4)).sum(axis=0))
    assert sharedvalue.__SHARED_CONTEXT__ is None


def build_a_chain(seed):
    rng = RandomStreams(seed)
    step = noise_step(rng)

    def slow_step(state):
        outputs = step(state)
        time.sleep(0.002)
        return outputs

    (_, states), updates = gibbs_chain(slow_step, pt.zeros(4), 3)
    return states, updates, rng


def test_symbolic_number_of_steps(double):
    n_steps = pt.lscalar()
    outputs, updates = gibbs_chain(noise_step(RandomStreams(5)), pt.zeros(4), n_steps)
    function = pytensor.function([n_steps], outputs[0], updates=updates, mode=PYTHON)
    assert [function(n).shape for n in (1, 4)] == [(1, 4), (4, 4)]
    with pytest.raises(ValueError, match="n_steps: at least 1 step"):
        function(0)


@pytest.mark.parametrize("shape", mostly_slow([[1, 1], [1, 3], [2, 1]]))
def test_chains_of_length_one_in_some_dimension(double, shape):
    start = pytensor.shared(np.zeros(shape), shape=shape)
    outputs, updates = gibbs_chain(noise_step(RandomStreams(5)), start, 2)
    assert pytensor.function([], outputs[1], updates=updates, mode=PYTHON)().shape == (2, *shape)


def test_a_chain_within_a_chain(double):
    rng = RandomStreams(5)

    def step(state):
        inner, _ = gibbs_chain(noise_step(rng), state, 2)
        return [inner[0], inner[1][-1]]

    outputs, updates = gibbs_chain(step, pt.zeros(3), 4)
    assert list(updates) == rng.states
    noise, states = pytensor.function([], outputs, updates=updates, mode=PYTHON)()
    assert len(set(noise.ravel())) == 4 * 2 * 3
    np.testing.assert_allclose(states[-1], noise.sum(axis=(0, 1)), rtol=1e-14)


def test_what_differs_from_step_to_step(double):
    """Each step gets its own entry of every sequence, after the state."""
    rng = RandomStreams(5)
    scales, shifts = np.array([1.0, 10.0, 100.0]), np.arange(12.0).reshape(4, 3)

    def step(state, scale, shift):
        noise = rng.uniform(size=state.shape, dtype="float64")
        return [noise, state + scale * noise + shift]

    outputs, updates = gibbs_chain(step, pt.zeros(3), sequences=[scales, shifts])
    noise, states = pytensor.function([], outputs, updates=updates, mode=PYTHON)()
    assert noise.shape == (3, 3) and len(set(noise.ravel())) == 9
    np.testing.assert_allclose(states, np.cumsum(scales[:, None] * noise + shifts[:3], axis=0))


def test_a_sample_held_through_the_chain(double):
    """Drawn before and said to be the same at every step: then it is, and drawn anew each call."""
    rng = RandomStreams(5)
    held = rng.uniform(size=(4,), dtype="float64")
    step = noise_step(rng)
    outputs, updates = gibbs_chain(
        lambda state, held: [held, *step(state)], pt.zeros(4), 3, non_sequences=[held]
    )
    updates = stream_updates(outputs) | updates
    function = pytensor.function([], outputs, updates=updates, mode=PYTHON)
    results = [function(), function()]
    for held_over_time, noise, _ in results:
        assert len(set(held_over_time.ravel())) == 4 and len(set(noise.ravel())) == 12
    assert not np.intersect1d(results[0][0], results[1][0]).size


@pytest.mark.parametrize("mode", mostly_slow([PYTHON, None]))
def test_a_chain_over_the_units_within_each_step(double, mode):
    """Scan in scan: the inner chain visits the units one by one, with draws of their own."""
    rng = MRG_RandomStreams(5)

    def visit(state, i):
        noise = rng.uniform(size=state.shape[:1], dtype="float64")
        return pt.set_subtensor(state[:, i], state[:, i] + noise)

    def sweep(state):
        return gibbs_chain(visit, state, sequences=[pt.arange(3)])[0][-1]

    states, updates = gibbs_chain(sweep, pt.zeros((2, 3)), 4)
    states = pytensor.function([], states, updates=updates, mode=mode)()
    draws = np.diff(states, axis=0, prepend=np.zeros((1, 2, 3)))
    assert len(set(draws.ravel())) == 4 * 2 * 3 and (draws > 0).all() and (draws < 1).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # PyTensor's
def test_pytensors_own_streams_work_in_a_step(double):
    from pytensor.tensor.random.utils import RandomStream

    rng = RandomStream(3)
    outputs, updates = gibbs_chain(lambda x: x + rng.uniform(size=(4,)), pt.zeros(4), 3)
    function = pytensor.function([], outputs, updates=updates, mode=PYTHON)
    a, b = function(), function()
    assert len(set(np.diff(a, axis=0).ravel()) | set(np.diff(b, axis=0).ravel())) == 16


def test_a_stream_made_outside_of_the_step_is_refused(double):
    noise = RandomStreams(5).uniform((4,))
    with pytest.raises(ValueError, match=r"step: .*made outside of it.*inside step"):
        gibbs_chain(lambda state: state + noise, pt.zeros(4), 3)


def test_a_generator_without_an_update_is_refused(double):
    rng = pytensor.shared(np.random.default_rng(3), name="my generator")

    def step(state):
        _, noise = pt.random.uniform(size=(4,), rng=rng, return_next_rng=True)
        return state + noise

    with pytest.raises(ValueError, match="my generator: it has no update"):
        gibbs_chain(step, pt.zeros(4), 3)


@pytest.mark.parametrize(
    ("step", "n_steps", "error", "message"),
    [
        (lambda x: x, 0, ValueError, "n_steps: .*not 0"),
        (lambda x: x, None, TypeError, "n_steps: .*not None"),
        (lambda x: x, 1.5, TypeError, "n_steps: .*not 1.5"),
        (lambda x: x, True, TypeError, "n_steps: .*not True"),
        (lambda x: x, pt.dscalar(), TypeError, "n_steps: "),
        (lambda x: [], 2, TypeError, "step: it must return"),
        (lambda x: 3, 2, TypeError, "step: it must return .*not 3"),
        (lambda x: ([x], {}), 2, TypeError, "step: it must return"),
        (lambda x: pt.cast(x, "int64"), 2, TypeError, "step: .*dtype"),
        (lambda x: x.sum(), 2, TypeError, "step: its last result"),
    ],
)
def test_bad_arguments(double, step, n_steps, error, message):
    with pytest.raises(error, match=message) as caught:
        gibbs_chain(step, pt.zeros(4), n_steps)
    assert "\n" not in str(caught.value)


def test_bad_sequences(double):
    with pytest.raises(TypeError, match=r"sequences\[1\]: .*not a scalar"):
        gibbs_chain(lambda x, a, b: x, pt.zeros(4), 2, sequences=[pt.arange(2), 3.0])
    states, _ = gibbs_chain(lambda x, a: x + a, pt.zeros(4), sequences=[pt.dvector("betas")])
    with pytest.raises(ValueError, match="n_steps: at least 1 step"):
        states.eval({"betas": np.zeros(0)}, mode=PYTHON)
