"""Options of `vectordb search` that say how hits are ranked: by what, fused how, and reranked by whom."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vectordb.cli.options import given
from vectordb.errors import InvalidInput

if TYPE_CHECKING:
    from vectordb import Collection
    from vectordb.fusion import NamedFusion
    from vectordb.rerankers import Reranker


class Mode(StrEnum):
    """What a search goes by."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


class FusionName(StrEnum):
    """How one score is made of two."""

    BOUNDED = "bounded"
    RELATIVE_SCORE = "relative_score"
    RRF = "rrf"


ModeOption = Annotated[
    Mode | None,
    typer.Option("--mode", help="Go by the vector, by the words (BM25), or by both. Default: both for a text."),
]
Fusion = Annotated[
    FusionName | None, typer.Option("--fusion", help="How a hybrid search makes one score of two. Default: bounded.")
]
Alpha = Annotated[
    float | None,
    typer.Option("--alpha", help="bounded, relative_score: share of the vector, 0 to 1. Default: 0.5."),
]
RRFK = Annotated[float | None, typer.Option("--rrf-k", help="rrf: how little first ranks count for more. Default: 60.")]
Weights = Annotated[
    str | None, typer.Option("--weights", metavar="V,T", help="rrf: weights of vector and text. Default: 1,1.")
]
Rerank = Annotated[
    str | None,
    typer.Option(
        "--rerank",
        metavar="MODEL",
        help="Order the best hits anew: by a cross-encoder's name or folder; or maxsim, or bi-encoder:MODEL.",
    ),
]
RerankDepth = Annotated[
    int | None,
    typer.Option("--rerank-depth", help="With --rerank: hits to order anew, --limit + --offset or more. Default: 50."),
]

_PARAMETERS = {
    FusionName.BOUNDED: ("alpha",),
    FusionName.RELATIVE_SCORE: ("alpha",),
    FusionName.RRF: ("rrf-k", "weights"),
}


def read_fusion(
    name: FusionName | None, *, alpha: float | None, rrf_k: float | None, weights: str | None
) -> NamedFusion | None:
    """Return the fusion that the options describe; None where nothing is said of it.

    Raises:
        InvalidInput: A parameter of another fusion, or out of range.
    """
    parameters = given(**{"alpha": alpha, "rrf-k": rrf_k, "weights": weights})
    if name is None and not parameters:
        return None
    name = name or FusionName.BOUNDED
    for parameter in parameters:
        if parameter not in _PARAMETERS[name]:
            raise InvalidInput(f"--{parameter} does not go with --fusion {name}")
    from vectordb.fusion import RRF, Bounded, RelativeScore

    if name is FusionName.RRF:
        return RRF(**given(k=rrf_k, weights=None if weights is None else _read_weights(weights)))
    return (Bounded if name is FusionName.BOUNDED else RelativeScore)(**given(alpha=alpha))


def read_reranker(text: str | None, collection: Collection) -> Reranker | None:
    """Return the reranker that an option names.

    Args:
        text: `cross-encoder:MODEL`, `bi-encoder[:MODEL]`, `maxsim[:MODEL]`, or the name of a cross-encoder alone.
        collection: Its embedder serves where no model is named.

    Raises:
        InvalidInput: No model is named.
    """
    if text is None:
        return None
    from vectordb import rerankers

    kind, _, model = text.partition(":")
    if kind == "maxsim":
        embedder: object = model or collection.embedder
        return rerankers.MaxSim(embedder)  # type: ignore[arg-type] # it refuses other embedders by itself
    if kind == "bi-encoder":
        return rerankers.BiEncoderReranker(model or collection.embedder)
    name = model if kind == "cross-encoder" else text
    if not name:
        raise InvalidInput("--rerank takes the name or folder of a cross-encoder, or maxsim")
    return rerankers.CrossEncoder(name)


def _read_weights(text: str) -> tuple[float, ...]:
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        _refuse_weights(text)
    if len(weights) != 2:
        _refuse_weights(text)
    return weights


def _refuse_weights(text: str) -> NoReturn:
    raise InvalidInput(f"--weights takes two numbers, of vector and text, as in 2,1, not {text[:40]!r}") from None
