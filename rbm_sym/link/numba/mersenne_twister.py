"""MT19937 for numba."""

import numba
import numpy as np
from pytensor.link.numba.dispatch.basic import numba_njit

from rbm_sym.link.numba.draws import numba_bernoulli, numba_draw
from rbm_sym.link.numba.kernels import numba_version_of
from rbm_sym.streams.mersenne_twister import (
    HAS_NORMAL,
    KEPT_NORMAL,
    KEY_WORDS,
    POSITION,
    MersenneTwisterBernoulli,
    MersenneTwisterBinomial,
    MersenneTwisterNormal,
    MersenneTwisterUniform,
    from_random_state,
    to_random_state,
)

# The draws are floats already.
NORM = np.float64(1)


@numba_njit(fastmath=False)
def _twist(key):
    for i in range(KEY_WORDS):
        following = key[(i + 1) % KEY_WORDS]
        y = (key[i] & np.uint32(0x80000000)) | (following & np.uint32(0x7FFFFFFF))
        mixed = key[(i + 397) % KEY_WORDS] ^ (y >> np.uint32(1))
        key[i] = mixed ^ np.uint32(0x9908B0DF) if y & np.uint32(1) else mixed


@numba_njit(fastmath=False)
def _next_word(state):
    position = state[POSITION]
    if position >= KEY_WORDS:
        _twist(state[:KEY_WORDS])
        position = np.uint32(0)
    state[POSITION] = position + np.uint32(1)
    y = state[position]
    y ^= y >> np.uint32(11)
    y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
    y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
    return y ^ (y >> np.uint32(18))


@numba_njit(fastmath=False)
def _next_uniform(state):
    high = _next_word(state) >> np.uint32(5)
    low = _next_word(state) >> np.uint32(6)
    return (high * 67108864.0 + low) / 9007199254740992.0


@numba_njit(fastmath=False)
def _fill_with_uniform(state, first, draws, norm):
    for i in range(draws.size):
        draws[i] = _next_uniform(state)
    return draws.size


@numba_njit(fastmath=False)
def _fill_with_normal(state, first, draws, norm):
    kept_normal = state[KEPT_NORMAL:].view(np.float64)
    for i in range(draws.size):
        if state[HAS_NORMAL]:
            draws[i] = kept_normal[0]
            state[HAS_NORMAL] = np.uint32(0)
            kept_normal[0] = 0.0
            continue
        squared_radius = 0.0
        while squared_radius >= 1.0 or squared_radius == 0.0:
            x = 2.0 * _next_uniform(state) - 1.0
            y = 2.0 * _next_uniform(state) - 1.0
            squared_radius = x * x + y * y
        scale = np.sqrt(-2.0 * np.log(squared_radius) / squared_radius)
        kept_normal[0] = scale * x
        state[HAS_NORMAL] = np.uint32(1)
        draws[i] = scale * y
    return draws.size


@numba_njit(fastmath=False)
def _searched_success(uniform, p):
    # RandomState counts how often the rarer outcome comes: a success if p <= 0.5, else a failure.
    return uniform > 1 - p if p <= 0.5 else uniform <= p


@numba_version_of(MersenneTwisterUniform)
def numba_mersenne_twister_uniform(op, **kwargs):
    return numba_draw(op, _fill_with_uniform, NORM)


@numba_version_of(MersenneTwisterNormal)
def numba_mersenne_twister_normal(op, **kwargs):
    return numba_draw(op, _fill_with_normal, NORM)


@numba_version_of(MersenneTwisterBernoulli)
def numba_mersenne_twister_bernoulli(op, node, **kwargs):
    return numba_bernoulli(op, node, _fill_with_uniform, NORM, _searched_success)


@numba_version_of(MersenneTwisterBinomial)
def numba_mersenne_twister_binomial(op, **kwargs):
    # Rare enough to be left to NumPy.
    def draw_with_numpy(state, n, p):
        random_state = to_random_state(state)
        draws = random_state.binomial(n, p)
        return from_random_state(random_state), draws

    @numba_njit
    def draw(state, n, p):
        with numba.objmode(new_state="uint32[::1]", draws="int64[::1]"):
            new_state, draws = draw_with_numpy(state, n, p)
        return new_state, draws

    return draw
