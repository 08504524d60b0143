"""The weights of hidden units as a picture."""

from rbm_sym.images import picture_shape, save_picture, tile_raster_images


def save_filters(weights, path):
    """A picture of the first hundred hidden units' weights.

    Parameters
    ----------
    weights : float array (n_visible, n_hidden)
    path : str or path
    """
    picture = tile_raster_images(
        X=weights.T,
        img_shape=picture_shape(len(weights)),
        tile_shape=(10, 10),
        tile_spacing=(1, 1),
    )
    save_picture(picture, path)
