"""Numba, PyTensor's default backend: its versions of the Ops that draw, and faster Ops.

- Settings of the process: `compile_cache`, `rounding`.
- How functions are compiled: `kernels`, with cache keys from `fingerprint`; `layouts` of arrays in
  memory; `vectors`, instructions that LLVM does not use by itself.
- Versions of the Ops in `rbm_sym.streams`: `draws`, `mersenne_twister`, `mrg31k3p`.
- Ops that rewrites put into graphs: `products` (with `multiplication` and `panels`), `sums`,
  `elementary`. `one_element` is a rewrite without an Op.

The import changes settings of the process, and has to come before anything is compiled.
"""

# First, since PyTensor makes the folder of its compile cache when its numba modules are imported.
from rbm_sym.link.numba import compile_cache, rounding  # noqa: F401  # isort: skip
from rbm_sym.link.numba import mersenne_twister, mrg31k3p  # noqa: F401
