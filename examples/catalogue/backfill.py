"""Embed the products that have no embedding: `python -m examples.catalogue.backfill`, between revisions 0002 and 0003.

It can be interrupted, and run again, at any time: what is left to do is what has no embedding. Several may run at once.
With `--all` it looks at every product, and embeds those of which the text was changed past the application, too.
"""

from __future__ import annotations

import sys

from sqlalchemy import select, true
from sqlalchemy.orm import Session, sessionmaker

import vectordb
from examples.catalogue.models import Product
from vectordb.orm import Repository


def backfill(
    sessions: sessionmaker[Session], products: Repository[Product], *, everything: bool = False, batch_size: int = 64
) -> int:
    """Go over the table once, and return how many products were embedded.

    Each batch is a transaction, so that nothing is done twice, and its rows are locked while the model works, so that
    nobody changes a text whose vector is being made. That is why batches are small: a writer waits for one at most.
    """
    todo = true() if everything else Product.embedding.is_(None)
    done = last = 0
    while True:
        with sessions.begin() as session:
            batch = session.scalars(
                select(Product)
                .where(todo, Product.id > last)
                .order_by(Product.id)
                .limit(batch_size)
                # Rows that somebody else is at are passed over. Others may refer to those that are locked here.
                .with_for_update(skip_locked=True, key_share=True)
            ).all()
            if not batch:
                return done
            last = batch[-1].id
            done += products.upsert(session, batch).chunks


def main() -> None:
    """Go over the table until there is nothing left to do."""
    products = Repository(Product)
    with vectordb.connect() as db:
        sessions = sessionmaker(db.engine)
        while done := backfill(sessions, products, everything="--all" in sys.argv):
            print(f"{done} products embedded")


if __name__ == "__main__":
    main()
