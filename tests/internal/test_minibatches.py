"""How many minibatches there are."""

import pytest

from rbm_sym.runs import count_batches


@pytest.mark.parametrize(
    ("batch_size", "error", "message"),
    [
        (0, ValueError, "batch_size: .*not 0"),
        (101, ValueError, "batch_size: at most .*100, not 101"),
        (2.0, TypeError, "batch_size: .*not 2.0"),
    ],
)
def test_bad_batch_sizes(batch_size, error, message):
    with pytest.raises(error, match=message):
        count_batches(100, batch_size)


def test_the_incomplete_batch_is_left_out():
    assert [count_batches(100, size) for size in (1, 20, 30, 100)] == [100, 5, 3, 1]
