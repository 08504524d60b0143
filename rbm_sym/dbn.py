"""Deep belief networks, as in the tutorial's chapter on them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import integer_dtypes
from pytensor.tensor.variable import TensorVariable

from rbm_sym.internal.arguments import (
    check_count,
    check_learning_rate,
    check_numpy_rng,
    check_shared,
    check_symbolic_count,
    check_tensor,
)
from rbm_sym.internal.minibatches import count_batches
from rbm_sym.internal.settings import shared_setting
from rbm_sym.internal.types import Count, LabelledSet, Scalar, Updates
from rbm_sym.logistic import sigmoid
from rbm_sym.mlp import HiddenLayer, LogisticRegression
from rbm_sym.rbm import RBM
from rbm_sym.streams import MRG_RandomStreams, Streams, stream_updates
from rbm_sym.update_rules import gradient_descent


class DBN:
    """A stack of RBMs that is also a multilayer perceptron.

    Each RBM shares W and hbias with a sigmoid layer, and is trained on the output of the layers
    below it (pretraining, without labels). Then the whole perceptron learns to classify
    (fine-tuning, with labels). After pretraining, the stack is a model of the data too,

        p(v, h1, ..., hL) = p(v | h1) p(h1 | h2) ... p(hL-1, hL).

    The last factor is the distribution of the top RBM. Each of the others is the distribution that
    an RBM below gives its visible units, given its hidden ones (Hinton, Osindero and Teh 2006).

    Parameters
    ----------
    numpy_rng : numpy.random.RandomState for the weights
    theano_rng : MRG_RandomStreams or RandomStreams for the samples; None makes MRG_RandomStreams
        from numpy_rng, before the weights are drawn
    n_ins : int, at least 1, visible units
    hidden_layers_sizes : list of int, the units of each hidden layer; at least one layer
    n_outs : int, at least 1, classes

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Attributes
    ----------
    x : symbolic floatX matrix (batch, n_ins), values in [0, 1]
    y : symbolic int32 vector (batch,), classes from 0 to n_outs - 1
    sigmoid_layers, rbm_layers : lists from the visible units up; `n_layers` is their length
    logLayer : the LogisticRegression on top of them
    params : W and b of each sigmoid layer, then of logLayer
    finetune_cost : floatX scalar, the mean of -log P(y | x) over the batch
    errors : float64 scalar, the share of the batch whose most probable class is not y

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym import DBN
    >>> dbn = DBN(np.random.RandomState(1), n_ins=6, hidden_layers_sizes=[5, 4], n_outs=3)
    >>> train_x = pytensor.shared(np.eye(6), name="train_x")
    >>> for pretrain in dbn.pretraining_functions(train_x, batch_size=3, k=1):
    ...     costs = [pretrain(index, lr=0.1) for index in range(2)]
    >>> dbn.logLayer.p_y_given_x.eval({dbn.x: np.eye(6)}).shape
    (6, 3)
    """

    def __init__(
        self,
        numpy_rng: np.random.RandomState,
        theano_rng: Streams | None = None,
        n_ins: int = 784,
        hidden_layers_sizes: Sequence[int] = (500, 500),
        n_outs: int = 10,
    ) -> None:
        check_numpy_rng("numpy_rng", numpy_rng)
        check_count("n_ins", n_ins, of="visible unit")
        check_count("n_outs", n_outs, of="class")
        _check_sizes(hidden_layers_sizes)
        if theano_rng is None:
            theano_rng = MRG_RandomStreams(numpy_rng.randint(2**30))

        self.sigmoid_layers = []
        self.rbm_layers = []
        self.params = []
        self.n_layers = len(hidden_layers_sizes)
        self.x = pt.matrix("x")
        self.y = pt.ivector("y")

        layer_input, n_in = self.x, n_ins
        for n_out in hidden_layers_sizes:
            sigmoid_layer = HiddenLayer(numpy_rng, layer_input, n_in, n_out, activation=sigmoid)
            rbm_layer = RBM(
                input=layer_input,
                n_visible=n_in,
                n_hidden=n_out,
                W=sigmoid_layer.W,
                hbias=sigmoid_layer.b,
                numpy_rng=numpy_rng,
                theano_rng=theano_rng,
            )
            self.sigmoid_layers.append(sigmoid_layer)
            self.rbm_layers.append(rbm_layer)
            self.params.extend(sigmoid_layer.params)
            layer_input, n_in = sigmoid_layer.output, n_out

        self.logLayer = LogisticRegression(layer_input, n_in, n_outs)
        self.params.extend(self.logLayer.params)
        self.finetune_cost = self.logLayer.negative_log_likelihood(self.y)
        self.errors = self.logLayer.errors(self.y)

    def pretraining_functions(
        self, train_set_x: TensorSharedVariable, batch_size: int, k: Count
    ) -> list[Callable[..., np.ndarray]]:
        """CD-k for each RBM, on the output of the layers below it for a minibatch.

        Parameters
        ----------
        train_set_x : shared floatX matrix (examples, n_ins), values in [0, 1]
        batch_size : int, from 1 to the number of examples
        k : int or shared integer scalar, at least 1
            Steps of the chain.

        Returns
        -------
        list of functions, from the visible units up
            Each takes the index of a minibatch and the learning rate, `(index, lr=0.1)`, updates
            the RBM's W, hbias and vbias, and returns the reconstruction cost.

        Raises
        ------
        TypeError, ValueError
            if an argument is not as above
        """
        graphs = self.pretraining_graphs(train_set_x, batch_size, k)
        return [_with_default_rate(pytensor.function(**graph)) for graph in graphs]

    def pretraining_graphs(
        self, train_set_x: TensorSharedVariable, batch_size: int, k: Count
    ) -> list[dict[str, Any]]:
        """As `pretraining_functions`, but not compiled yet.

        Returns
        -------
        list of dict, from the visible units up: the arguments of `pytensor.function`, whose inputs
            are the index of a minibatch and the learning rate
        """
        self._check_examples("train_set_x", train_set_x, batch_size, of="training examples")
        check_symbolic_count("k", k, of="step of the chain")
        k = shared_setting("k", k, "int64")
        index, lr = pt.lscalar("index"), pt.scalar("lr")
        batch = train_set_x[_minibatch(index, batch_size)]
        graphs = []
        for rbm in self.rbm_layers:
            cost, updates = rbm.get_cost_updates(lr, persistent=None, k=k)
            graphs.append(
                dict(inputs=[index, lr], outputs=cost, updates=updates, givens={self.x: batch})
            )
        return graphs

    def build_finetune_functions(
        self, datasets: Sequence[LabelledSet], batch_size: int, learning_rate: Scalar
    ) -> tuple[Callable[..., np.ndarray], Callable[..., list], Callable[..., list]]:
        """Gradient descent on `finetune_cost` in all of `params`, and the remaining errors.

        Parameters
        ----------
        datasets : the training, the validation and the test set, as from `load_data`
            Each is a pair of a shared floatX matrix (examples, n_ins) and a symbolic integer
            vector (examples,) of classes.
        batch_size : int, from 1 to the number of examples in the smallest set
        learning_rate : number above 0, or shared scalar

        Returns
        -------
        train_fn : function of the index of a minibatch; updates `params`, returns `finetune_cost`
        valid_score, test_score : functions without arguments
            Each returns a list with the share of errors in each minibatch of its set.

        Raises
        ------
        TypeError, ValueError
            if an argument is not as above
        """
        check_learning_rate("learning_rate", learning_rate)
        n_batches = self.check_datasets(datasets, batch_size)
        learning_rate = shared_setting("learning_rate", learning_rate, pytensor.config.floatX)
        gradients = pt.grad(self.finetune_cost, self.params)
        updates = gradient_descent(self.params, gradients, learning_rate)

        def of_minibatch(dataset, result, updates=None):
            x, y = dataset
            index = pt.lscalar("index")
            batch = _minibatch(index, batch_size)
            givens = {self.x: x[batch], self.y: pt.cast(y[batch], "int32")}
            return pytensor.function([index], result, updates=updates, givens=givens)

        def score(dataset, n_batches):
            errors = of_minibatch(dataset, self.errors)
            return lambda: [errors(index) for index in range(n_batches)]

        train_fn = of_minibatch(datasets[0], self.finetune_cost, updates)
        valid_score, test_score = map(score, datasets[1:], n_batches[1:])
        return train_fn, valid_score, test_score

    def sample(
        self, chains: TensorSharedVariable, n_steps: Count = 1000
    ) -> tuple[list[TensorVariable], Updates]:
        """Draw visible vectors from the model: Gibbs steps in the top RBM, then one pass down.

        Parameters
        ----------
        chains : shared floatX matrix (n_chains, units below the top RBM), values in [0, 1]
            The visible units of the top RBM. Each call of a compiled function moves them on by
            `n_steps` steps. To start at data x, use `rbm_layers[-1].input`, a function of x.
        n_steps : int or integer scalar, at least 1

        Returns
        -------
        outputs : list [mean, sample] of the visible units, both (n_chains, n_ins)
            P(v = 1 | h1), and v, drawn from it. All hidden units on the way are samples.
        updates : dict from shared variable to expression, for `pytensor.function`
            The chains and every random stream.

        Raises
        ------
        TypeError, ValueError
            if an argument is not as above
        """
        *below, top = self.rbm_layers
        (mean, sample), updates = top.sample(chains, n_steps)
        for rbm in reversed(below):
            _, mean, sample = rbm.sample_v_given_h(sample)
        return [mean, sample], stream_updates([sample]) | updates

    def _check_examples(self, name, examples, batch_size, of):
        """The number of whole minibatches; raises if there is none."""
        n_ins = self.rbm_layers[0].n_visible
        check_shared(name, examples, f"floatX matrix of {n_ins} columns")
        check_tensor(name, examples, (None, n_ins))
        return count_batches(len(examples.get_value(borrow=True)), batch_size, of)

    def check_datasets(self, datasets: Sequence[LabelledSet], batch_size: int) -> list[int]:
        """Check the arguments of `build_finetune_functions`, and count the minibatches.

        Returns
        -------
        list of int, the number of whole minibatches in each of the three sets

        Raises
        ------
        TypeError, ValueError
            if `build_finetune_functions` would not take them
        """
        if len(datasets) != 3 or any(len(dataset) != 2 for dataset in datasets):
            raise ValueError(
                "datasets: three pairs are needed, the examples and the classes of the training, "
                "the validation and the test set, as load_data returns them"
            )
        n_batches = []
        names = [("train", "training"), ("valid", "validation"), ("test", "test")]
        for (name, use), (x, y) in zip(names, datasets, strict=True):
            of = f"{use} examples"
            n_batches.append(self._check_examples(f"{name}_set_x", x, batch_size, of))
            n_examples = len(x.get_value(borrow=True))
            _check_classes(f"{name}_set_y", y, n_examples, self.logLayer.n_out)
        return n_batches


def _check_sizes(hidden_layers_sizes):
    if not isinstance(hidden_layers_sizes, list | tuple | np.ndarray):
        raise TypeError(
            "hidden_layers_sizes: a list of the units of each hidden layer is needed, not "
            f"{hidden_layers_sizes!r}"
        )
    if len(hidden_layers_sizes) == 0:
        raise ValueError(
            "hidden_layers_sizes: at least one hidden layer is needed, not an empty list"
        )
    for i, n_units in enumerate(hidden_layers_sizes):
        check_count(f"hidden_layers_sizes[{i}]", n_units, of="unit")


def _check_classes(name, y, n_examples, n_classes):
    if not isinstance(y, Variable) or y.ndim != 1 or y.dtype not in integer_dtypes:
        found = f"a {y.type}" if isinstance(y, Variable) else type(y).__name__
        raise TypeError(
            f"{name}: a symbolic vector of integers is needed, not {found}; "
            'pytensor.tensor.cast(y, "int32") makes one'
        )
    classes = y.eval(mode="FAST_COMPILE")
    if len(classes) != n_examples:
        raise ValueError(
            f"{name}: a class for each of the {n_examples} examples is needed, not {len(classes)}"
        )
    outside = classes[(classes < 0) | (classes >= n_classes)]
    if len(outside):
        raise ValueError(
            f"{name}: classes from 0 to {n_classes - 1} are needed, not {outside[0]}; count them "
            "from 0, or give the network a larger n_outs"
        )


def _minibatch(index, batch_size):
    batch_size = shared_setting("batch_size", batch_size, "int64")
    return slice(index * batch_size, (index + 1) * batch_size)


def _with_default_rate(train):
    # PyTensor's inputs take no default values.
    def pretrain(index, lr=0.1):
        check_learning_rate("lr", lr)
        return train(index, np.asarray(lr, dtype=pytensor.config.floatX))

    return pretrain
