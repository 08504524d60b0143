"""The two random number generators of Theano, as PyTensor Ops.

MT19937 (Matsumoto and Nishimura 1998) is NumPy's `RandomState` and stood behind
`theano.tensor.shared_randomstreams`. MRG31k3p (L'Ecuyer and Touzin 2000) stood behind
`theano.sandbox.rng_mrg`: many parallel streams, so that the draws of a matrix do not wait
for one another.

An Op here takes a state and a number of draws and gives the next state and a vector of draws.
A state is a plain integer array: it is saved, compared and handed through a scan like any other
tensor. Each Op has a reference implementation (`perform`, used by every linker that has nothing
better) and a numba kernel; both give the same numbers to the last bit. What is made of the draws
by arithmetic has Ops too: whether a product and a sum are rounded once or twice is not to be left
to a compiler.
"""

from functools import cache
from types import FunctionType

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import grad_undefined
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.tensor.blockwise import vectorize_node_fallback
from pytensor.tensor.type import integer_dtypes

from rbm_sym.kernels import (
    array_type,
    copied,
    flat,
    kernel,
    numba_version_of,
    packed,
    register_in_place,
)

# The numbers that a Bernoulli sample is compared with are made so many at a time: they never
# leave the fastest cache.
UNIFORM_AT_ONCE = 2048


class Draw(Op):
    """`n` draws from a generator: (state, n) to (next state, vector of n draws).

    Parameters
    ----------
    dtype : str, of the draws
    inplace : bool
        Whether the state may be overwritten. A rewrite sets it after the graph is built:
        an Op that destroys its input may not stand in the inner graph that scan is given.
    """

    __props__ = ("dtype", "inplace")

    state_type = None

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

    The uniform numbers are compared with p as they are drawn; no array holds them.

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
    """What `vectorize_graph` makes of a draw whose parameters get further axes.

    A Bernoulli sample draws for each number of its new shape, one after the other, and its next
    state is after all of them. Other draws are vectors of a length that may depend on the new axes.
    """
    if state.type.ndim == op.state_type.ndim and isinstance(op, Bernoulli):
        return op.make_node(state, *parameters)
    raise repeated_rows_error(op)


def repeated_rows_error(what):
    return NotImplementedError(
        f"vectorize_graph: {what} would draw the same numbers for each row; build it in the shape "
        "that is wanted"
    )


# --- MT19937 ---------------------------------------------------------------------------------

# The state: 624 words, the position of the next word, and the second number of the last pair of
# normal draws, if one is kept (a flag, and the float64 as two words).
KEY_WORDS = 624
POSITION, HAS_NORMAL, KEPT_NORMAL = 624, 625, 626
MERSENNE_TWISTER_WORDS = 628


def mersenne_twister_state(seed):
    """State of NumPy's `RandomState(seed)`: (628,) uint32. `seed` as NumPy takes it."""
    return _from_random_state(np.random.RandomState(seed))


def _from_random_state(random_state):
    _, key, position, has_normal, kept_normal = random_state.get_state()
    state = np.empty(MERSENNE_TWISTER_WORDS, dtype="uint32")
    state[:KEY_WORDS] = key
    state[POSITION] = position
    state[HAS_NORMAL] = has_normal
    state[KEPT_NORMAL:] = np.array([kept_normal]).view("uint32")
    return state


def _to_random_state(state):
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
        random_state = _to_random_state(state)
        draws = self.draw(random_state, *parameters)
        output_storage[0][0] = _from_random_state(random_state)
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
        random_state = _to_random_state(state)
        uniform = random_state.random_sample(p.shape)
        output_storage[0][0] = _from_random_state(random_state)
        output_storage[1][0] = np.where(p <= 0.5, uniform > 1 - p, uniform <= p).astype(self.dtype)


@numba_njit(fastmath=False)
def _searched_success(uniform, p):
    # RandomState counts successes where the rarer outcome is searched for from below.
    return uniform > 1 - p if p <= 0.5 else uniform <= p


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


# `fill(state, first, draws, norm)` makes draws number `first` and following of a call and says how
# many: all, or as many as it can make in one go; `norm` makes floats of integers where needed. All
# keep to strict floating point: fused or reassociated operations would change bits.


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


# --- MRG31k3p --------------------------------------------------------------------------------

# Two recurrences of order three; the moduli, and the matrices that take (x[n-1], x[n-2], x[n-3])
# to the next triple (L'Ecuyer and Touzin 2000, section 3).
MODULUS_1 = 2**31 - 1
MODULUS_2 = 2**31 - 21069
STEP_1 = ((0, 2**22, 2**7 + 1), (1, 0, 0), (0, 1, 0))
STEP_2 = ((2**15, 0, 2**15 + 1), (1, 0, 0), (0, 1, 0))

# Theano spaces the parallel streams of one draw, and the draws of one graph, this far apart.
STEPS_BETWEEN_STREAMS = 2**72
STEPS_BETWEEN_DRAWS = 2**134


def jump(state, n_steps):
    """The states (..., 6) int64 of MRG31k3p after `n_steps` draws (a Python integer)."""
    first = _jump_triple(state[..., :3], STEP_1, MODULUS_1, n_steps)
    second = _jump_triple(state[..., 3:], STEP_2, MODULUS_2, n_steps)
    return np.concatenate([first, second], axis=-1)


def _jump_triple(triple, step, modulus, n_steps):
    power = _matrix_power(step, n_steps, modulus)
    # Each product is below 2**62 and is reduced before the sum, so int64 does not overflow.
    return (triple[..., np.newaxis, :] * power % modulus).sum(axis=-1) % modulus


def _matrix_power(matrix, exponent, modulus):
    # Python integers (dtype object): exponents and intermediate products exceed 64 bits.
    power = np.eye(3, dtype=object)
    square = np.array(matrix, dtype=object)
    while exponent:
        if exponent % 2:
            power = power.dot(square) % modulus
        square = square.dot(square) % modulus
        exponent //= 2
    return power.astype("int64")


def parallel_streams(state, n_streams):
    """States of `n_streams` streams, each 2**72 draws after the one before.

    Parameters
    ----------
    state : (6,) integers, the first stream
    n_streams : int, at least 1

    Returns
    -------
    (6, n_streams) int32: one column a stream, so that a kernel walks contiguous memory.
    """
    states = np.asarray(state, dtype="int64").reshape(1, 6)
    while len(states) < n_streams:
        states = np.concatenate([states, jump(states, STEPS_BETWEEN_STREAMS * len(states))])
    return np.ascontiguousarray(states[:n_streams].T, dtype="int32")


class MRG31k3pUniform(Draw):
    """Uniform draws in (0, 1]; the state is (6, n_streams) int32, draw i from stream i % n_streams.

    In float32 the largest draws round to 1. `dtype` is "float32" or "float64".
    """

    state_type = pt.TensorType("int32", shape=(6, None))

    def perform(self, node, inputs, output_storage):
        state, n = inputs
        output_storage[0][0], output_storage[1][0] = _uniform_from_streams(state, n, self.dtype)


class MRG31k3pBernoulli(Bernoulli):
    """1 where a uniform draw is below p; the state as for `MRG31k3pUniform`."""

    state_type = MRG31k3pUniform.state_type

    def perform(self, node, inputs, output_storage):
        state, p = inputs
        output_storage[0][0], uniform = _uniform_from_streams(state, p.size, self.precision)
        output_storage[1][0] = (uniform.reshape(p.shape) < p).astype(self.dtype)


@numba_njit(fastmath=False)
def _success(uniform, p):
    return uniform < p


def _uniform_from_streams(state, n, dtype):
    """The next state, and a vector of `n` uniform draws."""
    n_streams = state.shape[1]
    rounds = []
    state = state.astype("int64")
    for start in range(0, int(n), n_streams):
        active = min(n_streams, int(n) - start)
        integers, state[:, :active] = _next_integers(state[:, :active])
        rounds.append(integers)
    integers = np.concatenate(rounds) if rounds else np.zeros(0, dtype="int64")
    return state.astype("int32"), integers.astype(dtype) * _norm(dtype)


def _norm(dtype):
    # The factors as Theano writes them: in float32 not the nearest number to 2**-31.
    return np.float32(4.6566126e-10) if dtype == "float32" else np.float64(2.0**-31)


def _next_integers(state):
    """One draw of each stream: integers in [1, 2**31 - 1] and the next state, both int64."""
    x1, x2, x3, y1, y2, y3 = state
    new_x = (2**22 * x2 + (2**7 + 1) * x3) % MODULUS_1
    new_y = (2**15 * y1 + (2**15 + 1) * y3) % MODULUS_2
    difference = new_x - new_y
    integers = np.where(difference <= 0, difference + MODULUS_1, difference)
    return integers, np.stack([new_x, x1, x2, new_y, y1, y2])


@numba_njit(fastmath=False)
def _advance_streams(x1, x2, x3, y1, y2, y3, draws, norm):
    # Unsigned 32-bit words throughout, written with shifts instead of products and remainders,
    # so that LLVM computes a vector of streams at a time.
    modulus_1, modulus_2 = np.uint32(MODULUS_1), np.uint32(MODULUS_2)
    for i in range(draws.size):
        b, c = np.uint32(x2[i]), np.uint32(x3[i])
        x = np.uint32(((b & 511) << 22) + (b >> 9) + ((c & 16777215) << 7) + (c >> 24))
        x = np.uint32(x - modulus_1) if x >= modulus_1 else x
        x = np.uint32(x + c)
        x = np.uint32(x - modulus_1) if x >= modulus_1 else x

        a, c = np.uint32(y1[i]), np.uint32(y3[i])
        y = np.uint32(((a & 65535) << 15) + 21069 * (a >> 16))
        y = np.uint32(y - modulus_2) if y >= modulus_2 else y
        z = np.uint32(((c & 65535) << 15) + 21069 * (c >> 16))
        z = np.uint32(z - modulus_2) if z >= modulus_2 else z
        z = np.uint32(z + c)
        z = np.uint32(z - modulus_2) if z >= modulus_2 else z
        y = np.uint32(y + z)
        y = np.uint32(y - modulus_2) if y >= modulus_2 else y

        x3[i], x2[i], x1[i] = x2[i], x1[i], np.int32(x)
        y3[i], y2[i], y1[i] = y2[i], y1[i], np.int32(y)
        difference = np.uint32(x - y + modulus_1) if x <= y else np.uint32(x - y)
        draws[i] = draws.dtype.type(np.int32(difference)) * norm


@numba_njit(fastmath=False)
def _fill_from_streams(state, first, draws, norm):
    start = first % state.shape[1]
    n = min(draws.size, state.shape[1] - start)
    stop = start + n
    _advance_streams(
        state[0, start:stop], state[1, start:stop], state[2, start:stop],
        state[3, start:stop], state[4, start:stop], state[5, start:stop], draws[:n], norm,
    )  # fmt: skip
    return n


# --- Arithmetic on draws ---------------------------------------------------------------------


class Arithmetic(Op):
    """Draws (a vector of floats) from other draws and parameters, by a numba kernel.

    `kernel` is a function of arrays; `fused` says whether numba may round a product and a sum
    in it once.
    """

    kernel = None
    fused = False

    def make_node(self, draws, *parameters):
        return Apply(self, [draws, *parameters], [draws.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = compiled(self)(*inputs)

    def infer_shape(self, *arguments):
        *_, shapes = arguments
        return [shapes[0]]


class Affine(Arithmetic):
    """From a vector of standard draws to an interval or a normal distribution, elementwise.

    The inputs are three vectors of one length and one float dtype: the draws and two parameters.

    Parameters
    ----------
    fused : bool
        Whether the product is added as it is and rounded with the sum, where the processor can
        do that (a fused multiply-add: all since 2013 or so). C compilers made Theano's own code
        so, but not NumPy's.
    """

    __props__ = ("fused",)

    def __init__(self, fused):
        self.fused = fused


@_vectorize_node.register(Affine)
def vectorize_affine(op, node, draws, *parameters):
    if draws.type.ndim == 1:
        raise repeated_rows_error(op)
    return vectorize_node_fallback(op, node, draws, *parameters)


class OnInterval(Affine):
    """low + (high - low) draws, of (draws, low, high)."""

    @staticmethod
    def kernel(draws, low, high):
        result = np.empty_like(draws)
        for i in range(draws.size):
            result[i] = low[i] + (high[i] - low[i]) * draws[i]
        return result

    def pullback(self, inputs, outputs, cotangents):
        (draws, low, high), (cotangent,) = inputs, cotangents
        return [cotangent * (high - low), cotangent * (1 - draws), cotangent * draws]


class ScaledAndShifted(Affine):
    """shift + scale draws, of (draws, scale, shift)."""

    @staticmethod
    def kernel(draws, scale, shift):
        result = np.empty_like(draws)
        for i in range(draws.size):
            result[i] = shift[i] + scale[i] * draws[i]
        return result

    def pullback(self, inputs, outputs, cotangents):
        (draws, scale, _), (cotangent,) = inputs, cotangents
        return [cotangent * scale, cotangent * draws, cotangent]


class BoxMuller(Arithmetic):
    """Standard normal numbers from uniform ones, as many: Box and Muller (1958).

    Of a vector of even length, the first half gives the radii, the second half the angles.
    """

    __props__ = ()

    def pullback(self, inputs, outputs, cotangents):
        return [grad_undefined(self, 0, inputs[0], "a random draw has no derivative")]

    @staticmethod
    def kernel(uniform):
        normal = np.empty_like(uniform)
        two, two_pi = uniform.dtype.type(2.0), uniform.dtype.type(2.0 * np.pi)
        half = uniform.size // 2
        for i in range(half):
            radius = np.sqrt(-two * np.log(uniform[i]))
            angle = two_pi * uniform[half + i]
            normal[i] = radius * np.cos(angle)
            normal[half + i] = radius * np.sin(angle)
        return normal


def floating_point(op):
    """The liberties that numba may take with the kernel of this Op."""
    return {"contract"} if op.fused else False


@cache
def compiled(op):
    """The kernel for linkers other than numba's.

    It is numba's all the same: NumPy cannot fuse, and its logarithm and cosine differ from the C
    library's in the last bit. PyTensor's `numba_njit` would make a function that only other
    compiled functions can call.
    """
    return numba.njit(fastmath=floating_point(op))(op.kernel)


# --- numba and rewrites ----------------------------------------------------------------------


def _numba_draw(op, fill):
    inplace, dtype = op.inplace, np.dtype(op.dtype)
    norm = _norm(op.dtype)

    @numba_njit(fastmath=False)
    def draw(state, n):
        new_state = state if inplace else state.copy()
        draws = np.empty(n.item(), dtype)
        first = 0
        while first < draws.size:
            first += fill(new_state, first, draws[first:], norm)
        return new_state, draws

    return draw


@numba_version_of(MersenneTwisterUniform)
def numba_mersenne_twister_uniform(op, **kwargs):
    return _numba_draw(op, _fill_with_uniform)


@numba_version_of(MersenneTwisterNormal)
def numba_mersenne_twister_normal(op, **kwargs):
    return _numba_draw(op, _fill_with_normal)


@numba_version_of(MRG31k3pUniform)
def numba_mrg31k3p_uniform(op, **kwargs):
    return _numba_draw(op, _fill_from_streams)


@numba_version_of(MersenneTwisterBinomial)
def numba_mersenne_twister_binomial(op, **kwargs):
    # Rare enough to be left to NumPy itself.
    def draw_with_numpy(state, n, p):
        random_state = _to_random_state(state)
        draws = random_state.binomial(n, p)
        return _from_random_state(random_state), draws

    @numba_njit
    def draw(state, n, p):
        with numba.objmode(new_state="uint32[::1]", draws="int64[::1]"):
            new_state, draws = draw_with_numpy(state, n, p)
        return new_state, draws

    return draw


def _sample(state, p, sample, norm):
    uniform = np.empty(min(UNIFORM_AT_ONCE, p.size), uniform_dtype)  # noqa: F821 (see below)
    # Of a type that stays the same: of others, `fill` would be compiled once more.
    first = np.intp(0)
    while first < p.size:
        n = fill(state, first, uniform[: p.size - first], norm)  # noqa: F821
        # Parts of their own: an index that numba knows to be positive makes faster loops.
        p_part, sample_part = p[first : first + n], sample[first : first + n]
        for i in range(n):
            sample_part[i] = success(uniform[i], p_part[i])  # noqa: F821
        first += n


def _numba_bernoulli(op, node, fill, success):
    dtype, precision = np.dtype(op.dtype), np.dtype(op.precision)
    to_overwrite = packed if op.inplace else copied
    norm = _norm(op.precision)
    p_dtype = node.inputs[1].dtype
    # A kernel finds what it uses among its globals.
    names = {"fill": fill, "success": success, "uniform_dtype": precision}
    take_sample = kernel(
        FunctionType(_sample.__code__, globals() | names),
        f"{type(op).__name__}_{precision}_{p_dtype}_{dtype}",
        [array_type(op.state_type.dtype, op.state_type.ndim, "C"), array_type(p_dtype, 1, "C"),
         array_type(dtype, 1, "C"), numba.from_dtype(precision)],
    )  # fmt: skip

    @numba_njit(fastmath=False)
    def draw(state, p):
        new_state = to_overwrite(state)
        sample = np.empty(p.shape, dtype)
        take_sample(new_state, flat(p), flat(sample), norm)
        return new_state, sample

    return draw


@numba_version_of(MersenneTwisterBernoulli)
def numba_mersenne_twister_bernoulli(op, node, **kwargs):
    return _numba_bernoulli(op, node, _fill_with_uniform, _searched_success)


@numba_version_of(MRG31k3pBernoulli)
def numba_mrg31k3p_bernoulli(op, node, **kwargs):
    return _numba_bernoulli(op, node, _fill_from_streams, _success)


@numba_version_of(Arithmetic)
def numba_arithmetic(op, **kwargs):
    return numba_njit(fastmath=floating_point(op))(op.kernel)


# An MRG state is larger than what is drawn from it: better overwritten than copied.
register_in_place("rbm_sym_draw_in_place", Draw)
