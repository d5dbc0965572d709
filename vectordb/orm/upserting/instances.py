"""Instances of the model: what they give before upsert, and what becomes of them after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from sqlalchemy import Column, inspect, select, tuple_
from sqlalchemy.orm import InstanceState, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from vectordb.declarations import INFO
from vectordb.errors import ConfigurationError, InvalidInput
from vectordb.orm.upserting.attributes import Attributes

if TYPE_CHECKING:
    from vectordb.orm.upserting.rows import Rows


class Shape(NamedTuple):
    """What an instance gives: attributes to write, whether a vector; and whether it is the session's own."""

    names: tuple[str, ...]
    vector: bool
    managed: bool


def shape(attributes: Attributes, session: Session, instance: Any, number: int) -> Shape:
    """Return what an instance gives.

    Raises:
        InvalidInput: It is detached, deleted, of another session, or has related instances that would not be written.
        ConfigurationError: Its row would be one of several tables.
    """
    state: InstanceState[Any] = inspect(instance)
    vector_name = attributes.mapping.attribute
    _check_state(state, session, number)
    if state.session is session:
        # What is set on it is flushed with all the rest; a vector counts as given if it is new.
        is_new = state.pending or vector_name in state.committed_state
        return Shape((), is_new and state.dict.get(vector_name) is not None, managed=True)
    if not attributes.whole:
        refuse_parts(attributes, number)
    for name in attributes.mapping.mapper.relationships.keys():  # noqa: SIM118 - no mapping
        if state.dict.get(name):
            raise InvalidInput(
                f"row {number}: upsert writes columns, and not the relationship {name!r} of the"
                f" {type(instance).__name__}; set its foreign key, or session.add() the instance before",
                row=number,
            )
    values = state.dict
    names = tuple(
        name
        for name, column in attributes.columns.items()
        if name in values
        if name not in (vector_name, attributes.hash) and column.computed is None
        if values[name] is not None or not _is_absent(attributes, name, column)
    )
    return Shape(names, values.get(vector_name) is not None, managed=False)


def _check_state(state: InstanceState[Any], session: Session, number: int) -> None:
    why = None
    if state.detached or state.was_deleted:
        why = "is detached; session.merge() it, or give a mapping"
    elif state.deleted or state.obj() in session.deleted:
        why = "is deleted in this session"
    elif state.session not in (None, session):
        why = "belongs to another session"
    if why is not None:
        raise InvalidInput(f"row {number}: the {state.class_.__name__} {why}", row=number)


def _is_absent(attributes: Attributes, name: str, column: Column[Any]) -> bool:
    """Whether None in an instance means that nobody gave a value, as for the ORM."""
    return (
        name in attributes.keys
        or column.default is not None
        or column.server_default is not None
        or INFO in column.info
    )


def refuse_parts(attributes: Attributes, number: int) -> NoReturn:
    """Refuse a row of a model of several tables that is not in the session.

    Raises:
        ConfigurationError: Always.
    """
    model = attributes.mapping.model.__name__
    raise ConfigurationError(
        f"row {number}: a {model} is a row of several tables, which one statement cannot write; session.add() the"
        " instances, and give them to upsert, which then embeds their texts",
    )


def refresh(attributes: Attributes, session: Session, given: Sequence[Any]) -> None:
    """Load what the session has forgotten of its instances, all at once."""
    needed = {*attributes.keys, *attributes.mapping.declaration.sources}
    expired = [instance for instance in given if needed & inspect(instance).expired_attributes]
    if expired:
        mapping = attributes.mapping
        keys = [inspect(instance).identity for instance in expired]
        statement = select(mapping.model).where(tuple_(*mapping.mapper.primary_key).in_(keys))
        session.execute(statement).scalars().all()


def settle(attributes: Attributes, session: Session, rows: Rows, written: Sequence[int]) -> None:
    """Make the session's view of rows that of the database.

    An instance that was new becomes persistent, unless the session has another one of the same key, which is expired
    instead. What the database made of a row is loaded when it is asked for.

    Args:
        attributes: Of the model.
        session: Of the call.
        rows: With their keys.
        written: Positions of those that are different from before.
    """
    vector_names = {attributes.mapping.attribute, *((attributes.hash,) if attributes.hash is not None else ())}
    made = {*attributes.made_by_database, *vector_names}
    if rows.managed:
        for i in written:
            session.expire(rows.given[i], list(made))
        return
    if not rows.instances and not session.identity_map:
        return
    changed = set(written)
    others = list(attributes.columns.keys() - set(attributes.keys))
    for i, key in enumerate(rows.keys or ()):
        present = session.identity_map.get(attributes.mapping.mapper.identity_key_from_primary_key(key))
        if present is not None:
            if i in changed:
                session.expire(present, others)
        elif rows.instances:
            _adopt(attributes, session, rows.given[i], key, {*rows.names, *attributes.keys}, made)


def _adopt(
    attributes: Attributes, session: Session, instance: Any, key: tuple[Any, ...], known: set[str], made: set[str]
) -> None:
    for name, value in zip(attributes.keys, key, strict=True):
        set_committed_value(instance, name, value)
    stale = {name for name in attributes.columns if name in inspect(instance).dict} - known
    make_transient_to_detached(instance)
    session.add(instance)
    session.expire(instance, list(stale | made))
