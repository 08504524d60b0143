"""The two kinds of random streams in Theano."""

from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.gradient import undefined_grad
from pytensor.graph.basic import Variable
from pytensor.tensor import TensorLike
from pytensor.tensor.variable import TensorVariable

from rbm_sym.internal.arguments import FLOATS
from rbm_sym.internal.types import Count
from rbm_sym.streams.arithmetic import BoxMuller, OnInterval, ScaledAndShifted
from rbm_sym.streams.mersenne_twister import (
    MersenneTwisterBernoulli,
    MersenneTwisterBinomial,
    MersenneTwisterNormal,
    MersenneTwisterUniform,
    mersenne_twister_state,
)
from rbm_sym.streams.mrg31k3p import (
    MODULUS_1,
    MODULUS_2,
    STEPS_BETWEEN_DRAWS,
    MRG31k3pBernoulli,
    MRG31k3pUniform,
    jump,
    parallel_streams,
)
from rbm_sym.streams.sizes import (
    as_floats,
    check_size,
    count_draws,
    draw_shape,
    in_shape,
    is_constant,
)
from rbm_sym.streams.states import StreamState, building

Size = int | Sequence[Count] | TensorVariable


class Streams:
    """What both kinds have in common: `states`, those of all their streams in call order.

    Examples
    --------
    >>> from rbm_sym.streams import MRG_RandomStreams, Streams
    >>> streams = MRG_RandomStreams(seed=1)
    >>> isinstance(streams, Streams)
    True
    >>> noise = streams.normal(size=(2, 3)) + streams.uniform(size=(2, 3))
    >>> [state.name for state, new_state in streams.updates()]
    ['mrg_stream_0', 'mrg_stream_1']
    """

    name: str | None = None
    # How products and sums are rounded: see `arithmetic.Affine`.
    fused: bool | None = None
    # Each kind draws in its own way.
    uniform: Callable[..., TensorVariable]
    normal: Callable[..., TensorVariable]
    binomial: Callable[..., TensorVariable]
    seed: Callable[..., None]

    def __init__(self) -> None:
        self.states: list[StreamState] = []

    def updates(self) -> list[tuple[StreamState, Variable | None]]:
        """The next state of every stream: a list of pairs (shared variable, expression)."""
        return [(state, state.default_update) for state in self.states]

    def _draw(self, op, state_value, *parameters):
        with building:
            name = f"{self.name}_stream_{len(self.states)}"
            state = StreamState(op.state_type, state_value, strict=False, name=name)
            new_state, draws = op(state, *parameters)
            state.default_update = new_state
            self.states.append(state)
        return draws

    def _transformed(self, transform, draws, first, second, shape):
        """A vector of draws in this shape, transformed by two tensors that broadcast to it."""
        standard = (0, 1) if transform is OnInterval else (1, 0)
        if not all(map(is_constant, (first, second), standard)):
            first, second = (pt.broadcast_to(x, shape).ravel() for x in (first, second))
            draws = transform(self.fused)(draws, first, second)
        return pt.reshape(draws, shape, ndim=len(shape))


class RandomStreams(Streams):
    """Streams of NumPy's `RandomState` (MT19937), as in theano.tensor.shared_randomstreams.

    Parameters
    ----------
    seed : int in [0, 2**32), array of such ints, or None
        Seed of the generator that seeds the streams; None takes entropy from the system.

    Raises
    ------
    ValueError, TypeError
        if NumPy cannot take the seed

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym import RandomStreams
    >>> streams = RandomStreams(seed=1)
    >>> draw = pytensor.function([], streams.normal(size=(2, 3)))
    >>> first, second = draw(), draw()
    >>> np.array_equal(first, second)
    False
    >>> streams.seed(1)
    >>> np.array_equal(draw(), first)
    True
    """

    name = "shared"
    fused = False

    def __init__(self, seed: int | Sequence[int] | np.ndarray | None = None) -> None:
        super().__init__()
        self.default_instance_seed = seed
        self.gen_seedgen = _seed_generator(seed)

    def seed(self, seed: int | Sequence[int] | np.ndarray | None = None) -> None:
        """Start all streams anew from `seed`; None takes the seed of the constructor."""
        seed_generator = _seed_generator(self.default_instance_seed if seed is None else seed)
        for state in self.states:
            state.set_value(mersenne_twister_state(seed_generator.randint(2**30)), borrow=True)

    def uniform(
        self,
        size: Size | None = None,
        low: TensorLike = 0.0,
        high: TensorLike = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
    ) -> TensorVariable:
        """Draw from the uniform distribution over [low, high).

        Parameters
        ----------
        size : tuple or list of ints and integer scalars, or integer vector, or None
            Shape of the result; None takes the shape of `low` and `high` broadcast.
        low, high : number or tensor that broadcasts to `size`
        ndim : int, needed if `size` is a vector of unknown length
        dtype : str; None takes the widest of floatX and the dtypes of `low` and `high`

        Returns
        -------
        tensor of `dtype`, computed in float64 before it is cast
        """
        low, high, dtype = as_floats(low, high, dtype)
        shape = draw_shape(size, ndim, low, high)
        u = self._standard(MersenneTwisterUniform(), shape)
        low, high = pt.cast(low, "float64"), pt.cast(high, "float64")
        return pt.cast(self._transformed(OnInterval, u, low, high, shape), dtype)

    def normal(
        self,
        size: Size | None = None,
        avg: TensorLike = 0.0,
        std: TensorLike = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
    ) -> TensorVariable:
        """Draw from the normal distribution of mean `avg` and standard deviation `std`.

        `size`, `ndim`, `dtype` and the result as for `uniform`.
        """
        avg, std, dtype = as_floats(avg, std, dtype)
        shape = draw_shape(size, ndim, avg, std)
        z = self._standard(MersenneTwisterNormal(), shape)
        avg, std = pt.cast(avg, "float64"), pt.cast(std, "float64")
        return pt.cast(self._transformed(ScaledAndShifted, z, std, avg, shape), dtype)

    def binomial(
        self,
        size: Size | None = None,
        n: Count = 1,
        p: TensorLike = 0.5,
        ndim: int | None = None,
        dtype: str = "int64",
    ) -> TensorVariable:
        """Draw the number of successes in `n` trials of probability `p`.

        Parameters
        ----------
        size, ndim : as for `uniform`; `size` None takes the shape of `n` and `p` broadcast
        n : int or integer tensor, at least 0
        p : number or tensor in [0, 1]
        dtype : str
            The default is Theano's int64. A sample that is multiplied with floatX weights should
            be floatX.

        Returns
        -------
        tensor of `dtype`, values 0 to n
        """
        n, p = pt.as_tensor_variable(n), pt.as_tensor_variable(p)
        if is_constant(n, 1):
            op = MersenneTwisterBernoulli(str(np.dtype(dtype)), precision="float64")
            p = pt.cast(undefined_grad(in_shape(p, size, ndim, n, p)), "float64")
            return self._draw(op, self._next_state(), p)
        shape = draw_shape(size, ndim, n, p)
        n, p = (pt.broadcast_to(x, shape).ravel() for x in (pt.cast(n, "int64"), undefined_grad(p)))
        op = MersenneTwisterBinomial()
        draws = self._draw(op, self._next_state(), n, pt.cast(p, "float64"))
        return pt.cast(pt.reshape(draws, shape, ndim=len(shape)), dtype)

    def _next_state(self):
        return mersenne_twister_state(self.gen_seedgen.randint(2**30))

    def _standard(self, op, shape):
        return self._draw(op, self._next_state(), count_draws(shape))


class MRG_RandomStreams(Streams):  # noqa: N801 (the name is Theano's)
    """Streams of MRG31k3p, as in theano.sandbox.rng_mrg.

    A draw of symbolic size comes from 15,360 parallel streams. A draw of constant size n comes from
    n // 6 streams, or from n if n is at most 6, but never from more than 15,360.

    Parameters
    ----------
    seed : int in [1, 2147462579), or six ints
        One integer stands for all six. The first three lie in [0, 2147483647), the last three
        in [0, 2147462579). Neither the first three nor the last three may all be 0.

    Raises
    ------
    ValueError
        for a seed out of range
    TypeError
        for a seed that is neither one integer nor six

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym import MRG_RandomStreams
    >>> streams = MRG_RandomStreams(seed=1)
    >>> draw = pytensor.function([], streams.binomial(size=(2, 3), p=0.5))
    >>> first, second = draw(), draw()
    >>> first.shape, first.dtype
    ((2, 3), dtype('int64'))
    >>> streams.seed()
    >>> np.array_equal(draw(), first)
    True
    """

    name = "mrg"
    fused = True

    def __init__(self, seed: int | Sequence[int] = 12345) -> None:
        super().__init__()
        self.default_instance_seed = seed
        self.set_rstate(seed)

    def set_rstate(self, seed: int | Sequence[int]) -> None:
        """Let the next stream start at `seed`, as for the constructor."""
        self.rstate = _mrg_seed(seed)

    def seed(self, seed: int | Sequence[int] | None = None) -> None:
        """Start all streams anew from `seed`; None takes the seed of the constructor."""
        self.set_rstate(self.default_instance_seed if seed is None else seed)
        for state in self.states:
            n_streams = state.get_value(borrow=True).shape[1]
            state.set_value(self._next_state(n_streams), borrow=True)

    def uniform(
        self,
        size: tuple[Count, ...] | TensorVariable,
        low: TensorLike = 0.0,
        high: TensorLike = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
        nstreams: int | None = None,
    ) -> TensorVariable:
        """Draw from the uniform distribution over (low, high].

        Parameters
        ----------
        size : tuple of ints and integer scalars, or integer vector
            Shape of the result.
        low, high : number or tensor that broadcasts to `size`; both are cast to `dtype`
        ndim : int, needed if `size` is a vector of unknown length
        dtype : "float32" or "float64"; None takes the widest of floatX and the dtypes of `low` and
            `high`
        nstreams : int, the number of parallel streams; None takes as many as Theano

        Returns
        -------
        tensor of `dtype`
        """
        check_size(size)
        low, high, dtype = as_floats(low, high, dtype)
        _check_precision(dtype)
        shape = draw_shape(size, ndim)
        n_streams = _number_of_streams(size) if nstreams is None else nstreams
        u = self._draw(MRG31k3pUniform(dtype), self._next_state(n_streams), count_draws(shape))
        low, high = pt.cast(low, dtype), pt.cast(high, dtype)
        return self._transformed(OnInterval, u, low, high, shape)

    def normal(
        self,
        size: Size,
        avg: TensorLike = 0.0,
        std: TensorLike = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
        nstreams: int | None = None,
    ) -> TensorVariable:
        """Draw from the normal distribution of mean `avg` and standard deviation `std`.

        The transform of Box and Muller (1958) takes the radii from the first half of the uniform
        draws and the angles from the second half. `size` may also be a list or one integer; the
        other arguments and the result are as for `uniform`.
        """
        avg, std, dtype = as_floats(avg, std, dtype)
        shape = draw_shape(size, ndim)
        n = pt.as_tensor_variable(count_draws(shape))
        n_even = n + n % 2
        # The size is symbolic even if it is known, since Theano draws from 15,360 streams here.
        u = self.uniform(pt.stack([n_even]), ndim=1, dtype=dtype, nstreams=nstreams)
        z = BoxMuller()(u)[:n]
        avg, std = pt.cast(avg, dtype), pt.cast(std, dtype)
        return self._transformed(ScaledAndShifted, z, std, avg, shape)

    def binomial(
        self,
        size: tuple[Count, ...] | TensorVariable | None = None,
        n: Count = 1,
        p: TensorLike = 0.5,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
    ) -> TensorVariable:
        """Draw 1 with probability `p`, else 0.

        Parameters
        ----------
        size : tuple of ints and integer scalars, or integer vector; None is refused
        n : 1 (Theano's MRG streams draw no other binomial)
        p : number or tensor in [0, 1] that broadcasts to `size`
        ndim, nstreams : as for `uniform`
        dtype : str
            The default is Theano's int64. A sample that is multiplied with floatX weights should
            be floatX.

        Returns
        -------
        tensor of `dtype`, values 0 and 1
        """
        if not is_constant(pt.as_tensor_variable(n), 1):
            raise NotImplementedError(f"n: MRG_RandomStreams draws binomials of n=1, not {n}")
        check_size(size)
        p = in_shape(pt.as_tensor_variable(p), size, ndim)
        n_streams = _number_of_streams(size) if nstreams is None else nstreams
        _check_precision(pytensor.config.floatX)
        op = MRG31k3pBernoulli(str(np.dtype(dtype)), precision=pytensor.config.floatX)
        return self._draw(op, self._next_state(n_streams), undefined_grad(p))

    def _next_state(self, n_streams):
        state = parallel_streams(self.rstate, n_streams)
        self.rstate = jump(self.rstate, STEPS_BETWEEN_DRAWS)
        return state


def make_streams(kind: str, numpy_rng: np.random.RandomState) -> Streams:
    """Streams of one of the two kinds, with a seed drawn from a RandomState as in the tutorial.

    Parameters
    ----------
    kind : "mrg" for MRG_RandomStreams, "shared" for RandomStreams
    numpy_rng : numpy.random.RandomState

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.streams import make_streams
    >>> streams = make_streams("mrg", np.random.RandomState(123))
    >>> streams.uniform(size=(2, 3)).eval().shape
    (2, 3)
    """
    streams = {"mrg": MRG_RandomStreams, "shared": RandomStreams}
    return streams[kind](numpy_rng.randint(2**30))


def _seed_generator(seed):
    try:
        return np.random.RandomState(seed)
    except (ValueError, TypeError) as error:
        raise type(error)(f"seed: {seed!r} does not seed a numpy RandomState: {error}") from None


def _mrg_seed(seed):
    six = [seed] * 6 if isinstance(seed, Integral) else list(np.ravel(seed))
    if len(six) != 6 or not all(isinstance(word, Integral) for word in six):
        raise TypeError(f"seed: one integer or six are needed, not {seed!r}")
    for triple, modulus in ((six[:3], MODULUS_1), (six[3:], MODULUS_2)):
        if not all(0 <= word < modulus for word in triple) or not any(triple):
            raise ValueError(
                f"seed: {seed!r} is out of range; integers in [0, {modulus}), not all 0, are needed"
            )
    return np.array(six, dtype="int64")


def _check_precision(dtype):
    if dtype not in FLOATS:
        raise TypeError(f"dtype: MRG31k3p draws float32 or float64, not {dtype}")


def _number_of_streams(size):
    most = 60 * 256
    if not isinstance(size, tuple) or not all(isinstance(s, int) for s in size):
        return most
    n = int(np.prod(size, dtype=object))
    return min(n // 6 if n > 6 else n, most)
