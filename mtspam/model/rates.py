"""Settings of the learner in the form that its kernel takes."""

import numpy as np
from numpy.typing import NDArray

from mtspam.config import ModelSettings

__all__ = ["rates_of"]


def rates_of(settings: ModelSettings) -> NDArray[np.float64]:
    """Return the settings in the order of the ``R_*`` constants of ``kernels/learning.py``."""
    return np.array(
        [
            settings.shared_rate,
            settings.group_rate,
            settings.personal_rate,
            settings.identity_factor,
            settings.joint_share,
            settings.largest_step,
            settings.mixing_rate,
            settings.bias_rate,
            settings.evidence_labels,
            settings.starter_labels,
            settings.noise_rate,
            settings.noise_limit,
            settings.noise_caution,
            settings.voice_per_day,
            settings.auxiliary_rate,
            settings.weak_weight,
            settings.young_labels,
            settings.initial_accumulator,
            settings.settled_margin,
            settings.noise_labels,
        ],
        np.float64,
    )
