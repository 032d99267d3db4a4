"""A small installation, and the program over it: within this process, and as one of its own."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

SMALL = """\
[model]
shared_bits = 12
personal_bits = 12
group_bits = 10
auxiliary_bits = 10
max_users = 64
max_groups = 8
"""
SPAM = "Subject: pills\n\nBuy cheap pills now, order number {}\n"
HAM = "Subject: lunch\n\nSee you at noon, Ana, table {}\n"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A state of its own and small tables, for this process and its children."""
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    monkeypatch.setenv("MTSPAM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MTSPAM_CONFIG", str(config))
    return tmp_path / "state"


@pytest.fixture
def run(environment):
    """Run the command line within this process."""
    from mtspam.commands.main import cli

    def run(*args, code=0, stdin=None):
        words = [str(arg) for arg in args]
        result = CliRunner().invoke(cli, words, input=stdin, prog_name="mtspam")
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def program(environment):
    """Start the command line as a process of its own."""
    started = []

    def start(*args, **options):
        command = [sys.executable, "-m", "mtspam.commands.main", *map(str, args)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **(pipes | options))
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def messages(text, n):
    return [text.format(i) for i in range(n)]


def mbox(texts):
    """An mbox of messages, as bytes."""
    line = "From ana@example.org Mon Jan  6 10:00:00 2025\n"
    return "".join(f"{line}{text}\n" for text in texts).encode()


@pytest.fixture
def mail(tmp_path):
    """Files of mail: two mboxes and two single messages."""
    (tmp_path / "spam.mbox").write_bytes(mbox(messages(SPAM, 12)))
    (tmp_path / "ham.mbox").write_bytes(mbox(messages(HAM, 12)))
    (tmp_path / "spam.eml").write_text(SPAM.format("new"))
    (tmp_path / "ham.eml").write_text(HAM.format("new"))
    return tmp_path


@pytest.fixture
def taught(run, mail):
    """The program over a state that has learnt."""
    run("learn", "spam", mail / "spam.mbox", "--time", "2025-01-06")
    run("learn", "ham", mail / "ham.mbox", "--time", "2025-01-06")
    return run
