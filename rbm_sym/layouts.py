"""What numba cannot say about the layout of an array."""

from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from pytensor.link.numba.dispatch.basic import numba_njit


def _view_as(array, layout):
    if not isinstance(array, types.Array):
        return None

    def same_array(context, builder, signature, arguments):
        context.nrt.incref(builder, signature.args[0], arguments[0])
        return arguments[0]

    return array.copy(layout=layout)(array), same_array


@intrinsic
def any_layout(typingctx, array):
    """The array, its strides unknown to the compiler: one kernel serves all layouts."""
    return _view_as(array, "A")


@intrinsic
def contiguous(typingctx, array):
    """The array, which the caller knows to be contiguous: only then are loops vectorised."""
    return _view_as(array, "C")


@intrinsic
def _as_vector(typingctx, array):
    """The numbers of an array that lies in one piece, whatever its type says."""

    def vector(context, builder, signature, arguments):
        source = make_array(signature.args[0])(context, builder, arguments[0])
        result = make_array(signature.return_type)(context, builder)
        populate_array(
            result,
            data=source.data,
            shape=[source.nitems],
            strides=[source.itemsize],
            itemsize=source.itemsize,
            meminfo=source.meminfo,
            parent=source.parent,
        )
        value = result._getvalue()
        context.nrt.incref(builder, signature.return_type, value)
        return value

    return array.copy(ndim=1, layout="C")(array), vector


@numba_njit
def in_one_piece(array):
    """Whether the numbers lie in memory one after another, in the order of the indices."""
    distance = array.itemsize
    for i in range(array.ndim - 1, -1, -1):
        if array.shape[i] != 1 and array.strides[i] != distance:
            return False
        distance *= array.shape[i]
    return True


@numba_njit
def flat(array):
    """The numbers of an array, in order, as a contiguous vector: a view where that can be had."""
    return _as_vector(array) if in_one_piece(array) else _as_vector(array.copy())
