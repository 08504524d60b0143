"""The arguments of a draw, its size and its parameters, as in Theano."""

from numbers import Integral

import pytensor
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.scalar import upcast
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.shape import Shape
from pytensor.tensor.type import integer_dtypes


def check_size(size):
    """Raise TypeError unless `size` is a tuple or a vector; Theano's MRG streams took no other."""
    if not isinstance(size, tuple) and not (isinstance(size, Variable) and size.ndim == 1):
        raise TypeError(f"size: a tuple or an integer vector is needed, not {size!r}")


def as_floats(first, second, dtype):
    """Two parameters as tensors, and `dtype`, or else the widest of theirs and floatX."""
    first, second = pt.as_tensor_variable(first), pt.as_tensor_variable(second)
    if dtype is None:
        dtype = upcast(pytensor.config.floatX, first.dtype, second.dtype)
    return first, second, str(dtype)


def draw_shape(size, ndim, *parameters):
    """The shape of a draw, as a tuple of ints and int64 scalars."""
    if size is None:
        if not parameters:
            raise TypeError("size: None is not enough here; give a tuple or an integer vector")
        return tuple(sum(parameters[1:], parameters[0]).shape)
    if isinstance(size, Integral):
        size = (size,)
    if isinstance(size, tuple | list):
        shape = tuple(_length(s) for s in size)
    else:
        vector = pt.as_tensor_variable(size)
        if vector.ndim != 1 or vector.dtype not in integer_dtypes:
            raise TypeError(f"size: an integer vector is needed, not {vector.type}")
        length = pt.get_vector_length(vector) if ndim is None else ndim
        shape = tuple(pt.cast(vector[i], "int64") for i in range(length))
    if ndim is not None and ndim != len(shape):
        raise ValueError(f"ndim: {ndim} is given, but size {size!r} has {len(shape)} dimensions")
    return shape


def in_shape(p, size, ndim, *parameters):
    """The tensor `p` broadcast to the shape of a draw."""
    shape = draw_shape(size, ndim, *parameters)
    shape_of = getattr(size, "owner", None)
    if shape_of is not None and isinstance(shape_of.op, Shape) and shape_of.inputs[0] is p:
        # size=p.shape, as in the tutorial: nothing to do here, nor to check at every draw.
        return p
    if isinstance(size, Constant) and tuple(size.data) == p.type.shape:
        # The same, with a constant shape.
        return p
    return pt.broadcast_to(p, shape)


def _length(length):
    if isinstance(length, Integral):
        if length <= 0:
            raise ValueError(f"size: every dimension must be at least 1, not {length}")
        return int(length)
    length = pt.as_tensor_variable(length)
    if length.ndim != 0 or length.dtype not in integer_dtypes:
        raise TypeError(f"size: integers are needed, not {length.type}")
    return pt.cast(length, "int64")


def count_draws(shape):
    """How many draws a shape of ints and scalars takes: an int if all are, else a scalar."""
    count = 1
    for length in shape:
        count = count * length
    return count


def is_constant(variable, number):
    """Whether a variable is known to be this number everywhere."""
    try:
        return pt.get_underlying_scalar_constant_value(variable) == number
    except NotScalarConstantError:
        return False
