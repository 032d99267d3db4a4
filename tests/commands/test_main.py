"""The program itself: help, version, completion, what it imports, how it fails."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mtspam import __version__
from mtspam.commands.exits import EXIT_TEXTS, Exit
from mtspam.commands.main import cli
from mtspam.commands.options import LABELS
from mtspam.types import Label

COMMANDS = cli.list_commands(None)


def imported(program, *args):
    """The modules that a run of the program loads."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mtspam.commands.main", *args],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_help_loads_next_to_nothing(environment):
    names = imported(environment, "--help")
    tops = {name.partition(".")[0] for name in names}
    assert not tops & {"numpy", "numba", "polars", "rich", "sqlalchemy", "platformdirs", "scipy"}
    rooms = {name.split(".")[1] for name in names if name.startswith("mtspam.")}
    assert rooms <= {"commands", "errors"}


@pytest.mark.parametrize("form", ["table", "json"])
def test_scoring_one_message_loads_only_what_it_needs(taught, mail, form):
    names = imported(taught, "score", "--format", form, str(mail / "ham.eml"))
    tops = {name.partition(".")[0] for name in names}
    assert "numba" in tops
    assert not tops & {"polars", "rich", "sqlalchemy", "matplotlib"}
    assert "scipy.linalg" not in names


def test_version(run):
    assert run("--version").stdout == f"mtspam {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(run, name):
    text = run(name, "--help").stdout
    assert text == run("help", name).stdout
    assert "Usage: mtspam" in text
    command = cli.get_command(None, name)
    assert command.help
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert all(option.help for option in options)


def test_help_names_each_command_once(run):
    text = run("--help").stdout
    for name in COMMANDS:
        assert text.count(f"\n  {name} ") == 1


def test_help_of_a_command_of_a_group(run):
    assert "--index" in run("help", "evaluate", "mail").stdout
    assert "No such command" in run("help", "evaluate", "male", code=Exit.USAGE).stderr


def test_exit_codes_are_documented(run):
    text = run("help", "exit-codes").stdout
    for code in Exit:
        assert f"{code.value}  {EXIT_TEXTS[code]}" in text
    # Help is wrapped; compare words.
    words = " ".join(run("--help").stdout.split())
    assert all(f"{c.value} {EXIT_TEXTS[c]}" in words for c in Exit if c < Exit.BUG)


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["scor"], "'score'"),
        (["score", "x", "--fromat", "json"], "--format"),
        (["--stat", "x"], "--state"),
        (["score"], "PATH"),
        (["learn", "spma", "x"], "'spam'"),
        (["score", "x", "--jobs", "0"], "--jobs"),
        (["score", "x", "--output", "x.txt"], ".parquet"),
        (["score", "x", "--output", "x.csv", "--json"], "not json"),
        (["learn", "spam", "x", "--time", "noon"], "'noon'"),
        (["unlearn", "x", "--user", "a", "--everyone"], "--everyone"),
        (["fold", "--at", "3"], "--output"),
        (["fold", "--check", "--at", "3", "--output", "x"], "--check"),
        (["completion", "tcsh"], "'bash'"),
        (["score", "x", "--user", ""], "--user"),
        (["learn", "spam", "x", "--group", " "], "--group"),
        (["unlearn", "x", "--user", ""], "--user"),
        (["evaluate", "mail"], "--index"),
        (["evaluate", "mail", "--index", "x", "--warm-root", "y"], "--warm"),
        (["evaluate", "mail", "--index", "x", "--plot", "x.bmp"], ".svg"),
        (["evaluate", "mail", "--index", "x", "--scores", "x.csv"], ".parquet"),
    ],
)
def test_a_wrong_call_is_one_line(run, args, what):
    result = run(*args, code=Exit.USAGE)
    assert result.stdout == ""
    assert result.stderr.startswith("mtspam: ")
    assert result.stderr.count("\n") == 1
    assert what in result.stderr


def test_no_command_is_a_wrong_call_that_helps(run):
    assert "demo" in run(code=Exit.USAGE).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(program, shell):
    out, err = program("completion", shell).communicate()
    assert b"_MTSPAM_COMPLETE" in out
    assert err == b""


def test_completion_knows_commands_and_options(program):
    words = {"_MTSPAM_COMPLETE": "bash_complete", "COMP_WORDS": "mtspam sc", "COMP_CWORD": "1"}
    out, _ = program(env=os.environ | words).communicate()
    assert out.split() == [b"plain,score"]
    words |= {"COMP_WORDS": "mtspam score --fo", "COMP_CWORD": "2"}
    out, _ = program(env=os.environ | words).communicate()
    assert out.split() == [b"plain,--format"]


def commands_below(command):
    """The command itself and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands_below(command.get_command(context, name))


def test_a_path_that_cannot_be_read_is_no_wrong_call():
    types = [param.type for command in commands_below(cli) for param in command.params]
    paths = [one for one in types if isinstance(one, click.Path)]
    assert len(paths) > 10
    assert not any(one.readable for one in paths)


def test_labels_are_those_of_the_package():
    assert list(Label) == list(LABELS)


def test_a_defect_is_one_line_unless_asked(run, monkeypatch):
    def fail(*_args):
        raise ZeroDivisionError("nothing\nleft")

    monkeypatch.setattr("mtspam.commands.options.Common.settings", fail)
    result = run("status", code=Exit.BUG)
    assert result.stderr.startswith("mtspam: ZeroDivisionError: nothing left; ")
    assert result.stderr.count("\n") == 1
    result = run("--debug", "status", code=1)
    assert isinstance(result.exception, ZeroDivisionError)


def test_broken_pipe(program, mail):
    with (mail / "many.mbox").open("wb") as many:
        many.write((mail / "ham.mbox").read_bytes() * 100)
    process = program("score", mail / "many.mbox", "--format", "ndjson", "--jobs", "1")
    assert json.loads(process.stdout.readline())["name"].endswith("many.mbox:1")
    process.stdout.close()
    assert process.wait() == Exit.BROKEN_PIPE
    assert process.stderr.read() == b""


def test_broken_pipe_under_a_table(program, taught, mail):
    process = program("explain", *[mail / "ham.mbox"] * 20)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait() == Exit.BROKEN_PIPE
    assert process.stderr.read() == b""


def test_a_full_disk_under_standard_output(program, mail):
    with Path("/dev/full").open("wb") as full:
        process = program("score", mail / "ham.mbox", "--json", stdout=full)
        assert process.wait() == Exit.INPUT
    assert process.stderr.read() == b"mtspam: standard output: No space left on device\n"


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("score", "--help")], ids=str)
def test_help_that_cannot_be_written(program, words):
    with Path("/dev/full").open("wb") as full:
        process = program(*words, stdout=full)
        assert process.wait() == Exit.INPUT
    assert process.stderr.read() == b"mtspam: standard output: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as closed:  # noqa: PTH123 - a descriptor has no path
        process = program(*words, stdout=closed)
        assert process.wait() == Exit.BROKEN_PIPE
    assert process.stderr.read() == b""


def test_interrupted(program, mail):
    process = program("score", "-", "--format", "ndjson", "--jobs", "1")
    process.stdin.write((mail / "ham.mbox").read_bytes() * 30)
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"{")
    process.send_signal(signal.SIGINT)
    assert process.wait() == Exit.INTERRUPTED
    assert process.stderr.read().split() == [b"mtspam:", b"interrupted"]


def test_terminated(program, mail):
    process = program("score", "-", "--format", "ndjson", "--jobs", "1")
    process.stdin.write((mail / "ham.mbox").read_bytes() * 30)
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"{")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == Exit.TERMINATED
    assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("score {} >&-", Exit.INPUT, "standard output: "),
        ("explain --json {} >&-", Exit.INPUT, "standard output: "),
        ("score {} >&- 2>&-", Exit.INPUT, ""),
        ("score - <&-", Exit.INPUT, "there is no standard input"),
        ("filter <&-", Exit.INPUT, "there is no standard input"),
        ("serve --hash-password <&-", Exit.USAGE, "must not be empty"),
        ("serve --check <&-", Exit.OK, ""),
    ],
)
def test_streams_that_the_caller_closed(environment, mail, words, code, said):
    line = f"{sys.executable} -m mtspam.commands.main {words.replace('{}', str(mail / 'ham.eml'))}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == (1 if said else 0)
    assert said in done.stderr
