import email
import email.policy
import gzip
import ipaddress
import json
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from mtspam.mail.sources import count_hint, read_messages

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample_mail.ndjson.gz"
SCRIPT = ROOT / "benchmarks" / "make_sample_mail.py"
TASTE = tomllib.loads((SCRIPT.parent / "sample_mail" / "people.toml").read_text("utf-8"))["taste"]

# RFC 2606 and RFC 5737: what nobody owns.
RESERVED = re.compile(r"(^|\.)(example|test|invalid|localhost|example\.(com|net|org))$")
NETS = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@pytest.fixture(scope="module")
def records():
    return [json.loads(line) for line in gzip.decompress(SAMPLE.read_bytes()).splitlines()]


def page_of(raw):
    """What a mail reader is given to show, markup and links included."""
    return "\n".join(
        part.get_payload(decode=True).decode(part.get_content_charset())
        for part in email.message_from_string(raw).walk()
        if part.get_content_maintype() == "text" and not part.get_filename()
    )


def words_of(raw):
    """What a reader sees, without links, which are random."""
    return re.sub(r"<[^>]*>|https?://\S*", "", page_of(raw))


def make(tmp_path, *arguments):
    path = tmp_path / "made.gz"
    subprocess.run([sys.executable, SCRIPT, "--output", path, *arguments], check=True)
    return gzip.decompress(path.read_bytes())


def test_the_committed_file_is_what_the_generator_makes(tmp_path):
    # Unpacked, since compressors differ from one zlib to the next.
    assert make(tmp_path) == gzip.decompress(SAMPLE.read_bytes())


def test_another_seed_makes_other_mail(tmp_path):
    assert make(tmp_path, "--seed", "2") != gzip.decompress(SAMPLE.read_bytes())


def test_it_is_small():
    assert SAMPLE.stat().st_size < 300_000


def test_records_have_their_fields_in_order_of_time(records):
    assert 600 <= len(records) <= 700
    assert all(list(record) == ["time", "user", "label", "note", "raw"] for record in records)
    assert all(a["time"] < b["time"] for a, b in pairwise(records))
    assert {record["user"] for record in records} == set(TASTE)
    assert {record["label"] for record in records} == {"ham", "spam", "phishing", "bulk"}


def test_the_note_gives_the_label_except_for_newsletters(records):
    labels = {(record["note"], record["label"]) for record in records}
    assert labels == {
        ("circular", "bulk"),
        ("list", "ham"),
        ("newsletter", "ham"),
        ("newsletter", "spam"),
        ("notice", "ham"),
        ("order", "ham"),
        ("personal", "ham"),
        ("phishing", "phishing"),
        ("spam", "spam"),
        ("work", "ham"),
    }


def test_users_disagree_about_newsletters_as_the_table_of_taste_says(records):
    seen = set()
    for record in records:
        if record["note"] == "newsletter":
            name = re.search(r'^From: "(.*)" <', record["raw"], re.MULTILINE)[1]
            assert (record["label"] == "ham") == (name in TASTE[record["user"]])
            seen.add((record["user"], name))
    assert len(seen) == len(TASTE) * 8


def test_no_two_messages_say_the_same(records):
    assert len({words_of(record["raw"]) for record in records}) == len(records)


def test_messages_are_sound(records):
    for record in records:
        parts = list(email.message_from_string(record["raw"], policy=email.policy.SMTP).walk())
        assert not any(part.defects for part in parts)
        assert parts[0]["To"].addresses[0].addr_spec == f"{record['user']}@example.org"
        assert not re.search(r"\{\w*\}", words_of(record["raw"])), "a slot was not filled"


def test_every_host_and_address_is_reserved_for_examples(records):
    for record in records:
        text = record["raw"].partition("\n\n")[0] + page_of(record["raw"])
        hosts = re.findall(r"@([\w.-]+)", text)
        hosts += re.findall(r"https?://([\w.-]+)", text)
        hosts += re.findall(r"^(?:Received: from|\tby) (\S+)", text, re.MULTILINE)
        addresses = re.findall(r"(?<![\w.])\d+\.\d+\.\d+\.\d+(?![\w.])", text)
        assert len(hosts) > 5
        assert addresses
        assert [h for h in hosts if h not in addresses and not RESERVED.search(h)] == []
        for address in addresses:
            assert any(ipaddress.ip_address(address) in net for net in NETS)


def test_the_hard_cases_are_there(records):
    texts = [page_of(record["raw"]) for record in records]
    raws = "\n".join(record["raw"] for record in records).lower()
    for charset in ("koi8-r", "gb2312", "big5", "iso-2022-jp", "shift_jis", "windows-1252"):
        assert f'charset="{charset}"' in raws
    for shape in ("display:none", "font-size:0px", "\u200b"):
        assert any(shape in text for text in texts)
    assert "filename=" in raws
    assert "quoted-printable" in raws
    assert "base64" in raws
    assert any(
        re.search(r'<a href="http[^"]*\.(test|invalid)[^"]*">(https://)?www\.', text)
        for text in texts
    )


def test_it_is_a_source_of_messages_like_any_other(records):
    messages = list(read_messages([str(SAMPLE)]))
    assert [m.user for m in messages] == [record["user"] for record in records]
    assert [m.raw.decode() for m in messages] == [record["raw"] for record in records]
    assert count_hint([str(SAMPLE)]) is None
