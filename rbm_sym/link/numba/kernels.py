"""Kernels: functions on arrays, compiled by numba apart from the graphs that call them.

PyTensor compiles a graph as numba functions that call one another, and LLVM optimises each of them
together with all that it calls. A loop that a graph uses eight times, three calls deep, is
optimised some thirty times over. A kernel is compiled once and called by its address; in return
nothing is inlined, which matters little where a call handles thousands of numbers.

Machine code is kept on disk in PyTensor's own cache, under a key that follows from its content
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

# The liberties that LLVM may take with floating-point numbers where nothing depends on the last
# bit: sums in another order, products that are added before they are rounded.
FREE = frozenset({"arcp", "contract", "afn", "nsz", "reassoc"})

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
