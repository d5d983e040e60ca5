"""docs/rest.md, made from the OpenAPI document so that it cannot fall behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

INTRODUCTION = """# REST

Made from `/openapi.json` (OpenAPI 3.1); a test keeps it so.

{description}

- Times are RFC 3339 in UTC. `limit` is at most 500; `next_cursor` of a list asks for its next page.
- An unknown parameter is refused with 400; errors are `application/problem+json`, with the next
  step.
- A decision about a recommendation names the `etag` it was taken on in `If-Match`: without one the
  answer is 428, with one that is out of date 412.
- `X-Request-Id` is echoed, or made.
"""


def document(openapi: Mapping[str, Any]) -> str:
    """The reference as Markdown."""
    return "\n".join(_lines(openapi)).rstrip() + "\n"


def _lines(openapi: Mapping[str, Any]) -> Iterator[str]:
    yield INTRODUCTION.format(description=openapi["info"]["description"])
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield from _operation(path, method, operation)
    yield "## Resources"
    yield ""
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        if not name.startswith("Listing_"):
            yield from _schema(name, schema)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {method.upper()} {path}"
    yield ""
    yield operation.get("description", "")
    yield ""
    parameters = operation.get("parameters", [])
    if parameters:
        yield "| parameter | in | type | default | meaning |"
        yield "|---|---|---|---|---|"
    for parameter in parameters:
        schema = parameter["schema"]
        needed = "required" if parameter.get("required") else schema.get("default", "")
        cells = (parameter["in"], _type(schema), needed, parameter.get("description", ""))
        yield f"| `{parameter['name']}` | {' | '.join(str(cell) for cell in cells)} |"
    if parameters:
        yield ""
    yield f"Answers: {', '.join(_answers(operation))}."
    yield ""


def _answers(operation: Mapping[str, Any]) -> Iterator[str]:
    for status, response in sorted(operation["responses"].items()):
        contents = response.get("content", {})
        types = [_type(content["schema"]) for content in contents.values() if "schema" in content]
        media = [media for media, content in contents.items() if "schema" not in content]
        said = types[0] if types and types[0] != "any" else next(iter(media), "")
        yield f"{status} {said}".strip()


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield " ".join(schema.get("description", "").split())
    yield ""
    if "enum" in schema:
        yield f"One of {', '.join(f'`{value}`' for value in schema['enum'])}."
        yield ""
        return
    yield "| field | type |"
    yield "|---|---|"
    for field, described in schema.get("properties", {}).items():
        yield f"| `{field}` | {_type(described)} |"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    """A schema as a few words: `number or null`, `list of string`, a resource's name."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"list of {name[8:-1]}" if name.startswith("Listing_") else name
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    return _plain_type(schema)


def _plain_type(schema: Mapping[str, Any]) -> str:
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    return "time" if schema.get("format") == "date-time" else kind
