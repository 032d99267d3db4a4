"""`mtspam ask` against a real service on its control socket."""

import json
import re
import tomllib

import pytest

from mtspam.commands.exits import Exit
from mtspam.config import Settings
from tests.commands.conftest import SMALL
from tests.serve.local_service import ANA, BOB, LUNCH, PILLS, control_service


@pytest.fixture
def service(environment):
    """The service of the state that the commands use."""
    settings = Settings.from_mapping(tomllib.loads(SMALL))
    with control_service(environment, settings) as path:
        yield path


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "pills.eml").write_bytes(PILLS)
    (folder / "lunch.eml").write_bytes(LUNCH)
    return folder


def told(result):
    return json.loads(result.stdout)


def test_score_says_what_a_message_is(run, service, files):
    line = run("ask", "score", files / "pills.eml").stdout
    assert re.match(r"(ham|unsure|spam) +\d+\.\d+ % .* / 5\.0 points ", line)
    assert line.rstrip().endswith("pills.eml")
    reply = told(run("ask", "score", "--user", ANA, "--json", stdin=PILLS))
    assert reply["id"] in line
    assert reply["levels"]["personal"] == 0


def test_labels_are_learnt_changed_and_taken_back(run, service, files):
    path = files / "pills.eml"
    before = told(run("ask", "score", path, "--user", ANA, "--json"))
    assert run("ask", "learn", "spam", path, "--user", ANA).stdout.startswith("new ")
    after = told(run("ask", "score", path, "--user", ANA, "--json"))
    assert after["score"] > before["score"]
    assert after["levels"]["personal"] > 0
    assert told(run("ask", "learn", "spam", path, "--user", ANA, "--json"))["outcome"] == "same"
    changed = run("ask", "learn", "ham", "--id", before["id"], "--user", ANA).stdout
    assert changed.split()[:2] == ["changed", before["id"]]
    assert run("ask", "unlearn", "--id", before["id"], "--user", ANA).stdout.startswith("removed ")
    gone = run("ask", "unlearn", path, "--user", ANA, code=Exit.FAILED)
    assert gone.stdout.startswith("unknown ")


def test_a_folder_of_mail_is_learnt_by_the_service(run, service, files):
    lines = run("ask", "learn", "spam", files, "--user", BOB).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["new", "new"]


def test_why_names_words_and_levels(run, service, files):
    for _ in range(2):
        run("ask", "learn", "spam", files / "pills.eml", "--user", ANA)
    shown = run("ask", "why", files / "pills.eml", "--user", ANA, "--limit", "5").stdout
    assert "you +" in shown.splitlines()[0]
    assert len(shown.splitlines()) == 6
    reply = told(run("ask", "why", files / "pills.eml", "--user", BOB, "--json"))
    assert not any(reason["personal"] for reason in reply["reasons"])


def test_a_user_is_forgotten_by_the_service(run, service, files):
    before = told(run("ask", "score", files / "pills.eml", "--user", ANA, "--json"))
    run("ask", "learn", "spam", files, "--user", ANA)
    assert run("ask", "forget", ANA).stdout == "2 events erased\n"
    assert told(run("ask", "score", files / "pills.eml", "--user", ANA, "--json")) == before
    assert "nothing is known" in run("ask", "forget", ANA, code=Exit.FAILED).stdout


def test_versions_that_rest_on_who_is_forgotten_are_named(run, service, environment, files):
    version = environment / "rank" / "0001"
    version.mkdir(parents=True)
    (version / "trunk.snapshot").touch()
    run("ask", "learn", "spam", files, "--user", ANA)
    assert "still (0001): train again" in run("ask", "forget", ANA).stdout
    run("ask", "learn", "spam", files, "--user", ANA)
    reply = told(run("ask", "forget", ANA, "--json"))
    assert reply == {"events": 2, "folded": True, "rank_versions": ["0001"]}


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("learn", "spam", "{}"), "use mtspam ask learn …"),
        (("unlearn", "{}"), "use mtspam ask unlearn …"),
        (("forget", ANA), "use mtspam ask forget …"),
        (("fold",), "it folds by itself"),
    ],
)
def test_what_the_service_s_lock_refuses_says_what_to_do(run, service, files, words, advice):
    args = [word.replace("{}", str(files / "pills.eml")) for word in words]
    (line,) = run(*args, code=Exit.STATE).stderr.splitlines()
    assert "the service is running" in line
    assert advice in line


def test_status_says_how_the_service_is(run, service):
    reply = told(run("ask", "status", "--json"))
    assert {"version", "uptime", "counts"} <= reply.keys()
    lines = run("ask", "status").stdout.splitlines()
    assert lines[0].split() == ["version", reply["version"]]
    assert re.fullmatch(r"up +\d+ seconds?", lines[1])
    assert lines[2:4] == [
        "mail     nothing judged since the start",
        "labels   none given since the start",
    ]


def test_without_a_service_one_line_says_how_to_start_it(run, files):
    result = run("ask", "score", files / "pills.eml", code=Exit.SERVICE)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "start it with `mtspam serve`" in result.stderr


def test_another_socket_can_be_named(run, service, files, tmp_path):
    assert run("ask", "status", "--socket", service).exit_code == 0
    run("ask", "status", "--socket", tmp_path / "none", code=Exit.SERVICE)


def test_what_is_wrongly_called_is_refused(run, service, files):
    run("ask", "learn", "spam", files / "pills.eml", "--id", "0" * 32, code=Exit.USAGE)
    run("ask", "learn", "maybe", files / "pills.eml", code=Exit.USAGE)
    run("ask", "learn", "spam", "--user", " ", code=Exit.USAGE)
    run("ask", "learn", "spam", files / "none.eml", code=Exit.INPUT)
    for given in ("zz", "", "0" * 31, "0" * 33):
        refused = run("ask", "learn", "spam", "--id", given, code=Exit.USAGE)
        assert "32 hexadecimal digits" in refused.stderr


def test_an_unknown_id_is_told(run, service):
    result = run("ask", "learn", "spam", "--id", "0" * 32, code=Exit.FAILED)
    assert result.stdout.startswith("unknown ")
    assert "give the message itself" in result.stderr


@pytest.mark.parametrize("named", [("-",), ()])
def test_an_mbox_comes_over_standard_input_too(run, service, mail, named):
    with (mail / "spam.mbox").open("rb") as mbox:
        lines = run("ask", "learn", "spam", *named, stdin=mbox.read()).stdout.splitlines()
    assert len(lines) == 12
    known = run("ask", "learn", "spam", mail / "spam.mbox").stdout.splitlines()
    assert [line.split()[0] for line in known] == ["same"] * 12


def test_a_user_that_a_table_names_is_whose_label_it_is(run, service, files, tmp_path):
    table = tmp_path / "said.ndjson"
    row = {"raw": PILLS.decode(), "user": ANA}
    table.write_text(json.dumps(row))
    run("ask", "learn", "spam", table, "--user", BOB)
    path = files / "pills.eml"
    for user, is_moved in ((ANA, True), (BOB, False)):
        levels = told(run("ask", "score", path, "--user", user, "--json"))["levels"]
        assert (levels["personal"] > 0) is is_moved
    assert told(run("ask", "score", table, "--json"))["levels"]["personal"] > 0
    assert run("ask", "unlearn", table).stdout.startswith("removed ")
