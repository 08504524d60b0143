"""A training program of one's own: its loop, its checkpoints, how it stops and goes on."""

import os
import signal
import threading
import time

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from rbm_sym.checkpoint import load_arrays
from rbm_sym.runs import (
    CheckpointTimes,
    Samples,
    check_finite,
    compile_now,
    epochs,
    in_order,
    load_checkpoint,
    open_run,
)

EVERY_UPDATE = CheckpointTimes(minutes=0.0)


class Counter:
    """Something that is trained: `W` goes up by one with each update, whose cost is 10 W."""

    def __init__(self):
        self.W = pytensor.shared(np.zeros(3), name="W")
        self.updates = {self.W: None}
        self.made = []

    def update(self, index):
        self.made.append(index)
        self.W.set_value(self.W.get_value() + 1)
        return 10 * self.W.get_value()[0]


def train(folder, counter, n_epochs=2, n_updates=4, settings=None, stop=lambda run: None, **more):
    """All that is left of a run; its costs. `stop` is called before each update."""
    with open_run(folder, settings, **more) as run:
        run.restore(counter.updates, epochs(n_epochs, n_updates))
        for epoch in run.stages():
            for index in run.updates(epoch):
                stop(run)
                run.record(counter.update(index))
        run.finish()
    return run.costs.tolist()


def interrupted_after(n_updates, number=signal.SIGINT):
    """For `train`: send this process a signal before an update."""

    def stop(run):
        if run.n_updates == n_updates:
            os.kill(os.getpid(), number)

    return stop


def test_the_loop(tmp_path, capsys):
    counter = Counter()
    assert train(tmp_path, counter) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert counter.made == [0, 1, 2, 3, 0, 1, 2, 3]
    assert capsys.readouterr().out == f"... training curve and checkpoint are in {tmp_path}\n"
    rows = (tmp_path / "training_curve.csv").read_text().splitlines()
    assert rows[0] == "update,epoch,cost" and rows[5] == "5,1,50.0" and len(rows) == 9
    _, state = load_checkpoint(tmp_path)
    assert state["finished"] and state["n_updates"] == 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(tmp_path, capsys, number):
    counter = Counter()
    handler = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, counter, stop=interrupted_after(5, number))
    assert ended.value.code == 128 + number and signal.getsignal(number) is handler
    assert "stopped after update 6; run the program again to go on" in capsys.readouterr().out
    again = Counter()
    assert train(tmp_path, again) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert again.made == [2, 3]
    assert "... resuming after update 6\n" in capsys.readouterr().out
    # What is finished stays so, and more epochs go on from there.
    again = Counter()
    train(tmp_path, again)
    assert again.made == [] and again.W.get_value()[0] == 8
    assert train(tmp_path, again, n_epochs=3)[-1] == 120 and again.made == [0, 1, 2, 3]


def test_signals_outside_of_the_loop_are_not_ours(tmp_path):
    # Python's own; a shell has its background processes ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with open_run(tmp_path) as run:
        run.restore(Counter().updates, epochs(1, 1))
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_a_loop_that_is_left_early_listens_too(tmp_path):
    counter = Counter()
    with pytest.raises(SystemExit), open_run(tmp_path) as run:
        run.restore(counter.updates, epochs(3, 1))
        for epoch in run.stages():
            for index in run.updates(epoch):
                run.record(counter.update(index))
            if epoch.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)
                break
        run.save()
        run.finish()


def test_a_run_in_a_thread(tmp_path):
    costs = []
    thread = threading.Thread(target=lambda: costs.append(train(tmp_path, Counter())))
    thread.start()
    thread.join()
    assert costs[0][-1] == 80


def test_settings_programs_and_processes_are_kept_apart(tmp_path, monkeypatch):
    train(tmp_path, Counter(), settings={"rate": 0.1, "sizes": (2, 3)})
    with pytest.raises(ValueError, match=r"settings\['rate'\]: the run in .* has 0.1, not 0.2"):
        train(tmp_path, Counter(), settings={"rate": 0.2, "sizes": (2, 3)})
    other = open_run(tmp_path)
    with (
        open_run(tmp_path, {"rate": 0.1, "sizes": (2, 3)}),
        pytest.raises(BlockingIOError, match="another run is writing"),
    ):
        other.__enter__()
    monkeypatch.setattr("sys.argv", ["other.py"])
    with pytest.raises(ValueError, match=r"a run of .*; resume it with that"):
        train(tmp_path, Counter(), settings={"rate": 0.1, "sizes": (2, 3)})


def test_what_does_not_fit_changes_nothing(tmp_path):
    train(tmp_path, Counter())
    other = pytensor.shared(np.ones((2, 2)), name="W")
    with open_run(tmp_path) as run, pytest.raises(ValueError, match="must be of dtype float64"):
        run.restore([other], epochs(2, 4))
    assert other.get_value().tolist() == [[1, 1], [1, 1]]
    with open_run(tmp_path) as run, pytest.raises(ValueError, match="8 updates and 0 rows"):
        run.restore(Counter().updates, epochs(1, 4))
    with open_run(tmp_path) as run, pytest.raises(ValueError, match="not the data of this run"):
        run.restore(Counter().updates, epochs(2, 4), data="other")


@pytest.mark.parametrize(("n_updates", "noticed"), [(1000, 199), (150, 149)])
def test_parameters_that_diverge_stop_the_run(tmp_path, n_updates, noticed):
    """At a look every hundred updates, or at a stage's end, though the cost stays finite."""
    counter = Counter()

    def stop(run):
        if run.n_updates == 120:
            counter.W.set_value(np.array([0, np.inf, 0]))

    message = rf"epoch 0, update {noticed + 1}: W holds .*smaller learning rate; .*npz is from bef"
    with pytest.raises(FloatingPointError, match=message):
        train(tmp_path, counter, 1, n_updates, stop=stop)
    assert counter.made[-1] == noticed
    assert load_checkpoint(tmp_path)[1]["n_updates"] == 0


def test_a_cost_that_diverges_stops_the_run(tmp_path):
    counter = Counter()
    counter.update = {0: 1.0, 1: float("nan")}.get
    with pytest.raises(FloatingPointError, match="update 2: the cost of minibatch 1 is nan"):
        train(tmp_path, counter)


def test_only_floats_can_be_infinite():
    b = pytensor.shared(np.array([0, np.inf]), name="b")
    with pytest.raises(FloatingPointError, match="b holds infinite"):
        check_finite([b])
    check_finite([pytensor.shared(np.zeros(2)), pytensor.shared(np.arange(3))])


def test_an_update_must_be_recorded(tmp_path):
    with open_run(tmp_path) as run:
        run.restore(Counter().updates, epochs(1, 4))
        with pytest.raises(RuntimeError, match=r"record\(cost\) was not called"):
            for epoch in run.stages():
                for _ in run.updates(epoch):
                    pass


def test_an_update_is_recorded_once_by_one_number(tmp_path):
    with open_run(tmp_path) as run:
        run.restore(Counter().updates, epochs(1, 2))
        (epoch,) = run.stages_left()
        for index in run.updates(epoch):
            for wrong in ("1", None, [1.0, 2.0], 1j):
                with pytest.raises(TypeError, match="cost: one number is needed, not"):
                    run.record(wrong)
            run.record([np.array(1.5)] if index else np.float32(0.5))
            with pytest.raises(RuntimeError, match="was called twice for one update"):
                run.record(1.0)
        assert run.costs.tolist() == [0.5, 1.5]


def test_stages_are_gone_through_in_order_and_to_their_end(tmp_path):
    with open_run(tmp_path) as run:
        run.restore(Counter().updates, epochs(3, 4))
        first, second, _ = run.plan
        next(run.updates(first))
        run.record(1.0)
        with pytest.raises(RuntimeError, match="epoch 1 has updates 5 to 8, and 1 have been made"):
            next(run.updates(second))
    for wrong in (2.5, True):
        with pytest.raises(TypeError, match="n_updates: an integer"):
            epochs(2, wrong)
    with pytest.raises(ValueError, match="n_updates: at least 1"):
        epochs(2, 0)


def test_a_run_that_is_finished_early_stays_finished(tmp_path):
    """Its curve has the stages that have ended."""
    for n_left in (3, 0):
        counter = Counter()
        with open_run(tmp_path) as run:
            run.restore(counter.updates, epochs(3, 4))
            assert len(run.stages_left()) == n_left
            for epoch in run.stages():
                if epoch.epoch == 1:
                    break
                for index in run.updates(epoch):
                    run.record(counter.update(index))
            run.finish()
    assert len((tmp_path / "training_curve.csv").read_text().splitlines()) == 1 + 4


def test_the_working_folder_may_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counter = Counter()
    with open_run("plots") as run:
        run.restore(counter.updates, epochs(1, 2))
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        for epoch in run.stages():
            for index in run.updates(epoch):
                run.record(counter.update(index))
        run.finish()
    assert not list((tmp_path / "elsewhere").iterdir())
    assert load_checkpoint(tmp_path / "plots")[1]["finished"]


def test_a_context_within_the_loop_leaves_signals_to_the_loop(tmp_path):
    counter = Counter()
    with pytest.raises(SystemExit), open_run(tmp_path) as run:
        run.restore(counter.updates, epochs(2, 4))
        for epoch in run.stages():
            for index in run.updates(epoch):
                with run.postponed():
                    pass
                if index == 2:
                    signal.raise_signal(signal.SIGINT)
                run.record(counter.update(index))
    assert load_checkpoint(tmp_path)[1]["n_updates"] == 3


def test_a_loop_that_is_left_by_an_error_and_held_gives_signals_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), open_run(tmp_path) as run:
        run.restore(Counter().updates, epochs(1, 4))
        held = run.stages()
        next(held)
        assert signal.getsignal(signal.SIGINT) != before
        1 / 0  # noqa: B018
    assert signal.getsignal(signal.SIGINT) == before


def test_a_forked_process_ends_by_its_signals(tmp_path):
    with open_run(tmp_path) as run:
        run.restore(Counter().updates, epochs(1, 4))
        with run.postponed():
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                # Signals that come earlier are lost: Python forgets them at the end of a fork.
                os.write(writer, b"!")
            while not child:
                time.sleep(0.01)
            os.read(reader, 1)
            os.kill(child, signal.SIGTERM)
            _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"settings": ["lr"]}, TypeError, "settings: a dict is needed"),
        ({"settings": {"lr": np.float32(1)}}, TypeError, r"settings\['lr'\]: .* JSON can hold"),
        ({"settings": {"lr": float("nan")}}, TypeError, r"settings\['lr'\]: .* JSON can hold"),
        ({"checkpoint_every": "10min"}, TypeError, "checkpoint_every: .*not '10min'"),
        ({"training": [3.0]}, TypeError, "training: shared variables .*not 3.0"),
        ({"stages": [("", 0, 5)]}, TypeError, "stages: .*epochs"),
        ({"data": 123}, TypeError, "data: a text .*not 123"),
        ({"samples": 5}, TypeError, "samples: .*not 5"),
    ],
)
def test_what_cannot_be_saved_is_refused_at_once(tmp_path, arguments, error, message):
    opening = {
        name: arguments.pop(name) for name in {*arguments} & {"settings", "checkpoint_every"}
    }
    parts = {"training": Counter().updates, "stages": epochs(1, 2)} | arguments
    with pytest.raises(error, match=message), open_run(tmp_path, **opening) as run:
        run.restore(**parts)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_run_is_restored_once_and_before_its_loop(tmp_path):
    with open_run(tmp_path) as run:
        for use in (lambda: next(run.stages()), lambda: next(run.rows()), run.finish):
            with pytest.raises(RuntimeError, match="call restore first"):
                use()
        assert not (tmp_path / "checkpoint.npz").exists()
        run.restore(Counter().updates, epochs(1, 4))
        assert list(run.rows()) == []
        with pytest.raises(RuntimeError, match=r"record\(cost\) was called outside"):
            run.record(1.0)
        with pytest.raises(RuntimeError, match="restore was called before"):
            run.restore(Counter().updates, epochs(2, 4))
    assert load_checkpoint(str(tmp_path))[1]["n_updates_in_all"] == 4


def test_phases_records_and_samples(tmp_path):
    """Two phases with a note at each end of the second, and rows of samples between them."""
    stages = in_order([("first", 0, 2), ("second", 0, 1), ("second", 1, 1)])
    is_second = np.array([stage.phase == "second" for stage in stages])
    counter, chains = Counter(), pytensor.shared(np.zeros(1), name="chains")

    def go_on(stop_at_row=None, records=None):
        samples = Samples(3, 2, 4, variables=[chains], after=2)
        with open_run(tmp_path, checkpoint_every=EVERY_UPDATE) as run:
            run.restore(
                counter.updates, stages, samples=samples, records=records or {"error": is_second}
            )
            for stage in run.stages("first"):
                for index in run.updates(stage):
                    run.record(counter.update(index))
            for row in run.rows():
                if row == stop_at_row:
                    raise KeyError
                chains.set_value(chains.get_value() + 1)
                samples.draw(np.full((2, 4), [0, 0.5, 0.5, 1]))
            for stage in run.stages("second"):
                for index in run.updates(stage):
                    run.record(counter.update(index))
                run.records["error"][stage.number] = 7
        return run, samples

    with pytest.raises(KeyError):
        go_on(stop_at_row=2)
    run, samples = go_on()
    assert chains.get_value()[0] == 3 and counter.made == [0, 1, 0, 0]
    assert (samples.picture[:3] == samples.picture[3:6]).all() and samples.picture.any()
    assert run.records["error"][1:].tolist() == [7, 7] and np.isnan(run.records["error"][0])
    with pytest.raises(ValueError, match="4 updates do not fit the records of 2 stages: error"):
        go_on(records={"error": ~is_second})
    arrays, _ = load_arrays(tmp_path / "checkpoint.npz")
    assert arrays["records/error"].shape == (3,)
    assert arrays["sampling/0 chains"].tolist() == [3]


def test_how_often_a_checkpoint_is_written():
    assert CheckpointTimes.of("10min") == (10, None) and CheckpointTimes.of("2 epochs") == (None, 2)
    assert CheckpointTimes.of("0.5min,1epoch") == (0.5, 1)
    assert str(CheckpointTimes()) == "1min,10epochs" and str(CheckpointTimes(0.5, None)) == "0.5min"
    for text in ("often", "", "1", "0epochs", "1.5epochs", "1min,2min"):
        with pytest.raises(ValueError, match="minutes, epochs or both"):
            CheckpointTimes.of(text)


def test_compile_now_leaves_no_trace():
    counter, steps = pytensor.shared(np.int64(5)), pytensor.shared(np.int64(1000))
    index = pt.lscalar()
    updates = {counter: counter + steps}
    update = pytensor.function([index], counter + index, updates=updates, mode="FAST_COMPILE")
    compile_now(update, updates)
    assert counter.get_value() == 5
    seen = pytensor.function([], steps, updates=updates, mode="FAST_COMPILE")
    called = []
    compile_now(lambda: called.append(seen()), updates, arguments=(), meanwhile={steps: 1})
    assert called == [1] and (counter.get_value(), steps.get_value()) == (5, 1000)
