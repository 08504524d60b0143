"""Kernels: functions on arrays, compiled by numba apart from the graphs that call them.

PyTensor compiles a graph as numba functions that call one another, and LLVM optimises each of them
together with all that it calls. A loop that a graph uses eight times, three calls deep, is
optimised some thirty times over. A kernel is compiled once and called by its address; in return
nothing is inlined, which matters little where a call handles thousands of numbers.

Machine code is kept on disk in PyTensor's own cache, under a key that follows from its content
(`rbm_sym.fingerprint`).
"""

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array
from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key

from rbm_sym.fingerprint import fingerprint

# The liberties that LLVM may take with floating-point numbers where nothing depends on the last
# bit: sums in another order, products that are added before they are rounded.
FREE = frozenset({"arcp", "contract", "afn", "nsz", "reassoc"})

# What Ops with kernels are written for.
FLOATS = ("float32", "float64")

# Bytes that the processor loads at once.
CACHE_LINE = 64

# Symbol to what calls it, and to the compiled function, which must live as long as its address
# is known.
_callers, _compiled = {}, {}


def array_type(dtype, ndim, layout):
    """Numba's type of an array: `layout` "C" if it lies in one piece, "A" if that is not known."""
    return types.Array(numba.from_dtype(np.dtype(dtype)), ndim, layout)


def kernel(function, name, argument_types, fastmath=False):
    """Compile `function` once and return what numba code can call in its place.

    Parameters
    ----------
    function : Python function that numba can compile, that returns and raises nothing: numba
        prints and ignores what is raised inside. What it needs, it finds among its globals: what
        a closure holds would keep it from being cached.
    name : str, for the reader of a profile
    argument_types : sequence of numba types. Arrays are passed as `any_layout` or `contiguous`
        returns them; the caller keeps them alive.
    fastmath : False, or a set of LLVM's floating-point flags
    """
    signature = types.void(*argument_types)
    options = {"fastmath": set(fastmath) if fastmath else False, "error_model": "numpy"}
    symbol = f"rbm_sym_{name}_{fingerprint(function, signature, options)}"
    if symbol in _callers:
        return _callers[symbol]
    CACHED_SRC_FUNCTIONS[function] = symbol
    _compiled[symbol] = numba.cfunc(signature, cache=True, **options)(function)
    llvmlite.binding.add_symbol(symbol, _compiled[symbol].address)

    def by_symbol(context, builder, signature, arguments):
        c_types = [context.get_value_type(t) for t in signature.args]
        # To numba, a function that returns nothing returns a pointer.
        c_signature = ir.FunctionType(context.get_value_type(types.none), c_types)
        target = cgutils.get_or_insert_function(builder.module, c_signature, symbol)
        builder.call(target, arguments)
        return context.get_dummy_value()

    # Numba takes an intrinsic's arguments from its signature: no *arguments there.
    names = ", ".join(f"argument_{i}" for i in range(len(argument_types)))
    source = f"def {name}(typingctx, {names}): return signature, by_symbol"
    namespace = {"signature": signature, "by_symbol": by_symbol, "__name__": __name__}
    exec(source, namespace)
    _callers[symbol] = intrinsic(namespace[name])
    return _callers[symbol]


def numba_version_of(op_type):
    """Register a function of (op, node) that makes numba's version of an Op.

    The key of its machine code on disk is its fingerprint.
    """

    def register(make):
        @register_funcify_and_cache_key(op_type)
        def make_with_key(op, **arguments):
            function = make(op, **arguments)
            return function, fingerprint(function)

        return make

    return register


# --- Layouts ---------------------------------------------------------------------------------


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
    # Nothing is compiled for what cannot be.
    if array.layout == "C":
        return lambda array: array
    return lambda array: contiguous(array) if in_one_piece(array) else array.copy()


# Numba compiles this in place of the other. Without a word of it, its fingerprint would not count.
packed.compiled = _packed


@numba_njit
def copied(array):
    """A copy, in one piece."""
    return array.copy()


@numba_njit
def flat(array):
    """The numbers of an array, in order, as a contiguous vector: a view where that can be had."""
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


# --- In place --------------------------------------------------------------------------------


def register_in_place(name, op_type):
    """Let Ops of a class overwrite their first input wherever nothing else reads it afterwards.

    Their property `inplace` says whether they do. A rewrite sets it after all those that build
    graphs, beside PyTensor's own of the kind: an Op that destroys its input may not stand in the
    inner graph that scan is given.
    """

    @node_rewriter([op_type], inplace=True)
    def in_place(fgraph, node):
        if node.op.inplace:
            return False
        properties = node.op._props_dict() | {"inplace": True}
        return type(node.op)(**properties).make_node(*node.inputs).outputs

    rewriter = dfs_rewriter(in_place, ignore_newtrees=True)
    optdb.register(name, rewriter, "fast_run", "inplace", position=50.9)
