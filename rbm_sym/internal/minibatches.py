"""How examples are divided into minibatches."""

from rbm_sym.internal.arguments import check_count


def count_batches(n_examples: int, batch_size: int, of: str = "training examples") -> int:
    """The number of whole minibatches; an incomplete last one is left out.

    `of` is what the error calls the examples.

    Raises
    ------
    TypeError, ValueError
        if `batch_size` is not an integer from 1 to `n_examples`

    Examples
    --------
    >>> from rbm_sym.runs import count_batches
    >>> count_batches(n_examples=10_000, batch_size=300)
    33
    """
    check_count("batch_size", batch_size, of="example")
    if batch_size > n_examples:
        raise ValueError(f"batch_size: at most the number of {of}, {n_examples}, not {batch_size}")
    return n_examples // batch_size
