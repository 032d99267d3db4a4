"""Lines of the filter protocol: what they say, and what is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.serve.opensmtpd import codec
from mtspam.serve.opensmtpd.codec import Ready, Report, Request


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"config|ready", Ready()),
        (b"config|smtpd-version|7.8.0", None),
        (b"config|something|new|altogether", None),
        (
            b"filter|0.7|1576146008.006099|smtp-in|data-line|7641df9771b4ed00|1ef1c203cc576e5d|a",
            Request(b"data-line", b"7641df9771b4ed00", b"1ef1c203cc576e5d", b"a"),
        ),
        (b"filter|0.6|1.0|smtp-in|data-line|1|2|", Request(b"data-line", b"1", b"2", b"")),
        (
            b"filter|0.6|1.0|smtp-in|data-line|1|2|a|b|c",
            Request(b"data-line", b"1", b"2", b"a|b|c"),
        ),
        (b"filter|0.6|1.0|smtp-in|commit|1|2", Request(b"commit", b"1", b"2", b"")),
        (b"filter|0.7|1.0|smtp-in|commit|1", None),
        (
            b"report|0.7|1.0|smtp-in|link-auth|1|pass|a|b",
            Report(b"link-auth", b"1", b"pass|a|b"),
        ),
        (b"report|0.7|1.0|smtp-in|link-disconnect|1", Report(b"link-disconnect", b"1", b"")),
        (b"report|0.7|1.0|smtp-out|link-disconnect|1", None),
        (b"report|0.7", None),
        (b"", None),
        (b"nonsense", None),
    ],
)
def test_lines(line, said):
    assert codec.read_line(line) == said


@given(st.binary(max_size=100))
def test_any_line_is_understood_or_says_nothing(line):
    codec.read_line(line)
    codec.read_line(b"filter|0.7|" + line)
    codec.read_line(b"report|0.7|" + line)


@given(st.binary(max_size=50).filter(lambda text: b"\n" not in text))
def test_the_last_field_is_whole_whatever_is_in_it(text):
    said = codec.read_line(b"filter|0.7|1.0|smtp-in|data-line|f|e|" + text)
    assert said == Request(b"data-line", b"f", b"e", text)
    assert codec.data_line(b"f", b"e", text) == b"filter-dataline|f|e|" + text + b"\n"


def test_the_registration_ends_and_asks_for_what_is_handled():
    *lines, last = codec.REGISTRATION.splitlines()
    assert last == b"register|ready"
    assert b"register|filter|smtp-in|data-line" in lines
    assert b"register|filter|smtp-in|commit" in lines
    assert all(
        line.startswith((b"register|report|smtp-in|", b"register|filter|")) for line in lines
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("550 5.7.1 spam", b"550 5.7.1 spam"),
        ("451 4.7.1 100% busy", b"451 4.7.1 100% busy"),
        ("550 5.7.1 two\nlines", b"550 5.7.1 two?lines"),
        ("250 fine", b"451 4.3.0 250 fine"),
        ("", b"451 4.3.0 "),
    ],
)
def test_refusals(text, said):
    request = Request(b"commit", b"f00d", b"beef", b"")
    assert codec.refuse(request, text) == b"filter-result|f00d|beef|reject|" + said + b"\n"


@given(st.text())
def test_any_refusal_is_one_line_that_refuses(text):
    line = codec.refuse(Request(b"commit", b"f00d", b"beef", b""), text)
    *_, said = line.split(b"|", 4)
    assert said[:1] in b"45"
    assert said.count(b"\n") == 1


@pytest.mark.parametrize(
    ("text", "parted"),
    [
        (b"pass|ana", (b"pass", b"ana")),
        (b"ana|pass", (b"pass", b"ana")),
        (b"pass|a|b", (b"pass", b"a|b")),
        (b"a|b|fail", (b"fail", b"a|b")),
        (b"ana", (b"", b"ana")),
        (b"", (b"", b"")),
        (b"ok|", (b"ok", b"")),
    ],
)
def test_results_before_and_behind(text, parted):
    assert codec.marked_result(text) == parted
