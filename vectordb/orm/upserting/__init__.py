"""Upsert of an application's rows, in its own session and transaction."""

from __future__ import annotations

from vectordb.orm.upserting.batches import BATCH_SIZE, upsert

__all__ = ["BATCH_SIZE", "upsert"]
