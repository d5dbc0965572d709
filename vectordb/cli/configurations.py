"""`--config`: a configuration of an evaluation as one text, such as `tuned: mode=hybrid alpha=0.7 exact`."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import TYPE_CHECKING, Any, NoReturn

from vectordb.errors import InvalidInput

if TYPE_CHECKING:
    from vectordb import Collection, Filter
    from vectordb.evaluation import Configuration

_NAMED = re.compile(r"\s*([^:=]*[^:=\s])\s*:(.*)", re.DOTALL)
_FLAGS = ("exact",)
_WHOLE = {"depth": "rerank_depth", "ef_search": "ef_search", "truncate": "truncate_dim", "limit": "limit"}
# Each with the options that it takes.
_FUSIONS = {"bounded": ("alpha",), "relative_score": ("alpha",), "rrf": ("k", "weights")}
_RERANKERS = ("cross-encoder", "bi-encoder", "maxsim")
_KEYS = ("mode", "fusion", "alpha", "k", "weights", "rerank", *_WHOLE)
SYNTAX = (
    "NAME: mode=vector|text|hybrid fusion=bounded|relative_score|rrf alpha=0.5 k=60 weights=1,1 "
    "rerank=cross-encoder:MODEL|bi-encoder[:MODEL]|maxsim[:MODEL] depth=50 exact ef_search=200 truncate=128 limit=100"
)


def read_configuration(text: str, docs: Collection, where: Filter | None = None) -> Configuration:
    """Return the configuration that a text describes; without a name the text is the name.

    Args:
        text: As `SYNTAX` has it.
        docs: To be evaluated; its embedder serves rerankers that name no model.
        where: Filter of the configuration.

    Raises:
        InvalidInput: The text cannot be understood.
    """
    from vectordb.evaluation import Configuration

    named = _NAMED.fullmatch(text)
    name, rest = (named[1].strip(), named[2]) if named else (text.strip(), text)
    given = _options(rest, name)
    chosen: dict[str, Any] = {_WHOLE[key]: _whole(given[key], key, name) for key in _WHOLE if key in given}
    if "mode" in given:
        if given["mode"] not in ("vector", "text", "hybrid"):
            _refuse(name, f"mode is vector, text or hybrid, not {given['mode']!r:.40}")
        chosen["mode"] = given["mode"]
    if fusion := _fusion(given, name):
        chosen["fusion"] = fusion
    if "rerank" in given:
        chosen["rerank"] = _reranker(given["rerank"], docs, name)
    return Configuration(name, exact="exact" in given, where=where, **chosen)


def _options(text: str, name: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError:
        _refuse(name, "a quote is not closed")
    given: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        key = key.replace("-", "_")
        if key not in (_KEYS if separator else _FLAGS):
            near = difflib.get_close_matches(key, (*_KEYS, *_FLAGS), 1)
            hint = f"did you mean {near[0]}?" if near else f"write {SYNTAX}"
            _refuse(name, f"{word[:40]!r} is no option; {hint}")
        if key in given:
            _refuse(name, f"{key} is given twice")
        given[key] = value
    return given


def _fusion(given: dict[str, str], name: str) -> Any:
    """Return the fusion; None where nothing is said of it."""
    kind = given.get("fusion", "bounded")
    if kind not in _FUSIONS:
        _refuse(name, f"fusion is one of {', '.join(_FUSIONS)}, not {kind!r:.40}")
    parameters: dict[str, Any] = {}
    for key in ("alpha", "k", "weights"):
        if key not in given:
            continue
        if key not in _FUSIONS[kind]:
            _refuse(name, f"{key} does not go with fusion={kind}")
        parameters[key] = _numbers(given[key], name) if key == "weights" else _number(given[key], key, name)
    if not parameters and "fusion" not in given:
        return None
    from vectordb.fusion import RRF, Bounded, RelativeScore

    return {"bounded": Bounded, "relative_score": RelativeScore, "rrf": RRF}[kind](**parameters)


def _reranker(text: str, docs: Collection, name: str) -> Any:
    kind, _, model = text.partition(":")
    if kind not in _RERANKERS:
        _refuse(name, f"rerank is one of {', '.join(_RERANKERS)}, with :MODEL after it, not {text!r:.40}")
    if kind == "cross-encoder" and not model:
        _refuse(name, "a cross-encoder needs its model, as in rerank=cross-encoder:MODEL")
    from vectordb import rerankers

    if kind == "cross-encoder":
        return rerankers.CrossEncoder(model)
    source: Any = model or docs.embedder
    return rerankers.BiEncoderReranker(source) if kind == "bi-encoder" else rerankers.MaxSim(source)


def _whole(text: str, key: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        _refuse(name, f"{key} is a whole number, not {text!r:.40}")
    return int(text)


def _number(text: str, key: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        _refuse(name, f"{key} is a number, not {text!r:.40}")


def _numbers(text: str, name: str) -> tuple[float, ...]:
    numbers = tuple(_number(part, "each of weights", name) for part in text.split(","))
    if len(numbers) != 2:
        _refuse(name, f"weights are two numbers, of vector and text, as in weights=2,1, not {text!r:.40}")
    return numbers


def _refuse(name: str, what: str) -> NoReturn:
    raise InvalidInput(f"--config {name[:60]!r}: {what}") from None
