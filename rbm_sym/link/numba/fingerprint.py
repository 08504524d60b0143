"""Fingerprints of all that compiled functions depend on: the keys of their machine code on disk.

Two functions have the same fingerprint only if they compute the same in the same way. It covers the
function's own code, everything that the code uses, and the versions of the libraries that compile
it. What the code uses are inlined functions, constants, types, intrinsics and the content of
closures. So machine code can be used only for the function that it was made from, and no version
numbers have to be kept by hand.
"""

import dis
import hashlib
import types
from functools import cache

import llvmlite
import numba
import numpy as np
import pytensor
from numba.core.dispatcher import Dispatcher
from numba.core.typing.templates import Signature
from numba.extending import _Intrinsic

import rbm_sym

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))


def fingerprint(*things):
    """The SHA-256 of functions that numba compiles and of all that they use, in hexadecimal digits.

    Parameters
    ----------
    things : Python functions, numba dispatchers, types or intrinsics, numbers, texts, containers
        Of functions of other packages, only the names and the packages' versions count.

    Raises
    ------
    TypeError
        if they use something whose content cannot be read. Modules of this package are such things,
        because it is not known which of their names are used: import the names instead.
    """
    versions = [m.__version__ for m in (rbm_sym, pytensor, numba, llvmlite, np)]
    content = hashlib.sha256(repr(versions).encode())
    # With the objects, so that none is freed and its id used again.
    met = {}

    def add(*parts):
        for part in parts:
            content.update(f"{type(part).__name__} {part!r}\n".encode())

    def add_content(thing):
        if isinstance(thing, PLAIN):
            add(thing)
        elif isinstance(thing, np.ndarray | np.generic | np.dtype):
            array = np.asarray(thing) if not isinstance(thing, np.dtype) else np.empty(0, thing)
            add("array", array.dtype.str, array.shape, array.tobytes())
        elif isinstance(thing, tuple | list):
            add("sequence", len(thing))
            for item in thing:
                add_content(item)
        elif isinstance(thing, set | frozenset):
            add("set", sorted(map(repr, thing)))
        elif isinstance(thing, dict):
            add("dict", len(thing))
            for name in sorted(thing):
                add(name)
                add_content(thing[name])
        elif isinstance(thing, numba.types.Type | Signature):
            # A type's key has all that it is made of; the names of some types do not.
            add("numba type", str(thing), str(getattr(thing, "key", None)))
        elif isinstance(thing, types.ModuleType) and not is_ours(thing.__name__):
            add("module", thing.__name__)
        elif id(thing) in met:
            add("again", met[id(thing)][0])
        else:
            met[id(thing)] = len(met), thing
            add_function(thing)

    def add_function(thing):
        if isinstance(thing, Dispatcher):
            add("dispatcher")
            add_content(thing.targetoptions)
            add_content(thing.py_func)
        elif isinstance(thing, _Intrinsic):
            add("intrinsic")
            add_content(thing._defn)
        elif isinstance(thing, types.FunctionType) and is_ours(thing.__module__):
            add("function", thing.__qualname__)
            add_code(thing.__code__, thing.__globals__)
            add_content([cell.cell_contents for cell in thing.__closure__ or ()])
            add_content([thing.__defaults__, thing.__kwdefaults__, vars(thing)])
        elif callable(thing) and hasattr(thing, "__name__"):
            add("by name", str(getattr(thing, "__module__", None)), thing.__name__)
        else:
            raise TypeError(f"things: {thing!r} is among what they use, and cannot be read")

    def add_code(code, names):
        add("code", code.co_code, code.co_varnames, code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                add_code(constant, names)
            else:
                add_content(constant)
        for name in global_names(code):
            # All other names are Python's built-ins.
            if name in names:
                add("global", name)
                add_content(names[name])

    add_content(things)
    return content.hexdigest()


def is_ours(module):
    return module.partition(".")[0] == "rbm_sym"


@cache
def global_names(code):
    """The names that a code object reads from the globals of its function, sorted."""
    return sorted({i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"})
