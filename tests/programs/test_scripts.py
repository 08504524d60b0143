"""The programs, run as a user runs them."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytensor
import pytest
from benchmark import Runner
from cases import mostly_slow
from enumeration import EnumeratedRBM
from PIL import Image
from programs import ROOT, check_refusal, picture_size, run, save_bars, start

from rbm_sym.checkpoint import save_arrays
from rbm_sym.datasets import draw_binary, read_arrays
from rbm_sym.runs.samples import consecutive_pictures
from rbm_sym.runs.terminal import CLOSED_PIPE

HIDDEN = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("a folder with späces")


@pytest.fixture(scope="module")
def small_data(folder):
    return save_bars(folder / "bars.npz")


@pytest.fixture(scope="module")
def train(folder, small_data):
    """A function that trains a small model, with further options."""
    always = ["--dataset", small_data, "--n-hidden", HIDDEN, "--batch-size", 10]
    return lambda *options: run("train_rbm.py", *always, *options, cwd=folder)


@pytest.fixture(scope="module")
def trained(folder, train):
    result = train("--epochs", 2, "--n-chains", 5, "--n-samples", 2, "--output", "a new/plots")
    assert result.returncode == 0, result.stderr
    return result, folder / "a new" / "plots"


def test_training_prints_the_tutorials_lines(trained):
    lines = trained[0].stdout.splitlines()
    assert lines[0] == "... loading data"
    assert any("compiling" in line for line in lines)
    for epoch in (0, 1):
        assert any(re.fullmatch(rf"Training epoch {epoch}, cost is  -\d+\.\d+", x) for x in lines)
    assert any(re.fullmatch(r"Training took \d+\.\d+ minutes", line) for line in lines)
    assert [line for line in lines if "plotting" in line] == [
        " ... plotting sample  0",
        " ... plotting sample  1",
    ]
    assert trained[0].stderr == "", "there must be no progress bar in a pipe"


def test_training_leaves_pictures_curve_and_parameters(trained):
    folder = trained[1]
    assert {path.name for path in folder.iterdir()} == {
        "filters_at_epoch_0.png",
        "filters_at_epoch_1.png",
        "samples.png",
        "training_curve.csv",
        "training_curve.png",
        "rbm.npz",
        "checkpoint.npz",
    }
    assert picture_size(folder / "filters_at_epoch_1.png") == (49, 39)
    assert picture_size(folder / "samples.png") == (5 * 5 - 1, 4 * 2 + 1)
    assert picture_size(folder / "training_curve.png")[0] > 500

    rows = list(csv.DictReader((folder / "training_curve.csv").read_text().splitlines()))
    assert [int(row["update"]) for row in rows] == list(range(1, 13))
    assert [int(row["epoch"]) for row in rows] == [0] * 6 + [1] * 6
    printed = re.findall(r"cost is  (\S+)", trained[0].stdout)
    costs = [float(row["cost"]) for row in rows]
    np.testing.assert_allclose([np.mean(costs[:6]), np.mean(costs[6:])], [*map(float, printed)])

    with np.load(folder / "rbm.npz", allow_pickle=False) as model:
        assert model["W"].shape == (12, HIDDEN) and model["W"].dtype == np.float32
        assert model["hbias"].shape == (HIDDEN,) and model["vbias"].shape == (12,)
        settings = json.loads(str(model["settings"]))
    assert settings["k"] == 15 and settings["n_hidden"] == HIDDEN and settings["seed"] == 123


@pytest.mark.slow
def test_the_other_algorithm_stream_and_precision(folder, train):
    result = train(
        "--epochs", 1, "--n-chains", 2, "--n-samples", 1, "--algorithm", "cd", "--k", 1,
        "--stream", "shared", "--floatX", "float64", "--learning-rate", 0.01, "--seed", 7,
        "--output", "other",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    with np.load(folder / "other" / "rbm.npz") as model:
        assert model["W"].dtype == np.float64
        settings = json.loads(str(model["settings"]))
    assert (settings["algorithm"], settings["stream"], settings["seed"]) == ("cd", "shared", 7)


def test_sampling_and_features_from_a_trained_model(trained, folder, small_data):
    model = trained[1] / "rbm.npz"
    result = run(
        "sample_rbm.py", model, "--start", "random", "--n-chains", 6, "--n-samples", 3,
        "--steps", 4, "--dataset", small_data, "--features", "features.npz",
        "--output", "drawn.png", cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert picture_size(folder / "drawn.png") == (5 * 6 - 1, 4 * 3 + 1)
    with np.load(folder / "features.npz") as features, np.load(small_data) as data:
        with np.load(model) as parameters:
            v = data["test_x"].reshape(30, 12) / 256
            expected = 1 / (1 + np.exp(-(v @ parameters["W"] + parameters["hbias"])))
        np.testing.assert_allclose(features["test_x"], expected, rtol=1e-5)
        assert np.array_equal(features["test_y"], data["test_y"])
        assert features["train_x"].shape == (64, HIDDEN)


@pytest.fixture(scope="module")
def by_recipe(folder, train):
    result = train(
        "--recipe", "likelihood", "--epochs", 300, "--n-chains", 2, "--n-samples", 1,
        "--n-temperatures", 5000, "--output", "recipe",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "recipe" / "rbm.npz"


@pytest.mark.slow
def test_the_recipe_reports_the_likelihood_of_the_parameters_it_saves(by_recipe, small_data):
    output, model = by_recipe
    with np.load(model) as arrays:
        exact = EnumeratedRBM(*(arrays[name].astype(float) for name in ("W", "hbias", "vbias")))
        settings = json.loads(str(arrays["settings"]))
    assert (settings["k"], settings["learning_rate"]) == (1, 0.2), "the recipe's own defaults"
    (train_x, _), (valid_x, _), (test_x, _) = read_arrays(small_data)
    n_updates = len((model.parent / "training_curve.csv").read_text().splitlines()) - 1
    assert n_updates == 300 * ((len(train_x) + len(valid_x)) // 10), "validation pictures too"
    sets = [draw_binary(test_x, seed=0), test_x >= 0.5, draw_binary(train_x, seed=0)]
    number = r"(-\d+\.\d\d)"
    found = re.findall(rf"nats, (\w+) .*: {number} \(forward\), {number} .*, {number} \(ex", output)
    assert [title for title, *_ in found] == ["test", "test", "training"]
    for (_, *figures), pictures in zip(found, sets, strict=True):
        forward, reverse, summed = map(float, figures)
        assert abs(summed - exact.mean_log_likelihood(pictures)) < 0.006
        assert abs(forward - summed) < 0.1 and abs(reverse - summed) < 0.1


@pytest.mark.slow
def test_the_likelihood_of_a_saved_model(trained, folder, small_data):
    model = trained[1] / "rbm.npz"
    estimate = "estimate_likelihood.py"
    result = run(
        estimate, model, "--dataset", small_data, "--n-runs", 20, "--n-temperatures", 50, cwd=folder
    )
    assert result.returncode == 0, result.stderr
    lines = re.findall(r"log Z, (\w+): \S+ ± \S+ \(worth \d+ of 20 runs\)", result.stdout)
    assert lines == ["forward", "reverse"] and "log Z, exact: " in result.stdout
    check_refusal(run(estimate, model, cwd=folder), "--dataset: .*784.*12 visible")
    check_refusal(run(estimate, "none.npz", cwd=folder), "none.npz")
    check_refusal(run(estimate, model, "--n-runs", 1, cwd=folder), "--n-runs: .*not 1")


@pytest.mark.slow
@pytest.mark.parametrize(("hide", "hidden"), [("right", np.s_[:, 2:]), ("top", np.s_[:1])])
def test_inpainting(by_recipe, folder, small_data, hide, hidden):
    """A bar on the left tells that there is none on the right, and the other way round."""
    _, model = by_recipe
    result = run(
        "inpaint.py", model, "--dataset", small_data, "--hide", hide, "--output", "whole.png",
        cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    by_rbm, by_mean = map(float, re.findall(r"(?:RBM|picture) +(\d\.\d{4})", result.stdout))
    (train_x, _), _, (test_x, _) = read_arrays(small_data)
    mean, pictures = train_x.mean(axis=0).reshape(3, 4), test_x.reshape(-1, 3, 4)
    expected = np.mean([np.square(picture - mean)[hidden] for picture in pictures])
    assert abs(by_mean - expected) < 1e-4
    assert by_rbm < 0.2 * by_mean
    assert picture_size(folder / "whole.png") == (5 * 20 - 1, 4 * 3 - 1)


@pytest.mark.slow
def test_inpainting_refuses(trained, folder, small_data):
    model = trained[1] / "rbm.npz"
    data = ["--dataset", small_data]
    check_refusal(run("inpaint.py", model, cwd=folder), "--dataset: .*784.*12 visible")
    check_refusal(run("inpaint.py", model, *data, "--hide", "all", cwd=folder), "--hide: .*all")
    check_refusal(run("inpaint.py", model, *data, "--output", "x.txt", cwd=folder), "x.txt")


@pytest.mark.slow
def test_algorithms_are_compared_by_the_exact_likelihood(tmp_path):
    """Too short to tell PCD from CD-10; none is better than the data allow, PT as the exact sum."""
    options = ["--updates", 5000, "--learning-rate", 0.2, "--runs", 2, "--output", "curves.png"]
    result = run("compare_algorithms.py", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    ends = dict(re.findall(r"^ *([\w -]+): (-\d\.\d+) ±", result.stdout, flags=re.MULTILINE))
    ends = {algorithm: float(end) for algorithm, end in ends.items()}
    assert list(ends) == ["exact gradient", "PT", "PCD-1", "CD-10", "CD-1"]
    assert max(ends.values()) < -np.log(22) and min(ends.values()) > -12 * np.log(2)
    assert ends["exact gradient"] > ends["CD-10"] > ends["CD-1"]
    assert abs(ends["PT"] - ends["exact gradient"]) < 0.1
    assert ends["PCD-1"] > ends["CD-1"]
    assert picture_size(tmp_path / "curves.png")[0] > 500


@pytest.mark.slow
def test_estimates_are_compared_with_exact_sums(tmp_path):
    """Of 80 normal estimates, more than 4 are 3 standard errors off with probability 3e-6."""
    rows = compared_estimates("--repetitions", 10, "--n-temperatures", 3000, cwd=tmp_path)
    assert sum(within for _, _, within, _ in rows) >= 76
    assert min(within for _, _, within, _ in rows) >= 8


@pytest.mark.slow
def test_too_few_temperatures_show_the_side_of_an_estimate(tmp_path):
    """Far more than five standard errors of the mean, for the RBMs that have learnt something."""
    rows = compared_estimates("--repetitions", 5, "--n-temperatures", 40, cwd=tmp_path)
    for model, direction, _, difference in rows:
        if model.endswith("trained"):
            assert (difference < -0.5) if direction == "forward" else (difference > 0.5)


def compared_estimates(*options, cwd):
    """[(model, direction, how many are within 3 errors, mean difference)] of the table."""
    result = run("check_likelihood.py", *options, cwd=cwd)
    assert result.returncode == 0, result.stderr
    row = r"^(\d+ × \d+ \w+) +[\d.]+ +(forward|reverse) +(\d+) of \d+ +(-?[\d.]+) ±"
    rows = re.findall(row, result.stdout, flags=re.MULTILINE)
    assert len(rows) == 8
    return [(model, way, int(within), float(mean)) for model, way, within, mean in rows]


@pytest.fixture(scope="module")
def train_deep(folder, small_data):
    """A function that trains a small deep belief network, with further options."""
    always = ["--dataset", small_data, "--hidden-layers", HIDDEN, 7, "--batch-size", 8]
    always += ["--n-chains", 5, "--n-samples", 2, "--steps", 3]
    # Five graphs would be compiled for minutes; without the second flag, in C.
    flags = "mode=FAST_COMPILE,cxx="
    return lambda *options: run("train_dbn.py", *always, *options, cwd=folder, flags=flags)


@pytest.fixture(scope="module")
def trained_deep(folder, train_deep):
    result = train_deep("--pretraining-epochs", 2, "--finetuning-epochs", 3, "--output", "deep")
    assert result.returncode == 0, result.stderr
    return result, folder / "deep"


def test_deep_training_prints_the_tutorials_lines(trained_deep):
    number, place = r"\d+\.\d{6}", r"epoch \d, minibatch 8/8"
    patterns = [
        r"\.\.\. loading data",
        r"\.\.\. building the model",
        r"\.\.\. getting the pretraining functions",
        r"\.\.\. pre-training the model",
        r"    \(PyTensor .*\)",
        *(
            rf"Pre-training layer {layer}, epoch {epoch}, cost  -\d+\.\d+"
            for layer in (0, 1)
            for epoch in (0, 1)
        ),
        r"The pretraining code for file train_dbn.py ran for \d+\.\d\dm",
        r"\.\.\. compiling the chain.*",
        r" \.\.\. plotting sample  0",
        r" \.\.\. plotting sample  1",
        r"\.\.\. getting the finetuning functions",
        r"\.\.\. finetuning the model",
        rf"{place}, validation error {number} %",
        rf"     {place}, test error of best model {number} %",
        rf"Optimization complete with best validation score of {number} %, obtained at iteration "
        rf"\d+, with test performance {number} %",
        r"The fine tuning code for file train_dbn.py ran for \d+\.\d\dm",
        r"\.\.\. pictures, training curve and parameters are in deep",
    ]
    lines = trained_deep[0].stdout.splitlines()
    for line in lines:
        assert any(re.fullmatch(pattern, line) for pattern in patterns), line
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
    assert trained_deep[0].stderr == "", "there must be no progress bar in a pipe"


def test_deep_training_leaves_pictures_curve_and_parameters(trained_deep, small_data):
    result, folder = trained_deep
    files = {"filters.png", "samples.png", "training_curve.csv", "pretrained.npz", "dbn.npz"}
    assert {path.name for path in folder.iterdir()} == files | {"checkpoint.npz"}
    assert picture_size(folder / "samples.png") == (5 * 5 - 1, 4 * 2 + 1)

    rows = list(csv.DictReader((folder / "training_curve.csv").read_text().splitlines()))
    phases = [(row["phase"], row["epoch"]) for row in rows]
    assert phases[:4] == [("layer 0", "0"), ("layer 0", "1"), ("layer 1", "0"), ("layer 1", "1")]
    assert phases[4:] == [("fine-tuning", epoch) for epoch in "123"]
    printed = re.findall(r"cost  (\S+)", result.stdout)
    assert [row["mean cost"] for row in rows[:4]] == printed
    errors = [100 * float(row["validation error"]) for row in rows[4:]]
    printed = re.findall(r"validation error (\S+) %", result.stdout)
    np.testing.assert_allclose(errors, [*map(float, printed)], atol=1e-6)
    best = float(re.search(r"best validation score of (\S+) %", result.stdout)[1])
    assert best == pytest.approx(min(errors), abs=1e-6)


def test_the_saved_network_makes_the_printed_errors(trained_deep, small_data):
    result, folder = trained_deep
    best = float(re.search(r"with test performance (\S+) %", result.stdout)[1])
    with np.load(folder / "dbn.npz", allow_pickle=False) as file:
        model = dict(file)
    with np.load(small_data) as data:
        h, labels = data["test_x"].reshape(30, 12) / 256, data["test_y"]
    settings = json.loads(str(model.pop("settings")))
    assert settings["hidden_layers"] == [HIDDEN, 7] and settings["k"] == 5
    assert model["vbias_0"].shape == (12,) and model["vbias_1"].shape == (HIDDEN,)
    for i in (0, 1):
        h = 1 / (1 + np.exp(-(h @ model[f"W_{i}"] + model[f"hbias_{i}"])))
    predicted = (h @ model["logistic_W"] + model["logistic_b"]).argmax(axis=1)
    # In three whole minibatches of 8.
    assert 100 * np.mean(predicted[:24] != labels[:24]) == pytest.approx(best, abs=1e-6)
    with np.load(folder / "pretrained.npz") as before:
        assert np.array_equal(before["vbias_1"], model["vbias_1"])
        assert not np.array_equal(before["W_0"], model["W_0"])
        assert not before["logistic_W"].any()


@pytest.mark.slow
def test_deep_training_without_pretraining_stops_early(folder, train_deep):
    """At a rate that changes nothing, the first error is the best one, and patience ends."""
    options = ["--pretraining-epochs", 0, "--labelled", 24, "--patience", 2, "--stream", "shared"]
    result = train_deep(
        *options, "--finetuning-rate", 1e-30, "--floatX", "float64", "--seed", 1, "--output", "x"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("epoch 1, minibatch 3/3, validation error") == 1
    assert result.stdout.count("validation error") == 2
    assert "obtained at iteration 3, with" in result.stdout
    assert "pre" not in result.stdout.replace("test performance", "")
    files = {"training_curve.csv", "dbn.npz", "checkpoint.npz"}
    assert {path.name for path in (folder / "x").iterdir()} == files
    with np.load(folder / "x" / "dbn.npz") as model:
        assert model["W_0"].dtype == np.float64


@pytest.mark.slow
def test_deep_training_on_a_single_minibatch_ends(train_deep):
    options = ["--pretraining-epochs", 0, "--labelled", 8, "--patience", 1, "--output", "single"]
    result = train_deep(*options, "--finetuning-rate", 1e-30)
    assert result.returncode == 0, result.stderr
    assert 1 <= result.stdout.count("minibatch 1/1, validation error") <= 3


BAD_TRAINING = [
    (["--dataset", "nowhere.npz"], "nowhere.npz: no such file"),
    (["--batch-size", 65], "batch_size: at most .*64, not 65"),
    (["--batch-size", 0], "--batch-size: .*not 0"),
    (["--k", 0], "--k: .*not 0"),
    (["--learning-rate", 0], "--learning-rate: .*not 0"),
    (["--learning-rate", "nan"], "--learning-rate: .*not nan"),
    (["--learning-rate", "1e-50"], "--learning-rate: .*in float32, not 1e-50"),
    (["--dataset", ""], "dataset must be .*not an empty text"),
    (["--n-hidden", 0], "--n-hidden: .*not 0"),
    (["--epochs", "two"], "--epochs: .*not two"),
    (["--n-chains", 31], "--n-chains: at most the 30 test pictures, not 31"),
    (["--seed", 2**32], "--seed: "),
    (["--algorithm", "sgd"], "--algorithm: .*sgd"),
    (["--output", ""], "--output: a name is needed"),
    (["--resume", ""], "--resume: a name is needed"),
    (["--output", "bars.npz"], "bars.npz: cannot write"),
    (["--output", "/proc/rbm"], "/proc/rbm: cannot write"),
]


@pytest.mark.parametrize(("arguments", "message"), mostly_slow(BAD_TRAINING, n_quick=2))
def test_training_refuses_in_one_line(folder, small_data, arguments, message):
    arguments = arguments if "--dataset" in arguments else ["--dataset", small_data, *arguments]
    check_refusal(run("train_rbm.py", *arguments, cwd=folder), message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    mostly_slow(
        [
            (["--batch-size", 9], "batch_size: at most .* validation examples, 8, not 9"),
            (["--labelled", 65], "--labelled: at most the 64 training pictures, not 65"),
            (["--labelled", 7], "batch_size: at most the number of training examples, 7, not 8"),
            (["--hidden-layers", 0], "--hidden-layers: .*not 0"),
            (["--hidden-layers", 10**6, 10**6], "--hidden-layers, .* GB of memory are needed"),
            (["--finetuning-epochs", 10**12], "--finetuning-epochs, .* GB of memory are needed"),
            (["--pretraining-rate", 0], "--pretraining-rate: .*not 0"),
            (["--finetuning-rate", "nan"], "--finetuning-rate: .*not nan"),
            (["--n-chains", 31], "--n-chains: at most the 30 test pictures, not 31"),
            (["--dataset", "nowhere.npz"], "nowhere.npz: no such file"),
            (["--output", "bars.npz"], "bars.npz: cannot write"),
        ]
    ),
)
def test_deep_training_refuses_in_one_line(train_deep, arguments, message):
    check_refusal(train_deep(*arguments), message)


RANDOM = ["--start", "random"]


@pytest.fixture(scope="module")
def bad_models(folder, small_data):
    (folder / "text.npz").write_text("not a model")
    (folder / "folder.png").mkdir()
    parameters = {"W": np.zeros((5, 2)), "hbias": np.zeros(2), "vbias": np.zeros(5)}
    save_arrays(folder / "other.npz", parameters, {})
    save_arrays(folder / "torn.npz", parameters | {"hbias": np.zeros(3)}, {})
    save_arrays(folder / "nan.npz", parameters | {"hbias": np.full(2, np.nan)}, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    mostly_slow(
        [
            (["torn.npz"], r"torn\.npz: hbias is of shape \(3,\), not \(2,\)"),
            (["missing.npz"], "missing.npz: cannot be read"),
            (["."], "cannot be read .*directory"),
            (["other.npz", *RANDOM, "--output", "picture.foo"], "picture.foo: .*suffix"),
            (["other.npz", *RANDOM, "--output", "folder.png"], "folder.png: .*a folder"),
            (["other.npz", "--n-samples", 0], "--features leaves nothing to do"),
            (["text.npz"], "text.npz: not a whole file"),
            (["bars.npz"], "bars.npz: .*W is missing"),
            (["nan.npz"], "nan.npz: .*undefined"),
            (["other.npz", "--dataset", "bars.npz"], "12 pixels .* 5 visible units"),
            (["other.npz", "--steps", 0], "--steps: .*not 0"),
            (["other.npz", *RANDOM, "--output", "text.npz/a.png"], "cannot write"),
        ]
    ),
)
@pytest.mark.usefixtures("bad_models")
def test_sampling_refuses_in_one_line(folder, arguments, message):
    check_refusal(run("sample_rbm.py", *arguments, cwd=folder), message)


@pytest.mark.parametrize(
    ("program", "arguments"),
    mostly_slow(
        [
            ("train_dbn.py", ["--output", ""]),
            ("train_dbn.py", ["--resume", ""]),
            ("sample_rbm.py", [""]),
            ("sample_rbm.py", ["rbm.npz", "--output", ""]),
            ("sample_rbm.py", ["rbm.npz", "--features="]),
            ("estimate_likelihood.py", [""]),
            ("inpaint.py", ["rbm.npz", "--output", ""]),
            ("show_graph.py", ["--output", ""]),
            ("compare_algorithms.py", ["--output", ""]),
            ("compare_tutorial.py", ["--output", ""]),
            ("compare_tutorial.py", ["--tutorial", "", "--theano-python", "python"]),
            ("compare_tutorial.py", ["--theano-python", ""]),
            ("benchmark.py", ["--output", ""]),
            ("benchmark.py", ["--theano-python", ""]),
            ("run_tutorial.py", ["--pictures", ""]),
            ("make_digits.py", ["mnist.pkl.gz", "--output", ""]),
        ]
    ),
)
def test_an_empty_path_is_not_the_current_folder(tmp_path, program, arguments):
    check_refusal(run(program, *arguments, cwd=tmp_path), ": a name is needed, not an empty text")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_chains", [1, 20, 29])
def test_chains_start_where_the_tutorials_do(n_chains):
    pictures = pytensor.shared(np.arange(30.0)[:, None])
    for seed in range(5):
        first = np.random.RandomState(seed).randint(30 - n_chains)
        found = consecutive_pictures(pictures, n_chains, np.random.RandomState(seed))
        assert found.ravel().tolist() == list(range(first, first + n_chains))


@pytest.mark.slow
def test_all_test_pictures_may_start_a_chain(trained, folder, small_data):
    three = pytensor.shared(np.arange(3.0)[:, None])
    found = consecutive_pictures(three, 3, np.random.RandomState(1))
    assert found.ravel().tolist() == [0, 1, 2]
    options = ["--dataset", small_data, "--n-samples", 1, "--steps", 1, "--output", "all.png"]
    model = trained[1] / "rbm.npz"
    result = run("sample_rbm.py", model, "--n-chains", 30, *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert picture_size(folder / "all.png") == (5 * 30 - 1, 4 * 1 + 1)
    result = run("sample_rbm.py", model, "--n-chains", 31, *options, cwd=folder)
    check_refusal(result, "--n-chains: at most the 30 test pictures, not 31")


# Most of them print less than a pipe holds: what they have printed is written at their end.
WITHOUT_A_READER = {
    "show_graph.py": [],
    "sample_rbm.py": ["tiny.npz", "--start", "random", "--n-chains", 6, "--steps", 2],
    "estimate_likelihood.py": ["tiny.npz", "--dataset", "bars.npz", "--n-temperatures", 50],
    "inpaint.py": ["tiny.npz", "--dataset", "bars.npz", "--n-samples", 1],
    "compare_tutorial.py": ["--runs", "tutorial_cd1_mrg_float64", "--updates", 1],
}


@pytest.fixture(scope="module")
def tiny_model(folder, small_data):
    parameters = {"W": np.zeros((12, 2)), "hbias": np.zeros(2), "vbias": np.zeros(12)}
    save_arrays(folder / "tiny.npz", parameters, {})


@pytest.mark.parametrize("program", mostly_slow(WITHOUT_A_READER))
@pytest.mark.usefixtures("tiny_model")
def test_a_program_without_a_reader_ends_quietly(folder, program, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "")
    for arguments in (WITHOUT_A_READER[program], ["--help"]):
        with start(program, *arguments, cwd=folder) as process:
            process.stdout.close()
            assert process.stderr.read() == ""
        assert process.returncode == CLOSED_PIPE


@pytest.mark.parametrize("unbuffered", mostly_slow(["1", ""]))
def test_the_first_line_is_enough(folder, unbuffered, monkeypatch):
    """As in a shell; with PYTHONUNBUFFERED, nothing is left to be written at the end."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with start("show_graph.py", cwd=folder) as process:
        head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, text=True)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert head.stdout == "=== Before compilation\n"
    assert process.returncode == CLOSED_PIPE


def test_a_contestant_that_has_ended_is_no_reader_of_ours(tmp_path):
    runner = Runner(sys.executable, {"contestant": "nobody"}, 1, tmp_path)
    runner.process.wait()
    for answer in (runner.ready, runner.ask(1)):
        assert answer == {"missing": "it ended with an error", "supported": True}
    runner.stop()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_behind_the_output_is_one_line(folder, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "")
    for arguments in ([], ["--help"]):
        with open("/dev/full", "w") as full:
            result = run("show_graph.py", *arguments, cwd=folder, stdout=full)
        assert result.returncode == 2
        assert result.stderr == "show_graph.py: error: [Errno 28] No space left on device\n"


def test_divergence_is_one_line(train):
    result = train("--epochs", 5, "--learning-rate", 1e37, "--output", "diverged")
    assert result.returncode == 2, result.stderr
    line = result.stderr.strip().splitlines()[-1]
    assert "training has diverged; take a smaller learning rate" in line
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_divergence_of_a_deep_network_is_one_line(folder, small_data):
    options = ["--dataset", small_data, "--hidden-layers", HIDDEN, "--batch-size", 8]
    options += ["--pretraining-epochs", 0, "--finetuning-rate", 1e37, "--output", "no"]
    result = run("train_dbn.py", *options, cwd=folder)
    assert result.returncode == 2, result.stderr
    line = result.stderr.strip().splitlines()[-1]
    assert "training has diverged; take a smaller learning rate" in line
    assert "Traceback" not in result.stderr


def compare(folder, *options):
    return run("compare_tutorial.py", "--output", "comparison", *options, cwd=folder)


@pytest.mark.slow
def test_comparison_reports_names_draws_and_runs(folder):
    options = ["--runs", "tutorial_cd1_mrg_float64", "--updates", 12]
    result = compare(folder, *options)
    assert result.returncode == 0, result.stderr
    report = (folder / "comparison" / "report.md").read_text()
    assert report.strip() in re.sub(r"(?m)^\.\.\. .*\n", "", result.stdout)
    assert "| `(lr=0.1, persistent=None, k=1)` | same |" in report
    assert "| 23 of 23 |" in report and "not here" not in report
    (row,) = re.findall(r"^\| 10 \|(.*)\|$", report, re.MULTILINE)
    there, here, difference, parameters, chain = (cell.strip() for cell in row.split("|"))
    assert there == here and float(difference) < 1e-12 and float(parameters) < 1e-12
    assert chain == "" and "| not in 12 |" in report
    with Image.open(folder / "comparison" / "differences.png") as picture:
        assert picture.size[0] > 400


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("RBM_SYM_THEANO_PYTHON"), reason="needs a Python that has Theano"
)
def test_comparison_with_theano_live(folder):
    """With a copy of the tutorial whose interface is not quite the same."""
    tutorial = folder / "tutorial"
    tutorial.mkdir()
    model = (ROOT / "tests" / "reference" / "theano_rbm.py").read_text()
    (tutorial / "rbm.py").write_text(model.replace("persistent=None", "persistence=None"))
    options = ["--runs", "tutorial_cd1_mrg_float64", "--updates", 12, "--tutorial", tutorial]
    result = compare(folder, "--theano-python", os.environ["RBM_SYM_THEANO_PYTHON"], *options)
    assert result.returncode == 2 and "unexpected keyword argument" in result.stderr

    (tutorial / "rbm.py").write_text(model.replace("k=1)", "k=2)"))
    result = compare(folder, "--theano-python", os.environ["RBM_SYM_THEANO_PYTHON"], *options)
    assert result.returncode == 0, result.stderr
    report = (folder / "comparison" / "report.md").read_text()
    assert "| k defaults to 1 |" in report and "### Speed" in report
    (row,) = re.findall(r"^\| 10 \|(.*)\|$", report, re.MULTILINE)
    assert float(row.split("|")[3]) < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    mostly_slow(
        [
            (["--full"], "--full: .*10000: add --dataset"),
            (["--dataset", "bars.npz"], "--dataset: .*bars.npz begins with other pictures"),
            (["--tutorial", "."], "--tutorial: give --theano-python too"),
            (["--tutorial", ".", "--theano-python", "x"], "--tutorial: there is no rbm.py in"),
            (["--theano-python", "no python"], "--theano-python: no python: No such file"),
            (["--theano-python", sys.executable], "--theano-python: .*No module named 'theano'"),
            (["--updates", 0], "--updates: an integer"),
            (["--theano-python", "x", "--dataset", "ten.npz"], "batch_size: at most .* 10, not 20"),
            (["--runs", "all"], "--runs: invalid choice: 'all'"),
        ]
    ),
)
def test_comparison_refuses_bad_options(folder, small_data, options, message):
    with np.load(small_data) as bars:
        ten = {name: array[:10] for name, array in bars.items()}
    np.savez(folder / "ten.npz", **ten)
    result = compare(folder, *options)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert re.search(message, result.stderr), result.stderr


@pytest.mark.slow
def test_benchmark_lets_contestants_take_turns(folder, small_data):
    options = ["--rounds", 2, "--updates", 2, "--threads", 1, "--no-limits"]
    result = run("benchmark.py", "--dataset", small_data, *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "| NumPy |" in result.stdout and "| rbm_sym without rewrites |" in result.stdout
    found = json.loads((folder / "benchmark" / "benchmark.json").read_text())
    for table in (found["tutorial"]["1"], found["pcd1"]):
        assert table["rbm_sym"]["ratio"] == 1
        assert all(row["ms"] > 0 and row["memory"] > 0 for row in table.values())
    assert found["versions"]["rbm_sym"]["pytensor"] == pytensor.__version__


def test_products_are_timed_with_the_rewrites_and_without(folder):
    """Whatever the machine does meanwhile: only what is marked decides the status."""
    options = ["--pairs", 1, "--inner", 30, "--forms", "x W", "--dtypes", "float32", "--rows", 4]
    result = run("benchmark_products.py", *options, cwd=folder)
    assert not result.stderr and result.returncode == ("!" in result.stdout)
    header, *cells, last = result.stdout.strip().splitlines()[1:]
    assert header.split() == ["rows", "ones", "64", "columns", "784", "columns", "2000", "columns"]
    assert [line.split()[1] for line in cells[:4]] == ["1", "10", "50", "100"]
    assert last.startswith(f"... {result.stdout.count('!')} cells")


def test_benchmark_refuses_a_dataset_that_is_not_there(folder):
    result = run("benchmark.py", "--dataset", "nowhere.npz", cwd=folder)
    assert result.returncode == 2
    assert result.stderr.startswith("benchmark.py: error: ") and result.stderr.count("\n") == 1
