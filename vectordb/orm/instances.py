"""What becomes of instances, and of the session's own, after their rows were written past the session."""

from __future__ import annotations

from sqlalchemy import inspect
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from vectordb.orm.given import Attributes, Row


def settle(attributes: Attributes, session: Session, row: Row, *, written: bool) -> None:
    """Make the session's view of a row that of the database.

    An instance that was new becomes persistent, unless the session has another one of the same key, which is expired
    instead. What the database made of the row is loaded when it is asked for.
    """
    if row.managed:
        if written:
            session.expire(row.instance, list({*attributes.made_by_database, *_vector_names(attributes)}))
        return
    if row.key is None:
        return
    present = session.identity_map.get(attributes.mapping.mapper.identity_key_from_primary_key(row.key))
    if present is not None:
        if written:
            session.expire(present, list(attributes.columns.keys() - set(attributes.keys)))
    elif row.instance is not None:
        _adopt(attributes, session, row)


def _adopt(attributes: Attributes, session: Session, row: Row) -> None:
    instance, key = row.instance, row.key or ()
    for name, value in zip(attributes.keys, key, strict=True):
        set_committed_value(instance, name, value)
    stale = {name for name in attributes.columns if name in inspect(instance).dict} - {*row.names, *attributes.keys}
    make_transient_to_detached(instance)
    session.add(instance)
    session.expire(instance, list({*stale, *attributes.made_by_database, *_vector_names(attributes)}))


def _vector_names(attributes: Attributes) -> set[str]:
    return {attributes.mapping.attribute, *((attributes.hash,) if attributes.hash is not None else ())}
