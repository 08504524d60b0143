"""Whole runs from the same seed: Theano's, and ours beside them."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from replay import cost_differences, first_above, replay, snapshots

from rbm_sym.runs.curve import import_pyplot


def make_runs(args, there, pictures, at_once):
    """Repeat each run by `replay.replay`; yields (name, arrays, milliseconds)."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context) as pool:
        made = {
            name: pool.submit(replay, there[name]["settings"], pictures, args.updates)
            for name in args.runs
        }
        try:
            for name, run in made.items():
                print(f"... {name}: compiling and training", flush=True)
                yield name, *run.result()
        finally:
            # If the report is ended, runs that have not begun are cancelled.
            pool.shutdown(cancel_futures=True)


def compare_runs(report, made, there, own, n_visible):
    report.write("", "## Runs from the same seed", "")
    report.write(
        f"The tutorial's settings: {n_visible} visible and 500 hidden units, batches of 20 in file "
        "order, learning rate 0.1, seed 123. Parameters: the largest difference, relative to the "
        "largest entry. Chain: bits of the persistent chain that are the same. Theano's softplus "
        "is cut off above 16, where it is 1e-7 off; ours is nearer to the truth, and the costs of "
        "PCD, which do not act on training, differ by up to that."
    )
    curves, horizons, speeds = {}, [], []
    for name, here, milliseconds in made:
        facts = there[name]["settings"]
        report.write("", f"### {title(facts)}", "", origin(facts, "live" in there[name]))
        report.table(
            ["update", "cost there", "cost here", "difference", "parameters", "chain"],
            run_rows(here, there[name]),
        )
        ours = cost_differences(here["costs"], there[name]["costs"])
        theanos = own.get(name, [])
        curves[title(facts)] = ours, theanos
        horizons.append([title(facts), len(ours)])
        for tolerance in (1e-6, 0.1):
            horizons[-1] += [horizon(tolerance, runs) for runs in ([ours], theanos) if runs]
        if "live" in there[name]:
            theirs = facts["milliseconds an update"]
            times = (theirs, milliseconds, theirs / milliseconds)
            speeds.append([title(facts), *(f"{value:.1f}" for value in times)])
    report.write("", "### Where they part")
    report.write(
        "",
        "The first update whose cost differs by more than a millionth, which is rounding, and by "
        "more than a tenth, which is a sample that fell otherwise. From there on two runs are "
        "two draws of one process.",
    )
    header = ["run", "updates", "1e-6: here", "0.1: here"]
    if theanos:
        report.write(
            "Theano parts from itself in the same way, when its OpenBLAS uses the kernels for "
            f"other processors, of which {len(theanos)} are recorded."
        )
        header = ["run", "updates", "1e-6: here", "Theano itself", "0.1: here", "Theano itself"]
    report.table(header, horizons)
    if plot_differences(curves, report.path.with_name("differences.png")):
        report.write("![differences](differences.png)")
    if speeds:
        report.write(
            "", "### Speed", "", "One after the other on this machine, monitoring included."
        )
        report.table(["run", "Theano, ms an update", "here, ms an update", "ratio"], speeds)


def origin(facts, is_live):
    """A text on the versions with which Theano made a run."""
    how = "now" if is_live else "recorded"
    return (
        f"There ({how}): Theano {facts['theano']}, NumPy {facts['numpy']}, Python "
        f"{facts['python']}, BLAS: {facts['blas']}."
    )


def title(settings):
    algorithm = f"{settings['algorithm'].upper()}-{settings['k']}"
    return f"{algorithm}, {settings['stream']} streams, {settings['floatX']}"


def run_rows(here, there):
    differences = cost_differences(here["costs"], there["costs"])
    states = {update: state for update, *state in snapshots(here, there)}
    last = len(differences)
    for update in sorted({1, 10, 100, 250, 500, 750, 1000, last}):
        if update > last:
            continue
        parameters, same_bits = states.get(update, (None, None))
        yield [
            update, f"{there['costs'][update - 1]:.10f}", f"{here['costs'][update - 1]:.10f}",
            f"{differences[update - 1]:.0e}",
            "" if parameters is None else f"{parameters:.0e}",
            "" if same_bits is None else "all" if same_bits == 1 else f"{same_bits:.1%}",
        ]  # fmt: skip


def horizon(tolerance, runs):
    """A text on the first updates whose costs differ by more than `tolerance`."""
    found = {first_above(tolerance, differences) for differences in runs}
    longest = max(len(differences) for differences in runs)
    updates = sorted(found - {None}) + [f"not in {longest}"] * (None in found)
    return " or ".join(map(str, updates))


def plot_differences(curves, path):
    """Draw the differences of costs: ours from Theano's, and Theano's from one another."""
    plt = import_pyplot("picture")
    if plt is None:
        return False

    figure, axes = plt.subplots(
        len(curves), figsize=(8, 2.2 * len(curves)), sharex=True, layout="constrained"
    )
    for panel, (run, (ours, theanos)) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        labels = [None if i else "Theano from itself" for i in range(len(theanos))]
        labels.append("here from Theano")
        colours = ["tab:blue"] * len(theanos) + ["tab:orange"]
        for values, label, colour in zip([*theanos, ours], labels, colours, strict=True):
            updates = np.arange(1, len(values) + 1)
            panel.semilogy(
                updates, np.maximum(values, 1e-17), linewidth=0.8, label=label, color=colour
            )
        panel.axhline(1e-6, color="grey", linewidth=0.5)
        panel.set_title(run, fontsize="medium")
        panel.set_ylabel("difference of cost")
    np.atleast_1d(axes)[0].legend(loc="lower right", fontsize="small")
    np.atleast_1d(axes)[-1].set_xlabel("update")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True
