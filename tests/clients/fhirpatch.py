"""HL7's FHIR Patch cases as JSON: `fhirpatch.py fhir-patch-tests.xml > cases.json`.

Each case is an object of name, input, diff and output. XML does not tell what repeats or is a number: the structure tables of
`src/fhir/definition` do.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ET

FHIR, XHTML = "{http://hl7.org/fhir}", "{http://www.w3.org/1999/xhtml}"
BASES, FIELDS = {}, {}  # type -> base; type -> {element: (repeats, [types])}


def read_tables():
    root = pathlib.Path(__file__).parents[2] / "src/fhir/definition/elements.tsv"
    kind = ""
    for line in root.read_text().splitlines():
        if line.startswith("@"):
            kind, _, base = line[1:].partition("\t")
            BASES[kind] = base
            continue
        path, many, types = line.split("\t")[:3]
        owner, _, name = f"{kind}.{path}".rpartition(".")
        if types in ("BackboneElement", "Element"):
            BASES[f"{kind}.{path}"] = types
            types = f"{kind}.{path}"
        names = [t.split("(")[0] for t in types.lstrip("#").split(" ")]
        FIELDS.setdefault(owner, {})[name] = (many.endswith("*"), names)


def field(kind, name):
    """(repeats, type) of an element by its JSON name."""
    while kind:
        for known, (many, types) in FIELDS.get(kind, {}).items():
            if known == name:
                return many, types[0]
            if known == name[: len(known) - 3] + "[x]":
                for one in types:
                    if name == known[:-3] + one[0].upper() + one[1:]:
                        return many, one
        kind = BASES.get(kind, "")
    raise KeyError(name)


def value(text, kind):
    if kind == "boolean":
        return text == "true"
    if kind in ("integer", "positiveInt", "unsignedInt"):
        return int(text)
    return float(text) if kind == "decimal" else text


def convert(element, kind):
    """An element as (its value, its second half)."""
    if element.tag.startswith(XHTML):
        ET.register_namespace("", XHTML[1:-1])
        return ET.tostring(element, encoding="unicode").strip(), None
    is_primitive = kind[0].islower()
    out = {key: text for key, text in element.attrib.items() if key in ("id", "url")}
    for child in element:
        name = child.tag.removeprefix(FHIR)
        if child.tag.startswith(XHTML):
            name = "div"
        many, inner = field("Element" if is_primitive else kind, name)
        if inner == "Resource":
            made, half = resource(child[0]), None
        else:
            made, half = convert(child, inner)
        if many:
            halves = out.get("_" + name)
            here = out.setdefault(name, [])
            here.append(made)
            if half is not None or halves is not None:
                halves = out.setdefault("_" + name, [])
                halves.extend([None] * (len(here) - 1 - len(halves)))
                halves.append(half)
        else:
            if made is not None:
                out[name] = made
            if half is not None:
                out["_" + name] = half
    if not is_primitive:
        return out, None
    text = element.get("value")
    return (None if text is None else value(text, kind)), out or None


def resource(element):
    kind = element.tag.removeprefix(FHIR)
    return {"resourceType": kind, **convert(element, kind)[0]}


read_tables()
cases = []
for case in ET.parse(sys.argv[1]).iter("case"):
    parts = {name: case.find(name) for name in ("input", "diff", "output")}
    if all(part is not None and len(part) for part in parts.values()):
        cases.append({"name": case.get("name"), **{name: resource(part[0]) for name, part in parts.items()}})
json.dump(cases, sys.stdout)
