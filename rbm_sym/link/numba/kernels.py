"""Kernels: functions on arrays that numba compiles separately from the graphs that call them.

PyTensor compiles a graph as numba functions that call one another, and LLVM optimises each function
together with all that it calls. A loop that a graph uses eight times, three calls deep, is
optimised some thirty times. A kernel is compiled once and called by its address. It is not inlined,
which matters little when a call handles thousands of numbers.

The machine code is kept on disk in PyTensor's own cache. Its key is a fingerprint of its content
(`rbm_sym.link.numba.fingerprint`).
"""

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key

from rbm_sym.link.numba.fingerprint import fingerprint

# LLVM's floating-point flags for code in which nothing depends on the last bit. Numbers may be
# added up in another order, and products may be added before they are rounded.
FREE = frozenset({"arcp", "contract", "afn", "nsz", "reassoc"})

# From a symbol to the intrinsic that calls it, and to the compiled function, which must live as
# long as its address is used.
_callers, _compiled = {}, {}


def array_type(dtype, ndim, layout):
    """Numba's type of an array: `layout` is "C" for a contiguous array, "A" for any array."""
    return types.Array(numba.from_dtype(np.dtype(dtype)), ndim, layout)


def kernel(function, name, argument_types, fastmath=False):
    """Compile `function` once, and return an intrinsic that numba code calls in its place.

    Parameters
    ----------
    function : Python function that numba can compile
        It returns nothing and raises nothing: numba would print and ignore an exception. It takes
        what it needs from its globals, since numba does not cache functions with closures.
    name : str, shown in profiles
    argument_types : sequence of numba types
        Arrays are passed as `any_layout` or `contiguous` returns them. The caller keeps them alive.
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

    # Numba reads the number of arguments from the intrinsic's signature: *arguments would not do.
    names = ", ".join(f"argument_{i}" for i in range(len(argument_types)))
    source = f"def {name}(typingctx, {names}): return signature, by_symbol"
    namespace = {"signature": signature, "by_symbol": by_symbol, "__name__": __name__}
    exec(source, namespace)
    _callers[symbol] = intrinsic(namespace[name])
    return _callers[symbol]


def numba_version_of(op_type):
    """A decorator that registers a function of (op, node) as the maker of numba's version of an Op.

    The key of the machine code on disk is the version's fingerprint.
    """

    def register(make):
        @register_funcify_and_cache_key(op_type)
        def make_with_key(op, **arguments):
            function = make(op, **arguments)
            return function, fingerprint(function)

        return make

    return register
