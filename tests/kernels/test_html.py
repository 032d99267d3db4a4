import html as standard
import re
from html.entities import html5

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels import headers, html, links
from mtspam.mail.letters import entity_table

KINDS = {
    headers.SPAN_TEXT: "text",
    headers.SPAN_HIDDEN: "hidden",
    headers.SPAN_TAGS: "tags",
    headers.SPAN_URL: "url",
    headers.SPAN_IMAGE: "image",
    headers.SPAN_MISMATCH: "mismatch",
    links.SPAN_NOTHING: "nothing",
}


def read(source, *, room=4000, max_spans=200, at=0):
    """(kind, text) of each span, in order."""
    raw = source.encode() if isinstance(source, str) else source
    src = np.frombuffer(raw + b">", np.uint8)
    text = np.full(at + room + 1, 0xEE, np.uint8)
    state = np.array([at, at + room, 0], np.int64)
    spans = np.full((max_spans + 1, html.SPAN_COLUMNS), -7, np.int32)
    scratch = np.zeros(600, np.uint8)
    html.read_html(src, (0, len(raw)), text, state, spans[:max_spans], entity_table(), scratch)
    links.compare_links(text, spans, int(state[2]))
    assert at <= state[0] <= at + room
    assert (spans[state[2] :] == -7).all()
    assert (text[:at] == 0xEE).all()
    assert (text[state[0] :] == 0xEE).all()
    out = []
    for kind, start, end, _ in spans[: state[2]].tolist():
        assert at <= start < end <= state[0]
        out.append((KINDS[kind], text[start:end].tobytes().decode("utf-8", "replace")))
    return out


def only(kind, source, **limits):
    return [text for one, text in read(source, **limits) if one == kind]


def joined(kind, source):
    return " ".join("".join(only(kind, source)).split())


def test_a_case_by_hand():
    source = (
        "<html><!-- no --><p>Hello <b>W</b>orld&excl; &#65;&nbsp;&eacute;</p><style>p {}</style>"
        '<a href="http://evil.example/x?a=1&amp;b">http://bank.example</a>'
        '<span style="display: none">secret</span><img src=http://i.example/p.gif>'
    )
    assert read(source) == [
        ("text", "Hello World! A é\n"),
        ("url", "http://evil.example/x?a=1&b"),
        ("mismatch", "bank.example"),
        ("text", "http://bank.example"),
        ("hidden", "secret"),
        ("text", "\n"),
        ("image", "http://i.example/p.gif"),
        ("tags", "html p b style a span img "),
    ]
    assert joined("text", source) == "Hello World! A é http://bank.example"


words = st.sampled_from(["one", "two", "drei", "quatre", "5", "six, seven", "a < b", "x & y", "ñ"])


@st.composite
def trees(draw, depth=0, *, hidden=False):
    """A well-formed document: (source, what is shown, what is hidden, addresses)."""
    out = ["", "", "", []]
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(
            st.sampled_from(
                ["text", "inline", "block", "hide", "link", "comment", "script", "void"]
            )
        )
        word = draw(words)
        if kind == "text" or depth > 3:
            piece = [standard.escape(word), word, "", []]
        elif kind == "comment":
            piece = [f"<!-- <p>{word}</p> -- -->", "", "", []]
        elif kind == "script":
            name = draw(st.sampled_from(["script", "STYLE"]))
            piece = [f"<{name} type='a>b'>if (a<b) '{word}'</{name}>", " ", "", []]
        elif kind == "void":
            piece = ["<br/>", " ", "", []]
        else:
            piece = list(draw(trees(depth + 1, hidden=hidden or kind == "hide")))
            if kind == "link":
                address = f"http://{draw(st.sampled_from('abc'))}.example/?q=1"
                piece[0] = f'<A title="x>y" HREF="{standard.escape(address)}">{piece[0]}</A>'
                piece[3] = [address, *piece[3]]
            elif kind == "hide":
                style = draw(
                    st.sampled_from(
                        ["style='DISPLAY : none'", 'style="color:red;font-size:0"', "hidden",
                         'style="x:y; visibility:hidden !important"']
                    )
                )  # fmt: skip
                piece[0] = f"<div {style}>{piece[0]}</div>"
                piece[1], piece[2] = "", piece[1] + " " + piece[2]
            else:
                name = "b" if kind == "inline" else "div"
                piece[0] = f"<{name} class=a>{piece[0]}</{name}>"
                if kind == "block":
                    piece[1] = f" {piece[1]} "
        between = [" ", " ", " ", []]
        out = [a + gap + b for a, gap, b in zip(out, between, piece, strict=True)]
    return tuple(out)


@given(trees())
def test_what_is_known_by_construction_is_found(tree):
    source, shown, hidden, addresses = tree
    assert joined("text", source) == " ".join(shown.split())
    assert sorted(joined("hidden", source).split()) == sorted(hidden.split())
    assert only("url", source) == addresses


PIECES = [
    "<", ">", "</", "<!--", "-->", "--!>", "<a ", "<a href=", "</a>", "<p hidden>", "<p>", "</p>",
    "<div style='display:none'>", "</div>", '"', "'", "=", "&", "&#", "&#x41;", "&lt;",
    "&eacute", "http://a.b/", "text", " ", "\n", "<script>", "</script>", "<style", "<![", "<?",
    "<img src=x>",
    "<td>", "<table background=y>", "\x00", "中", "font-size:0", ";", "/", "<span hidden>",
    "<br hidden>",
]  # fmt: skip
soup = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=2)), max_size=40).map(
    lambda pieces: "".join(pieces).encode("utf-8", "ignore")
)


@given(soup, st.integers(10, 400), st.integers(8, 40), st.integers(0, 5))
def test_any_soup_stays_within_its_room(source, room, max_spans, at):
    read(source, room=room, max_spans=max_spans, at=at)


@given(soup)
def test_nothing_swallows_the_rest_of_a_message(source):
    """Not an open comment, script or quote: a word further on is shown, or hidden by a style."""
    closed = source + b"</script></style>-->" + b" " * html.MAX_TAG + b"the-end"
    everything = "".join(only("text", closed) + only("hidden", closed))
    assert "the-end" in everything


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("a<!-->b<!-- x -->c", "abc"),
        ("a<!-- x --!>b", "ab"),
        ("a<!-- b", "a b"),
        ("1 < 2 <3 </ 4", "1 < 2 <3 </ 4"),
        ("a<script>b", "a b"),
        ("<p title='>'>a</p>", "a"),
        ("&lt;b&gt; &bogus; &#0; &amp &#1114112;", "<b> &bogus; &#0; & &#1114112;"),
        ("V<b></b>iag<!-- x -->ra", "Viagra"),
        ("a<td>b<br>c", "a b c"),
        ("<![CDATA[x]]>y", "y"),
    ],
)
def test_what_is_shown(source, shown):
    assert joined("text", source) == shown


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ("<p hidden>a<p>b", "a"),
        ("<td style='display:none'>a<td>b", "a"),
        ("<table><tr><span hidden>a</tr></table>b", ""),
        ("<div><span hidden>a</div>b", "a"),
        ("<div hidden>a<div>b</div>c</div>d", "a b c"),
        ("<div hidden><p>a<p>b</div>c", "a b"),
        ("<br hidden>a", ""),
        ("<i style='font-size:0.9em'>a</i>", ""),
        ("<i style='max-height:0px'>a</i>", "a"),
        ("<i style='xdisplay:none'>a</i>", ""),
    ],
)
def test_what_is_hidden(source, hidden):
    if "</table>" in source:  # a row ends by itself, a table does not
        assert "b" in joined("text", source)
    else:
        assert joined("hidden", source) == hidden


@pytest.mark.parametrize(
    ("target", "shown", "mismatch"),
    [
        ("http://a.example/", "http://a.example", []),
        ("http://www.a.example/", "a.example", []),
        ("http://login.bank.example/", "www.bank.example", []),
        ("http://b.example/", "www.a.example/x", ["www.a.example"]),
        ("http://a.example.b.example/", "a.example", ["a.example"]),
        ("http://a.example@b.example/", "a.example", ["a.example"]),
        ("http://x.co.uk/", "http://y.co.uk", ["y.co.uk"]),
        ("http://x.y.co.uk/", "http://z.y.co.uk", []),
        ("http://nota.example/", "a.example", ["a.example"]),
        ("http://A.Example:80/", "a.eXample", []),
        ("http://b.example/", "click a.example", []),
        ("http://b.example/", "here", []),
        ("http://b.example/", "Hello.", []),
        ("mailto:joe@b.example", "a.example", []),
        ("http://10.0.0.1/", "bank.example", ["bank.example"]),
    ],
)
def test_links_that_show_another_site(target, shown, mismatch):
    source = f'<a href="{target}"><b>{shown}</b></a>'
    assert only("mismatch", source) == mismatch


def test_a_picture_in_a_link_is_not_what_the_link_shows():
    source = '<a href="http://a.example"><img src="http://b.example/x.gif"></a>'
    assert only("mismatch", source) == []


def test_references_are_what_the_standard_library_knows():
    names, _ = entity_table()
    assert (np.diff(names) > 0).all()
    known = [name for name in html5 if name.endswith(";")]
    for name in known:
        value = standard.unescape(f"&{name}")
        if len(value) == 1 and len(name) <= 11 and re.fullmatch("[A-Za-z0-9]+;", name):
            shown = "".join(only("text", f"x&{name}x"))
            assert shown == f"x{value}x".replace("\xa0", " "), name
    assert len(names) > 1000
