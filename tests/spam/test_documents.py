"""The spam score of documents: by the starter alone, the same for the same text."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mtspam.config import RankingSettings, Settings
from mtspam.model.starter import Starter
from mtspam.spam import SpamFilter
from mtspam.spam.documents import DocumentScorer, scorer_of
from mtspam.spam.hashing import load_starter
from mtspam.types import Label

SCORER = scorer_of(Settings())
SPAM = (
    "Buy cheap pills now! Best prices, order today, no prescription needed. Click here "
    "http://pills.example/buy 100% satisfaction guaranteed or money back"
)
HAM = (
    "The function returns a sorted copy of the array; the original is left unchanged. See the "
    "reference for the cost in the worst case."
)


def test_what_reads_like_spam_has_the_higher_score():
    assert SCORER(SPAM) > 1.0
    assert SCORER(HAM) == 0.0


@given(st.text(max_size=200))
def test_any_text_has_a_score_and_always_the_same(text):
    score = SCORER(text)
    assert score == SCORER(text) == scorer_of(Settings())(text)
    assert score >= 0.0
    assert (2 * score).is_integer()


def test_a_text_is_no_head_of_a_message():
    said = "Subject: " + SPAM
    assert abs(SCORER(said) - SCORER(SPAM)) < 1.0
    assert SCORER("X-Mtspam: no\n\n" + SPAM) > 0.0


def test_the_end_of_a_long_text_is_not_read():
    long = HAM * 1_000
    assert SCORER(long[:65_536] + SPAM * 1_000) == SCORER(long)
    assert SCORER(SPAM * 500 + long) > 0.0


def test_labels_of_mail_change_nothing(tmp_path):
    before = SCORER(HAM)
    with SpamFilter.open(tmp_path / "state") as spam_filter:
        for n in range(5):
            spam_filter.learn(f"Subject: {n}\n\n{HAM}".encode(), Label.SPAM)
    assert scorer_of(Settings())(HAM) == before


def test_the_name_tells_weights_apart():
    starter = load_starter()
    arrays = starter.arrays()
    other = Starter.from_arrays({**arrays, "bias": arrays["bias"] + 1.0})
    mail = Settings().mail
    assert DocumentScorer(mail, starter).name == SCORER.name
    assert DocumentScorer(mail, other).name != SCORER.name


def test_it_can_be_switched_off():
    assert scorer_of(replace(Settings(), ranking=RankingSettings(spam_score=False))) is None
