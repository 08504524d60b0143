"""The deep belief network of the tutorial on Theano 1.0.5, to record what it computes.

It has the interface of the tutorial's `DBN.py`, and takes the random numbers in the same order.
`sample` is not in the tutorial. Python 3.8.
"""

import numpy as np
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano_rbm import RBM


class DBN:
    def __init__(self, numpy_rng, theano_rng=None, n_ins=784, hidden_layers_sizes=(), n_outs=10):
        if theano_rng is None:
            theano_rng = MRG_RandomStreams(numpy_rng.randint(2**30))
        self.x, self.y = T.matrix("x"), T.ivector("y")
        self.rbm_layers, self.params = [], []
        layer_input, n_in = self.x, n_ins
        for n_out in hidden_layers_sizes:
            bound = np.sqrt(6.0 / (n_in + n_out))
            initial_W = numpy_rng.uniform(low=-bound, high=bound, size=(n_in, n_out))
            W = shared(initial_W)
            W.set_value(4 * W.get_value())
            b = shared(np.zeros(n_out))
            self.rbm_layers.append(
                RBM(layer_input, n_in, n_out, numpy_rng, theano_rng, W=W, hbias=b)
            )
            self.params += [W, b]
            layer_input, n_in = T.nnet.sigmoid(T.dot(layer_input, W) + b), n_out

        W, b = shared(np.zeros((n_in, n_outs))), shared(np.zeros(n_outs))
        self.params += [W, b]
        p_y_given_x = T.nnet.softmax(T.dot(layer_input, W) + b)
        log_likelihood = T.log(p_y_given_x)[T.arange(self.y.shape[0]), self.y]
        self.finetune_cost = -T.mean(log_likelihood)
        self.errors = T.mean(T.neq(T.argmax(p_y_given_x, axis=1), self.y))

    def pretraining_functions(self, train_set_x, batch_size, k):
        index, lr = T.lscalar("index"), T.scalar("lr")
        givens = {self.x: train_set_x[index * batch_size : (index + 1) * batch_size]}
        functions = []
        for rbm in self.rbm_layers:
            cost, updates = rbm.get_cost_updates(lr, persistent=None, k=k)
            inputs = [index, theano.In(lr, value=0.1)]
            functions.append(theano.function(inputs, cost, updates=updates, givens=givens))
        return functions

    def build_finetune_functions(self, datasets, batch_size, learning_rate):
        gradients = T.grad(self.finetune_cost, self.params)
        updates = [(p, p - g * learning_rate) for p, g in zip(self.params, gradients)]
        index = T.lscalar("index")
        batch = slice(index * batch_size, (index + 1) * batch_size)

        def of_minibatch(dataset, result, updates=None):
            x, y = dataset
            givens = {self.x: x[batch], self.y: y[batch]}
            return theano.function([index], result, updates=updates, givens=givens)

        def score(dataset):
            errors = of_minibatch(dataset, self.errors)
            n_batches = len(dataset[0].get_value(borrow=True)) // batch_size
            return lambda: [errors(i) for i in range(n_batches)]

        train_fn = of_minibatch(datasets[0], self.finetune_cost, updates)
        return train_fn, score(datasets[1]), score(datasets[2])

    def sample(self, chains, n_steps):
        outputs, updates = theano.scan(
            self.rbm_layers[-1].gibbs_vhv, outputs_info=[None] * 5 + [chains], n_steps=n_steps
        )
        mean, sample = outputs[4][-1], outputs[5][-1]
        updates[chains] = sample
        for rbm in reversed(self.rbm_layers[:-1]):
            _, mean, sample = rbm.sample_v_given_h(sample)
        return [mean, sample], updates


def shared(values):
    return theano.shared(values.astype(theano.config.floatX))
