import pytest

from mtspam.config import IdentitySettings
from mtspam.errors import ConfigError
from mtspam.journal.identity import NOBODY_IN_PARTICULAR, Identity, People, Person
from mtspam.spam.keys import canonical_address, canonical_user_key, user_key

ANA = Person("ana@example.org", "example.org")


def identity(**said):
    return Identity(IdentitySettings(**said))


@pytest.fixture
def with_aliases(tmp_path):
    def make(text, **said):
        path = tmp_path / "aliases"
        path.write_text(text)
        return identity(alias_file=str(path), **said)

    return make


@pytest.mark.parametrize(
    "address", ["ana@example.org", "<Ana@EXAMPLE.org>", " ana+lists@example.org. ", "ana"]
)
def test_one_person_by_many_addresses(address):
    assert identity(default_domain="example.org").person(address) == ANA


@pytest.mark.parametrize("address", [None, "", " ", "<>"])
def test_nobody(address):
    assert identity(default_domain="example.org").person(address) == NOBODY_IN_PARTICULAR


def test_a_name_stays_a_name_without_a_default_domain():
    assert identity().person("Ana") == Person("ana", "")


def test_separators_are_a_setting():
    either = identity(tag_separators="+-")
    assert either.canonical("ana-list+x@example.org") == ANA.user
    assert identity(tag_separators="").canonical("ana+x@example.org") == "ana+x@example.org"
    assert identity(tag_separators="-").canonical("-@example.org") == "-@example.org"


def test_groups_can_be_switched_off():
    assert identity(groups="none").person("ana@example.org") == Person("ana@example.org", "")
    with pytest.raises(ConfigError, match="'organisation'"):
        identity(groups="organisation")


@pytest.mark.parametrize(
    "domain", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "bücher。example"]
)
def test_a_domain_has_one_form(domain):
    assert identity().person(f"ana@{domain}") == Person(
        "ana@xn--bcher-kva.example", "xn--bcher-kva.example"
    )


def test_a_domain_that_cannot_be_is_still_one_name():
    assert identity().canonical("ana@Ü..x") == identity().canonical("ana@ü..x") == "ana@ü..x"


def test_keys_agree_with_those_of_the_command_line():
    name = "Ana+lists@Example.ORG"
    secret = bytes(32)
    assert canonical_user_key(identity().canonical(name), secret) == user_key(name, secret)
    assert canonical_address(name) == identity().canonical(name)


def test_aliases_are_followed_to_their_end(with_aliases):
    found = with_aliases(
        "# comment\n\ninfo@example.org: sales@example.org\nSales@example.org : ana+x@example.org"
    )
    assert found.person("Info+tag@example.org") == ANA
    assert found.canonical("sales@example.org") == ANA.user
    assert found.canonical("bob@example.org") == "bob@example.org"


def test_all_names_of_a_person(with_aliases):
    found = with_aliases(
        "info: sales\nsales@example.org: ana@example.org\nbob: carl\n",
        default_domain="Example.org",
    )
    names = {"ana@example.org", "sales@example.org", "info@example.org", "ana", "sales", "info"}
    for address in ("ana", "<Info+x@example.org>", "sales"):
        assert found.names(address)[0] == ANA.user
        assert set(found.names(address)) == names
    assert found.names("dora@example.net") == ("dora@example.net",)
    assert found.names(" ") == found.names(None) == ()
    people = People(found, bytes(32))
    assert people.all_keys("info")[0] == people.keys("ana")[0]
    assert len(set(people.all_keys("info"))) == len(names)
    assert people.all_keys("") == ()


def test_aliases_of_plain_names(with_aliases):
    found = with_aliases("postmaster: ana\n", default_domain="example.org")
    assert found.person("postmaster") == ANA


def test_an_alias_of_itself_is_harmless(with_aliases):
    assert with_aliases("ana@example.org: Ana@example.org").person("ana@example.org") == ANA


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a@x: b@x\nb@x: a@x\n", r"aliases:1: .*circle"),
        ("".join(f"a{n}@x: a{n + 1}@x\n" for n in range(40)), r"more than 16"),
        ("a@x b@x\n", r"aliases:1: 'a@x b@x'"),
        ("\na@x: b@x, c@x\n", r"aliases:2:"),
        ("a: |program\n", r"aliases:1:"),
        ("a: /var/mail/a\n", r"aliases:1:"),
        (": a\n", r"aliases:1:"),
    ],
)
def test_a_wrong_alias_file_is_refused(with_aliases, text, said):
    with pytest.raises(ConfigError, match=said):
        with_aliases(text)


def test_an_alias_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        identity(alias_file=str(tmp_path / "none"))
    (tmp_path / "latin").write_bytes(b"\xff: a\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        identity(alias_file=str(tmp_path / "latin"))


def test_an_endless_address_takes_no_time():
    assert len(identity().canonical("ä" * 1_000_000 + "@" + "ü" * 1_000_000)) <= 320
