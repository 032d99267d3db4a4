"""What is done once before the fork, so that a child is ready within milliseconds of it."""

import gc
import time
from importlib import import_module

import numpy as np
from litestar import Litestar

from mtspam.config import ModelSettings, Settings
from mtspam.journal import pack_example, unpack_many
from mtspam.mail.specimen import SPECIMEN
from mtspam.mail.views import N_VIEWS
from mtspam.model import Batch, Learner, Starter, contributions
from mtspam.serve.allocator import give_back_free_memory, keep_little_memory
from mtspam.serve.faces import FACES
from mtspam.spam.hashing import MailHasher, load_starter
from mtspam.types import GroupKey, UserKey

__all__ = ["warm_up"]

_COLLECTED_AT = (700, 10, 10)
"""Who serves for months looks for garbage as often as Python does by itself."""


def warm_up(settings: Settings) -> Starter | None:
    """Load what every child needs: machine code, the starter model, the modules of the faces.

    Returns
    -------
    Starter or None
        The starter model, if there is one.
    """
    keep_little_memory()
    starter = load_starter()
    hasher = MailHasher(settings, bytes(32), starter)
    features, priors = hasher.hash([SPECIMEN])
    packed = [pack_example(example) for example in hasher.examples(features)]
    unpack_many(packed, [1])
    small = ModelSettings(shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8)
    learner = Learner(small, N_VIEWS)
    user, group = UserKey(bytes(15) + b"u"), GroupKey(bytes(15) + b"g")
    asked = Batch(features=features, users=[user], groups=[group], priors=priors)
    learner.learn_many(
        Batch(
            features=features,
            users=[user],
            groups=[group],
            priors=priors,
            values=np.ones(1, np.int8),
            kinds=np.zeros(1, np.int8),
            times=np.array([int(time.time())]),
            weights=np.ones(1),
        )
    )
    learner.predict_many(asked)
    contributions(learner, N_VIEWS - 1, features.values, user=user, group=group)
    for module in sorted(set(FACES.values())):
        import_module(module)
    # It imports what it needs only now, a tenth of a second of it; logging of its own would start
    # a thread, and who has threads must not fork.
    Litestar([], logging_config=None)
    gc.set_threshold(*_COLLECTED_AT)
    # What lives now lives for good: looking through it would copy every page in every child.
    gc.collect()
    give_back_free_memory()
    gc.freeze()
    return starter
