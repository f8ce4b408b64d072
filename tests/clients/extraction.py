"""Compares what Baton indexes with what another FHIRPath engine finds (fhirpathpy of PyPI).

    extraction.py EXTRACTED DATA [EACH]

EXTRACTED: the built example `extracted`; DATA: the folder of BATON_TEST_DATA; EACH: how many resources of a type are taken of
a file of whole patient records (40; `all`: each). The official examples are taken whole. For each resource and each R4 search
parameter of its type, the values must be the same, whatever their order. A known difference stands in REASONS; one that is not
there fails, and a reason that explains nothing any more fails. docs/search-extraction.md says how expressions are read.
"""

import collections
import gzip
import json
import multiprocessing
import os
import re
import subprocess
import sys
import time

from fhirpathpy import compile as compile_path
from fhirpathpy.models import models

R4 = models["r4"]
EXTENSION = re.compile(r"extension\('[^']*'\)\s*$")
RESOLVE = re.compile(r"^(?P<path>.*)\.where\(\s*resolve\(\) is (?P<type>\w+)\s*\)$")

# `Type.code` or `*.code`: why the values differ. None does today.
REASONS = {}


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line, parse_float=str)


def split(expression):
    """Alternatives at the top of a union."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, c in enumerate(expression):
        if c == "'":
            quoted = not quoted
        elif not quoted and c in "()":
            depth += 1 if c == "(" else -1
        elif not quoted and depth == 0 and c == "|":
            parts.append(expression[start:at])
            start = at + 1
    parts.append(expression[start:])
    return [part.strip() for part in parts]


def as_filter(path):
    """R4 writes `as` over lists and means a filter, and types as in its UML; FHIRPath has `ofType` and its own names."""
    path = path.replace("DateTime", "dateTime")
    path = re.sub(r"\(([\w.]+) as (\w+)\)", r"\1.ofType(\2)", path)
    path = re.sub(r"([\w.]+) as (\w+)", r"\1.ofType(\2)", path)
    path = re.sub(r"\.as\((\w+)\)", r".ofType(\1)", path)
    # Not in the engine: FHIR's own short form.
    return re.sub(r"\bhasExtension\(('[^']*')\)", r"extension(\1).exists()", path)


class Parameters:
    """R4's parameters by type, compiled when first asked for."""

    def __init__(self, folder):
        self.by_type, self.compiled = collections.defaultdict(dict), {}
        for sp in lines(os.path.join(folder, "r4-definitions", "searchparameters.ndjson.gz")):
            if not sp.get("url", "").startswith("http://hl7.org/fhir/SearchParameter/") or not sp.get("base"):
                continue
            for base in sp["base"]:
                self.by_type[base][sp["code"]] = sp

    def of(self, rtype):
        out = dict(self.by_type["Resource"])
        if rtype not in ("Bundle", "Binary", "Parameters"):
            out.update(self.by_type["DomainResource"])
        out.update(self.by_type[rtype])
        return out

    def values(self, sp, resource):
        found = []
        for part in split(sp.get("expression") or ""):
            root = re.match(r"\(*(\w+)", part)
            if not root or root.group(1) not in (resource["resourceType"], "Resource", "DomainResource"):
                continue
            leads = RESOLVE.match(part)
            path = leads.group("path") if leads else part
            # The engine knows a resource by its own type, not by that of its ancestors.
            path = re.sub(r"^(Domain)?Resource\b", resource["resourceType"], as_filter(path))
            if EXTENSION.search(path):
                path += ".value"
            if path not in self.compiled:
                self.compiled[path] = compile_path(path, R4)
            try:
                values = self.compiled[path](resource)
            except Exception as error:
                values = [f"{path}: {error}"]
            for value in values:
                if not leads or refers_to(value, leads.group("type")):
                    found.append(value)
        return found


def refers_to(value, rtype):
    """What `resolve() is` can know without reading: the type that the reference names."""
    text = value.get("reference", "") if isinstance(value, dict) else value
    return isinstance(text, str) and re.match(rf"^{rtype}/[A-Za-z0-9.-]+", text) is not None


def plain(value):
    """One text a value; the whole resource (of a composite) is `{}`."""
    if isinstance(value, dict) and "resourceType" in value:
        return "{}"
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def once(values):
    return set(map(plain, values))


def parts_of(values):
    """A name or address is indexed with its parts beside it."""
    out = set()
    for value in values:
        if isinstance(value, dict):
            for member in value.values():
                out |= once(member if isinstance(member, list) else [member])
    return out


# Parameters that are not kept: docs/audit.md.
NOT_KEPT = {"AuditEvent": {"_content", "_text", "altid", "entity-name", "entity-role", "entity-type", "site", "source"}}


def compare(parameters, resource, ours):
    """(code, ours alone, theirs alone) of each difference; number of comparisons, of values; parameters that are no index."""
    differences, count, values = [], 0, 0
    no_index = set()
    for code, sp in parameters.of(resource["resourceType"]).items():
        if code not in ours and code in NOT_KEPT.get(resource["resourceType"], ()):
            no_index.add(code)
            continue
        if code not in ours:
            differences.append((code, ["no such parameter"], []))
            continue
        if ours[code] is None:
            no_index.add(code)
            continue
        theirs = parameters.values(sp, resource)
        count, values = count + 1, values + len(theirs)
        left, right = once(ours[code]), once(theirs)
        if sp["type"] == "string":
            left -= parts_of(theirs) - right
        if left != right:
            differences.append((code, sorted(left - right), sorted(right - left)))
    return differences, count, values, no_index


def job(arguments):
    program, folder, resources = arguments
    parameters = Parameters(folder)
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in resources)
    done = subprocess.run([program], input=text.encode(), capture_output=True, check=True)
    answers = [json.loads(line, parse_float=str) for line in done.stdout.decode().splitlines()]
    assert len(answers) == len(resources), (len(answers), len(resources))
    out, counts, no_index = [], [0, 0], set()
    for resource, ours in zip(resources, answers):
        differences, count, values, left_out = compare(parameters, resource, ours)
        no_index |= left_out
        counts[0] += count
        counts[1] += values
        place = f"{resource['resourceType']}/{resource.get('id', '?')}"
        out += [(place, code, mine, other) for code, mine, other in differences]
    return out, counts, no_index


def resources(folder, each):
    yield from lines(os.path.join(folder, "r4-examples.ndjson.gz"))
    for file in ("discharges.ndjson.gz", "synthea/patients-2019.ndjson.gz", "synthea/patients-2025.ndjson.gz"):
        taken = collections.Counter()
        for bundle in lines(os.path.join(folder, file)):
            for entry in bundle["entry"]:
                resource = entry["resource"]
                taken[resource["resourceType"]] += 1
                if each is None or taken[resource["resourceType"]] <= each:
                    yield resource


def main():
    program, folder = sys.argv[1], sys.argv[2]
    each = sys.argv[3] if len(sys.argv) > 3 else "40"
    started = time.time()
    every = list(resources(folder, None if each == "all" else int(each)))
    blocks = [(program, folder, every[at : at + 40]) for at in range(0, len(every), 40)]
    with multiprocessing.Pool(min(4, os.cpu_count() or 1)) as pool:
        results = pool.map(job, blocks, chunksize=1)
    seen, wrong = set(), collections.defaultdict(list)
    for differences, _, _ in results:
        for place, code, mine, other in differences:
            rtype = place.split("/")[0]
            reason = next((key for key in (f"{rtype}.{code}", f"*.{code}") if key in REASONS), None)
            if reason:
                seen.add(reason)
            else:
                wrong[f"{rtype}.{code}"].append(f"{place}\n    Baton alone: {', '.join(mine)[:300]}\n    fhirpathpy alone: {', '.join(other)[:300]}")
    for name, places in sorted(wrong.items()):
        print(f"{name}: {len(places)} differ; first {places[0]}")
    unused = sorted(set(REASONS) - seen)
    if unused:
        print("reasons that explain nothing any more:", ", ".join(unused))
    comparisons, values = (sum(counts[n] for _, counts, _ in results) for n in (0, 1))
    print("no index, kept as columns or not built:", ", ".join(sorted(set().union(*(left_out for _, _, left_out in results)))))
    print(
        f"{len(every)} resources, {comparisons} comparisons, {values} values: {sum(map(len, wrong.values()))} differ, "
        f"{len(seen)} reasons for known differences ({time.time() - started:.0f} s)"
    )
    sys.exit(1 if wrong or unused or not comparisons else 0)


if __name__ == "__main__":
    main()
