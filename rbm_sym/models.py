"""Trained models in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytensor

from rbm_sym.checkpoint import load_arrays, save_arrays
from rbm_sym.dbn import DBN
from rbm_sym.internal.arguments import check_finite_parameters
from rbm_sym.rbm import RBM
from rbm_sym.streams import Streams

PARAMETERS = ["W", "hbias", "vbias"]


def save_model(path: str | Path, model: RBM | DBN, settings: dict[str, Any] | None = None) -> None:
    """Write the parameters of a model to an `.npz` file.

    An RBM's are called W, hbias and vbias; a DBN's W_0, hbias_0, vbias_0, W_1 and so on from the
    visible units up, and logistic_W and logistic_b.

    Parameters
    ----------
    path : str or path
    model : RBM or DBN whose parameters are shared variables
    settings : dict that JSON can hold, such as how the model was trained; or None

    Raises
    ------
    OSError
        if the file cannot be written
    ValueError
        if there are infinite or undefined numbers in the parameters; nothing is written then

    Examples
    --------
    >>> from rbm_sym import RBM
    >>> from rbm_sym.models import load_rbm, save_model
    >>> save_model("rbm.npz", RBM(n_visible=6, n_hidden=4), {"epochs": 15})
    >>> rbm, settings = load_rbm("rbm.npz")
    >>> settings
    {'epochs': 15}
    """
    if isinstance(model, DBN):
        arrays = {f"logistic_{param.name}": param.get_value() for param in model.logLayer.params}
        for i, rbm in enumerate(model.rbm_layers):
            arrays |= {f"{name}_{i}": value for name, value in _parameters(rbm).items()}
    else:
        arrays = _parameters(model)
    check_finite_parameters(path, arrays.values())
    save_arrays(path, arrays, settings or {})


def load_rbm(path: str | Path, theano_rng: Streams | None = None) -> tuple[RBM, dict[str, Any]]:
    """Read an RBM from a file of `save_model`.

    Parameters
    ----------
    path : str or path
    theano_rng : MRG_RandomStreams or RandomStreams for the samples; None makes MRG_RandomStreams

    Returns
    -------
    rbm : RBM
        Its parameters have the dtype that they have in the file. Before you build graphs with it,
        set `pytensor.config.floatX` to this dtype, rbm.W.dtype.
    settings : dict

    Raises
    ------
    OSError
        if there is no such file, or it cannot be read
    ValueError
        if it is damaged, or does not hold an RBM

    Examples
    --------
    >>> from rbm_sym import RBM
    >>> from rbm_sym.models import load_rbm, save_model
    >>> save_model("rbm.npz", RBM(n_visible=6, n_hidden=4))
    >>> rbm, settings = load_rbm("rbm.npz")
    >>> rbm.W.get_value().shape
    (6, 4)
    """
    arrays, settings = load_arrays(path, PARAMETERS)
    _check(path, arrays)
    n_visible, n_hidden = arrays["W"].shape
    with pytensor.config.change_flags(floatX=str(arrays["W"].dtype)):
        rbm = RBM(n_visible=n_visible, n_hidden=n_hidden, theano_rng=theano_rng)
    _set_values(path, rbm.params, arrays)
    return rbm, settings


def load_dbn(path: str | Path, theano_rng: Streams | None = None) -> tuple[DBN, dict[str, Any]]:
    """Read a DBN from a file of `save_model`; arguments, results and errors as for `load_rbm`.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym import DBN
    >>> from rbm_sym.models import load_dbn, save_model
    >>> numpy_rng = np.random.RandomState(1)
    >>> save_model("dbn.npz", DBN(numpy_rng, n_ins=6, hidden_layers_sizes=[5, 4], n_outs=3))
    >>> dbn, settings = load_dbn("dbn.npz")
    >>> [rbm.W.get_value().shape for rbm in dbn.rbm_layers]
    [(6, 5), (5, 4)]
    """
    arrays, settings = load_arrays(path)
    n_layers = sum(name.startswith("W_") for name in arrays)
    names = [f"{name}_{i}" for i in range(n_layers) for name in PARAMETERS]
    if not n_layers or set(arrays) != {*names, "logistic_W", "logistic_b"}:
        raise ValueError(f"{path}: no deep belief network, but {', '.join(sorted(arrays))}")
    _check(path, arrays)
    sizes = [arrays[f"W_{i}"].shape for i in range(n_layers)]
    logistic_W = arrays["logistic_W"]
    with pytensor.config.change_flags(floatX=str(logistic_W.dtype)):
        dbn = DBN(
            np.random.RandomState(0), theano_rng, sizes[0][0], [n for _, n in sizes],
            logistic_W.shape[1],
        )  # fmt: skip
    variables = [param for rbm in dbn.rbm_layers for param in rbm.params]
    names += ["logistic_W", "logistic_b"]
    _set_values(path, [*variables, *dbn.logLayer.params], {name: arrays[name] for name in names})
    return dbn, settings


def _parameters(rbm):
    values = [param.get_value() for param in rbm.params]
    return dict(zip(PARAMETERS, values, strict=True))


def _set_values(path, variables, arrays):
    """Set each variable to the array at its place in the dict; raise unless shapes are the same."""
    for variable, (name, array) in zip(variables, arrays.items(), strict=True):
        expected = variable.get_value(borrow=True).shape
        if array.shape != expected:
            raise ValueError(f"{path}: {name} is of shape {array.shape}, not {expected}")
        variable.set_value(array)


def _check(path, arrays):
    """Raise ValueError unless all arrays are finite, of one dtype, and weights are matrices."""
    for name, array in arrays.items():
        if "W" in name and (array.ndim != 2 or array.dtype not in (np.float32, np.float64)):
            raise ValueError(
                f"{path}: {name} must be a float matrix, not {array.dtype} of shape {array.shape}"
            )
    if len({array.dtype for array in arrays.values()}) > 1:
        raise ValueError(f"{path}: the parameters are not all of one dtype")
    check_finite_parameters(path, arrays.values())
