"""The sample mail of the demonstration, streamed through a filter day by day."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from mtspam.resources import data_path
from mtspam.spam import LabelledMessage, SpamFilter
from mtspam.types import Label, Verdict

__all__ = ["SampleMail", "Week", "dispute", "read_sample", "stream"]

_SECONDS_PER_DAY = 86_400
_DAYS_PER_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleMail:
    """A message of the sample.

    Parameters
    ----------
    time
        When it came, Unix seconds.
    user
        To whom.
    label
        What they say.
    note
        What kind of mail it is; hidden from the filter.
    raw
        The message.
    """

    time: int
    user: str
    label: Label
    note: str
    raw: bytes

    @property
    def is_spam(self) -> bool:
        """Whether its reader calls it spam; phishing is."""
        return self.label in {Label.SPAM, Label.PHISHING}

    @property
    def sender(self) -> str:
        """Its ``From`` field."""
        return self._field(b"from")

    @property
    def subject(self) -> str:
        """Its ``Subject`` field."""
        return self._field(b"subject")

    def _field(self, name: bytes) -> str:
        for line in self.raw.partition(b"\n\n")[0].split(b"\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip().decode("utf-8", "replace")
        return ""


@dataclass(slots=True)
class Week:
    """How often the filter was right in a week, on newsletters and on all other mail.

    Parameters
    ----------
    number
        From 1.
    by_user
        For each user the newsletters: how many, rightly told by one answer for everybody, rightly
        told by everybody's and their own labels together.
    n_other, n_other_right
        All other mail that is somebody's ham or spam, and how much of it was rightly told.
    """

    number: int
    by_user: dict[str, list[int]]
    n_other: int = 0
    n_other_right: int = 0

    def totals(self) -> tuple[int, int, int]:
        """Sum up the newsletters over all users."""
        columns = [sum(column) for column in zip(*self.by_user.values(), strict=True)] or [0, 0, 0]
        return columns[0], columns[1], columns[2]


def read_sample() -> list[SampleMail]:
    """Read the sample that travels with the package, in order of time.

    Raises
    ------
    DataError
        Where it is missing.
    """
    with gzip.open(data_path("sample_mail.ndjson.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        SampleMail(
            time=row["time"],
            user=row["user"],
            label=Label(row["label"]),
            note=row["note"],
            raw=row["raw"].encode(),
        )
        for row in rows
    ]


def stream(mail: list[SampleMail], spam_filter: SpamFilter) -> Iterator[Week]:
    """Judge each day's mail by what was learnt before that day, then learn what its readers say.

    Yields
    ------
    Week
        Each time seven days are over, and at the end.
    """
    first = mail[0].time // _SECONDS_PER_DAY
    week = Week(1, {})
    for day, group in groupby(mail, lambda one: one.time // _SECONDS_PER_DAY - first):
        if day // _DAYS_PER_WEEK + 1 > week.number:
            yield week
            week = Week(day // _DAYS_PER_WEEK + 1, {})
        arrived = list(group)
        _judge(arrived, spam_filter, week)
        spam_filter.learn_many(
            LabelledMessage(one.raw, one.label, one.user, None, one.time, "demo")
            for one in arrived
        )
    yield week


def _judge(arrived: list[SampleMail], spam_filter: SpamFilter, week: Week) -> None:
    found = spam_filter.judge_many([one.raw for one in arrived], [one.user for one in arrived])
    for one, shared, score in zip(
        arrived, found.shared.tolist(), found.score.tolist(), strict=True
    ):
        if one.note == "newsletter":
            tally = week.by_user.setdefault(one.user, [0, 0, 0])
            tally[0] += 1
            tally[1] += (shared > 0) == one.is_spam
            tally[2] += (score > 0) == one.is_spam
        elif one.label is not Label.BULK:
            week.n_other += 1
            week.n_other_right += (score > 0) == one.is_spam


def dispute(mail: list[SampleMail], spam_filter: SpamFilter) -> tuple[SampleMail, str, str] | None:
    """Find a late newsletter on which two users disagree and the filter sides with each.

    Returns
    -------
    tuple
        The message, who wants it and who does not; None where there is no such message.
    """
    letters = [one for one in mail if one.note == "newsletter"]
    says = {(one.sender, one.user): one.is_spam for one in letters}
    users = sorted({one.user for one in letters})
    best: tuple[float, SampleMail, str, str] | None = None
    for one in letters[-len(letters) // 5 :]:
        told = [user for user in users if (one.sender, user) in says]
        found = spam_filter.judge_many([one.raw] * len(told), told)
        for i, fan in enumerate(told):
            for k, other in enumerate(told):
                is_split = not says[one.sender, fan] and says[one.sender, other]
                verdicts = (found.verdicts[i], found.verdicts[k])
                # Everybody's labels should leave it open: that is what the personal level is for.
                gap = min(-found.score[i], found.score[k]) - abs(float(found.shared[i])) / 2
                is_told = verdicts == (Verdict.HAM, Verdict.SPAM)
                if is_split and is_told and (best is None or gap > best[0]):
                    best = (gap, one, fan, other)
    return None if best is None else best[1:]
