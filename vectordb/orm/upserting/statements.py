"""SQL of upsert over an application's table: many rows as arrays, in one statement.

Names come quoted from SQLAlchemy's dialect, types from it or from the catalogue, values are parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vectordb.orm.hashing import LOOKED_AT
from vectordb.orm.upserting.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Target:
    """The table written to.

    Attributes:
        table: Quoted, with its schema.
        keys: Of its primary key.
        embedding: Quoted name of the column.
        hash: Quoted name of the column beside it.
        vector_type: Of the embedding, as this database names it.
    """

    table: str
    keys: tuple[Parameter, ...]
    embedding: str
    hash: str
    vector_type: str


@dataclass(frozen=True, slots=True)
class Columns:
    """What a statement gives values to.

    Attributes:
        given: By the application; a row is different where one of these is.
        made: By the model's Python-side defaults.
        expressions: By its SQL-side defaults: quoted names and expressions.
        vector: `all`, `some` or `none`: of which rows the embedding and its hash are written.
    """

    given: tuple[Parameter, ...]
    made: tuple[Parameter, ...] = ()
    expressions: tuple[tuple[str, str], ...] = ()
    vector: str = "none"


def probe(target: str, hash: str) -> str:
    """Return types of columns, whether the transaction can only read, the table's being filled, and a hash in it."""
    return (
        "SELECT a.attname, a.atttypid, format_type(a.atttypid, NULL), y.typname, a.atttypmod,"
        f" current_setting('transaction_read_only')::boolean, EXISTS (SELECT FROM {target}),"
        f" (SELECT s.hash FROM (SELECT {hash} AS hash FROM {target} LIMIT {LOOKED_AT:d}) AS s"
        " WHERE s.hash IS NOT NULL LIMIT 1)"
        " FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid"
        " WHERE a.attrelid = %(table)s::regclass AND a.attname = ANY(%(names)s::text[]) AND NOT a.attisdropped"
    )


def stored(target: Target, further: Sequence[str] = ()) -> str:
    """Return which rows exist: their place in the arrays, hash, whether they have a vector, and further columns.

    They are locked until the end of the transaction, in the order of their keys, so that their text and vector stay
    as they are found, and so that two writers of the same rows wait for each other.
    """
    key = [f"k{i}" for i in range(len(target.keys))]
    matches = (f"t.{p.name} = u.{k}{p.cast}" for k, p in zip(key, target.keys, strict=True))
    columns = "".join(f", t.{name}" for name in further)
    return (
        f"SELECT u.n, t.{target.hash}, t.{target.embedding} IS NOT NULL{columns}"
        f" FROM {_unnest(key, target.keys)} WITH ORDINALITY AS u({', '.join(key)}, n)"
        f" JOIN {target.table} AS t ON {' AND '.join(matches)}"
        f" ORDER BY {', '.join(f't.{p.name}' for p in target.keys)} FOR NO KEY UPDATE OF t"
    )


def write(target: Target, insert: Columns | None, update: Columns | None) -> str:
    """Return the statement that inserts some rows and updates others; it returns the places of those it updated."""
    parts = []
    if insert is not None:
        parts.append(f"inserted AS ({_insert(target, insert)}{_on_conflict(target, insert)})")
    if update is not None:
        parts.append(f"updated AS ({_update(target, update)})")
    result = "SELECT n FROM updated" if update is not None else "SELECT 1 WHERE false"
    return f"WITH {', '.join(parts)} {result}"


def copy(target: Target, parameters: Sequence[Parameter], *, vector: bool) -> str:
    """Return the statement that takes new rows as a binary stream."""
    names = [p.name for p in parameters] + ([target.hash, target.embedding] if vector else [])
    return f"COPY {target.table} ({', '.join(names)}) FROM STDIN (FORMAT binary)"


def insert_without_keys(target: Target, columns: Columns) -> str:
    """Return the statement that inserts rows and returns the keys that the database makes, in order."""
    keys = ", ".join(p.name for p in target.keys)
    return f"{_insert(target, columns, keyed=False)} RETURNING {keys}"


def _insert(target: Target, columns: Columns, *, keyed: bool = True) -> str:
    parameters = (*columns.given, *columns.made)
    names = [f"i{i}" for i in range(len(parameters))]
    values = [f"u.{name}{p.cast}" for name, p in zip(names, parameters, strict=True)]
    into = [p.name for p in parameters] + [name for name, _ in columns.expressions]
    values += [expression for _, expression in columns.expressions]
    arrays = _arrays(names, parameters)
    if columns.vector != "none":
        names += ["ie", "ih"]
        into += [target.embedding, target.hash]
        values += ["u.ie", "u.ih"]
        arrays += [f"%(ie)b::{target.vector_type}[]", "%(ih)b::bytea[]"]
    order = ", ".join(
        f"u.{names[parameters.index(p)]}{p.cast}" for p in (target.keys if keyed else ()) if p in parameters
    )
    return (
        f"INSERT INTO {target.table} AS t ({', '.join(into)}) SELECT {', '.join(values)}"
        f" FROM unnest({', '.join(arrays)}) WITH ORDINALITY AS u({', '.join(names)}, n) ORDER BY {order or 'u.n'}"
    )


def _on_conflict(target: Target, columns: Columns) -> str:
    """Return what happens to a row that another writer inserted after we had looked for it."""
    compared = [(p.name, p.comparison) for p in columns.given if p not in target.keys]
    if columns.vector != "none":
        compared += [(target.hash, ""), (target.embedding, "")]
    keys = ", ".join(p.name for p in target.keys)
    if not compared:
        return f" ON CONFLICT ({keys}) DO NOTHING"
    changes = ", ".join(f"{name} = excluded.{name}" for name, _ in compared)
    differs = " OR ".join(f"t.{name}{how} IS DISTINCT FROM excluded.{name}{how}" for name, how in compared)
    return f" ON CONFLICT ({keys}) DO UPDATE SET {changes} WHERE {differs}"


def _update(target: Target, columns: Columns) -> str:
    parameters = (*target.keys, *columns.given, *columns.made)
    names = [f"w{i}" for i in range(len(parameters))]
    value = {p.name: f"u.{name}{p.cast}" for name, p in zip(names, parameters, strict=True)}
    arrays = _arrays(names, parameters)
    changes = [f"{p.name} = {value[p.name]}" for p in (*columns.given, *columns.made)]
    changes += [f"{name} = {expression}" for name, expression in columns.expressions]
    # An embedding is compared last, as that takes longest.
    differs = [f"t.{p.name}{p.comparison} IS DISTINCT FROM ({value[p.name]}){p.comparison}" for p in columns.given]
    if columns.vector != "none":
        names += ["we", "wh"]
        arrays += [f"%(we)b::{target.vector_type}[]", "%(wh)b::bytea[]"]
        both = f"t.{target.hash} IS DISTINCT FROM u.wh OR t.{target.embedding} IS DISTINCT FROM u.we"
        if columns.vector == "all":
            changes += [f"{target.embedding} = u.we", f"{target.hash} = u.wh"]
            differs.append(both)
        else:
            names.append("wv")
            arrays.append("%(wv)b::boolean[]")
            changes += [
                f"{target.embedding} = CASE WHEN u.wv THEN u.we ELSE t.{target.embedding} END",
                f"{target.hash} = CASE WHEN u.wv THEN u.wh ELSE t.{target.hash} END",
            ]
            differs.append(f"u.wv AND ({both})")
    matches = " AND ".join(f"t.{p.name} = {value[p.name]}" for p in target.keys)
    return (
        f"UPDATE {target.table} AS t SET {', '.join(changes)}"
        f" FROM unnest({', '.join(arrays)}) WITH ORDINALITY AS u({', '.join(names)}, n)"
        f" WHERE {matches} AND ({' OR '.join(differs)}) RETURNING u.n"
    )


def _unnest(names: Sequence[str], parameters: Sequence[Parameter]) -> str:
    return f"unnest({', '.join(_arrays(names, parameters))})"


def _arrays(names: Sequence[str], parameters: Sequence[Parameter]) -> list[str]:
    return [f"%({name})b::{p.element}[]" for name, p in zip(names, parameters, strict=True)]
