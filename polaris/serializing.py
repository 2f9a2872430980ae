"""What the serializers of all rooms share: strict input, moments in UTC, bounded JSON."""

import difflib
from collections.abc import Collection
from datetime import UTC
from typing import IO, Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import FormParser, JSONParser

_MOST_NAMED = 10


class UtcField(serializers.DateTimeField):
    """A moment, written in UTC with a Z."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know: a misspelt one would be passed over in silence.

    `ignored` are names of the resource that a client may send back as it got them."""

    ignored: ClassVar[Collection[str]] = ()

    def to_internal_value(self, data: Any) -> Any:
        """Raises ValidationError that names the unknown keys."""
        if isinstance(data, dict):
            known = set(self.fields) | set(self.ignored)
            unknown = [str(key) for key in data if key not in known][:_MOST_NAMED]
            if unknown:
                refused = {key: [_unknown(key, self.fields)] for key in unknown}
                raise serializers.ValidationError(refused, code="unknown")
        return super().to_internal_value(data)

    def read(self, data: Any) -> dict[str, Any]:
        """What `data` says. Raises ValidationError.

        As `is_valid` does, but for a serializer that is kept: it holds nothing of what it reads, so
        any number of threads may read with one, and its fields are not copied for each request."""
        if data is None:
            raise serializers.ValidationError({"non_field_errors": ["No data provided"]}, "null")
        return dict(self.run_validation(data))


class BoundedJSONParser(JSONParser):
    """Reads JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes."""

    def parse(self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None) -> Any:
        """Raises ParseError, and RequestDataTooBig (413)."""
        _refuse_too_large(stream)
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error


class BoundedFormParser(FormParser):
    """Reads a form of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes."""

    def parse(self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None) -> Any:
        """Raises RequestDataTooBig (413)."""
        _refuse_too_large(stream)
        return super().parse(stream, media_type, parser_context)


def _refuse_too_large(stream: Any) -> None:
    length = stream.META.get("CONTENT_LENGTH") if hasattr(stream, "META") else None
    if length and int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig


def _unknown(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"Unknown field.{hint}"
