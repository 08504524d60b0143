"""Samples as a picture: each row shows where the chains are, some steps after the row above."""

from collections.abc import Iterable

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from rbm_sym.images import picture_shape, tile_raster_images


def consecutive_pictures(test_x, n_chains, numpy_rng):
    """`n_chains` consecutive test pictures from a random place on, as in the tutorial.

    Parameters
    ----------
    test_x : shared variable of pictures (n, n_pixels)

    Raises
    ------
    ValueError
        if there are fewer test pictures
    """
    pictures = test_x.get_value(borrow=True)
    if n_chains > len(pictures):
        raise ValueError(f"--n-chains: at most the {len(pictures)} test pictures, not {n_chains}")
    # Drawn as in the tutorial, which never takes the last place unless it is the only one.
    first = numpy_rng.randint(max(1, len(pictures) - n_chains))
    return pictures[first : first + n_chains]


class Samples:
    """A picture of samples, with a column for each chain and a row for each time.

    Parameters
    ----------
    n_rows, n_chains : int, at least 1
    n_pixels : int, of one sample
    variables : iterable of shared variables, such as an update dictionary: all that drawing changes
        A run saves them with its checkpoint. Samples that no run draws need none.
    after : int, the number of updates of a run after which rows are drawn; None for all its updates

    Attributes
    ----------
    n_rows, variables, after : as above
    n_drawn : int, rows drawn so far
    picture : uint8 array (height, width), black where nothing is drawn yet

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.runs import Samples
    >>> samples = Samples(n_rows=2, n_chains=3, n_pixels=16)
    >>> samples.draw(np.eye(3, 16))
    >>> samples.n_drawn, samples.picture.shape
    (1, (11, 14))
    """

    def __init__(
        self,
        n_rows: int,
        n_chains: int,
        n_pixels: int,
        variables: Iterable[SharedVariable] = (),
        after: int | None = None,
    ) -> None:
        self.n_rows, self.n_drawn = n_rows, 0
        self.variables, self.after = list(variables), after
        self._tile_shape = height, width = picture_shape(n_pixels)
        self.picture = np.zeros(((height + 1) * n_rows + 1, (width + 1) * n_chains - 1), "uint8")

    def draw(self, means: np.ndarray) -> None:
        """Draw the next row of the picture from visible means (n_chains, n_pixels), in [0, 1]."""
        height, _ = self._tile_shape
        top = (height + 1) * self.n_drawn
        self.picture[top : top + height] = tile_raster_images(
            X=means,
            img_shape=self._tile_shape,
            tile_shape=(1, len(means)),
            tile_spacing=(1, 1),
        )
        self.n_drawn += 1
