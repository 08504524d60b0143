"""Early stopping against the tutorial's loop."""

import numpy as np
import pytest

from rbm_sym.runs import EarlyStopping


def tutorials_loop(errors, n_batches, patience, increase, threshold):
    """The tutorial's early stopping, counted update by update: (best update, last update)."""
    best_error, best_update, update = np.inf, None, -1
    while True:
        update += 1
        if (update + 1) % n_batches == 0:
            if (update + 1) // n_batches > len(errors):
                return best_update, update + 1
            error = errors[(update + 1) // n_batches - 1]
            if error < best_error:
                if error < best_error * threshold:
                    patience = max(patience, update * increase)
                best_error, best_update = error, update + 1
        if patience <= update:
            return best_update, update + 1


@pytest.mark.parametrize("increase", [1.3, 2.0])
@pytest.mark.parametrize("patience", [7, 20, 40])
def test_early_stopping_is_the_tutorials(patience, increase):
    n_batches, stopped_early = 10, set()
    for seed in range(30):
        rng = np.random.RandomState(seed)
        errors = 1 / np.arange(1, 41) ** rng.rand() + 0.01 * rng.rand(40)
        stopping, best, done = EarlyStopping(patience, increase, 0.97), None, 0
        for error in errors:
            if stopping.updates_left(done) < n_batches:
                done += stopping.updates_left(done)
                break
            done += n_batches
            if stopping.is_best(done, error):
                best = done
                assert stopping.least_error == error
        expected = tutorials_loop(errors, n_batches, patience, increase, 0.97)
        if done < 400:
            assert (best, done) == expected
        stopped_early.add(done < 400)
    assert True in stopped_early


def test_an_error_that_is_no_number_is_never_the_best():
    stopping = EarlyStopping(10)
    assert not stopping.is_best(5, float("nan"))
    assert stopping.is_best(5, 0.5) and not stopping.is_best(6, 0.5)
