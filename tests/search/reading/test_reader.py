"""Events from files, whichever format they are in."""

import bz2
import gzip
import json
import lzma
import math
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock

import polars as pl
import pytest

from mtspam.errors import DataError
from mtspam.search.events import Interaction, Item, RankingShown
from mtspam.search.reading.reader import read_events
from mtspam.search.reading.tables import TableColumns, requests_of

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


def test_json_lines_may_be_a_table(tmp_path, written):
    path = tmp_path / "candidates.ndjson"
    FRAME.write_ndjson(path)
    packed = written("candidates.jsonl.gz", path.read_bytes(), gzip.compress)
    FRAME.write_csv(tmp_path / "candidates.csv")
    bare = written("candidates.csv.bz2", (tmp_path / "candidates.csv").read_bytes(), bz2.compress)
    events = list(read_events([str(path)], columns=COLUMNS))
    assert [type(event) for event in events].count(RankingShown) == 2
    for other in (packed, bare):
        again = list(read_events([other], columns=COLUMNS))
        assert [event.id for event in again] == [event.id for event in events]


def test_values_of_columns():
    frame = pl.DataFrame(
        {
            "query_id": [1.0, 1.0],
            "item": [7, 8],
            "published": [date(2024, 5, 1), None],
            "seen": [datetime(2024, 5, 1, 12, tzinfo=UTC)] * 2,
            "long": [timedelta(seconds=90), timedelta(0)],
            "at": [clock(1, 0, 0, 500_000)] * 2,
            "is_new": [True, None],
            "price": [math.nan, 2.5],
            "tags": [["a", None], []],
            "sizes": [[1, 2], None],
            "kind": pl.Series(["x", None], dtype=pl.Categorical),
            "nothing": [None, None],
            "empty": pl.Series([None, None], dtype=pl.Float64),
            "position": [None, 0],
        }
    )
    [(rows, asked)] = requests_of(frame, TableColumns(), "t")
    assert (asked.id, rows, [one.item for one in asked.items]) == ("1", [1, 0], ["8", "7"])
    second, first = (dict(one.fields) for one in asked.items)
    assert math.isnan(first.pop("price"))
    assert math.isnan(second.pop("is_new")) and math.isnan(second.pop("published"))  # noqa: PT018 - one row
    day = 1_714_521_600_000.0
    both = {"seen": day + 12 * 3_600_000, "at": 3_600.5}
    assert first == {**both, "published": day, "long": 90.0, "is_new": 1.0, "tags": ("a",),
                     "sizes": (1.0, 2.0), "kind": "x"}  # fmt: skip
    assert second == {**both, "long": 0.0, "price": 2.5, "tags": ()}


def test_dates_of_a_csv_are_taken_in(written):
    text = "query_id,item,query,title,published,time\nq,a,red,red car,2024-05-01,2024-05-02\n"
    [shown] = read_events([written("t.csv", text)])
    assert shown.items[0].fields["text age"] == pytest.approx(math.log(2))
    assert shown.items[0].fields["text share"] == 1.0


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
        ("t.csv", "query_id,item,label\nq,a,0.5\n", r"row 1: 'label' is 0.5, but a grade must"),
        ("t.csv", "query_id,item,label\nq,a,31\n", r"row 1: 'label' is 31, but a grade must"),
        ("t.csv", "query_id,item,x\nq,a,1\nq,b,inf\n", r"row 2: 'x' is inf, but must be a num"),
        ("t.csv", "query_id,item,x\nq,,1\n", r"row 1: 'item' is None, but must be a name"),
        ("t.csv", "query_id,itm\nq,a\n", r"no column 'item' \(did you mean 'itm'\?\); there are"),
        ("t.csv", "", r"t\.csv: no table that can be read"),
        ("l.txt", "-1 qid:1 1:2\n", r"l\.txt:1: the first number is -1, but a grade must be"),
        ("e.jsonl", lines({**ITEM, "timestamp": "soon"}), r":1: 'soon' is no moment"),
        ("e.jsonl", lines({**ITEM, "item": None}), r":1: 'item' is None"),
        (
            "e.jsonl",
            lines({**ITEM, "fields": [{"name": "x", "value": {}}]}),
            r":1: field 'x' must",
        ),
        ("t.parquet", "PAR?", r"t\.parquet: no table"),
        ("t.csv", "query_id,item\nq,a\nq,b,c,d\n", r"t\.csv:3: 4 values for 2 columns"),
        ("t.csv", "query_id,item,x,x\nq,a,1,2\n", r"t\.csv:1: two columns are called 'x'"),
        ("t.csv", "query_id,item,time\nq,a,9e18\n", r"row 1: 9e\+18 is no moment"),
        ("t.ndjson", '{"query_id": 1, "item": "a"}\n{"query_id"\n', r"t\.ndjson:2: no JSON"),
        ("t.ndjson", '{"query_id": 1, "item": NaN}\n', r"t\.ndjson:1: no JSON"),
        ("t.ndjson", '{"query_id": 1, "item": ""}\n', r"row 1: 'item' is '', but must be a name"),
        ("e.jsonl", lines({**ITEM, "id": ""}), r":1: 'id' is '', but must be a name"),
        ("e.jsonl", lines({**ITEM, "timestamp": str(1 << 62)}), r":1: \d+ is no moment"),
    ],
)
def test_what_does_not_fit_names_its_place(written, name, content, complaint):
    path = written(name, content)
    with pytest.raises(DataError, match=complaint):
        list(read_events([path]))


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "n/a", "null", "None", ""])
def test_a_word_for_nothing_leaves_a_column_one_of_numbers(written, word):
    text = f"query_id,item,score,price,size\nq,a,{word},{word},XL\nq,b,2,1.5,{word}\n"
    [shown] = read_events([written("t.csv", text)])
    first, second = shown.items
    assert math.isnan(first.score)
    assert math.isnan(first.fields["price"])
    assert (second.score, second.fields["price"]) == (2.0, 1.5)
    assert first.fields["size"] == "XL"


def test_text_among_numbers_makes_a_column_of_texts(written):
    text = "query_id,item,size\nq,a,36\nq,b,nan\nq,c,XL\n"
    [shown] = read_events([written("t.csv", text)])
    assert [one.fields["size"] for one in shown.items] == ["36", "nan", "XL"]


def test_columns_may_be_called_as_if_they_were_doubled(written):
    text = "query_id,item,x,x_duplicated_0\nq,a,1,2\n"
    [shown] = read_events([written("t.csv", text)])
    assert shown.items[0].fields == {"x": 1.0, "x_duplicated_0": 2.0}


def test_a_column_that_was_named_must_be_there(written):
    path = written("t.csv", "query_id,item,usr\nq,a,ana\n")
    with pytest.raises(DataError, match=r"no column 'user_' .*did you mean 'usr'.*--user-column"):
        list(read_events([path], columns=TableColumns(user="user_")))


def test_what_was_shown_in_another_order_tells_the_hosts(written):
    rows = "q,a,0,2\nq,b,1,0\nq,c,2,\nq,d,,1\n"
    path = written("t.csv", "query_id,item,position,shown_position\n" + rows)
    [shown] = read_events([path])
    assert [one.item for one in shown.items] == ["b", "d", "a", "c"]
    assert shown.host_places == (1, 3, 0, 2)
    record = {
        "event": "ranking",
        "id": "r",
        "timestamp": TIME,
        "items": [{"id": "b", "host_place": 4}, {"id": "a"}],
    }
    [told] = read_events([written("e.jsonl", lines(record))])
    assert told.host_places == (4, 1)
    record["items"][0]["host_place"] = -1
    with pytest.raises(DataError, match=r":1: host_place is -1; it must be"):
        list(read_events([written("e.jsonl", lines(record))]))


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
    assert "spam_score" not in red
    ranking["items"][0]["fields"] = [{"name": "price", "value": 3}]
    _, shown = read_events([written("e.jsonl", lines(told, ranking))])
    assert dict(shown.items[0].fields) == {"price": 3.0}


def test_what_we_wrote_of_candidates_is_no_feature(tmp_path):
    path = tmp_path / "scored.csv"
    path.write_text("query_id,item,match,mtspam_score,mtspam_rank\nq1,a,0.5,1.25,2\n")
    [shown] = read_events([str(path)])
    assert dict(shown.items[0].fields) == {"match": 0.5}
