"""JSON Schemas that answers must obey: checked before the engine sees them, and the answer checked after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from codeweft.errors import InvalidRequest

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


def checked(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema ready for use; `{}` stands for any object. Raises `InvalidRequest` for one that is not a schema.

    The engine itself answers unconstrained text when a schema is wrong, and would have to fetch outside references.
    """
    schema = dict(schema) or dict(_ANY_OBJECT)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidRequest(
            f"The JSON Schema is not valid: {error.message[:300]}.",
            fix="Correct the schema; drafts up to 2020-12 are understood.",
            param="response_format",
        ) from None
    outside = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    if outside is not None:
        raise InvalidRequest(
            f"The JSON Schema refers to {outside!r}, which is outside of it.",
            fix="Put the definition under `$defs` and refer to `#/$defs/NAME`.",
            param="response_format",
        )
    return schema


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def violation(text: str, schema: Mapping[str, Any]) -> str:
    """How `text` breaks the schema, or an empty string."""
    try:
        value = json.loads(text)
        # An explicit registry, because the default one fetches references over the network.
        Draft202012Validator(schema, registry=Registry()).validate(value)
    except ValueError as error:
        return f"it is not JSON ({error})"
    except ValidationError as error:
        return error.message[:300]
    except Unresolvable as error:
        return f"the schema refers to {error.ref!r}, which does not exist"
    return ""
