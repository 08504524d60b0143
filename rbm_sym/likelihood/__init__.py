"""How probable a picture is under an RBM: its partition function, exact and estimated.

    log p(v) = -F(v) - log Z,    Z = Σ_v exp(-F(v))

Z is a sum over all states. It can be computed if one of the layers has at most 25 units. Otherwise
it is estimated from two sides:

- Annealed importance sampling walks from a distribution with a known Z to the RBM (Neal 2001;
  Salakhutdinov and Murray 2008). The expectation of the walks' weights is Z, so that the estimate
  of log Z tends to be too small.
- Reverse walks start at samples of the RBM. (Those of Burda, Grosse and Salakhutdinov 2015 start at
  examples.) The expectation of their weights is 1 / Z, so that the estimate tends to be too large.

If the two agree, the true value lies between them. This holds if the reverse walks did start at
samples of the RBM: a mode that no walk has found is missing from both. All logarithms are natural.
"""

from rbm_sym.likelihood.annealing import (
    LogPartition,
    ais_log_partition,
    reverse_ais_log_partition,
    standard_temperatures,
)
from rbm_sym.likelihood.exact import exact_log_partition
from rbm_sym.likelihood.examples import log_likelihood, pseudo_likelihood

__all__ = [
    "LogPartition",
    "ais_log_partition",
    "exact_log_partition",
    "log_likelihood",
    "pseudo_likelihood",
    "reverse_ais_log_partition",
    "standard_temperatures",
]
