"""The restricted Boltzmann machine of the tutorial on Theano 1.0.5, to record what it computes.

It has the interface of the tutorial's `rbm.py` and builds the same graph, so that either can be
recorded. Python 3.8.
"""

import numpy as np
import theano
import theano.tensor as T


class RBM:
    def __init__(self, input, n_visible, n_hidden, numpy_rng, theano_rng, W=None, hbias=None):
        floatX = theano.config.floatX
        if W is None:
            bound = 4 * np.sqrt(6.0 / (n_hidden + n_visible))
            initial_W = numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden))
            W = theano.shared(initial_W.astype(floatX), name="W")
        if hbias is None:
            hbias = theano.shared(np.zeros(n_hidden, floatX), name="hbias")
        self.input = input
        self.n_visible = n_visible
        self.W = W
        self.hbias = hbias
        self.vbias = theano.shared(np.zeros(n_visible, floatX), name="vbias")
        self.theano_rng = theano_rng
        self.params = [self.W, self.hbias, self.vbias]

    def free_energy(self, v_sample):
        hidden_input = T.dot(v_sample, self.W) + self.hbias
        hidden_term = T.sum(T.log(1 + T.exp(hidden_input)), axis=1)
        return -hidden_term - T.dot(v_sample, self.vbias)

    def _sample(self, pre_sigmoid):
        mean = T.nnet.sigmoid(pre_sigmoid)
        sample = self.theano_rng.binomial(size=mean.shape, n=1, p=mean, dtype=theano.config.floatX)
        return [pre_sigmoid, mean, sample]

    def sample_h_given_v(self, v0_sample):
        return self._sample(T.dot(v0_sample, self.W) + self.hbias)

    def sample_v_given_h(self, h0_sample):
        return self._sample(T.dot(h0_sample, self.W.T) + self.vbias)

    def gibbs_hvh(self, h0_sample):
        visible = self.sample_v_given_h(h0_sample)
        return visible + self.sample_h_given_v(visible[-1])

    def gibbs_vhv(self, v0_sample):
        hidden = self.sample_h_given_v(v0_sample)
        return hidden + self.sample_v_given_h(hidden[-1])

    def get_cost_updates(self, lr=0.1, persistent=None, k=1):
        _, _, positive_sample = self.sample_h_given_v(self.input)
        chain_start = positive_sample if persistent is None else persistent
        outputs, updates = theano.scan(
            self.gibbs_hvh, outputs_info=[None] * 5 + [chain_start], n_steps=k
        )
        pre_sigmoid_nv, _, nv_sample, _, _, nh_sample = [output[-1] for output in outputs]

        cost = T.mean(self.free_energy(self.input)) - T.mean(self.free_energy(nv_sample))
        gradients = T.grad(cost, self.params, consider_constant=[nv_sample])
        for param, gradient in zip(self.params, gradients):
            updates[param] = param - gradient * T.cast(lr, theano.config.floatX)
        if persistent is None:
            return self.get_reconstruction_cost(pre_sigmoid_nv), updates
        updates[persistent] = nh_sample
        return self.get_pseudo_likelihood_cost(updates), updates

    def get_pseudo_likelihood_cost(self, updates):
        bit = theano.shared(0, name="bit_i_idx")
        v = T.round(self.input)
        flipped = T.set_subtensor(v[:, bit], 1 - v[:, bit])
        difference = self.free_energy(flipped) - self.free_energy(v)
        updates[bit] = (bit + 1) % self.n_visible
        return T.mean(self.n_visible * T.log(T.nnet.sigmoid(difference)))

    def get_reconstruction_cost(self, pre_sigmoid_nv):
        mean = T.nnet.sigmoid(pre_sigmoid_nv)
        log_likelihood = self.input * T.log(mean) + (1 - self.input) * T.log(1 - mean)
        return T.mean(T.sum(log_likelihood, axis=1))
