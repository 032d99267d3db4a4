"""Documents say what is so: generated pages are fresh, what they name is there."""

import importlib.util
import re
import shlex
import subprocess
import sys
from itertools import chain
from pathlib import Path

import click
import pytest

from mtspam.config.document import configuration_page

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = sorted(
    chain(ROOT.glob("*.md"), *(ROOT.glob(f"{folder}/**/*.md") for folder in ("docs", "plugins")))
)
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
# Names of folders that say nothing about a machine.
COMMON_FOLDERS = {"/", "/home", "/tmp", "/usr/src", "/srv", "/opt"}


def relative(path):
    return str(path.relative_to(ROOT))


def committed():
    """The text files that git knows, or all sources where there is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or [
        *DOCUMENTS,
        *chain(*((ROOT / folder).rglob("*.py") for folder in ("mtspam", "tests", "benchmarks"))),
    ]
    binary = {".png", ".gz", ".xz", ".svg"}
    return [path for path in paths if path.is_file() and path.suffix not in binary]


def test_the_page_of_settings_is_fresh():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page(), "run: python -m mtspam.config > docs/configuration.md"


def test_the_page_is_what_the_module_prints():
    done = subprocess.run(
        [sys.executable, "-m", "mtspam.config"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode() == configuration_page()


def test_the_changelog_begins_with_what_is_not_released_yet():
    versions = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    kinds = re.findall(r"^### (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_decisions_are_numbered_without_a_gap():
    assert [path.name[:5] for path in ADRS] == [f"{n:04}-" for n in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("path", ADRS, ids=relative)
def test_a_decision_has_its_four_parts(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(path.name[:4])}. ")
    parts = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert parts == ["Question", "Choice", "Evidence", "What lost, and why"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_within_the_project_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_nothing_names_the_machine_it_was_written_on():
    here = {str(ROOT.parent), str(Path.home())} - COMMON_FOLDERS
    pattern = re.compile("|".join(re.escape(folder) + "/" for folder in sorted(here)) or r"(?!)")
    named = [
        f"{relative(path)}: {line.strip()[:80]}"
        for path in committed()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if pattern.search(line)
    ]
    assert named == []


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_command_that_the_build_server_runs_is_in_the_readme(name):
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "readme_command.py", name],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout in README.read_text(encoding="utf-8")
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- ci: demo -->\nno block\n",
        "<!-- ci: demo -->\n```bash\n```\n",
        "<!-- ci: demo -->\n```bash\na\n```\n<!-- ci: demo -->\n```bash\nb\n```\n",
    ],
)
def test_a_readme_without_its_one_command_is_refused(text):
    with pytest.raises(SystemExit, match="commands marked 'ci: demo', not one"):
        loaded_readme_command()(text, "demo")


def test_the_command_is_taken_as_it_is_written():
    text = "x\n<!-- ci: demo -->\n\n```bash\na && \\\n  b\nc\n```\n\n```bash\nd\n```\n"
    assert loaded_readme_command()(text, "demo") == "a && \\\n  b\nc\n"


def loaded_readme_command():
    spec = importlib.util.spec_from_file_location(
        "readme_command", ROOT / ".ci" / "readme_command.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.readme_command


def commands_in(text):
    """The `mtspam` commands of a document's bash blocks, and of the prompts of its sessions."""
    scripts = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    sessions = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(scripts).replace("\\\n", " ").splitlines()
    lines += re.findall(r"^\$ (.*)$", "".join(sessions).replace("\\\n", " "), re.MULTILINE)
    simple = chain(*(re.split(r"&&|\|\|?|;", line.partition(" #")[0]) for line in lines))
    return [command.strip() for command in simple if command.split()[:1] == ["mtspam"]]


SHOWN = [
    pytest.param(command, id=f"{relative(path)}: {command}")
    for path in DOCUMENTS
    for command in commands_in(path.read_text(encoding="utf-8"))
]


def misnamed(command, words):
    """What a command line names that the click command does not have."""
    context = click.Context(command)
    options = {"--help", *chain(*(param.opts + param.secondary_opts for param in command.params))}
    for position, word in enumerate(words):
        if word.startswith("--"):
            if word.partition("=")[0] not in options:
                return word
        elif isinstance(command, click.Group) and not takes_value(command, words[:position]):
            inner = command.get_command(context, word)
            return word if inner is None else misnamed(inner, words[position + 1 :])
    return None


def takes_value(command, before):
    """Whether the last word before is an option that waits for its value."""
    return any(
        before and before[-1] in param.opts and not param.is_flag
        for param in command.params
        if isinstance(param, click.Option)
    )


@pytest.mark.parametrize("line", SHOWN)
def test_commands_shown_in_documents_exist(line):
    main = importlib.import_module("mtspam.commands.main").cli
    assert misnamed(main, shlex.split(line)[1:]) is None


def test_commands_are_found_in_scripts_and_sessions_and_not_in_output():
    text = (
        "```bash\npip install . && mtspam demo  # look\nmtspam score \\\n  --jobs 2 x | less\n"
        "```\n"
        "```console\n$ mtspam status\nmtspam is well\n```\nmtspam in prose\n"
    )
    assert [line.split() for line in commands_in(text)] == [
        ["mtspam", "demo"],
        ["mtspam", "score", "--jobs", "2", "x"],
        ["mtspam", "status"],
    ]


@click.group()
@click.option("--state")
def toy(state):
    """A toy."""


@toy.group()
def evaluate():
    """Evaluate."""


@evaluate.command()
@click.option("--index")
@click.option("--learn/--no-learn")
def mail(index, learn):
    """Mail."""


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("evaluate mail --index x --no-learn", None),
        ("--state evaluate evaluate mail --index=x", None),
        ("--state x evaluate post", "post"),
        ("evaluate mail --idnex x", "--idnex"),
        ("--no-learn", "--no-learn"),
        ("evaluate mail --help", None),
    ],
)
def test_a_command_that_is_not_there_is_found(line, wrong):
    assert misnamed(toy, line.split()) == wrong
