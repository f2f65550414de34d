"""A rationale as the first property of a JSON schema.

A teacher writes the properties in the order of the schema, so that the rationale stands before the
answer and may have caused it.
"""

from __future__ import annotations

from typing import Any

from limbeck.models.dialects.fields import mapping, sequence

_OTHER_SHAPES = {
    *("$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "const", "enum"),
    *("dependentRequired", "dependentSchemas", "patternProperties", "propertyNames"),
    *("minProperties", "maxProperties"),
}
"""Keywords at the root of a schema that may forbid one more property."""


def takes_field(schema: Any, field: str) -> bool:
    """Whether one more property may stand in the objects of `schema`."""
    shape = mapping(schema)
    return (
        shape.get("type") == "object"
        and isinstance(shape.get("properties"), dict)
        and field not in shape["properties"]
        and not _OTHER_SHAPES & shape.keys()
    )


def with_field(schema: dict[str, Any], field: str, wording: str) -> dict[str, Any]:
    """The same schema with a text property `field` before the others; it is required, as the strict
    modes want of every property."""
    asked = {"type": "string", "description": wording}
    return {
        **schema,
        "properties": {field: asked, **schema["properties"]},
        "required": [field, *sequence(schema.get("required"))],
    }


def without_field(schema: Any, field: str, wording: str) -> Any:
    """The schema that `with_field` was given; any other schema as it is."""
    shape = mapping(schema)
    properties = mapping(shape.get("properties"))
    if mapping(properties.get(field)).get("description") != wording:
        return schema
    kept = {name: value for name, value in properties.items() if name != field}
    required = [name for name in sequence(shape.get("required")) if name != field]
    before = {key: value for key, value in shape.items() if key != "required" or required}
    return {**before, "properties": kept, **({"required": required} if required else {})}
