"""Training runs that are saved as they go, and that can be resumed whatever ended them.

`open_run` is for training programs of your own. Three modules have what the programs of this
package share as well: `options` of the command line, the `program_run` that they ask for, and
output on the `terminal`.
"""

from rbm_sym.internal.minibatches import count_batches
from rbm_sym.runs.checkpoints import CheckpointTimes, load_checkpoint
from rbm_sym.runs.compiling import compile_now
from rbm_sym.runs.curve import TrainingCurve, plot_training_curve
from rbm_sym.runs.divergence import check_finite
from rbm_sym.runs.early_stopping import EarlyStopping
from rbm_sym.runs.run import Run, open_run
from rbm_sym.runs.samples import Samples
from rbm_sym.runs.stages import Stage, epochs, in_order

__all__ = [
    "CheckpointTimes",
    "EarlyStopping",
    "Run",
    "Samples",
    "Stage",
    "TrainingCurve",
    "check_finite",
    "compile_now",
    "count_batches",
    "epochs",
    "in_order",
    "load_checkpoint",
    "open_run",
    "plot_training_curve",
]
