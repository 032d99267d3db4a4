"""Events from files, whichever format they are in."""

import bz2
import gzip
import json
import lzma

import polars as pl
import pytest

from mtspam.errors import DataError
from mtspam.search.events import Interaction, Item, RankingShown
from mtspam.search.reading.reader import read_events
from mtspam.search.reading.tables import TableColumns

TIME = 1_636_993_838_000
CLICK = {"event": "interaction", "id": "c", "timestamp": TIME, "type": "click", "item": "a"}
ITEM = {"event": "item", "id": "i", "timestamp": str(TIME), "item": "a", "fields": []}
HITS = {
    "query_id": "q1",
    "client_id": "ana",
    "user_query": "red shoes",
    "timestamp": TIME,
    "query_response_hit_ids": ["a", 7],
}
ACTION = {
    "action_name": "item_click",
    "query_id": "q1",
    "client_id": "ana",
    "timestamp": "2021-11-15T16:30:39Z",
    "event_attributes": {"object": {"object_id": "7"}, "session_id": "s"},
}


@pytest.fixture
def written(tmp_path):
    def written(name, content, pack=bytes):
        path = tmp_path / name
        path.write_bytes(pack(content.encode() if isinstance(content, str) else content))
        return str(path)

    return written


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("e.jsonl", bytes),
        ("e.jsonl.gz", gzip.compress),
        ("e.ndjson.bz2", bz2.compress),
        ("events.xz", lzma.compress),
    ],
)
def test_json_lines_packed_or_not(written, name, pack):
    path = written(name, "\n" + lines(ITEM, CLICK) + json.dumps([CLICK, ITEM]), pack)
    kinds = [type(event) for event in read_events([path])]
    assert kinds == [Item, Interaction, Interaction, Item]


def test_ubi(written):
    [shown, click] = read_events([written("ubi.ndjson", lines(HITS, ACTION))])
    assert shown == RankingShown(
        id="q1", time=TIME, items=shown.items, query="red shoes", user="ana"
    )
    assert [one.item for one in shown.items] == ["a", "7"]
    assert (click.kind, click.item, click.ranking, click.session) == ("click", "7", "q1", "s")
    assert click.time == TIME + 1_000
    [again] = read_events([written("again.ndjson", lines(ACTION))])
    assert again.id == click.id


def test_letor(written):
    path = written(
        "letor.txt",
        "2 qid:10 1:0.5 46:1 #docid = GX001 inc = 1\n0 qid:10 1:0.25\n1 qid:11 2:3\n",
    )
    first, second = read_events([path])
    assert [(one.item, one.label, one.fields) for one in first.items] == [
        ("GX001", 2.0, {"f1": 0.5, "f46": 1.0}),
        ("10/1", 0.0, {"f1": 0.25}),
    ]
    assert (first.query, second.query, second.time) == ("10", "11", 1)


def test_libsvm_with_a_file_of_sizes(written):
    path = written("rank.train", "1 1:2\n0 1:3\n2 4:1\n")
    written("rank.train.query", "2\n1\n")
    assert [len(event.items) for event in read_events([path])] == [2, 1]
    for sizes, complaint in (
        ("2\n2\n", r"query:2: .* ends before the 2 lines"),
        ("2\n", "more lines than"),
        ("two\n", r"query:1: 'two' is no number of lines"),
    ):
        written("rank.train.query", sizes)
        with pytest.raises(DataError, match=complaint):
            list(read_events([path]))


FRAME = pl.DataFrame(
    {
        "search": ["s2", "s1", "s2", "s1"],
        "who": ["ana", "bob", "ana", "bob"],
        "when": [1_700_000_000, 1_700_000_060, 1_700_000_000, 1_700_000_060],
        "doc": ["a", "b", "c", "d"],
        "place": [2, 1, 1, 2],
        "grade": [1, 0, 0, 3],
        "bought": [0, 0, 0, 1],
        "price": [9.5, None, 1.0, 2.0],
        "shop": ["x", "y", None, "y"],
    }
)
COLUMNS = TableColumns(
    query_id="search",
    user="who",
    time="when",
    item="doc",
    position="place",
    label="grade",
    conversion="bought",
)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_tables(tmp_path, suffix):
    path = tmp_path / f"candidates.{suffix}"
    if suffix == "parquet":
        FRAME.write_parquet(path)
    else:
        FRAME.write_csv(path, separator="\t" if suffix == "tsv" else ",")
    events = list(read_events([str(path)], columns=COLUMNS))
    shown = [event for event in events if isinstance(event, RankingShown)]
    assert [(one.id, one.user, one.time) for one in shown] == [
        ("s2", "ana", 1_700_000_000_000),
        ("s1", "bob", 1_700_000_060_000),
    ]
    assert [(one.item, one.label, one.fields) for one in shown[0].items] == [
        ("c", 0.0, {"price": 1.0}),
        ("a", 1.0, {"price": 9.5, "shop": "x"}),
    ]
    done = [(one.kind, one.item, one.ranking, one.value) for one in events[1:] if one not in shown]
    assert done == [
        ("click", "a", "s2", 1.0),
        ("click", "d", "s1", 3.0),
        ("conversion", "d", "s1", 1.0),
    ]


def test_a_table_without_users_has_judgements_and_no_clicks(written):
    path = written("t.csv", "query_id,item,label\nq,a,1\n")
    [shown] = read_events([path])
    assert shown.items[0].label == 1.0


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("e.jsonl", "{\n", r"e\.jsonl:1: no JSON"),
        ("e.jsonl", lines(ITEM) + "7\n", r"e\.jsonl:2: '7' is no event"),
        ("e.jsonl", lines(ITEM, {"event": "spin"}), r"e\.jsonl:2: "),
        ("e.jsonl", lines({**HITS, "query_response_hit_ids": 3}), r":1: query_response_hit_ids"),
        ("e.jsonl", lines({**ACTION, "event_attributes": 3}), r":1: 'event_attributes' is 3"),
        ("e.jsonl", lines({**ACTION, "timestamp": "soon"}), r":1: 'soon' is no moment"),
        ("e.jsonl", b'{"event": "\xff"}', r":1: not UTF-8 at byte 11"),
        ("e.jsonl.gz", b"no gzip at all", "gz: .*"),
        ("l.txt", "1 qid:1 x:2\n", r"l\.txt:1: '1 qid:1 x:2' is no line"),
        ("l.txt", "1 1:2\n", r"l\.txt:1: no qid:"),
        ("l.txt", "1 qid:1 1:2\n1 qid:2 1:2\n1 qid:1 1:2\n", r":3: query 1 was there before"),
        ("t.csv", "item,label\na,1\n", r"t\.csv: no column 'query_id'; there are item, label"),
        ("t.csv", "query_id,item,label\nq,a,high\n", r"row 1: 'label' is 'high'"),
        ("t.parquet", "PAR?", r"t\.parquet: no table"),
    ],
)
def test_what_does_not_fit_names_its_place(written, name, content, complaint):
    path = written(name, content)
    with pytest.raises(DataError, match=complaint):
        list(read_events([path]))


def test_what_is_missing_or_unknown(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jsonl: No such file"):
        list(read_events([str(tmp_path / "nowhere.jsonl")]))
    with pytest.raises(DataError, match="format 'xml' is not known"):
        list(read_events([], form="xml"))


def test_a_query_without_numbers_is_compared_with_texts(written):
    ranking = {
        "event": "ranking",
        "id": "r",
        "timestamp": TIME + 1,
        "fields": [{"name": "query", "value": "red shoes"}],
        "items": [{"id": "a"}, {"id": "b", "fields": [{"name": "title", "value": "red shoes"}]}],
    }
    told = {**ITEM, "fields": [{"name": "title", "value": "blue shoes"}]}
    _, shown = read_events([written("e.jsonl", lines(told, ranking))])
    blue, red = (one.fields for one in shown.items)
    assert (blue["text share"], red["text share"]) == (0.5, 1.0)
    assert (blue["text phrase"], red["text phrase"]) == (0.0, 1.0)
    assert red["text bm25"] > blue["text bm25"] > 0
    assert "text spam" not in red
    ranking["items"][0]["fields"] = [{"name": "price", "value": 3}]
    _, shown = read_events([written("e.jsonl", lines(told, ranking))])
    assert dict(shown.items[0].fields) == {"price": 3.0}
