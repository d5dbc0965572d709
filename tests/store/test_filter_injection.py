"""A thousand payloads in every place where a user's text goes in: none of it becomes SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.store.conftest import NewCollection
from tests.store.support import rows
from vectordb import Collection, Document, F, VectorDB
from vectordb.errors import InvalidFilter, InvalidInput, InvalidName, VectorDBError
from vectordb.fields import check_field_name
from vectordb.filters import And, Compare, Or, parse, parse_text
from vectordb.validation import check_name

# In every payload, and in nothing else.
MARK = "zq9k"
CORES = [
    "{}",
    "' OR '1'='1",
    "'; DROP TABLE {} CASCADE; --",
    '"; DROP TABLE {} CASCADE; --',
    "'); DELETE FROM {}; --",
    "' UNION SELECT version(), {} --",
    "') IS NOT TRUE OR ({}",
    "\\'; SELECT pg_sleep(60); -- {}",
    "$$; DROP SCHEMA vectordb CASCADE; $$ {}",
    "$1 {} $2",
    "%s {}",
    "%(w0)s {} %(w99)s",
    "%({})s",
    "%% {} %",
    "%b%t {}",
    ":{} :w0",
    "::text {}",
    "{} /* ",
    "*/ {} -- ",
    "E'\\x27 {}",
    "U&'\\0027 {}",
    "\u02bc OR 1=1 {}",
    "\uff07 OR 1=1 -- {}",
    "$.{} ? (@ == 1)",
    '$.** ? (@ like_regex "{}" flag "q")',
    '{{"{}": 1}}',
    '", "{}": "',
    "{{0}} {{name!r}} {{.__class__}} {}",
    "{}[0]",
    "{},b,c",
    "-> '{}' ->> 'x'",
    "{}\\",
    "{} \n\r\t\x0b ; SELECT 1",
    "{}::regclass",
    "lo_import('/etc/passwd') {}",
]
PREFIXES = ["", "'", '"', "a.", "\\", "%", ") ", "\n"]
SUFFIXES = ["", "'", '"', " --", "\\'"]
PAYLOADS = [
    prefix
    + core.replace("{{", "\x01").replace("}}", "\x02").replace("{}", MARK).replace("\x01", "{").replace("\x02", "}")
    + suffix
    for core in CORES
    for prefix in PREFIXES
    for suffix in SUFFIXES
]
PAYLOADS = list(dict.fromkeys(text if MARK in text else text + MARK for text in PAYLOADS))


def test_there_are_enough_payloads() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 1_000
    assert all(MARK in payload for payload in PAYLOADS)


class Sent(list[str]):
    """Every SQL text that was given to the driver."""

    def check(self) -> None:
        assert self, "nothing was recorded"
        assert [text for text in self if MARK in text.lower()] == []


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    texts = Sent()

    def record(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def recording(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            text = query.as_string(None) if isinstance(query, sql.Composable) else query
            texts.append(text.decode() if isinstance(text, bytes) else str(text))
            return original(self, query, *arguments, **options)

        monkeypatch.setattr(owner, name, recording)

    for name in ("execute", "executemany", "stream", "copy"):
        record(psycopg.Cursor, name)
    for name in ("execute", "executemany"):
        record(psycopg.ServerCursor, name)
    yield texts
    texts.check()


def test_what_is_sent_is_recorded(home: VectorDB, sent: Sent) -> None:
    with home.engine.begin() as connection:
        connection.exec_driver_sql(f"SELECT '{MARK}'")
    with pytest.raises(AssertionError):
        sent.check()
    sent[:] = ["SELECT"]


@pytest.fixture(scope="module")
def attacked(home: VectorDB) -> Collection:
    """A document for each payload, which is its id, title, uri, keys and values."""
    docs = home.create_collection("attacked", dimensions=2, index=None, fields={"lang": str})
    docs.upsert(
        Document(payload, payload, title=payload, uri=payload, metadata=entry(payload), embedding=[1, 1])
        for payload in PAYLOADS
    )
    return docs


def entry(payload: str) -> dict[str, Any]:
    return {
        payload: "key",
        "nested": {payload: {payload: payload}},
        "value": payload,
        "list": [payload, {payload: payload}],
        "lang": payload,
    }


def escaped(payload: str) -> str:
    return payload.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def quoted(payload: str) -> str:
    return "'" + payload.replace("'", "''") + "'"


# Each finds the document of the payload, and no other.
SLOTS: dict[str, Callable[[str], Any]] = {
    "key": lambda p: F([p]) == "key",
    "key, quoted": lambda p: F(json.dumps(p)) == "key",
    "key exists": lambda p: F([p]).exists(),
    "nested key": lambda p: F(["nested", p, p]) == p,
    "nested key, ordered": lambda p: F(["nested", p, p]).between(p, p),
    "value": lambda p: F("value") == p,
    "value, ordered": lambda p: (F("value") >= p) & (F("value") <= p),
    "element of a list of values": lambda p: F("value").in_([p, None]),
    "element of a long list": lambda p: F("value").in_([p, *range(40)]),
    "element": lambda p: F("list").contains(p),
    "any_of": lambda p: F("list").any_of([p]),
    "any_of many": lambda p: F("list").any_of([p, *range(40)]),
    "all_of": lambda p: F("list").all_of([p]),
    "object": lambda p: F("nested").contains({p: {p: p}}),
    "object in a list": lambda p: F("list").contains([{p: p}]),
    "pattern": lambda p: F("value").like(escaped(p)),
    "pattern in any case": lambda p: F("value").ilike(escaped(p.upper())) & F("value").ilike(escaped(p)),
    "prefix": lambda p: F("value").startswith(p) & (F("value") == p),
    "declared": lambda p: F("lang") == p,
    "declared, list": lambda p: F("lang").in_([p]),
    "declared, pattern": lambda p: F("lang").like(escaped(p)),
    "id": lambda p: F("id") == p,
    "ids": lambda p: F("id").in_([p]),
    "title": lambda p: F("title") == p,
    "uri": lambda p: F("uri").startswith(p) & (F("uri") == p),
    "json": lambda p: {json.dumps(p): "key", "value": {"in": [p]}, "list": {"contains": p}, "title": p},
    "text": lambda p: parse_text(f"{json.dumps(p)} = 'key' and value = {quoted(p)} and list contains ({quoted(p)})"),
}


@pytest.mark.parametrize("slot", SLOTS)
def test_every_payload_finds_its_document(attacked: Collection, slot: str, sent: Sent) -> None:
    """All payloads in few statements, and some of them one by one."""
    make = SLOTS[slot]
    for start in range(0, len(PAYLOADS), 100):
        some = PAYLOADS[start : start + 100]
        conditions = [attacked._condition(make(payload)) for payload in some]
        assert attacked.count(Or(tuple(part for part in conditions if part is not None))) == len(some)
    for payload in PAYLOADS[len(slot) % 7 :: 29]:
        assert [document.id for document in attacked.scan(make(payload))] == [payload]
        (hit,) = attacked.search([1, 1], where=make(payload), exact=True)
        assert (hit.document_id, hit.content) == (payload, payload)


def test_ids_and_facets(attacked: Collection, sent: Sent) -> None:
    assert [document.id for document in attacked.get(PAYLOADS)] == PAYLOADS
    assert set(attacked.vectors(PAYLOADS)) == set(PAYLOADS)
    for payload in PAYLOADS:
        assert attacked.facets([payload]) == [("key", 1)]
    for payload in PAYLOADS[::10]:
        assert attacked.facets(["nested", payload, payload], where=F("value") == payload) == [(payload, 1)]
        assert attacked.get(payload).metadata == entry(payload)
        assert len(attacked.search(like=payload, limit=2)) == 2
    assert len(attacked.facets("value", limit=None)) == len(PAYLOADS)


def test_writing(new_collection: NewCollection, home: VectorDB, sent: Sent) -> None:
    docs = new_collection(dimensions=2, index=None, fields={"lang": str})
    docs.upsert_vectors(PAYLOADS, [[1, 2]] * len(PAYLOADS), contents=PAYLOADS, metadata=list(map(entry, PAYLOADS)))
    for payload in PAYLOADS:
        assert docs.patch_metadata({payload: {payload: payload}, "lang": payload}, remove=["value"], ids=payload) == 1
    assert docs.count(F("value").exists()) == 0
    assert docs.patch_metadata({}, remove=PAYLOADS, where={}) == len(PAYLOADS)
    assert docs.count(Or(tuple(F([payload]).exists() for payload in PAYLOADS[:900]))) == 0
    for payload in PAYLOADS[::10]:
        view = docs.where(F([payload]) == payload)
        view.upsert(Document(payload, f"view {payload}", embedding=[1, 2]))
        assert view.count() == 1
        assert view.delete(where=F("id") == f"view {payload}") == 1
    assert docs.delete(where=F("lang").in_(PAYLOADS[:500])) == 500
    assert docs.delete(PAYLOADS) == len(PAYLOADS) - 500
    assert docs.count() == 0


def test_names(home: VectorDB, sent: Sent) -> None:
    home.collections()
    attacks: list[Callable[[str], object]] = [
        check_name,
        check_field_name,
        lambda name: home.create_collection(name, dimensions=2),
        lambda name: home.create_collection("fine", dimensions=2, fields={name: int}),
        home.collection,
        home.drop_collection,
    ]
    for payload in PAYLOADS:
        if payload == MARK:
            continue
        for attack in attacks:
            with pytest.raises(VectorDBError) as caught:
                attack(payload)
            assert isinstance(caught.value, (InvalidName, LookupError))


def test_operators_and_grammar(attacked: Collection, sent: Sent) -> None:
    attacked.count()
    for payload in PAYLOADS:
        for value in ({"a": {payload: 1}}, {payload: {payload: 1}}, {"a": {"in": {payload: 1}}}, {"not": payload}):
            with pytest.raises(InvalidFilter):
                attacked.count(value)
        with pytest.raises(InvalidFilter):
            Compare("a", payload, 1)  # type: ignore[arg-type] # the attack
        with pytest.raises(InvalidInput):
            attacked.search([1, 1], group_by=payload)
        with pytest.raises(InvalidInput):
            attacked.search([1, 1], strategy=payload)
        for text in (payload, f"a = {payload}", f"{payload} = 1", f"a in ({payload})", f"a = 1 {payload}"):
            with suppress(InvalidFilter):
                attacked.count(parse_text(text))
        with suppress(InvalidFilter):
            attacked.count(parse({payload: payload}))


def test_the_tables_are_still_there(attacked: Collection, home: VectorDB, sent: Sent) -> None:
    assert attacked.count() == attacked.count(And((F("lang").exists(),))) == len(PAYLOADS)
    assert rows(home, "SELECT count(*) FROM vectordb.attacked_chunks") == [(len(PAYLOADS),)]
