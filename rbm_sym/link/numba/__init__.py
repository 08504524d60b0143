"""Numba, PyTensor's default backend: versions of the Ops that draw, and Ops that are faster.

- Settings of the process: `compile_cache`, `rounding`.
- How functions are compiled: `kernels`, under a key from `fingerprint`; `layouts` of arrays in
  memory; `vectors`, instructions of which LLVM makes none by itself.
- Versions of the Ops in `rbm_sym.streams`: `draws`, `mersenne_twister`, `mrg31k3p`.
- Ops that rewrites bring in: `products` (with `multiplication` and `panels`), `sums`,
  `elementary`; and `numbers`, a rewrite alone.

Importing it changes settings of the process, and comes before anything is compiled.
"""

# First, since PyTensor makes the folder of its compile cache when it is asked for numba.
from rbm_sym.link.numba import compile_cache, rounding  # noqa: F401  # isort: skip
from rbm_sym.link.numba import mersenne_twister, mrg31k3p  # noqa: F401
