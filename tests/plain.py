"""Functions compiled without the rewrites, to compare with."""

import pytensor
from pytensor.compile.mode import Mode, get_default_mode

from rbm_sym.rewrites import ALL

# Without this, PyTensor looks for a BLAS for compiled C, of which there is none here, and warns.
pytensor.config.blas__ldflags = ""


def plain_function(*arguments, **options):
    """`pytensor.function` without the rewrites, computed by the Ops' own Python.

    Numba would compute the same, but compile it for seconds first.
    """
    mode = Mode("py", get_default_mode().excluding(ALL, "fusion").optimizer)
    with pytensor.config.change_flags(mode=mode, cxx=""):
        return pytensor.function(*arguments, **options)
