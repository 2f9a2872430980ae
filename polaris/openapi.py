"""Makes the OpenAPI document tell of errors, and of each path once."""

from typing import Any

from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.openapi import AutoSchema

from polaris.errors import CATALOGUE

_METHODS = {"get", "post", "put", "patch", "delete"}

_ERROR = {
    "type": "object",
    "description": "Every answer that is not a success has this form.",
    "required": ["status", "message", "error_code", "details", "timestamp"],
    "properties": {
        "status": {"type": "string", "enum": ["error"]},
        "message": {"type": "string"},
        "error_code": {"type": "string", "enum": sorted(CATALOGUE)},
        "details": {
            "type": "object",
            "required": ["field", "issue"],
            "properties": {"field": {"type": "string"}, "issue": {"type": "string"}},
        },
        "timestamp": {"type": "string", "format": "date-time"},
    },
}


class StrictFilterExtension(DjangoFilterExtension):
    """Tells of `ordering` too."""

    target_class = "polaris.querying.StrictFilterBackend"
    priority = 1

    def get_schema_operation_parameters(
        self, auto_schema: AutoSchema, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """The filters, and the fields that one orders by."""
        parameters = super().get_schema_operation_parameters(auto_schema, *args, **kwargs)
        orderable = getattr(auto_schema.view, "ordering_fields", ())
        if orderable:
            names = ", ".join(orderable)
            description = f"Some of {names}, separated by commas; descending after a minus sign."
            parameters.append(_in_query("ordering", description, {"type": "string"}))
        return parameters


class BearerScheme(SimpleJWTScheme):
    """Our tokens are told of as simplejwt's are."""

    target_class = "polaris.accounts.authentication.BearerAuthentication"


def _in_query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def one_path_each(endpoints: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of a path that is served with and without a trailing slash, the contract's form alone."""
    kept: dict[tuple[str, str], tuple[str, ...]] = {}
    for endpoint in endpoints:
        path, method = endpoint[0], endpoint[2]
        kept.setdefault((path.rstrip("/"), method), endpoint)
    return list(kept.values())


def tell_of_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Adds the error format, and to each operation the statuses it can answer with."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
    answer = {
        "description": "An error",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for path, operations in result["paths"].items():
        for method in _METHODS & operations.keys():
            for status in _statuses(path, method, operations[method]):
                operations[method]["responses"].setdefault(str(status), answer)
    return result


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    statuses = {406, 500}
    if not path.startswith(("/api", "/health/live")):
        statuses.add(503)
    if path.startswith("/schedule"):
        statuses |= {401, 403}
    if operation.get("parameters") and method == "get":
        statuses.add(400)
    if "{" in path:
        statuses.add(404)
    if "{" in path and method != "get":
        statuses.add(409)
    if "requestBody" in operation:
        statuses |= {400, 413, 415}
    if path.startswith("/schedule") and method != "get":
        statuses.add(429)
    if path.startswith("/auth"):
        statuses.add(401)
    if path == "/metrics":
        statuses |= {401, 404}
    if path == "/auth/token":
        statuses |= {403, 429}
    if path.startswith("/webhook"):
        statuses.add(403)
    return statuses
