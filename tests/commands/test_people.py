"""One person is one user, by command line and by service, over the same state."""

import asyncio
import json

import pytest

from mtspam.config import Settings
from mtspam.errors import ConfigError
from mtspam.serve.contract import Envelope, LearnOutcome
from mtspam.serve.fields import with_fields
from mtspam.serve.local import open_local_service
from mtspam.spam import SpamFilter
from mtspam.types import Label
from tests.commands.conftest import HAM, SMALL, SPAM

ANA = "ana@example.org"
SPELLINGS = ("ana", "<Ana+lists@Example.ORG>", "ana-shop@example.org.", "boss@firm.example")


@pytest.fixture
def settings(tmp_path, environment):
    """Settings of the program in which many spellings are Ana."""
    aliases = tmp_path / "aliases"
    aliases.write_text(f"boss@firm.example: {ANA}\n")
    (tmp_path / "small.toml").write_text(
        f'{SMALL}\n[identity]\nalias_file = "{aliases}"\ntag_separators = "+-"\n'
        'default_domain = "example.org"\n'
    )
    return Settings.from_toml(tmp_path / "small.toml")


@pytest.fixture
def service(environment, settings):
    """Do something with a service over the program's state, which it has alone meanwhile."""

    def ask(what):
        with open_local_service(environment, settings) as service:
            return what(service)

    return ask


def learn(raw, label, user):
    return lambda service: asyncio.run(service.learn(raw, label, user=user, source="cli"))


def rule(raw, user):
    return lambda service: service.rule(raw, Envelope(recipients=(user,)))[0]


def told(result):
    return json.loads(result.stdout)


def n_users(run):
    return told(run("status", "--json"))["n_users"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_person_by_every_spelling(settings, run, mail, service, spelling):
    raw = (mail / "spam.eml").read_bytes()
    taught = service(learn(raw, Label.SPAM, ANA))
    again = told(run("learn", "spam", mail / "spam.eml", "--user", spelling, "--json"))
    assert (again["same"], again["ids"]) == (1, [taught.id])
    assert told(run("users", spelling, "--json"))[0]["n_spam"] == n_users(run) == 1
    ruling = service(rule(raw, ANA)).judgement
    assert ruling.personal > 0 < ruling.group
    for command in ("score", "explain"):
        found = told(run(command, mail / "spam.eml", "--user", spelling, "--json"))[0]
        assert found["score"] == ruling.score
        assert (found["personal"], found["group"]) == (ruling.personal, ruling.group)
    assert told(run("unlearn", mail / "spam.eml", "--user", spelling, "--json"))["removed"] == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_forgotten_at_once(settings, run, mail, service, spelling):
    service(learn(b"Subject: a\n\nb", Label.HAM, ANA))
    run("learn", "spam", mail / "spam.eml", "--user", ANA)
    assert told(run("forget", spelling, "--json"))["forgotten"] == 2
    assert n_users(run) == 0


def test_a_group_that_is_named_goes_before_the_domain(settings, run, mail):
    run("learn", "spam", mail / "spam.mbox", "--user", ANA, "--group", "Firm")
    own = told(run("score", mail / "spam.eml", "--user", ANA, "--json"))[0]
    named = told(run("score", mail / "spam.eml", "--user", ANA, "--group", "firm", "--json"))[0]
    assert (own["group"], own["personal"]) == (0, named["personal"])
    assert named["group"] > 0


def test_without_groups_there_is_none_by_default(run, mail, tmp_path):
    with (tmp_path / "small.toml").open("a") as file:
        file.write('\n[identity]\ngroups = "none"\n')
    run("learn", "spam", mail / "spam.mbox", "--user", ANA)
    found = told(run("score", mail / "spam.eml", "--user", ANA, "--json"))[0]
    assert found["personal"] > 0 == found["group"]


def test_a_domain_is_one_group_however_it_is_written(environment):
    with SpamFilter.open(environment) as spam_filter:
        for n in range(8):
            spam_filter.learn(b"Subject: pills %d\n\nBuy" % n, Label.SPAM, user="a@bücher.example")
        pills = b"Subject: pills\n\nBuy"
        found = [
            spam_filter.judge(pills, user="b", group=group).group
            for group in ("Bücher.example", "xn--bcher-kva.example", "other.example")
        ]
    assert found[0] == found[1] > 0 == found[2]


def test_an_alias_file_that_is_not_there(environment, settings, tmp_path):
    (tmp_path / "aliases").unlink()
    with pytest.raises(ConfigError, match="aliases"):
        SpamFilter.open(environment, settings)


# Messages that the service delivered.


@pytest.fixture
def delivered(service, mail):
    """A message as it lies in a mailbox after the service and a mail server added fields."""

    def deliver(raw, user=ANA):
        ruling = service(rule(raw, user))
        marked = with_fields(raw, ruling.fields)
        (mail / "delivered.eml").write_bytes(b"Received: from mx by mailbox\n" + marked)
        return ruling.judgement.id, mail / "delivered.eml"

    return deliver


def test_a_delivered_message_has_one_id(settings, run, service, delivered):
    message_id, path = delivered(SPAM.format(1).encode())
    first = service(learn(path.read_bytes(), Label.SPAM, ANA))
    again = told(run("learn", "spam", path, "--user", ANA, "--json"))
    assert first.id == message_id
    assert (again["ids"], again["same"]) == ([message_id], 1)
    other = told(run("learn", "ham", path, "--user", ANA, "--json"))
    assert (other["ids"], other["changed"]) == ([message_id], 1)
    assert service(learn(path.read_bytes(), Label.HAM, ANA)).outcome is LearnOutcome.SAME
    assert told(run("unlearn", path, "--user", ANA, "--json"))["removed"] == 1


def test_a_delivered_message_taught_by_command_line_first(settings, run, service, delivered):
    message_id, path = delivered(HAM.format(1).encode())
    assert told(run("learn", "ham", path, "--user", ANA, "--json"))["ids"] == [message_id]
    learnt = service(learn(path.read_bytes(), Label.HAM, ANA))
    assert (learnt.outcome, learnt.id) == (LearnOutcome.SAME, message_id)


def test_an_id_put_into_another_message_moves_no_label(settings, run, service, delivered, mail):
    message_id, path = delivered(HAM.format(1).encode())
    run("learn", "ham", path, "--user", ANA)
    forged = mail / "forged.eml"
    forged.write_text(f"X-Mtspam-Id: {message_id}\n{SPAM.format(7)}")
    found = told(run("learn", "spam", forged, "--user", ANA, "--json"))
    assert (found["new"], found["changed"]) == (1, 0)
    assert found["ids"] != [message_id]
    assert told(run("status", "--json"))["labels"] == {"ham": 1, "spam": 1}
    assert told(run("unlearn", forged, "--user", ANA, "--json"))["removed"] == 1
    assert told(run("status", "--json"))["labels"] == {"ham": 1}
