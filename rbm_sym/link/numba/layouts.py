"""How arrays lie in memory, and what numba knows about it.

The numbers of an array may lie in any order and at any distance. A kernel is compiled for one
layout, so its arguments have to go through one of these functions.
"""

from numba import types
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array
from pytensor.link.numba.dispatch.basic import numba_njit

# Bytes that the processor loads together.
CACHE_LINE = 64


def _view_as(array, layout):
    if not isinstance(array, types.Array):
        return None

    def same_array(context, builder, signature, arguments):
        context.nrt.incref(builder, signature.args[0], arguments[0])
        return arguments[0]

    return array.copy(layout=layout, readonly=False)(array), same_array


@intrinsic
def any_layout(typingctx, array):
    """The array, its strides unknown to the compiler: one kernel serves all layouts."""
    return _view_as(array, "A")


@intrinsic
def contiguous(typingctx, array):
    """The array, which the caller knows to be in one piece: only then are loops vectorised."""
    return _view_as(array, "C")


@intrinsic
def as_vector(typingctx, array):
    """The memory of an array from its first number on, as a contiguous vector."""

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

    return array.copy(ndim=1, layout="C", readonly=False)(array), vector


@numba_njit
def in_one_piece(array):
    """Whether the numbers lie in memory one after another, in the order of the indices."""
    distance = array.itemsize
    for i in range(array.ndim - 1, -1, -1):
        if array.shape[i] != 1 and array.strides[i] != distance:
            return False
        distance *= array.shape[i]
    return True


def packed(array):
    """The array, in one piece: itself if it is, otherwise a copy."""
    raise NotImplementedError("for compiled code only")


@overload(packed)
def _packed(array):
    # An array whose type says that it is contiguous needs no test.
    if array.layout == "C":
        return lambda array: array
    return lambda array: contiguous(array) if in_one_piece(array) else array.copy()


# Numba compiles `_packed` in place of `packed`. As an attribute, it is part of the fingerprint.
packed.compiled = _packed


@numba_njit
def copied(array):
    """A copy, in one piece."""
    return array.copy()


@numba_njit
def flat(array):
    """The numbers of an array, in order, as a contiguous vector: a view if that is possible."""
    return as_vector(packed(array))


@intrinsic
def empty_aligned(typingctx, like, n, rows, columns):
    """An array (n, rows, columns) of numbers as in `like` that begins where a cache line does."""
    result_type = types.Array(like.dtype, 3, "C")

    def allocate(context, builder, signature, arguments):
        result = make_array(result_type)(context, builder)
        size = context.get_constant(types.intp, context.get_abi_sizeof(result.data.type.pointee))
        strides = [size]
        for length in reversed(arguments[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        n_bytes, *strides = strides
        alignment = context.get_constant(types.uint32, CACHE_LINE)
        memory = context.nrt.meminfo_alloc_aligned(builder, size=n_bytes, align=alignment)
        populate_array(
            result,
            data=builder.bitcast(context.nrt.meminfo_data(builder, memory), result.data.type),
            shape=arguments[1:],
            strides=strides,
            itemsize=size,
            meminfo=memory,
        )
        return result._getvalue()

    return result_type(like, types.intp, types.intp, types.intp), allocate
