"""What the serializers of all rooms share: strict input, moments in UTC, bounded JSON."""

import difflib
import json
from collections.abc import Collection
from datetime import UTC
from typing import IO, Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.utils import json as json_strict

from polaris.access import is_owner
from polaris.masking import mask_numbers, masked_number

_MOST_NAMED = 10
_WHOSE = "E.164; masked unless the row is one's own"
_DEEPEST = 32
_TOO_DEEP = f"The JSON is nested more than {_DEEPEST} levels deep."


class UtcField(serializers.DateTimeField):
    """A moment, written in UTC with a Z."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


class NumberField(serializers.CharField):
    """A phone number, whole for who has made the row and masked for staff, who reveal one in the
    admin, where that is recorded. The view hands over its request."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, help_text=_WHOSE, **kwargs)

    def get_attribute(self, instance: Any) -> str:
        """Raises Unreadable."""
        if is_owner(self.context["request"], instance):
            return str(instance.phone)
        return masked_number(instance)


class OwnersText(serializers.CharField):
    """A text as its owner wrote it; numbers in it are masked for staff."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def get_attribute(self, instance: Any) -> str:
        """Raises Unreadable."""
        text = str(super().get_attribute(instance))
        return text if is_owner(self.context["request"], instance) else mask_numbers(text)


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
    """Reads JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes, in which no name comes twice.

    Of two values readers choose differently, so that one may check what another does not use."""

    def parse(self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None) -> Any:
        """Raises ParseError, and RequestDataTooBig (413)."""
        _refuse_too_large(stream)
        try:
            text = stream.read().decode()
            read = json.loads(
                text,
                parse_constant=json_strict.strict_constant,
                object_pairs_hook=_without_repetition,
            )
        except RecursionError as error:
            raise ParseError(_TOO_DEEP) from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        if text.count("{") + text.count("[") > _DEEPEST and _is_too_deep(read):
            raise ParseError(_TOO_DEEP)
        return read


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


def _is_too_deep(read: Any) -> bool:
    """Without recursion: whoever handles it afterwards has less of the stack left than we."""
    level = [read] if isinstance(read, (dict, list)) else []
    for _ in range(_DEEPEST + 1):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for values in inner for each in values if isinstance(each, (dict, list))]
        if not level:
            return False
    return True


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ParseError("A name comes twice in one object.")
    return made


def _unknown(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"Unknown field.{hint}"
