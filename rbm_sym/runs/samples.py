"""Rows of samples: a picture that grows while chains go on."""

import numpy as np

from rbm_sym.images import picture_shape, tile_raster_images


def consecutive_pictures(test_x, n_chains, numpy_rng):
    """`n_chains` test pictures in a row, from a random place on, as the tutorial takes them.

    Parameters
    ----------
    test_x : shared variable of pictures (n, n_pixels)

    Raises
    ------
    ValueError
        if there are not as many
    """
    pictures = test_x.get_value(borrow=True)
    if n_chains > len(pictures):
        raise ValueError(f"--n-chains: at most the {len(pictures)} test pictures, not {n_chains}")
    # The tutorial's draw, which never takes the last place but where there is no other.
    first = numpy_rng.randint(max(1, len(pictures) - n_chains))
    return pictures[first : first + n_chains]


class Samples:
    """A picture of samples: a column for each chain, and row after row what it has come to.

    Parameters
    ----------
    n_rows, n_chains : int, at least 1
    n_pixels : int, of the picture that a chain is at

    Attributes
    ----------
    n_rows : as above
    n_drawn : int, rows that are drawn
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

    def __init__(self, n_rows, n_chains, n_pixels):
        self.n_rows, self.n_drawn = n_rows, 0
        self._tile_shape = height, width = picture_shape(n_pixels)
        self.picture = np.zeros(((height + 1) * n_rows + 1, (width + 1) * n_chains - 1), "uint8")

    def draw(self, means):
        """Put the next row into the picture: the visible means (n_chains, n_pixels), in [0, 1]."""
        height, _ = self._tile_shape
        top = (height + 1) * self.n_drawn
        self.picture[top : top + height] = tile_raster_images(
            X=means,
            img_shape=self._tile_shape,
            tile_shape=(1, len(means)),
            tile_spacing=(1, 1),
        )
        self.n_drawn += 1
