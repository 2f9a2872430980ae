"""App configurations that take the place of third-party ones where MongoDB is the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.contrib.auth import apps as auth
from django.contrib.contenttypes import apps as contenttypes
from django.db import connections, models
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django_apscheduler import apps as django_apscheduler
from rest_framework_simplejwt.token_blacklist import apps as token_blacklist

from polaris.mongodb import AUTO_FIELD, ENGINE


class AdminConfig(admin.AdminConfig):
    """The admin, its log with ObjectId keys."""

    default_auto_field = AUTO_FIELD


class AuthConfig(auth.AuthConfig):
    """Accounts, groups and permissions with ObjectId keys."""

    default_auto_field = AUTO_FIELD


class ContentTypesConfig(contenttypes.ContentTypesConfig):
    """Content types with ObjectId keys."""

    default_auto_field = AUTO_FIELD


class DjangoApschedulerConfig(django_apscheduler.DjangoApschedulerConfig):
    """The housekeeping's history with ObjectId keys."""

    default_auto_field = AUTO_FIELD

    def import_models(self) -> None:
        with _uncounted():
            super().import_models()


class TokenBlacklistConfig(token_blacklist.TokenBlacklistConfig):
    """The tokens that are out, and the spent ones, with ObjectId keys."""

    default_auto_field = AUTO_FIELD

    def import_models(self) -> None:
        with _uncounted():
            super().import_models()


# Its models look for the app's own name among INSTALLED_APPS, so that must stay there: Django finds
# this configuration behind it. The apps above are listed before it, and bring this module.
token_blacklist.TokenBlacklistConfig = TokenBlacklistConfig  # type: ignore[misc]


@contextmanager
def _uncounted() -> Iterator[None]:
    """For models that name BigAutoField themselves: that class is another one while they are read.

    They must not have been imported before."""
    from django_mongodb_backend.fields import ObjectIdAutoField  # noqa: PLC0415 (optional)

    counted = models.BigAutoField
    models.BigAutoField = ObjectIdAutoField  # type: ignore[misc]
    try:
        yield
    finally:
        models.BigAutoField = counted  # type: ignore[misc]


class BackendConfig(AppConfig):
    """The back end, and the indexes that it leaves out."""

    name = ENGINE

    def ready(self) -> None:
        """Every `migrate` ends with the indexes; every connection begins with a look at who is
        there."""
        server = import_module("polaris.mongodb_server")
        server.judge_versions()
        server.put_refusals_in_words()
        connection_created.connect(server.look_at, dispatch_uid="polaris.mongodb_server")
        post_migrate.connect(add_lookup_indexes, dispatch_uid="polaris.mongodb_apps")


def add_lookup_indexes(*, app_config: AppConfig, using: str, **_: Any) -> None:
    """Give what is unique a plain index, too.

    Version 5.2.4 makes unique indexes partial ({field: {$type: …}}), and the server uses a partial
    index only for queries that repeat its condition, which those of the back end do not: without
    this, looking a row up by its key reads the whole collection. Its pull request 543 will help.

    `migrate` of one app sends word to all of them; an index would make a collection that is not
    there yet, and the migration that is to make it would fail."""
    connection: Any = connections[using]
    there = connection.introspection.table_names()
    for model in app_config.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy and model._meta.db_table in there:
            collection = connection.get_collection(model._meta.db_table)
            for columns in sorted(set(unique_columns(model))):
                name = "_".join(["lookup", *columns])
                collection.create_index([(column, 1) for column in columns], name=name)


def unique_columns(model: type[models.Model]) -> Iterator[tuple[str, ...]]:
    """The columns of each of the model's unique indexes, but for `_id`, which needs none."""
    options: Any = model._meta
    for field in options.local_fields:
        if field.unique and field.column != "_id":
            yield (field.column,)
    constraints = [each.fields for each in options.total_unique_constraints]
    for names in [*options.unique_together, *constraints]:
        yield tuple(options.get_field(name).column for name in names)
