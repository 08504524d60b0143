"""What makes compiled graphs fast."""

from rbm_sym.rewrites import columns, elementary, products, sums, traces, transposes  # noqa: F401
