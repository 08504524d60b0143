"""How probable an RBM finds a picture: its partition function, exact and estimated.

    log p(v) = -F(v) - log Z,    Z = Σ_v exp(-F(v))

Z is a sum over all states. With at most 25 units in one of the layers it can be computed. Else it
is estimated from two sides:

- annealed importance sampling walks from a distribution whose Z is known to the RBM (Neal 2001;
  Salakhutdinov and Murray 2008). The mean of the walks' weights is Z, so that the estimate of
  log Z is rather too small;
- the walks back, from samples of the RBM, have weights whose mean is 1 / Z, and the estimate is
  rather too large (Burda, Grosse and Salakhutdinov 2015 walk back from examples).

Where the two agree, the truth lies between them, provided that the walks back did start at samples
of the RBM: a mode that no walk has found is missing from both. All logarithms are natural.
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
