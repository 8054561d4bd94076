"""The fit: objective, stopping rule, averaging, precision, and the loop that joins them."""

from restore.fitting.checkpoint import Checkpoint
from restore.fitting.judge import Fitted
from restore.fitting.loop import fit
from restore.fitting.network import build_prior, build_priors
from restore.fitting.plan import make_plan
from restore.fitting.stack import fit_stack
from restore.fitting.trace import Observer, Step, Trace
from restore.fitting.training import Training

__all__ = [
    "Checkpoint",
    "Fitted",
    "Observer",
    "Step",
    "Trace",
    "Training",
    "build_prior",
    "build_priors",
    "fit",
    "fit_stack",
    "make_plan",
]
