import re
from pathlib import Path

import pytest

from mtspam.config import ActionsSettings, IdentitySettings
from mtspam.errors import ConfigError
from mtspam.journal.identity import NOBODY_IN_PARTICULAR, Identity, Person
from mtspam.serve.authentication import Sender
from mtspam.serve.contract import Action
from mtspam.serve.lists import Listing
from mtspam.serve.policy import Policy, severity

ANA = Person("ana@example.org", "example.org")
BOB = Person("bob@example.org", "example.org")
EVE = Person("eve@example.net", "example.net")
SHOP = Sender("sale@shop.example", ("sale@shop.example",), is_proven=True)
FILE = """
[everyone]
deny = ["@shop.example"]

[group."Example.org"]
reject = 0.99
tempfail = 1
allow = ["sale@shop.example"]

[user."Ana+x@example.org"]
reject = 2.0
add_header = 0.9   # of my own
deny = ["@shop.example"]
"""


@pytest.fixture
def policy_of(tmp_path):
    def make(text, **said):
        path = tmp_path / "policy.toml"
        path.write_text(text)
        settings = ActionsSettings(policy_file=str(path), **said)
        return Policy(settings, Identity(IdentitySettings()))

    return make


def default(**said):
    return Policy(ActionsSettings(**said), Identity(IdentitySettings())).default


def test_actions_rise_in_the_order_of_their_severity():
    assert [severity(action) for action in Action] == list(range(7))
    assert max(Action, key=severity) is Action.DISCARD


@pytest.mark.parametrize(
    ("probability", "action"),
    [
        (0.0, Action.NO_ACTION),
        (0.79, Action.NO_ACTION),
        (0.8, Action.ADD_HEADER),
        (0.9, Action.QUARANTINE),
        (0.99, Action.REJECT),
        (1.0, Action.REJECT),
    ],
)
def test_the_hardest_action_that_is_reached(probability, action):
    assert default(quarantine=0.9, reject=0.95).action(probability) is action


def test_a_harder_action_may_come_first():
    limits = default(add_header=0.95, reject=0.7)
    assert limits.action(0.8) is Action.REJECT
    assert limits.lowest == 0.7


def test_a_limit_of_one_is_reached_by_certainty_alone():
    assert default(reject=1.0).action(1.0) is Action.REJECT
    assert default(reject=1.0).action(0.9999) is Action.ADD_HEADER


def test_the_nearest_limit_holds(policy_of):
    policy = policy_of(FILE)
    assert policy.limits(EVE) == policy.limits(NOBODY_IN_PARTICULAR) == policy.default
    assert policy.limits(BOB).action(0.995) is Action.REJECT
    assert policy.limits(ANA).action(0.995) is Action.ADD_HEADER
    assert policy.limits(ANA).action(0.85) is Action.NO_ACTION
    assert policy.limits(ANA).tempfail == 1.0


def test_the_nearest_list_that_names_the_sender_decides(policy_of):
    policy = policy_of(FILE)
    assert policy.has_lists
    assert policy.listing(EVE, SHOP) is Listing.DENIED
    assert policy.listing(BOB, SHOP) is Listing.ALLOWED
    assert policy.listing(ANA, SHOP) is Listing.DENIED
    assert policy.listing(BOB, Sender("a@b.example", ("a@b.example",), is_proven=True)) is None


def test_without_a_file_nobody_lists_anybody():
    policy = Policy(ActionsSettings(), Identity(IdentitySettings()))
    assert not policy.has_lists
    assert policy.listing(ANA, SHOP) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[users]\n", r"policy.toml:1: 'users' is unknown"),
        ("user = 1\n", r"policy.toml:1: user is 1, but must be a table"),
        ('[user."a@x"]\nreject = 3\n', r'toml:2: user."a@x".reject: .* is 3, but must be'),
        ('[user."a@x"]\nreject = "no"\n', r"toml:2:.*must be a number"),
        ('[user."a@x"]\nrejct = 1.0\n', r"toml:2:.*rejct: this key is unknown; known are add_"),
        ('[user."a@x"]\nallow = "b@x"\n', r"toml:2:.*'b@x' is not a list of addresses"),
        ('[group."x"]\n\ndeny = ["b"]\n', r"toml:3:.*'b' is neither an address"),
        ('[user."a@x"]\n[user."A+y@x"]\n', r"toml:2: 'A\+y@x' is there already"),
        ('[user." "]\n', r"' ' is no user's name"),
        ("[everyone]\nreject = 1.0\n", r"toml:2: everyone.reject is the setting actions.reject"),
        ("[[user]]\n", r"must be a table"),
        ("x =", r"not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(policy_of, text, said):
    with pytest.raises(ConfigError, match=said):
        policy_of(text)


def test_a_file_that_is_not_there(tmp_path):
    settings = ActionsSettings(policy_file=str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="No such file"):
        Policy(settings, Identity(IdentitySettings()))


def test_the_example_in_the_documents_says_what_is_said_there(policy_of, tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text()
    (policy,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (aliases,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = policy_of(policy)
    assert found.limits(BOB).action(0.9995) is Action.REJECT
    assert found.limits(ANA).action(0.9995) is Action.ADD_HEADER
    shop = Sender("bob@shop.example", ("bob@shop.example",), is_proven=True)
    assert found.listing(ANA, shop) is Listing.ALLOWED
    assert found.listing(ANA, SHOP) is Listing.DENIED
    assert found.listing(BOB, shop) is None
    (tmp_path / "aliases").write_text(aliases)
    identity = Identity(IdentitySettings(alias_file=str(tmp_path / "aliases")))
    assert identity.person("Postmaster@example.org") == ANA


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match=r"actions\.together is 'all'"):
        default(together="all")
