"""Lookups that Django does not have."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, ForeignKey, Lookup
from django.db.models.lookups import In
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


@ForeignKey.register_lookup
@Field.register_lookup
class AnyOf(Lookup[Any]):
    """`pk__any_of=ids`: as `pk__in=ids`, but all values are one parameter: a night's batch asks with hundreds.

    `__in` binds each by itself, which takes longer than the database needs to find the rows. A query is asked as by it.
    """

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        if isinstance(self.rhs, Query):
            return In(self.lhs, self.rhs).as_sql(compiler, connection)
        field, params = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.db_type(connection)
        return f"{field} = ANY(%s::{kind}[])", [*params, list(self.rhs)]
