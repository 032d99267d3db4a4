import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.serve.authentication import Sender, read_results, sender_of

TRUSTED = frozenset({"mx.example.org"})


def mail(*results, author="Ana <ana@example.org>"):
    fields = [f"Authentication-Results: {one}" for one in results]
    return "\r\n".join([*fields, f"From: {author}", "", "Hello"]).encode()


def is_proven(*results, **said):
    return sender_of(mail(*results, **said), None, TRUSTED).is_proven


@pytest.mark.parametrize(
    "result",
    [
        "mx.example.org; dmarc=pass header.from=example.org",
        "MX.Example.ORG 1; dmarc=PASS (p=reject dis=none) header.from=Example.org",
        '"mx.example.org"; spf=fail; dmarc=pass',
        "mx.example.org; dkim=pass header.d=example.org header.b=ab/cd",
        "mx.example.org; dkim=fail header.d=example.org; dkim=pass header.i=@example.org",
        "mx.example.org; spf=pass smtp.mailfrom=bounce@example.org smtp.helo=x",
        "mx.example.org; spf=pass (sender (nested) ok) smtp.mailfrom = example.org",
        'mx.example.org; spf/1=pass reason="all; fine" smtp.mailfrom="ana@example.org"',
        "mx.example.org;\r\n dmarc=pass\r\n\theader.from=example.org",
    ],
)
def test_a_proven_sender(result):
    assert is_proven(result)


@pytest.mark.parametrize(
    "result",
    [
        "mx.example.org; none",
        "mx.example.org",
        "",
        ";",
        "mx.example.net; dmarc=pass header.from=example.org",
        "mx.example.org 2; dmarc=pass header.from=example.org",
        "mx.example.org; dmarc=fail header.from=example.org",
        "mx.example.org; dmarc=pass header.from=example.net",
        "mx.example.org; dkim=pass header.d=example.net",
        "mx.example.org; dkim=pass header.d=org",
        "mx.example.org; dkim=pass header.d=sub.example.org",
        "mx.example.org; dkim=pass header.d=ample.org",
        "mx.example.org; dkim=pass",
        "mx.example.org; spf=pass smtp.mailfrom=evil.example",
        "mx.example.org; spf=pass smtp.mailfrom=ana@example.org.evil.example",
        "mx.example.org; spf=softfail smtp.mailfrom=example.org",
        "mx.example.org; arc=pass header.from=example.org",
        "mx.example.org; iprev=pass",
        "mx.example.org (; dmarc=pass header.from=example.org",
        "evil; x=y (mx.example.org; dmarc=pass)",
        'evil; reason="mx.example.org; dmarc=pass header.from=example.org"',
        'mx.example.org; spf=fail reason="dmarc=pass header.from=example.org"',
        "mx.example.org; spf=fail (dmarc=pass header.from=example.org)",
    ],
)
def test_an_unproven_sender(result):
    assert not is_proven(result)


def test_only_the_topmost_field_of_the_server_counts():
    passed, failed = "mx.example.org; dmarc=pass", "mx.example.org; dmarc=fail"
    assert is_proven("other.example; dmarc=fail", passed, failed)
    assert not is_proven(failed, passed)


def test_nobody_is_trusted_unless_named():
    raw = mail("mx.example.org; dmarc=pass")
    assert not sender_of(raw, None, frozenset()).is_proven


def test_a_domain_may_speak_for_those_below_it():
    author = "ana@lists.example.org"
    assert is_proven("mx.example.org; dkim=pass header.d=example.org", author=author)
    assert not is_proven("mx.example.org; dmarc=pass header.from=example.org", author=author)


@pytest.mark.parametrize(
    "author",
    [
        "ana@example.org, evil@evil.example",
        "evil@evil.example\r\nFrom: ana@example.org",
        "undisclosed",
        "",
    ],
)
def test_who_has_several_authors_or_none_has_no_address(author):
    sender = sender_of(mail("mx.example.org; dmarc=pass", author=author), None, TRUSTED)
    assert (sender.address, sender.is_proven) == ("", False)


def test_all_whom_a_list_may_name():
    raw = mail(author="Bob <Bob@Example.ORG>, c@d.example")
    assert sender_of(raw, "<Bounce@Lists.example>", TRUSTED) == Sender(
        "", ("bob@example.org", "c@d.example", "bounce@lists.example"), is_proven=False
    )


def test_the_shown_name_is_no_address():
    assert sender_of(mail(author='"boss@example.org" <evil@evil.example>'), "", TRUSTED) == Sender(
        "evil@evil.example", ("evil@evil.example",), is_proven=False
    )


def test_what_methods_say_is_read():
    server, found = read_results(
        "mx.example.org; auth=pass (cram-md5) smtp.auth=ana; dkim=pass header.b=a/b/c header.d=x"
    )
    assert server == "mx.example.org"
    assert [(one.method, one.result) for one in found] == [("auth", "pass"), ("dkim", "pass")]
    assert found[1].properties == {"header.b": "a/b/c", "header.d": "x"}


@given(st.text(max_size=200))
def test_anything_can_be_read(value):
    read_results(value)


@given(st.binary(max_size=300))
def test_any_message_has_a_sender(raw):
    assert not sender_of(b"Authentication-Results: " + raw, None, frozenset({"x"})).is_proven


def test_long_and_deep_values_take_no_time():
    for value in ("(" * 1_000_000, '"' * 1_000_000, "x;" * 500_000, "a=b " * 500_000):
        _, found = read_results("mx.example.org; " + value)
        assert len(found) <= 64


@pytest.mark.parametrize("part", ["(", '"', "<", "a@b,", "\\", "=?utf-8?q?", "a:", "[", "\r\n "])
def test_endless_authors_take_no_time(part):
    for size in (300_000, 4_000 // len(part), 17):
        sender = sender_of(mail(author=part * size), None, TRUSTED)
        assert not sender.is_proven


@pytest.mark.parametrize(
    ("author", "address"),
    [
        ("ana@example.org", "ana@example.org"),
        ("<Ana@Example.org>", "ana@example.org"),
        ("ana@example.org <ana@example.org>", "ana@example.org"),
        ('"evil@evil.example" <ana@example.org> (c@d)', "ana@example.org"),
        ("Team: ana@example.org;", "ana@example.org"),
        ("evil@evil.example <ana@example.org>", ""),
        ("<evil@evil.example> ana@example.org", ""),
        ("ana@example.org(", ""),
        ("ana@", ""),
        ("@example.org", ""),
    ],
)
def test_the_one_address_of_an_author(author, address):
    assert sender_of(mail(author=author), None, TRUSTED).address == address
