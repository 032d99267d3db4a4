"""`mtspam demo`: it runs from nothing, tells the truth and leaves nothing behind."""

import re

from mtspam.commands.demo_mail import dispute, read_sample, stream
from mtspam.spam import SpamFilter


def test_it_tells_its_story(program, environment, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("MTSPAM_CONFIG")
    before = sorted(path.name for path in tmp_path.iterdir())
    out, err = program("demo").communicate()
    assert err == b""
    text = out.decode()
    weeks = re.findall(r"^week (\d+) +\S+ +(\d+) %  +\S+ +(\d+) % +(\d+) %", text, re.M)
    assert [int(week) for week, *_ in weeks] == list(range(1, 9))
    late = [(int(shared), int(blend)) for _, shared, blend, _ in weeks[4:]]
    assert sum(blend for _, blend in late) > sum(shared for shared, _ in late) + 80
    assert "who keeps this newsletter" in text
    assert "who calls it spam" in text
    assert "mtspam learn" in text
    assert max(map(len, text.splitlines())) <= 80
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_sample_is_streamed_whole(tmp_path):
    mail = read_sample()
    with SpamFilter.open(tmp_path / "state") as spam_filter:
        weeks = list(stream(mail, spam_filter))
        found = dispute(mail, spam_filter)
    assert sum(week.totals()[0] for week in weeks) == 240
    assert sum(week.n_other for week in weeks) == 648 - 240 - 18
    assert found is not None
    message, fan, other = found
    said = {one.user: one.is_spam for one in mail if one.sender == message.sender}
    assert (said[fan], said[other]) == (False, True)
    assert message.subject
