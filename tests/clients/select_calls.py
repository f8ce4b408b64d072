"""Cuts the server's OpenAPI document down to calls of each kind, for tools that would take hours over all of it.

select_calls.py DOCUMENT OUT [TURN]: reads the document, writes the smaller one, and says what is in it.

Kept: every path that is no type's; of these types all interactions and searches; every operation, where it is one of every type
only for two of the types. TURN (0) picks three further types, others each time.
"""

import json
import sys

TYPES = ["Patient", "Observation", "Task", "Bundle", "ValueSet"]
EVERY = 3  # further types a turn
VALUES = ["Boolean", "Code", "Coding", "CodeableConcept", "Date", "Integer", "Meta", "Reference", "String", "Uri"]  # of Parameters
METHODS = ["get", "post", "put", "patch", "delete"]


def references(node, found):
    """Adds the components that a part of the document leads to, by (kind, name)."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith("#/components/"):
            found.add(tuple(target.split("/")[2:4]))
        for value in node.values():
            references(value, found)
    elif isinstance(node, list):
        for value in node:
            references(value, found)


def trim(node):
    """Makes bodies that a generator of examples gets done: no extensions, nothing contained, short lists."""
    if isinstance(node, dict):
        properties = node.get("properties")
        if isinstance(properties, dict):
            for name in list(properties):
                is_deep = name in ("extension", "modifierExtension", "contained") or name.startswith("_")
                is_rare = name.startswith("value") and len(properties) > 60 and name[5:] not in VALUES
                if is_deep or is_rare:
                    del properties[name]
        if node.get("type") == "array":
            node["maxItems"] = 2
        for value in node.values():
            trim(value)
    elif isinstance(node, list):
        for value in node:
            trim(value)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    turn = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    all_types = sorted({p.split("/")[2] for p in document["paths"] if p.startswith("/fhir/") and p.split("/")[2][:1].isupper()})
    others = [t for t in all_types if t not in TYPES]
    types = TYPES + [others[(turn * EVERY + n) % len(others)] for n in range(EVERY)]
    times = {}  # how many types have each operation
    paths = {}
    for path, item in document["paths"].items():
        parts = path.split("/")
        of_type = parts[1] == "fhir" and len(parts) > 2 and parts[2] in all_types
        if of_type and parts[-1].startswith("$"):
            kind = (parts[-1], len(parts))
            holders = sum(1 for other in document["paths"] if other.split("/")[-1] == parts[-1] and other.count("/") == path.count("/"))
            if holders > 10 and (parts[2] not in types[:2] or times.get(kind, 0) >= 2):
                continue
            times[kind] = times.get(kind, 0) + 1
        elif of_type and parts[2] not in types:
            continue
        paths[path] = item
    schemas = document["components"]["schemas"]
    schemas["Resource"] = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in TYPES[:2]]}
    trim(schemas)
    # An answer without a body has no media type, which OpenAPI cannot say.
    document["components"]["parameters"]["prefer"]["schema"]["enum"].remove("return=minimal")
    kept, new = set(), set()
    references(paths, new)
    while new - kept:
        kept |= new
        for kind, name in list(kept):
            references(document["components"][kind][name], new)
    components = {}
    for kind, name in sorted(kept):
        components.setdefault(kind, {})[name] = document["components"][kind][name]
    document["paths"], document["components"] = paths, components
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(document, file)
    calls = sum(1 for item in paths.values() for method in item if method in METHODS)
    print(f"{calls} calls of {len(paths)} paths; types {', '.join(types)}")


main()
