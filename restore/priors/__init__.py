"""Untrained networks whose structure is the prior, their normalisations and their initial weights."""

from restore.priors.base import Prior
from restore.priors.decoder import DeepDecoder
from restore.priors.dip import DIP, DIPOptions
from restore.priors.hourglass import Hourglass, HourglassOptions
from restore.priors.initialisation import INITIALISATIONS, initialise
from restore.priors.normalisation import NORMALISATIONS, make_normalisation
from restore.priors.recurrent import RecurrentGenerator
from restore.priors.registry import PRIORS, make_prior

__all__ = [
    "DIP",
    "INITIALISATIONS",
    "NORMALISATIONS",
    "PRIORS",
    "DIPOptions",
    "DeepDecoder",
    "Hourglass",
    "HourglassOptions",
    "Prior",
    "RecurrentGenerator",
    "initialise",
    "make_normalisation",
    "make_prior",
]
