"""The catalogue from its first revision to its searches: `python -m examples.catalogue`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, insert, inspect

import vectordb
from examples.catalogue.app import Catalogue
from examples.catalogue.backfill import backfill
from examples.catalogue.models import Base, Product

FOLDER = Path(__file__).parent


def migrations(engine: Engine) -> Config:
    """Return the configuration of the application's Alembic."""
    config = Config(FOLDER / "alembic.ini", attributes={"configure_logger": False})
    config.set_main_option("sqlalchemy.url", engine.url.render_as_string(hide_password=False).replace("%", "%%"))
    return config


def fill(connection: Connection) -> None:
    """Write the products as the application did before they could be searched."""
    data = json.loads((FOLDER / "products.json").read_text(encoding="utf-8"))
    categories = _ids(connection, "categories", [{"name": name} for name in data["categories"]])
    origins = [{"name": name, "country": country} for name, country in data["suppliers"].items()]
    suppliers = _ids(connection, "suppliers", origins)
    rows = [
        {**row, "category_id": categories[row.pop("category")], "supplier_id": suppliers[row.pop("supplier")]}
        for row in data["products"]
    ]
    connection.execute(insert(Base.metadata.tables["products"]), rows)


def _ids(connection: Connection, name: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Insert rows, and return their keys by name."""
    table = Base.metadata.tables[name]
    return {row.name: row.id for row in connection.execute(insert(table).returning(table.c.name, table.c.id), rows)}


def prepare(engine: Engine, catalogue: Catalogue) -> None:
    """Go through the history of the catalogue: tables, products, columns, the backfill, the index."""
    config = migrations(engine)
    if not inspect(engine).has_table("products"):
        command.upgrade(config, "0001")
        with engine.begin() as connection:
            fill(connection)
    command.upgrade(config, "0002")
    print(f"embedded {backfill(catalogue.sessions(engine), catalogue.products)} products\n")
    command.upgrade(config, "head")


def search(engine: Engine, catalogue: Catalogue) -> None:
    """Ask the catalogue a few questions."""
    with catalogue.sessions(engine)() as session:
        print("Making coffee outdoors:")
        for hit in catalogue.find(session, "making coffee outdoors", limit=2):
            print(f"  {hit.entity.title}, {hit.entity.category.name}, {hit.entity.price} (score {hit.score:.2f})")
        print("\nA battery for the HT-36, from Germany, for less than 150:")
        for hit in catalogue.find(session, "battery for the HT-36", country="DE", below=150, limit=1):
            print(f"  {hit.entity.title}: by meaning no. {hit.vector_rank}, by words no. {hit.text_rank}")
        knife = session.get_one(Product, 2)
        print(f"\nLike the {knife.title}:")
        for product in catalogue.similar(session, knife):
            print(f"  {product.title}")
        print("\nSharp blades are in:")
        for name, hits, price in catalogue.shelves(session, "sharp blades", among=6):
            print(f"  {name}: {hits}, from {price}")


def main() -> None:
    """Prepare the database, and search."""
    catalogue = Catalogue()
    with vectordb.connect() as db:
        prepare(db.engine, catalogue)
        search(db.engine, catalogue)


if __name__ == "__main__":
    main()
