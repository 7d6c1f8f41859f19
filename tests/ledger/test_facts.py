"""Facts become rows; what cannot be read is kept aside whole, and nothing raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.ledger.facts import KINDS, Fact, Kind, Row, gathered, rows_of
from liveroom.ledger.tables import (
    commands,
    entries,
    events,
    holds,
    orders,
    refunds,
    rooms,
    rounds,
    sessions,
    unread,
    winners,
)
from tests.ledger.outbox import (
    NOW,
    bought,
    claimed,
    commanded,
    created,
    entered,
    entry,
    fact,
    finished,
    held,
    hold,
    moved,
    owed,
    refunded,
    session,
    told,
    win,
)

TABLES = {
    Kind.ROOM: rooms,
    Kind.EVENT: events,
    Kind.COMMAND: commands,
    Kind.ROUND: rounds,
    Kind.ENTRY: entries,
    Kind.WIN: winners,
    Kind.HOLD: holds,
    Kind.ORDER: orders,
    Kind.REFUND: refunds,
    Kind.SESSION: sessions,
    Kind.UNREAD: unread,
}
EVERY = [
    created(),
    told("room.closed", 9),
    commanded("lottery.open", "r_1"),
    moved(wins=[win("ann")], loses=["bob"]),
    entered([entry(1)]),
    claimed("ann"),
    held(hold("h_1"), bought("h_2")),
    refunded(owed("h_3")),
    finished(session()),
    fact("rumour"),
]


def only(said: Fact, kind: Kind) -> Row:
    """The one row of that kind."""
    (row,) = gathered(rows_of(said, "3:1-0"))[kind]
    return row


def without(said: Fact, name: bytes) -> Fact:
    return {one: value for one, value in said.items() if one != name}


# what is said


@pytest.mark.parametrize("said", EVERY, ids=lambda said: said[b"what"].decode())
def test_a_row_has_every_column_of_its_table(said: Fact):
    for kind, row in rows_of(said, "3:1-0"):
        assert kind not in TABLES or row.keys() == set(TABLES[kind].columns.keys()), kind


def test_a_room_is_made_and_closed():
    assert only(created(), Kind.ROOM) == {
        **{"id": "demo", "title": "Demo", "currency": "EUR", "state": "open"},
        **{"created": NOW, "closed": 0},
    }
    closing = only(told("room.closed", 9, ts=NOW + 5), Kind.ROOM)
    assert (closing["state"], closing["closed"], closing["created"]) == ("closed", NOW + 5, 0)


def test_an_event_is_kept_as_it_was_told():
    said = told("room.notice", 7, text="Grüße 🎉")
    row = only(said, Kind.EVENT)
    assert (row["seq"], row["ts"], row["kind"], row["epoch"], row["actor"]) == (7, NOW, "room.notice", "e1", "host")
    assert row["body"].encode() == said[b"event"]
    assert Kind.ROOM not in gathered(rows_of(said, ""))


def test_a_command_is_named_by_its_body_and_may_be_about_no_round():
    row = only(commanded("room.notice", text="hello"), Kind.COMMAND)
    assert (row["kind"], row["round"], row["ver_before"], row["ver_after"]) == ("room.notice", "", 0, 1)


def test_a_round_brings_its_winners_and_losers():
    found = gathered(rows_of(moved(ver=4, wins=[win("ann", 1), win("bob", 2)], loses=["eve"]), ""))
    assert [(row["viewer"], row["place"], row["state"], row["at"]) for row in found[Kind.WIN]] == [
        ("ann", 1, "won", NOW + 4),
        ("bob", 2, "won", NOW + 4),
    ]
    assert found[Kind.LOSS] == [{"of": "r_1", "whose": "eve"}]


@pytest.mark.parametrize("empty", ["command", "opened", "wins", "loses", "by"])
def test_an_empty_field_is_one_left_out(empty: str):
    said = {**moved(), empty.encode(): b""}
    assert rows_of(said, "") == rows_of(without(said, empty.encode()), "") != []
    assert Kind.UNREAD not in gathered(rows_of(said, ""))


def test_entries_keep_their_numbers():
    found = gathered(rows_of(entered([entry(5, "ann", word="2"), entry(6, "bob")], kind="quiz"), ""))[Kind.ENTRY]
    assert [(row["n"], row["viewer"], row["word"], row["kind"]) for row in found] == [
        (5, "ann", "2", "quiz"),
        (6, "bob", "", "quiz"),
    ]


def test_a_hold_says_what_is_left_out_too():
    row = only(held({"hold": "h_1", "viewer": "ann", "state": "held", "v": 1}, sale=None), Kind.HOLD)
    assert row == {
        **{"hold": "h_1", "room": "demo", "round": "r_s", "viewer": "ann", "name": "", "qty": 1, "state": "held"},
        **{"until": 0, "made": 0, "at": 0, "idem": "", "v": 1, "order_id": "", "rank": 0, "payment": ""},
        **{"paid_at": 0, "late": 0, "why": ""},
    }


def test_a_hold_that_was_paid_brings_its_order():
    found = gathered(rows_of(held(hold("h_1"), bought("h_2", "bob", qty=2, late=True)), ""))
    assert len(found[Kind.HOLD]) == 2
    assert found[Kind.ORDER] == [
        {
            **{"id": "o_2", "hold": "h_2", "room": "demo", "round": "r_s", "viewer": "bob", "name": "Bob"},
            **{"item": "Teapot", "qty": 2, "price": 1999, "currency": "EUR", "rank": 1, "payment": "p_2"},
            **{"paid_at": NOW + 50, "at": NOW + 2, "late": 1, "state": "paid", "v": 2},
        }
    ]


def test_an_order_that_was_given_back_says_so():
    assert only(held(bought("h_1", state="refunded", v=3)), Kind.ORDER)["state"] == "refunded"


def test_numbers_may_come_as_lua_writes_them():
    records = b'[{"hold":"h_1","viewer":"ann","state":"held","v":2.0,"at":1.76364e12}]'
    row = only({**held(), b"holds": records}, Kind.HOLD)
    assert (row["v"], row["at"]) == (2, NOW)


def test_a_payment_that_got_nothing_is_owed():
    row = only(refunded(owed("h_1", why="paid twice")), Kind.REFUND)
    assert (row["hold"], row["payment"], row["why"], row["room"], row["round"]) == (
        *("h_1", "p", "paid twice", "demo", "r_s"),
    )


def test_a_session_is_kept_as_it_was_said():
    said = finished(session(why="ping_timeout"), session("bob", event=0, why="stream_end", source="ad"))
    found = gathered(rows_of(said, ""))[Kind.SESSION]
    assert found[0] == {
        **{"room": "demo", "stream": "s_1", "viewer": "ann", "start": NOW, "ends": NOW + 60_000, "watch": 60_000},
        **{"event": 1, "why": "ping_timeout", "source": "direct", "rtt": 40, "fact": said[b"id"].decode()},
    }
    assert [found[1][name] for name in ("viewer", "event", "why", "source")] == ["bob", 0, "stream_end", "ad"]


def test_what_lua_measured_is_rounded():
    times = '"start":1.76364e12,"ends":1763640000999.6,"watch":999.4,"event":1.0,"rtt":1.5'
    row = only({**finished(), b"sessions": f'[{{"stream":"s_1","viewer":"ann",{times}}}]'.encode()}, Kind.SESSION)
    measured = [row[name] for name in ("start", "ends", "watch", "event", "rtt")]
    assert measured == [NOW, NOW + 1000, 999, 1, 2]
    assert {type(one) for one in measured} == {int}
    assert (row["why"], row["source"]) == ("", "")


def test_a_newer_node_may_say_more():
    said = {**entered([[*entry(1), "more"]]), b"mood": b"good"}
    assert only(said, Kind.ENTRY)["n"] == 1


@pytest.mark.parametrize(
    ("name", "kept"), [("a\0b", "a\ufffdb"), (r"a\u0000b", r"a\u0000b"), ("\\\0", "\\\ufffd"), ("\0\0", "\ufffd" * 2)]
)
def test_a_name_with_a_nul_spoils_nothing_for_the_others(name: str, kept: str):
    found = gathered(rows_of(entered([entry(1), entry(2, name=name)]), ""))[Kind.ENTRY]
    assert [row["name"] for row in found] == ["Viewer 1", kept]
    assert only({**created(), b"title": name.encode()}, Kind.ROOM)["title"] == kept
    assert only(held(hold("h_1", idem=name)), Kind.HOLD)["idem"] == kept
    assert only(finished(session(name)), Kind.SESSION)["viewer"] == kept


# what cannot be read


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (fact("rumour", of="a new play"), "unknown"),
        (without(created(), b"what"), "unknown"),
        (without(created(), b"created"), "missing"),
        ({**created(), b"created": b"soon"}, "int"),
        ({**created(), b"title": b"\xff"}, "utf-8"),
        ({**told("room.notice", 1), b"event": b'{"seq":1,'}, "truncated"),
        ({**told("room.notice", 1), b"event": b'{"seq":1,"t":"room.notice"}'}, "ts"),
        ({**entered([]), b"entries": b'[["ann"]]'}, "Expected"),
        (entered([entry(2**63)]), "<="),
        (entered([entry(1, viewer="u" * 201)]), "length"),
        ({**claimed(), b"claims": b"[" * 100_000}, ""),
        (held(hold("h_1") | {"v": None}), "int"),
        (held(hold("h_1"), sale=[]), "object"),
        (held(hold("h_" + "1" * 200)), "length"),
        (refunded(owed("h_1", viewer="u" * 201)), "length"),
        (finished(session("u" * 201)), "length"),
        (finished(session(event=2)), "<="),
        (finished(session(start=1e17)), "<="),
        (finished(session(ends=None)), "float"),
        ({**finished(), b"sessions": b"{}"}, "array"),
    ],
)
def test_what_cannot_be_read_is_kept_aside_whole(said: Fact, why: str):
    row = only(said, Kind.UNREAD)
    assert (row["fact"], row["what"]) == (said[b"id"].decode(), said.get(b"what", b"").decode())
    assert why in row["why"]
    body = json.loads(row["body"])
    assert {name.encode() for name in body} == said.keys()
    assert body["room"] == "demo"


@pytest.mark.parametrize("named", [b"", b"x" * 201])
def test_an_unread_fact_without_a_good_id_is_named_by_its_place(named: bytes):
    assert only({b"id": named, b"what": b"rumour"}, Kind.UNREAD)["fact"] == "3:1-0"


BYTES = st.binary(max_size=30) | st.sampled_from([b"[]", b"[[1]]", b'{"t":"x"}', b"1", b"", b"\0", b'["\\u0000"]'])


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(sorted({n for f in EVERY for n in f})), BYTES))
def test_nothing_raises_and_everything_can_be_written(what: str, fields: dict[bytes, bytes]):
    found = rows_of({**fields, b"what": what.encode()}, "3:1-0")
    for _, row in found:
        for value in row.values():
            assert isinstance(value, int | str)
            assert "\0" not in value if isinstance(value, str) else abs(value) < 2**63
            assert str(value).encode()
