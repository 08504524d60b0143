"""MT19937, the generator of NumPy's `RandomState` (Matsumoto and Nishimura 1998).

`theano.tensor.shared_randomstreams` drew from it.
"""

import numpy as np
import pytensor.tensor as pt

from rbm_sym.streams.draws import Bernoulli, Draw

# The state: 624 words, the position of the next word, a flag whether a normal draw is kept, and
# this draw, a float64 in two words. Normal draws are made in pairs; the second one is kept.
KEY_WORDS = 624
POSITION, HAS_NORMAL, KEPT_NORMAL = 624, 625, 626
MERSENNE_TWISTER_WORDS = 628


def mersenne_twister_state(seed):
    """State of NumPy's `RandomState(seed)`: (628,) uint32. `seed` as NumPy takes it."""
    return from_random_state(np.random.RandomState(seed))


def from_random_state(random_state):
    _, key, position, has_normal, kept_normal = random_state.get_state()
    state = np.empty(MERSENNE_TWISTER_WORDS, dtype="uint32")
    state[:KEY_WORDS] = key
    state[POSITION] = position
    state[HAS_NORMAL] = has_normal
    state[KEPT_NORMAL:] = np.array([kept_normal]).view("uint32")
    return state


def to_random_state(state):
    random_state = np.random.RandomState(0)
    kept_normal = state[KEPT_NORMAL:].copy().view("float64")[0]
    random_state.set_state(
        ("MT19937", state[:KEY_WORDS], int(state[POSITION]), int(state[HAS_NORMAL]), kept_normal)
    )
    return random_state


class MersenneTwisterDraw(Draw):
    """Draws of a `RandomState`; the state is a (628,) uint32 vector, the draws are float64."""

    state_type = pt.TensorType("uint32", shape=(MERSENNE_TWISTER_WORDS,))

    def perform(self, node, inputs, output_storage):
        state, *parameters = inputs
        random_state = to_random_state(state)
        draws = self.draw(random_state, *parameters)
        output_storage[0][0] = from_random_state(random_state)
        output_storage[1][0] = draws.astype(self.dtype)


class MersenneTwisterUniform(MersenneTwisterDraw):
    """Uniform draws in [0, 1), as `RandomState.random_sample`."""

    def draw(self, random_state, n):
        return random_state.random_sample(int(n))


class MersenneTwisterBernoulli(Bernoulli):
    """Binomial draws of one trial, as `RandomState.binomial(1, p)`."""

    state_type = MersenneTwisterDraw.state_type

    def perform(self, node, inputs, output_storage):
        state, p = inputs
        p = p.astype("float64")
        random_state = to_random_state(state)
        uniform = random_state.random_sample(p.shape)
        output_storage[0][0] = from_random_state(random_state)
        output_storage[1][0] = np.where(p <= 0.5, uniform > 1 - p, uniform <= p).astype(self.dtype)


class MersenneTwisterNormal(MersenneTwisterDraw):
    """Standard normal draws, as `RandomState.standard_normal` (the polar method)."""

    def draw(self, random_state, n):
        return random_state.standard_normal(int(n))


class MersenneTwisterBinomial(MersenneTwisterDraw):
    """Binomial draws, as `RandomState.binomial(n, p)`: (state, n, p) to (next state, draws).

    `n` is an int64 vector and `p` a float64 vector of the same length.
    """

    def __init__(self, dtype="int64", inplace=False):
        super().__init__(dtype, inplace)

    def make_node(self, state, n, p):
        state, n, p = (pt.as_tensor_variable(x) for x in (state, n, p))
        self.check_type("state", state, self.state_type)
        self.check_type("n", n, pt.lvector)
        self.check_type("p", p, pt.dvector)
        return self.apply(state, n, p)

    def infer_shape(self, *arguments):
        *_, (state_shape, n_shape, _) = arguments
        return [state_shape, n_shape]

    def draw(self, random_state, n, p):
        return random_state.binomial(n, p)
