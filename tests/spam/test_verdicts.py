import numpy as np
import pytest

from mtspam.config import VerdictSettings
from mtspam.model import Scores
from mtspam.spam.verdicts import judgement_of, judgements_of


def scores(blend, **others):
    nought = np.zeros(len(blend))
    names = ("shared", "group", "personal", "phishing", "bulk", "starter", "mistake")
    columns = {name: np.asarray(others.get(name, nought), float) for name in names}
    return Scores(blend=np.asarray(blend, float), **columns)


def log_odds(probability):
    return np.log(probability / (1 - probability))


def test_thresholds_are_probabilities():
    settings = VerdictSettings(ham_below=0.25, spam_above=0.75)
    found = judgements_of(scores(log_odds(np.array([0.01, 0.24, 0.26, 0.74, 0.76]))), settings)
    assert [str(one) for one in found.verdicts] == ["ham", "ham", "unsure", "unsure", "spam"]
    assert found.probability == pytest.approx([0.01, 0.24, 0.26, 0.74, 0.76])
    assert len(found) == 5


def test_far_scores_stay_numbers():
    found = judgements_of(scores([-1e300, 1e300]), VerdictSettings())
    assert [str(one) for one in found.verdicts] == ["ham", "spam"]
    assert np.isfinite(found.probability).all()


def test_heads_that_never_learnt_say_nothing():
    found = scores([0.5], phishing=[0.0], bulk=[log_odds(0.9)], shared=[0.2], personal=[0.3])
    many = judgements_of(found, VerdictSettings())
    assert np.isnan(many.phishing[0])
    one = judgement_of(found, VerdictSettings(), defects=("too-long",), digest=b"\1" * 16)
    assert one.phishing is None
    assert one.bulk == pytest.approx(0.9)
    assert (one.score, one.shared, one.personal, one.group) == (0.5, 0.2, 0.3, 0.0)
    assert (one.defects, one.id) == (("too-long",), "01" * 16)


def test_one_verdict_is_that_of_many():
    columns = np.random.default_rng(7).normal(0, 8, (8, 500))
    columns[4:6, ::3] = 0.0
    found = Scores(*columns)
    many = judgements_of(found, VerdictSettings())
    for row in range(500):
        one = judgement_of(found, VerdictSettings(), defects=(), digest=b"", row=row)
        assert (one.verdict, one.probability) == (many.verdicts[row], many.probability[row])
        for head, column in ((one.phishing, many.phishing), (one.bulk, many.bulk)):
            assert np.isnan(column[row]) if head is None else head == column[row]
