"""Deep belief networks: against real Theano, against sums over all states, and what they refuse."""

import json
import os
from pathlib import Path

import dbn_settings
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import run_settings
from enumeration import EnumeratedRBM, p_visible_of_stack, sigmoid
from recordings import REFERENCE, load_runs, record

import rbm_sym
from rbm_sym import DBN, MRG_RandomStreams, RandomStreams
from rbm_sym.datasets import read_arrays
from rbm_sym.streams import make_streams

# Its scans look for a BLAS to link with, and get along without.
PYTHON = "FAST_COMPILE"
pytestmark = pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")
DIGITS = Path(rbm_sym.__file__).parent / "data" / "digits.npz"
RUNS = load_runs(REFERENCE / "dbn_runs.npz")


def make_dbn(n_ins=6, sizes=(4, 3), n_outs=5, streams=RandomStreams):
    """A small network of clearly unequal states, in the current floatX."""
    rng = np.random.RandomState(7)
    dbn = DBN(rng, streams(rng.randint(2**30)), n_ins, list(sizes), n_outs)
    for param in [*dbn.params, *(rbm.vbias for rbm in dbn.rbm_layers)]:
        value = rng.normal(size=param.get_value().shape)
        param.set_value(value.astype(pytensor.config.floatX))
    return dbn


def make_set(n_examples, n_ins=6, n_classes=5, seed=0):
    """Shared random pictures and classes."""
    rng = np.random.RandomState(seed)
    x = rng.rand(n_examples, n_ins).astype(pytensor.config.floatX)
    y = rng.randint(n_classes, size=n_examples).astype("int32")
    return pytensor.shared(x), pytensor.shared(y)


# --- Against Theano --------------------------------------------------------------------------


def replay(settings):
    """Make a recorded run again: a dict of the arrays that are recorded."""
    with pytensor.config.change_flags(floatX=settings["floatX"]):
        arrays = dbn_settings.take(settings, read_arrays("digits"))
        datasets = [(pytensor.shared(x), pytensor.shared(y)) for x, y in arrays]
        numpy_rng = np.random.RandomState(settings["seed"])
        streams = None
        if settings["stream"] == "shared":
            streams = make_streams("shared", numpy_rng)
        n_ins = arrays[0][0].shape[1]
        dbn = DBN(numpy_rng, streams, n_ins, settings["hidden_layers"], n_outs=10)

        batch_size = settings["batch_size"]
        functions = dbn.pretraining_functions(datasets[0][0], batch_size, settings["k"])
        made = dbn_settings.pretrain(settings, dbn, functions)
        start = dbn.rbm_layers[-1].input.eval({dbn.x: arrays[0][0][: run_settings.N_CHAINS]})
        outputs, updates = dbn.sample(pytensor.shared(start), settings["sample_steps"])
        made |= run_settings.samples(pytensor.function([], outputs, updates=updates))
        functions = dbn.build_finetune_functions(datasets, batch_size, settings["finetuning_rate"])
        return made | dbn_settings.finetune(settings, dbn, functions)


def assert_same(here, there, of_finetuning=1e-8):
    """No bit of a sample and no error differs, and everything else only as rounding makes it."""
    assert set(there) == {*here, "settings"}
    for name, value in here.items():
        tolerance = of_finetuning if name.startswith("finetun") else 1e-8
        if "bits" in name or name == "errors":
            tolerance = 0
        np.testing.assert_allclose(value, there[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_pretraining_finetuning_and_samples_are_theanos(name):
    """Around its fortieth update, the fine-tuning of one makes differences a thousand times larger.

    They come from pretraining, in which the weights of some units of the second layer draw apart by
    a factor of two in some thirty updates, from 1e-16 to 1e-10; afterwards they fall again. Theano
    with another processor's kernels (OPENBLAS_CORETYPE=Sandybridge) is not within eight digits of
    this recording either.
    """
    of_finetuning = 1e-6 if name == "tutorial" else 1e-8
    assert_same(replay(RUNS[name]["settings"]), RUNS[name], of_finetuning)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("RBM_SYM_THEANO_PYTHON"), reason="needs a Python that has Theano"
)
def test_theano_live_at_other_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("THEANO_FLAGS", f"device=cpu,base_compiledir={tmp_path}")
    made, python = tmp_path / "dbn_runs.npz", os.environ["RBM_SYM_THEANO_PYTHON"]
    other = {"seed": 8, "columns": 2, "hidden_layers": [90, 40], "batch_size": 30, "k": 2}
    record(python, "record_dbn.py", made, "--settings", json.dumps(other), "--dataset", DIGITS)
    live = load_runs(made)["live"]
    assert live["settings"]["seed"] == 8
    assert_same(replay(live["settings"]), live)


# --- The network -----------------------------------------------------------------------------


def test_layers_share_their_parameters(double):
    dbn = make_dbn(sizes=(4, 3, 2))
    assert dbn.n_layers == 3
    assert dbn.rbm_layers[0].input is dbn.x
    for rbm, layer in zip(dbn.rbm_layers, dbn.sigmoid_layers, strict=True):
        assert rbm.W is layer.W and rbm.hbias is layer.b and rbm.input is layer.input
    for above, below in zip(dbn.rbm_layers[1:], dbn.sigmoid_layers[:-1], strict=True):
        assert above.input is below.output
    assert dbn.logLayer.input is dbn.sigmoid_layers[-1].output
    layers = [*dbn.sigmoid_layers, dbn.logLayer]
    assert dbn.params == [param for layer in layers for param in layer.params]


def test_the_generator_seeds_the_streams_and_then_draws_the_weights(floatX):
    dbn = DBN(np.random.RandomState(5), n_ins=6, hidden_layers_sizes=[4, 3], n_outs=2)
    rng = np.random.RandomState(5)
    streams = dbn.rbm_layers[0].theano_rng
    assert isinstance(streams, MRG_RandomStreams) and dbn.rbm_layers[1].theano_rng is streams
    assert streams.default_instance_seed == rng.randint(2**30)
    for rbm in dbn.rbm_layers:
        bound = 4 * np.sqrt(6 / (rbm.n_visible + rbm.n_hidden))
        expected = rng.uniform(-bound, bound, size=(rbm.n_visible, rbm.n_hidden))
        np.testing.assert_allclose(rbm.W.get_value(), expected, rtol=1e-6)
        assert rbm.W.dtype == floatX


def test_pretraining_trains_one_layer_on_what_those_below_it_make_of_the_data(double):
    """Here, two RBMs of their own, the second on the first one's means, do the same."""
    dbn, alone = make_dbn(), make_dbn()
    x, _ = make_set(12)
    with pytensor.config.change_flags(mode=PYTHON):
        functions = dbn.pretraining_functions(x, batch_size=4, k=2)
        costs = [[function(index, lr=0.3) for index in range(3)] for function in functions]

        values = x.get_value()
        for rbm, layer_costs in zip(alone.rbm_layers, costs, strict=True):
            layer_input = pt.matrix()
            rbm.input = layer_input
            cost, updates = rbm.get_cost_updates(lr=0.3, k=2)
            train = pytensor.function([layer_input], cost, updates=updates)
            expected = [train(values[i : i + 4]) for i in (0, 4, 8)]
            np.testing.assert_allclose(layer_costs, expected, rtol=1e-12)
            values = sigmoid(values @ rbm.W.get_value() + rbm.hbias.get_value())
    for ours, others in zip(dbn.rbm_layers, alone.rbm_layers, strict=True):
        for param, other in zip(ours.params, others.params, strict=True):
            np.testing.assert_allclose(param.get_value(), other.get_value(), rtol=1e-11)


def test_the_learning_rate_of_pretraining_is_a_tenth_unless_given(floatX):
    x, _ = make_set(12)
    learnt = []
    with pytensor.config.change_flags(mode=PYTHON):
        for rates in ({}, {"lr": 0.1}, {"lr": np.float64(0.1)}, {"lr": 0.2}):
            dbn = make_dbn(sizes=[4])
            (train,) = dbn.pretraining_functions(x, batch_size=12, k=1)
            train(index=0, **rates)
            learnt.append(dbn.rbm_layers[0].W.get_value())
    assert np.array_equal(learnt[0], learnt[1]) and np.array_equal(learnt[0], learnt[2])
    assert not np.allclose(learnt[0], learnt[3])


def test_finetuning_descends_the_gradient_in_all_parameters(double):
    dbn = make_dbn()
    train_set = make_set(8)
    batch_x, batch_y = (variable.get_value()[4:] for variable in train_set)
    before = [param.get_value() for param in dbn.params]

    def cost(values):
        h = batch_x
        for W, b in zip(values[:-2:2], values[1:-2:2], strict=True):
            h = sigmoid(h @ W + b)
        scores = h @ values[-2] + values[-1]
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return -log_p[np.arange(4), batch_y].mean()

    with pytensor.config.change_flags(mode=PYTHON):
        functions = dbn.build_finetune_functions([train_set] * 3, 4, learning_rate=0.5)
        np.testing.assert_allclose(functions[0](1), cost(before), rtol=1e-12)
    for i, param in enumerate(dbn.params):
        step = param.get_value() - before[i]
        direction = np.random.RandomState(i).normal(size=step.shape)
        ahead, behind = (
            cost([*before[:i], before[i] + e * direction, *before[i + 1 :]]) for e in (1e-5, -1e-5)
        )
        expected = -0.5 * (ahead - behind) / 2e-5
        np.testing.assert_allclose((step * direction).sum(), expected, rtol=1e-6, atol=1e-9)


def test_scores_are_the_errors_of_whole_minibatches(floatX):
    """Of the last, incomplete minibatch nothing is counted."""
    dbn = make_dbn()
    sets = [make_set(n, seed=n) for n in (5, 14, 23)]
    with pytensor.config.change_flags(mode=PYTHON):
        _, *scores = dbn.build_finetune_functions(sets, batch_size=5, learning_rate=0.1)
        predict = pytensor.function([dbn.x], dbn.logLayer.y_pred)
    for score, (x, y) in zip(scores, sets[1:], strict=True):
        wrong = predict(x.get_value()) != y.get_value()
        whole = wrong[: len(wrong) // 5 * 5].reshape(-1, 5)
        assert len(whole) and score() == whole.mean(axis=1).tolist()


def test_a_symbolic_rate_and_number_of_steps(double):
    dbn = make_dbn(sizes=[4])
    sets = [make_set(4)] * 3
    rate, k = pytensor.shared(1e-300), pytensor.shared(np.int64(2))
    with pytensor.config.change_flags(mode=PYTHON):
        (pretrain,) = dbn.pretraining_functions(sets[0][0], 4, k)
        finetune, _, _ = dbn.build_finetune_functions(sets, 4, rate)
    before = dbn.logLayer.b.get_value()
    finetune(0)
    assert np.allclose(dbn.logLayer.b.get_value(), before, atol=1e-200)
    rate.set_value(1.0)
    finetune(0)
    assert not np.allclose(dbn.logLayer.b.get_value(), before)
    k.set_value(0)
    with pytest.raises(ValueError, match="n_steps: at least 1 step"):
        pretrain(0)


# --- Samples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [RandomStreams, MRG_RandomStreams])
@pytest.mark.parametrize("sizes", [[3], [3, 4], [2, 3, 4]])
def test_samples_follow_the_models_distribution(double, streams, sizes):
    """Chains that start exactly at the top RBM's distribution stay there, and give p(v) below.

    The counts of 20,000 independent chains over all states are compared with their probabilities
    by Pearson's chi-square, at a false-alarm probability of 1e-6 for each of the 24 comparisons;
    and so are the means, whose average is P(v_i = 1), within 5 standard errors.
    """
    from scipy.stats import chisquare

    dbn = make_dbn(n_ins=4, sizes=sizes, streams=streams)
    models = [EnumeratedRBM.of(rbm) for rbm in dbn.rbm_layers]
    top, n_chains = models[-1], 20_000
    drawn = np.random.RandomState(11).choice(len(top.visible), size=n_chains, p=top.p_visible)
    chains = pytensor.shared(top.visible[drawn])
    outputs, updates = dbn.sample(chains, n_steps=1)
    sample = pytensor.function([], outputs, updates=updates, mode=PYTHON)
    p = p_visible_of_stack(models)
    assert abs(p.sum() - 1) < 1e-12
    for _ in range(2):
        means, samples = sample()
        for states, expected in [(samples, p), (chains.get_value(), top.p_visible)]:
            powers = 2 ** np.arange(states.shape[1])[::-1]
            counts = np.bincount((states @ powers).astype(int), minlength=len(expected))
            assert chisquare(counts, n_chains * expected).pvalue > 1e-6
        error = means.std(axis=0) / np.sqrt(n_chains)
        assert (np.abs(means.mean(axis=0) - p @ models[0].visible) < 5 * error).all()


def test_chains_come_from_far_away(double):
    """All from one state, where next to none belongs: 50 steps later they follow p(v) too."""
    from scipy.stats import chisquare

    dbn = make_dbn(n_ins=4, sizes=[3, 4])
    models = [EnumeratedRBM.of(rbm) for rbm in dbn.rbm_layers]
    least = models[-1].visible[models[-1].p_visible.argmin()]
    chains = pytensor.shared(np.tile(least, (20_000, 1)))
    outputs, updates = dbn.sample(chains, n_steps=50)
    _, samples = pytensor.function([], outputs, updates=updates, mode=PYTHON)()
    counts = np.bincount((samples @ [8, 4, 2, 1]).astype(int), minlength=16)
    # At a false-alarm probability of 1e-6.
    assert chisquare(counts, 20_000 * p_visible_of_stack(models)).pvalue > 1e-6


def test_the_updates_of_a_sample_are_its_whole_state(double):
    dbn = make_dbn(sizes=(4, 3, 2))
    chains = pytensor.shared(np.zeros((2, 3)))
    outputs, updates = dbn.sample(chains, n_steps=3)
    sample = pytensor.function([], outputs, updates=updates, mode=PYTHON)
    saved = {variable: variable.get_value() for variable in updates}
    expected = [sample() for _ in range(3)]
    for variable, value in saved.items():
        variable.set_value(value)
    assert np.array_equal([sample() for _ in range(3)], expected)
    assert not np.array_equal(expected[0], expected[1])
    # Two streams of the top RBM, and one for each layer below.
    assert type(updates) is dict and len(updates) == 1 + 2 + 2


# --- What it refuses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"numpy_rng": 3}, TypeError, "numpy_rng: a numpy.random.RandomState is needed, not 3"),
        ({"theano_rng": 3}, TypeError, "theano_rng: .*not 3"),
        ({"n_ins": 0}, ValueError, "n_ins: at least 1 visible unit is needed, not 0"),
        ({"n_outs": 0}, ValueError, "n_outs: at least 1 class is needed, not 0"),
        ({"hidden_layers_sizes": []}, ValueError, "hidden_layers_sizes: at least one hidden layer"),
        ({"hidden_layers_sizes": 500}, TypeError, "hidden_layers_sizes: a list .*not 500"),
        ({"hidden_layers_sizes": [5, 0]}, ValueError, r"hidden_layers_sizes\[1\]: .*not 0"),
        ({"hidden_layers_sizes": [5.0]}, TypeError, r"hidden_layers_sizes\[0\]: .*not 5.0"),
    ],
)
def test_bad_arguments(double, arguments, error, message):
    with pytest.raises(error, match=message):
        DBN(**{"numpy_rng": np.random.RandomState(0), **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train_set_x": np.zeros((9, 6))}, TypeError, "train_set_x: a shared floatX matrix of 6"),
        ({"n_ins": 7}, ValueError, r"train_set_x: .*\(any, 6\).*\(9, 7\)"),
        ({"batch_size": 10}, ValueError, "batch_size: at most .*training examples, 9, not 10"),
        ({"batch_size": 0}, ValueError, "batch_size: .*not 0"),
        ({"k": 0}, ValueError, "k: .*not 0"),
        ({"k": 1.5}, TypeError, "k: .*not 1.5"),
    ],
)
def test_pretraining_refuses(double, arguments, error, message):
    x, _ = make_set(9, n_ins=arguments.pop("n_ins", 6))
    with pytest.raises(error, match=message):
        make_dbn().pretraining_functions(**{"train_set_x": x, "batch_size": 3, "k": 1, **arguments})


def test_pretraining_refuses_a_rate_of_nothing(double):
    x, _ = make_set(9)
    with pytensor.config.change_flags(mode=PYTHON):
        (train,) = make_dbn(sizes=[4]).pretraining_functions(x, batch_size=3, k=1)
    with pytest.raises(ValueError, match="lr: the learning rate must be above 0"):
        train(0, 0)


def with_classes(n_examples, classes):
    x, y = make_set(n_examples)
    y.set_value(np.array(classes, dtype="int32"))
    return x, y


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({0: lambda: make_set(4)}, ValueError, "number of training examples, 4, not 5"),
        ({1: lambda: make_set(4)}, ValueError, "number of validation examples, 4, not 5"),
        ({2: lambda: make_set(4)}, ValueError, "number of test examples, 4, not 5"),
        ({1: lambda: make_set(9, n_ins=7)}, ValueError, r"valid_set_x: .*\(9, 7\)"),
        ({2: lambda: with_classes(6, [0] * 5)}, ValueError, "test_set_y: .*6 examples .*not 5"),
        ({0: lambda: with_classes(5, [0, 1, 2, 3, 5])}, ValueError, "train_set_y: .*0 to 4.*not 5"),
        ({2: lambda: with_classes(5, [0, 1, 2, 3, -1])}, ValueError, "test_set_y: .*not -1"),
        ({1: lambda: make_set(9)[:1] * 2}, TypeError, "valid_set_y: a symbolic vector of integers"),
        ({1: lambda: (make_set(9)[0], np.zeros(9, int))}, TypeError, "valid_set_y: .*not ndarray"),
        ({2: lambda: make_set(9)[:1]}, ValueError, "datasets: three pairs"),
    ],
)
def test_finetuning_refuses(double, changed, error, message):
    sets = [changed[i]() if i in changed else make_set(9) for i in range(3)]
    with pytest.raises(error, match=message) as raised:
        make_dbn().build_finetune_functions(sets, batch_size=5, learning_rate=0.1)
    assert "\n" not in str(raised.value)


def test_finetuning_refuses_other_numbers_of_sets_and_rates(double):
    dbn, sets = make_dbn(), [make_set(9)] * 3
    with pytest.raises(ValueError, match="datasets: three pairs"):
        dbn.build_finetune_functions(sets[:2], batch_size=3, learning_rate=0.1)
    with pytest.raises(ValueError, match=r"learning_rate: .*above 0"):
        dbn.build_finetune_functions(sets, batch_size=3, learning_rate=-1)


@pytest.mark.parametrize(
    ("chains", "n_steps", "error", "message"),
    [
        (np.zeros((2, 4)), 1, TypeError, "chains: a shared floatX matrix of 4 columns"),
        (pytensor.shared(np.zeros((2, 6))), 1, ValueError, r"chains: .*\(2, 6\)"),
        (pytensor.shared(np.zeros((2, 4))), 0, ValueError, "n_steps: .*not 0"),
    ],
)
def test_sampling_refuses(double, chains, n_steps, error, message):
    with pytest.raises(error, match=message):
        make_dbn().sample(chains, n_steps)
