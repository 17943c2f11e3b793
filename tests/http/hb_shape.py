# SPDX-License-Identifier: Apache-2.0
"""Does a value fit a JSON Schema? As much of 2020-12 as /openapi.json uses; an unknown word fails."""

import re

KNOWN = {"$ref", "type", "properties", "required", "items", "enum", "const", "minimum", "maximum",
         "minLength", "maxLength", "minItems", "maxItems", "pattern", "format", "description",
         "default", "anyOf", "oneOf", "additionalProperties", "title", "examples", "uniqueItems"}
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
         "object": dict, "null": type(None)}


def has_type(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def misfits(value, schema, document, where="$"):
    """All that does not fit, as sentences."""
    unknown = set(k for k in schema if not k.startswith("x-")) - KNOWN
    assert not unknown, "%s: this checker does not know %s" % (where, unknown)
    if "$ref" in schema:
        target = document
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        return misfits(value, target, document, where)
    found = []
    for word in ("anyOf", "oneOf"):
        if word in schema and all(misfits(value, one, document, where) for one in schema[word]):
            found.append("%s fits none of %s" % (where, word))
    types = schema.get("type")
    types = [types] if isinstance(types, str) else types
    if types and not any(has_type(value, t) for t in types):
        return found + ["%s is %r, not %s" % (where, value, types)]
    if "enum" in schema and value not in schema["enum"]:
        found.append("%s is %r, not one of %s" % (where, value, schema["enum"]))
    if "const" in schema and value != schema["const"]:
        found.append("%s is not %r" % (where, schema["const"]))
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append("%s has %d characters" % (where, len(value)))
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append("%s is %r, not like %s" % (where, value, schema["pattern"]))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            found.append("%s is %r, out of bounds" % (where, value))
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append("%s has %d items" % (where, len(value)))
        for i, item in enumerate(value):
            found += misfits(item, schema.get("items", {}), document, "%s[%d]" % (where, i))
    elif isinstance(value, dict):
        properties = schema.get("properties", {})
        found += ["%s lacks %s" % (where, n) for n in schema.get("required", ()) if n not in value]
        for name, item in value.items():
            if name in properties:
                found += misfits(item, properties[name], document, "%s.%s" % (where, name))
            elif schema.get("additionalProperties", True) is False:
                found.append("%s has %s, which is not declared" % (where, name))
    return found
