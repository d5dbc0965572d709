"""Rerankers: what orders the best hits anew, with more care than a search of the whole collection could take.

`CrossEncoder` reads query and text together, `BiEncoderReranker` asks another embedder, `MaxSim` compares token by
token; any function of a query and texts will do as well.
"""

from vectordb.rerankers.base import Reranker, check_reranker, rerank_scores
from vectordb.rerankers.bi_encoder import BiEncoderReranker
from vectordb.rerankers.cross_encoder import CrossEncoder
from vectordb.rerankers.max_sim import MaxSim

__all__ = ["BiEncoderReranker", "CrossEncoder", "MaxSim", "Reranker", "check_reranker", "rerank_scores"]
