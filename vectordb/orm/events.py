"""Embedding at flush: an opt-in event of the application's sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import InstanceState, Session

from vectordb import vectors
from vectordb.embedders import EmbedderIdentity
from vectordb.errors import ConfigurationError, InvalidInput, InvalidVector
from vectordb.orm import sessions
from vectordb.orm.hashing import check_filled_by, embedder_key, stored_hash, text_hashes
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.repository import Repository


class FlushListener:
    """Embeds at flush until it is removed.

    Attributes:
        target: What it listens to.
        repositories: Whose models it embeds.
    """

    def __init__(self, target: Any, repositories: tuple[Repository[Any], ...]) -> None:
        self.target = target
        self.repositories = repositories
        event.listen(target, "before_flush", self._before_flush)

    def remove(self) -> None:
        """Stop listening; doing so twice is no error."""
        if event.contains(self.target, "before_flush", self._before_flush):
            event.remove(self.target, "before_flush", self._before_flush)

    def _before_flush(self, session: Session, *_: Any) -> None:
        for repository in self.repositories:
            _embed(session, repository)


def embed_on_flush(target: Any, *repositories: Repository[Any]) -> FlushListener:
    """Embed instances when a session flushes those that are new, or of which the source has changed.

    All texts of a flush are embedded at once. A vector that was set on an instance since the last flush stays, and its
    hash is NULL then; an instance whose text is None or blank has no vector. What goes past the unit of work is not
    seen: `session.execute(insert(Model)…)`, `update(Model)…`, the bulk methods; use `Repository.upsert` for those.
    Where the source is a function, every changed instance is asked for its text. The first flush of a session that
    embeds raises EmbedderMismatch if the table holds vectors of another embedder.

    Args:
        target: A session, an `AsyncSession`, a `sessionmaker` or `async_sessionmaker`, or a class of sessions.
        *repositories: Of the models, one for each embedding column.

    Returns:
        A handle; `remove()` ends it.

    Raises:
        InvalidInput: No repository, or something else than one.
        ConfigurationError: Events cannot be heard of the target; or a model has no embedding column, or no source.
    """
    if not repositories or not all(isinstance(repository, Repository) for repository in repositories):
        raise InvalidInput("embed_on_flush takes a session and one Repository for each embedding column")
    for repository in repositories:
        if repository.mapping.declaration.source is None:
            column = f"{repository.model.__name__}.{repository.mapping.attribute}"
            raise ConfigurationError(f"{column} has no source, so there is no text to embed")
    return FlushListener(_sync_target(target), repositories)


def _sync_target(target: Any) -> Any:
    """Return what SQLAlchemy's events listen to."""
    target = getattr(target, "sync_session", target)
    made = getattr(target, "class_", target)  # a sessionmaker's own class of sessions
    if hasattr(made, "sync_session_class"):
        # Unless it was told otherwise, it makes the sessions of everybody else, too.
        made = getattr(target, "kw", {}).get("sync_session_class", made.sync_session_class)
        if made is Session:
            raise ConfigurationError(
                "an async_sessionmaker has no class of sync sessions of its own to listen to; give it one:"
                " async_sessionmaker(engine, sync_session_class=sessionmaker().class_)"
            )
    if isinstance(made, Session) or (isinstance(made, type) and issubclass(made, Session)):
        return made
    raise ConfigurationError(
        f"events are heard of a session, a sessionmaker or a class of sessions, not of a {type(target).__name__}"
    )


def _embed(session: Session, repository: Repository[Any]) -> None:
    mapping = repository.mapping
    waiting: list[tuple[Any, str]] = []
    for instance in _changed(session, repository):
        if (given := _given(instance, mapping.attribute)) is not None:
            _set(instance, repository, given, None)
        elif (text := mapping.source_text(instance)) is None:
            _set(instance, repository, None, None)
        else:
            waiting.append((instance, text))
    if not waiting:
        return
    identity, space = repository.embedder.identity, mapping.declaration.space
    _check_filled_by(session, mapping, identity)
    texts = list(dict.fromkeys(text for _, text in waiting))
    try:
        matrix = vectors.as_matrix(sessions.embed(repository.embedder, texts, "document"), space)
    except InvalidVector as error:
        raise type(error)(f"the embedder's vectors: {error}", **error.facts) from None
    hashes = text_hashes(embedder_key(identity), texts)
    made = dict(zip(texts, zip(matrix, hashes, strict=True), strict=True))
    for instance, text in waiting:
        _set(instance, repository, *made[text])


def _check_filled_by(session: Session, mapping: ModelMapping, identity: EmbedderIdentity) -> None:
    """Look once per session whether the table holds vectors of another embedder."""
    checked = session.info.setdefault("vectordb_filled_by", set())
    if (mapping.embedding, identity) in checked:
        return
    connection = session.connection(bind_arguments={"mapper": mapping.mapper})
    check_filled_by(mapping, identity, connection.execute(stored_hash(mapping)).scalar())
    checked.add((mapping.embedding, identity))


def _changed(session: Session, repository: Repository[Any]) -> Iterable[Any]:
    """Return instances of the model that are new, or of which the source or the vector has changed."""
    mapping = repository.mapping
    for instance in session.new:
        if isinstance(instance, repository.model):
            yield instance
    watched = {*mapping.declaration.sources, mapping.attribute}
    for instance in session.dirty:
        if isinstance(instance, repository.model) and session.is_modified(instance):
            state: InstanceState[Any] = inspect(instance)
            if callable(mapping.declaration.source) or any(_has_changed(state, name) for name in watched):
                yield instance


def _has_changed(state: InstanceState[Any], name: str) -> bool:
    return name not in state.attrs or state.attrs[name].history.has_changes()


def _given(instance: Any, attribute: str) -> Any:
    """Return the vector that was set since the last flush."""
    state: InstanceState[Any] = inspect(instance)
    if state.persistent and attribute not in state.committed_state:
        return None
    return state.dict.get(attribute)


def _set(instance: Any, repository: Repository[Any], vector: Any, hash: bytes | None) -> None:
    mapping = repository.mapping
    setattr(instance, mapping.attribute, vector)
    setattr(instance, mapping.mapper.get_property_by_column(mapping.hash_column).key, hash)
