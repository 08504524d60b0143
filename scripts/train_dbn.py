"""Train a deep belief network, as the deeplearning.net tutorial's program does.

The tutorial's own settings are --dataset mnist --hidden-layers 1000 1000 1000 --k 1
--pretraining-epochs 100 --pretraining-rate 0.01 --finetuning-epochs 1000.

As with train_rbm.py, a checkpoint of the run is saved regularly in its output folder. A run that
was stopped or killed can be resumed from there (--resume), and ends with the same results.
"""

import argparse
import csv
import time
from itertools import pairwise, product

import numpy as np
import pytensor

from rbm_sym import DBN, load_data, save_picture
from rbm_sym.checkpoint import checksum
from rbm_sym.internal.arguments import check_learning_rate
from rbm_sym.internal.files import whole_file
from rbm_sym.internal.memory import check_memory
from rbm_sym.internal.settings import shared_setting
from rbm_sym.models import save_model
from rbm_sym.runs import EarlyStopping, Samples, compile_now, count_batches, in_order
from rbm_sym.runs.filters import save_filters
from rbm_sym.runs.options import add_run_options, add_training_options, whole_number
from rbm_sym.runs.program_run import open_program_run, options_given
from rbm_sym.runs.samples import consecutive_pictures
from rbm_sym.runs.terminal import one_line_errors
from rbm_sym.streams import make_streams

PROGRAM = "train_dbn.py"
FINE_TUNING = "fine-tuning"
# Bytes of a `Stage` and its records.
STAGE_BYTES = 300


def main(arguments=None):
    with one_line_errors(OSError, FloatingPointError):
        parser = argument_parser()
        given = options_given(parser, arguments)
        with open_program_run(PROGRAM, parser, given, "finetuning_epochs") as (args, run):
            train(args, run)


def train(args, run):
    """Make what is left of a run: load data, build graphs, pretrain each layer, draw samples, tune.

    A stage is an epoch of a layer's pretraining, or the updates of fine-tuning between two
    validations. The run records the seconds of each stage, and the validation error after each
    stage of fine-tuning. If that error is the least so far, it records the test error too.
    """
    with one_line_errors(ValueError, TypeError):
        pytensor.config.floatX = args.floatX
        check_learning_rate("--pretraining-rate", args.pretraining_rate)
        check_learning_rate("--finetuning-rate", args.finetuning_rate)
        datasets = load_data(args.dataset)
        (train_x, _), _, (test_x, _) = datasets
        pictures = [x.get_value(borrow=True) for x, _ in datasets]
        labels = [y.eval(mode="FAST_COMPILE") for _, y in datasets]
        labelled = [first_examples(datasets[0], args.labelled), *datasets[1:]]
        n_batches = count_batches(len(pictures[0]), args.batch_size)
        n_labelled = n_batches if args.labelled is None else args.labelled // args.batch_size
        print("... building the model")
        n_visible = pictures[0].shape[1]
        n_classes = 1 + int(max(map(np.max, labels)))
        check_memory(
            memory_needed(args, n_visible, n_classes, n_batches, n_labelled),
            "--hidden-layers, --pretraining-epochs, --finetuning-epochs, --n-samples: take smaller "
            "numbers",
        )

        rng = np.random.RandomState(args.seed)
        dbn = DBN(
            numpy_rng=rng,
            theano_rng=make_streams(args.stream, rng),
            n_ins=n_visible,
            hidden_layers_sizes=args.hidden_layers,
            n_outs=n_classes,
        )
        n_labelled, *_ = dbn.check_datasets(labelled, args.batch_size)
        start = consecutive_pictures(test_x, args.n_chains, rng)
        pretraining = []
        if args.pretraining_epochs:
            print("... getting the pretraining functions", flush=True)
            pretraining = dbn.pretraining_graphs(train_x, args.batch_size, args.k)
        top = dbn.rbm_layers[-1]
        # All streams of training have been made by now.
        training = [*dbn.params, *(r.vbias for r in dbn.rbm_layers), *top.theano_rng.states]
        chains = pytensor.shared(np.zeros((args.n_chains, top.n_visible), args.floatX))
        steps = shared_setting("steps", args.steps, "int64")
        sampling, sampling_updates = dbn.sample(chains, n_steps=steps)

        stages = stages_of_pretraining(args, n_batches)
        n_pretraining = n_batches * len(stages)
        stages = in_order([*stages, *stages_of_finetuning(args, n_labelled)])
        is_finetuning = np.array([stage.phase == FINE_TUNING for stage in stages])
        samples = Samples(
            args.n_samples, *start.shape, variables=sampling_updates, after=n_pretraining
        )
        data = checksum(dict(enumerate([*pictures, *labels])))
        records = {
            "seconds": np.ones(len(stages), bool),
            "validation errors": is_finetuning,
            "test errors": None,
        }
        run.curve = DeepCurve(args.output / "training_curve.csv")
        run.restore(training, stages, data, samples, records)
    if run.finished:
        print("... this run is finished")
        return

    if pretraining and run.n_updates <= n_pretraining:
        pretrain(args, run, pretraining, training)
        with run.postponed():
            save_model(args.output / "pretrained.npz", dbn, run.settings)
            save_filters(dbn.rbm_layers[0].W.get_value(borrow=True), args.output / "filters.png")
        # Now, since fine-tuning for the classes spoils the model of the pictures.
        if samples.n_drawn == 0:
            below = dbn.rbm_layers[-1].input
            chains.set_value(below.eval({dbn.x: start}, mode="FAST_COMPILE"))
        if samples.n_drawn < samples.n_rows:
            run.say("... compiling the chain, which can take half a minute the first time")
            sample = pytensor.function([], sampling, updates=sampling_updates)
            compile_now(sample, sampling_updates, arguments=(), meanwhile={steps: 1})
        for row in run.rows():
            run.say(" ... plotting sample ", row)
            mean, _ = sample()
            samples.draw(mean)
        save_picture(samples.picture, args.output / "samples.png")
    finetune(args, run, dbn, labelled, n_labelled)
    what = "pictures, training curve" if pretraining else "training curve"
    run.finish(f"{what} and parameters")


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_training_options(parser, batch_size=10, output="dbn_plots")
    parser.add_argument(
        "--hidden-layers", type=whole_number(1), nargs="+", default=[500, 500, 1000],
        metavar="UNITS", help="units of each hidden layer, from the pictures up",
    )  # fmt: skip
    parser.add_argument(
        "--pretraining-epochs", type=whole_number(0), default=20,
        help="for each layer; 0 trains with labels alone",
    )  # fmt: skip
    parser.add_argument("--pretraining-rate", type=float, default=0.05, help="learning rate")
    parser.add_argument("--k", type=whole_number(1), default=5, help="Gibbs steps in an update")
    parser.add_argument(
        "--finetuning-epochs", type=whole_number(1), default=50,
        help="at most: training stops when the validation error no longer falls",
    )  # fmt: skip
    parser.add_argument("--finetuning-rate", type=float, default=0.1, help="learning rate")
    parser.add_argument(
        "--patience", type=whole_number(1), default=4, metavar="EPOCHS",
        help="fine-tune for at least this many, and twice as long as the best error took",
    )  # fmt: skip
    parser.add_argument(
        "--labelled", type=whole_number(1), metavar="N",
        help="fine-tune on the first N training pictures only (%(default)s: on all)",
    )  # fmt: skip
    parser.add_argument(
        "--n-samples", type=whole_number(1), default=10,
        help="rows of samples.png, drawn from the pretrained network",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=whole_number(1), default=20, help="Gibbs steps from row to row"
    )
    add_run_options(parser, may_grow="finetuning_epochs")
    return parser


def stages_of_pretraining(args, n_batches):
    """For `in_order`: the epochs of one layer, then those of the next."""
    phases = [f"layer {layer}" for layer in range(len(args.hidden_layers))]
    return [
        (phase, epoch, n_batches)
        for phase, epoch in product(phases, range(args.pretraining_epochs))
    ]


def stages_of_finetuning(args, n_batches):
    """For `in_order`: the stages of fine-tuning, each followed by a validation."""
    n_updates = max(1, min(n_batches, args.patience * n_batches // 2))
    begins = range(0, args.finetuning_epochs * n_batches - n_updates + 1, n_updates)
    return [(FINE_TUNING, (begin + n_updates - 1) // n_batches + 1, n_updates) for begin in begins]


def pretrain(args, run, graphs, training):
    """Train each layer's RBM on the output of the layers below for all training pictures."""
    print("... pre-training the model")
    print("    (PyTensor makes machine code of a layer's graph before its first epoch)", flush=True)
    rate = np.asarray(args.pretraining_rate, args.floatX)
    for layer, graph in enumerate(graphs):
        phase = f"layer {layer}"
        if not run.stages_left(phase):
            continue
        update = pytensor.function(**graph)
        compile_now(update, training, arguments=(0, rate))
        for stage in run.stages(phase):
            for index in run.updates(stage):
                run.record(update(index, rate))
            run.say(f"Pre-training {stage}, cost ", run.costs_of(stage).mean())
            note_seconds(run, stage)
    print(f"The pretraining code for file {PROGRAM} ran for {minutes(run, 'layer'):.2f}m")


def finetune(args, run, dbn, labelled, n_labelled):
    """Train the network with labels until early stopping, and save it where it is best."""
    print("... getting the finetuning functions", flush=True)
    train_fn, validate_model, test_model = dbn.build_finetune_functions(
        labelled, args.batch_size, args.finetuning_rate
    )
    finetuning = [stage for stage in run.plan if stage.phase == FINE_TUNING]
    before = finetuning[0].begin
    errors, test_errors = run.records["validation errors"], run.records["test errors"]
    stopping = EarlyStopping(args.patience * n_labelled)
    for stage in run.stages_ended():
        if stage.phase == FINE_TUNING:
            stopping.is_best(stage.end - before, errors[stage.number])

    print("... finetuning the model", flush=True)
    if learns_on(stopping, run.stages_left(FINE_TUNING)[:1], before):
        # Compiled here, where a signal still ends the program at once.
        compile_now(train_fn, dbn.params)
        validate_model()
        test_model()
    for stage in run.stages(FINE_TUNING):
        if not learns_on(stopping, [stage], before):
            break
        for index in run.updates(stage):
            run.record(train_fn((stage.begin - before + index) % n_labelled))
        began = time.perf_counter()
        last_batch = (stage.end - before - 1) % n_labelled
        place = f"epoch {stage.epoch}, minibatch {last_batch + 1}/{n_labelled}"
        error = errors[stage.number] = np.mean(validate_model())
        run.say(f"{place}, validation error {100 * error:f} %")
        if stopping.is_best(stage.end - before, error):
            error = test_errors[stage.number] = np.mean(test_model())
            run.say(f"     {place}, test error of best model {100 * error:f} %")
            save_model(args.output / "dbn.npz", dbn, run.settings)
        run.seconds += time.perf_counter() - began
        note_seconds(run, stage)
    run.save()
    best = np.nanargmin(errors)
    print(
        f"Optimization complete with best validation score of {100 * errors[best]:f} %, "
        f"obtained at iteration {run.plan[best].end - before}, "
        f"with test performance {100 * test_errors[best]:f} %"
    )
    print(f"The fine tuning code for file {PROGRAM} ran for {minutes(run, FINE_TUNING):.2f}m")


def learns_on(stopping, stages, before):
    """Whether early stopping lets fine-tuning reach the end of the first of these stages.

    If not, the stage is not begun: updates without a validation after them change no result.
    """
    return any(stopping.updates_left(stage.begin - before) >= stage.n_updates for stage in stages)


def note_seconds(run, stage):
    seconds = run.records["seconds"]
    seconds[stage.number] = run.seconds - seconds[: stage.number].sum()


def minutes(run, phase):
    """The minutes of all stages whose phase begins with this text."""
    pairs = zip(run.plan, run.records["seconds"], strict=True)
    return np.nansum([s for stage, s in pairs if stage.phase.startswith(phase)]) / 60


class DeepCurve:
    """training_curve.csv of a deep network: a line for each stage that has ended."""

    def __init__(self, path):
        self.path = path

    def write(self, run):
        errors, seconds = run.records["validation errors"], run.records["seconds"]
        with whole_file(self.path) as unfinished, open(unfinished, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["phase", "epoch", "mean cost", "validation error", "seconds"])
            for stage in run.stages_ended():
                error = "" if np.isnan(errors[stage.number]) else errors[stage.number]
                rows.writerow(
                    [
                        stage.phase, stage.epoch, run.costs_of(stage).mean(), error,
                        f"{seconds[stage.number]:.3f}",
                    ]
                )  # fmt: skip


def first_examples(dataset, n_examples):
    """The first `n_examples` examples and their classes; None takes all."""
    x, y = dataset
    found = len(x.get_value(borrow=True))
    if n_examples is None:
        return dataset
    if n_examples > found:
        raise ValueError(f"--labelled: at most the {found} training pictures, not {n_examples}")
    return pytensor.shared(x.get_value(borrow=True)[:n_examples], borrow=True), y[:n_examples]


def memory_needed(args, n_visible, n_classes, n_batches, n_labelled):
    """An estimate of the memory of a run without the data, in bytes."""
    sizes = [n_visible, *args.hidden_layers, n_classes]
    weights = [below * above for below, above in pairwise(sizes)]
    # The network, its gradient, another copy, and the memory for training the largest layer.
    model = (3 * sum(weights) + 5 * max(weights)) * np.dtype(args.floatX).itemsize
    pretraining_epochs = len(args.hidden_layers) * args.pretraining_epochs
    n_updates = pretraining_epochs * n_batches + args.finetuning_epochs * n_labelled
    # With a patience of one epoch, there are two stages of fine-tuning in an epoch.
    n_stages = pretraining_epochs + 2 * args.finetuning_epochs
    picture = args.n_samples * args.n_chains * n_visible
    # The costs and the picture, and a copy of both while they are saved.
    return model + 2 * (8 * n_updates + picture) + STAGE_BYTES * n_stages


if __name__ == "__main__":
    main()
