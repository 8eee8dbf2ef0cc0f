"""JSON Schemas that answers must obey: checked before the engine sees them, and the answer checked after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from codeweft.errors import InvalidRequest, SchemaBroken

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


def checked(schema: Mapping[str, Any], param: str = "response_format") -> dict[str, Any]:
    """The schema ready for use; `{}` stands for any object. Raises `InvalidRequest` for one that is not a schema.

    The engine itself answers unconstrained text when a schema is wrong, and would have to fetch outside references.
    """
    schema = dict(schema) or dict(_ANY_OBJECT)
    try:
        fault = _fault(json.dumps(schema, sort_keys=True))
    except RecursionError:
        fault = "it is nested too deeply"
    if fault:
        raise InvalidRequest(
            f"The JSON Schema is not a JSON Schema: {fault}.",
            fix="Correct the schema; drafts up to 2020-12 are understood.",
            param=param,
        )
    outside = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    if outside is not None:
        raise InvalidRequest(
            f"The JSON Schema refers to {outside!r}, which is outside of it.",
            fix="Put the definition under `$defs` and refer to `#/$defs/NAME`.",
            param=param,
        )
    return schema


@lru_cache(maxsize=256)
def _fault(text: str) -> str:
    """What is wrong with a schema. Remembered, because a look costs 20 ms and clients send the same again and again."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(text))
    except SchemaError as error:
        return f"{error.message[:300]} (at {error.json_path})"
    return ""


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


def obey(text: str, schema: Mapping[str, Any], model: str) -> None:
    """Raise `SchemaBroken` when an answer is not what was asked for."""
    broken = violation(text, schema)
    if broken:
        raise SchemaBroken(
            f"The answer of {model} does not follow the JSON Schema: {broken}.",
            fix="Try again, or simplify the schema.",
        )


def violation(text: str, schema: Mapping[str, Any]) -> str:
    """How `text` breaks the schema, or an empty string."""
    # Here, for most answers obey none, and loading it takes longer than answering them.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
        # An explicit registry, because the default one fetches references over the network.
        Draft202012Validator(schema, registry=Registry()).validate(value)
    except ValueError as error:
        return f"it is not JSON ({error})"
    except ValidationError as error:
        return error.message[:300]
    except RecursionError:
        return "it, or the schema, is nested without end"
    except Unresolvable as error:
        return f"the schema refers to {error.ref!r}, which does not exist"
    return ""
