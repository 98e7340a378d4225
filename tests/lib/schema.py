"""schema.py SCHEMA FILE... - check JSON files against a JSON Schema, of which it knows the words that ours use; another is an error.

Prints what is wrong and where, and ends with status 1 if anything is.
"""
import json
import math
import sys

KNOWN = {"$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "additionalProperties", "items", "enum",
         "const", "anyOf", "minimum", "maximum"}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    return isinstance(value, kinds[name])


def check(value, rule, root, at):
    """What is wrong, as a list of lines."""
    unknown = set(rule) - KNOWN
    if unknown:
        raise ValueError(f"the schema has {unknown}, which this does not know")
    if "$ref" in rule:
        return check(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root, at)
    wrong = []
    if "type" in rule:
        names = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        if not any(is_type(value, n) for n in names):
            return [f"{at}: {str(value)[:60]} is not {' or '.join(names)}"]
    if "const" in rule and value != rule["const"]:
        wrong.append(f"{at}: {value!r} is not {rule['const']!r}")
    if "enum" in rule and value not in rule["enum"]:
        wrong.append(f"{at}: {value!r} is none of {rule['enum']}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not rule.get("minimum", -math.inf) <= value <= rule.get("maximum", math.inf):
            wrong.append(f"{at}: {value} is out of range")
    if isinstance(value, dict):
        properties = rule.get("properties", {})
        wrong += [f"{at}: lacks {k}" for k in rule.get("required", []) if k not in value]
        for k, v in value.items():
            if k in properties:
                wrong += check(v, properties[k], root, f"{at}.{k}")
            elif rule.get("additionalProperties", True) is False:
                wrong.append(f"{at}: has {k}")
    if isinstance(value, list) and "items" in rule:
        for i, v in enumerate(value):
            wrong += check(v, rule["items"], root, f"{at}[{i}]")
    if "anyOf" in rule:
        tries = [check(value, r, root, at) for r in rule["anyOf"]]
        if all(tries):
            wrong += min(tries, key=len)
    return wrong


def main():
    with open(sys.argv[1]) as f:
        schema = json.load(f)
    bad = False
    for path in sys.argv[2:]:
        with open(path) as f:
            wrong = check(json.load(f), schema, schema, "$")
        for line in wrong[:20]:
            print(f"{path}: {line}")
        bad |= bool(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
