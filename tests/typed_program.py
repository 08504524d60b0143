"""A user's program with annotations, which a type checker reads; nobody runs it."""

from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorVariable

from rbm_sym import (
    DBN,
    RBM,
    EnergyModel,
    MRG_RandomStreams,
    gibbs_chain,
    load_data,
    save_picture,
    tile_raster_images,
)
from rbm_sym.likelihood import ais_log_partition, log_likelihood
from rbm_sym.models import load_rbm, save_model
from rbm_sym.rewrites import ALL, without
from rbm_sym.runs import compile_now, count_batches, epochs, open_run
from rbm_sym.samplers import ParallelTempering, clamped, draw_index
from rbm_sym.update_rules import falling_to_zero, momentum, moving_average, weight_decay


class Bits(EnergyModel):
    """Independent units: E(v) = -b'v."""

    def __init__(self, input: TensorVariable, n_visible: int) -> None:
        zeros = np.zeros(n_visible, dtype=pytensor.config.floatX)
        self.input = input
        self.vbias = pytensor.shared(zeros, name="vbias")
        self.params = [self.vbias]
        self.theano_rng = MRG_RandomStreams(1)

    def free_energy(self, v_sample: TensorVariable) -> TensorVariable:
        return -pt.dot(v_sample, self.vbias)

    def step(self, v_sample: TensorVariable) -> TensorVariable:
        mean = pt.broadcast_to(pt.sigmoid(self.vbias), v_sample.shape)
        return self.theano_rng.binomial(size=mean.shape, p=mean, dtype=v_sample.dtype)


def train(folder: Path) -> RBM:
    (train_x, _), _, _ = load_data("digits")
    n_batches = count_batches(len(train_x.get_value(borrow=True)), 20)
    index = pt.lscalar("index")
    rbm = RBM(train_x[index * 20 : (index + 1) * 20], n_hidden=100)
    chain = pytensor.shared(np.zeros((20, 100), pytensor.config.floatX), name="chain")
    counts: dict[Variable, Variable] = {}
    lr = falling_to_zero(0.1, 15 * n_batches, counts)
    cost, updates = rbm.get_cost_updates(lr=lr, persistent=chain, k=15)
    update = pytensor.function([index], cost, updates=updates | counts)
    with open_run(folder, {"lr": 0.1}) as run:
        run.restore(updates | counts, epochs(15, n_batches))
        compile_now(update, updates | counts)
        for epoch in run.stages():
            for i in run.updates(epoch):
                run.record(update(i))
            run.say(f"{epoch}: {run.costs_of(epoch).mean():.2f}")
        run.finish()
    filters = tile_raster_images(rbm.W.get_value().T, (28, 28), (10, 10), tile_spacing=(1, 1))
    save_picture(filters, folder / "filters.png")
    save_model(folder / "rbm.npz", rbm)
    return rbm


def own_rule(rbm: RBM) -> TensorVariable:
    chain_end, updates = rbm.negative_phase(k=1)
    gradients = rbm.gradients(rbm.negative_particles(chain_end))
    updates |= momentum(rbm.params, weight_decay(rbm.params, gradients, 1e-4, of=[rbm.W]), 0.1)
    average = moving_average(updates[rbm.W], rbm.W.get_value(), 0.99, updates)
    with without(ALL):
        pytensor.function([rbm.input], updates=updates)
    return average


def look(path: Path) -> float:
    rbm, _ = load_rbm(path)
    _, _, (test_x, _) = load_data("digits")
    chains = pytensor.shared(test_x.get_value()[:20], name="chains")
    step = clamped(rbm.gibbs_vhv, np.arange(784) < 392, test_x[:20])
    outputs, updates = gibbs_chain(step, chains, n_steps=10)
    pytensor.function([], outputs[-1][-1], updates=updates)
    tempered = ParallelTempering(rbm, np.linspace(0, 1, 5))
    tempered.get_cost_updates(0.01, persistent=tempered.new_chain(10))
    draw_index(rbm.theano_rng, pt.matrix("probabilities"))
    DBN(np.random.RandomState(1), hidden_layers_sizes=[500, 500]).sample(chains)
    estimate = ais_log_partition(rbm, data=test_x)
    return log_likelihood(rbm, test_x, estimate.log_partition).mean()
