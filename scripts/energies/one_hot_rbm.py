"""A restricted Boltzmann machine over one-hot groups, which models digits and labels together.

The visible vector consists of binary units, followed by groups in which exactly one unit is 1; each
group is a softmax unit. The energy is the RBM's,

    E(v, h) = -b'v - c'h - v'Wh,    P(unit j of a group is the one | h) = softmax_j(b + W h)

(Salakhutdinov, Mnih and Hinton 2007; Larochelle and Bengio 2008, for labels). The free energy gives
p(pixels, label) up to a constant factor. So the most probable label is the one with the lowest free
energy.
"""

import argparse
from itertools import pairwise

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import RBM, EnergyModel, MRG_RandomStreams, load_data
from rbm_sym.logistic import softplus
from rbm_sym.runs import count_batches
from rbm_sym.samplers import draw_index
from rbm_sym.update_rules import falling_to_zero


class OneHotRBM(RBM):
    """Arguments as for `RBM`.

    group_sizes : list of int, the number of units of each group; the groups are the last units
    """

    def __init__(self, *args, group_sizes, **kwargs):
        super().__init__(*args, **kwargs)
        self.n_binary = self.n_visible - sum(group_sizes)
        if self.n_binary < 0:
            raise ValueError(
                f"group_sizes: at most the {self.n_visible} visible units, not {sum(group_sizes)}"
            )
        ends = self.n_binary + np.cumsum([0, *group_sizes])
        self.groups = [slice(start, end) for start, end in pairwise(ends.tolist())]

    def propdown(self, hid):
        """[b + W h, the mean of the visible units], both (batch, n_visible)."""
        pre_sigmoid_v, binary_mean = super().propdown(hid)
        means = [binary_mean[:, : self.n_binary]]
        means += [pt.special.softmax(pre_sigmoid_v[:, group], axis=1) for group in self.groups]
        return [pre_sigmoid_v, pt.concatenate(means, axis=1)]

    def sample_v_given_h(self, h0_sample):
        """[b + W h, mean, sample] of the visible units, given the hidden ones."""
        pre_sigmoid_v1, v1_mean = self.propdown(h0_sample)
        binary_mean = v1_mean[:, : self.n_binary]
        samples = [self.theano_rng.binomial(
            size=binary_mean.shape, p=binary_mean, dtype=pytensor.config.floatX
        )]  # fmt: skip
        samples += [
            one_hot(draw_index(self.theano_rng, v1_mean[:, group]), group.stop - group.start)
            for group in self.groups
        ]
        return [pre_sigmoid_v1, v1_mean, pt.concatenate(samples, axis=1)]

    # The RBM's cost flips single units, which a one-hot group does not allow.
    monitoring_cost = EnergyModel.monitoring_cost

    def label_free_energies(self, others):
        """F for each label, (batch, labels); the last group is the label.

        `others` are all visible units but the label, (batch, n_visible - labels). -F is
        log p(label | others) up to a constant.
        """
        label = self.groups[-1]
        of_others = pt.dot(others, self.W[: label.start]) + self.hbias
        pre_sigmoid_h = of_others[:, None, :] + self.W[label]
        vbias_term = pt.dot(others, self.vbias[: label.start])[:, None] + self.vbias[label]
        return -vbias_term - pt.sum(softplus(pre_sigmoid_h), axis=2)


def one_hot(index, n_units):
    """A floatX row for each index, with a 1 at this place."""
    return pt.cast(pt.eq(index[:, None], pt.arange(n_units)), pytensor.config.floatX)


def main():
    """Learn digits with their labels, and print the share of test digits that get a wrong label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="digits", help="as for train_rbm.py (%(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--n-hidden", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.05, help="(%(default)s)")
    args = parser.parse_args()

    (train_x, train_y), _, (test_x, test_y) = load_data(args.dataset)
    n_batches = count_batches(len(train_x.get_value(borrow=True)), batch_size=20)
    index, streams = pt.lscalar("index"), MRG_RandomStreams(1)
    batch = slice(index * 20, (index + 1) * 20)
    grey = train_x[batch]
    pixels = streams.binomial(size=grey.shape, p=grey, dtype=pytensor.config.floatX)
    rbm = OneHotRBM(
        input=pt.concatenate([pixels, one_hot(train_y[batch], 10)], axis=1),
        n_visible=794, n_hidden=args.n_hidden, group_sizes=[10], theano_rng=streams,
    )  # fmt: skip
    zeros = np.zeros((20, args.n_hidden), dtype=pytensor.config.floatX)
    chain, counts = pytensor.shared(zeros, name="chain"), {}
    lr = falling_to_zero(args.learning_rate, args.epochs * n_batches, counts)
    cost, updates = rbm.get_cost_updates(lr=lr, persistent=chain, k=1)
    train = pytensor.function([index], cost, updates=updates | counts)

    labels = pt.argmin(rbm.label_free_energies(test_x), axis=1)
    test_error = pytensor.function([], pt.mean(pt.neq(labels, test_y)))
    for epoch in range(args.epochs):
        for i in range(n_batches):
            train(i)
        print(f"epoch {epoch}: test error {100 * test_error():.2f} %", flush=True)


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    main()
