"""The words that the revisions are written in."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table, Text


def text(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def numbers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def table(name: str, key: str, *columns: list[Column[str]] | list[Column[int]]) -> Table:
    flat = [column for group in columns for column in group]
    return op.create_table(name, *flat, PrimaryKeyConstraint(*key.split(), name=f"{name}_pk"))


def index(name: str, *columns: str) -> None:
    op.create_index(f"{name}_by_{'_'.join(columns)}", name, columns)
