"""A program that uses `RBM` as the tutorial does: its calls, in its order, with its arguments.

PyTensor's names stand for Theano's and `gibbs_chain` for `theano.scan`. What is printed, timed
and done to the working directory is left out, and there are arguments that make it shorter.
"""

from pathlib import Path

import numpy
import pytensor
import pytensor.tensor as T
from PIL import Image

from rbm_sym import RBM, gibbs_chain, load_data, tile_raster_images
from rbm_sym import MRG_RandomStreams as RandomStreams

RECORDED = Path(__file__).parents[1] / "reference" / "runs.npz"


def run(
    learning_rate=0.1,
    training_epochs=15,
    dataset="mnist.pkl.gz",
    batch_size=20,
    n_chains=20,
    n_samples=10,
    output_folder="rbm_plots",
    n_hidden=500,
    n_train_batches=None,
    plot_every=1000,
):
    datasets = load_data(dataset)
    train_set_x, _ = datasets[0]
    test_set_x, _ = datasets[2]
    if n_train_batches is None:
        n_train_batches = train_set_x.get_value(borrow=True).shape[0] // batch_size

    index = T.lscalar()
    x = T.matrix("x")
    rng = numpy.random.RandomState(123)
    theano_rng = RandomStreams(rng.randint(2**30))
    persistent_chain = pytensor.shared(
        numpy.zeros((batch_size, n_hidden), dtype=pytensor.config.floatX), borrow=True
    )
    rbm = RBM(input=x, n_visible=28 * 28, n_hidden=n_hidden, numpy_rng=rng, theano_rng=theano_rng)
    cost, updates = rbm.get_cost_updates(lr=learning_rate, persistent=persistent_chain, k=15)
    train_rbm = pytensor.function(
        [index],
        cost,
        updates=updates,
        givens={x: train_set_x[index * batch_size : (index + 1) * batch_size]},
        name="train_rbm",
    )

    epoch_costs = []
    for epoch in range(training_epochs):
        mean_cost = []
        for batch_index in range(n_train_batches):
            mean_cost += [train_rbm(batch_index)]
        epoch_costs.append(numpy.mean(mean_cost))
        image = Image.fromarray(
            tile_raster_images(
                X=rbm.W.get_value(borrow=True).T,
                img_shape=(28, 28),
                tile_shape=(10, 10),
                tile_spacing=(1, 1),
            )
        )
        image.save(f"{output_folder}/filters_at_epoch_{epoch}.png")

    number_of_test_samples = test_set_x.get_value(borrow=True).shape[0]
    test_idx = rng.randint(number_of_test_samples - n_chains)
    persistent_vis_chain = pytensor.shared(
        numpy.asarray(
            test_set_x.get_value(borrow=True)[test_idx : test_idx + n_chains],
            dtype=pytensor.config.floatX,
        )
    )
    (
        [presig_hids, hid_mfs, hid_samples, presig_vis, vis_mfs, vis_samples],
        updates,
    ) = gibbs_chain(rbm.gibbs_vhv, persistent_vis_chain, n_steps=plot_every)
    updates.update({persistent_vis_chain: vis_samples[-1]})
    sample_fn = pytensor.function(
        [], [vis_mfs[-1], vis_samples[-1]], updates=updates, name="sample_fn"
    )
    image_data = numpy.zeros((29 * n_samples + 1, 29 * n_chains - 1), dtype="uint8")
    for idx in range(n_samples):
        vis_mf, vis_sample = sample_fn()
        image_data[29 * idx : 29 * idx + 28, :] = tile_raster_images(
            X=vis_mf, img_shape=(28, 28), tile_shape=(1, n_chains), tile_spacing=(1, 1)
        )
    Image.fromarray(image_data).save(f"{output_folder}/samples.png")
    return epoch_costs


def test_the_tutorials_program_runs(tmp_path, capsys):
    with pytensor.config.change_flags(floatX="float64"):
        costs = run(
            dataset="digits",
            training_epochs=2,
            n_samples=2,
            output_folder=tmp_path,
            n_train_batches=40,
            plot_every=3,
        )
    assert capsys.readouterr().out == "... loading data\n"
    # What the first 40 updates cost in Theano, whose random numbers these are.
    with numpy.load(RECORDED) as recorded:
        expected = recorded["tutorial_pcd15_mrg_float64/costs"][:40]
    numpy.testing.assert_allclose(costs[0], numpy.mean(expected), rtol=1e-7)
    with Image.open(tmp_path / "filters_at_epoch_1.png") as filters:
        assert filters.size == (289, 289)
    with Image.open(tmp_path / "samples.png") as picture:
        samples = numpy.asarray(picture)
    assert samples.shape == (59, 579) and samples.std() > 10
