"""A tour of a server with two clients that Python programs use: fhirpy and fhirclient.

    tour.py BASE DISCHARGES     BASE: FHIR base; DISCHARGES: the file that was loaded into it
"""

import collections
import gzip
import json
import sys

import fhirclient.client
import fhirclient.models.medicationrequest as medicationrequest
import fhirclient.models.patient as patient
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

checks = 0


def check(what, is_so, detail=""):
    global checks
    checks += 1
    if not is_so:
        print(f"{what}: {detail}")
        sys.exit(1)


def loaded(path):
    """How many resources of each type the file holds: those created on condition once an identifier."""
    seen = collections.defaultdict(set)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, text in enumerate(file):
            for at, entry in enumerate(json.loads(text)["entry"]):
                condition = entry["request"].get("ifNoneExist")
                seen[entry["resource"]["resourceType"]].add(condition or (line, at))
    return {rtype: len(found) for rtype, found in seen.items()}


def by_fhirpy(base, expected):
    client = SyncFHIRClient(base)
    lenient = SyncFHIRClient(base, extra_headers={"Prefer": "handling=lenient"})
    for rtype, page in (("Patient", 7), ("MedicationRequest", 11), ("Condition", 50)):
        found = client.resources(rtype).limit(page).fetch_all()
        ids = {r.id for r in found}
        check(f"fhirpy: all pages of {rtype}", len(found) == len(ids) == expected[rtype], f"{len(found)}, {len(ids)}, {expected[rtype]}")
        # `count` sends `_totalMethod`, which is no parameter of FHIR: it takes a lenient server.
        check(f"fhirpy: count of {rtype}", lenient.resources(rtype).count() == expected[rtype])
    request = client.resources("MedicationRequest").sort("-authoredon").limit(5).fetch()
    dates = [r["authoredOn"] for r in request]
    check("fhirpy: sorted", len(dates) == 5 and dates == sorted(dates, reverse=True), dates)
    one = client.resources("Patient").first()
    theirs = client.resources("MedicationRequest").search(patient=one.to_reference()).fetch_all()
    check("fhirpy: by reference", all(r["subject"]["reference"].endswith(one.id) for r in theirs))
    family = one["name"][0]["family"]
    check("fhirpy: by name", one.id in {p.id for p in client.resources("Patient").search(family=family).fetch_all()})
    bundle = client.resources("MedicationRequest").include("MedicationRequest", "patient").limit(3).fetch_raw()
    modes = collections.Counter(e["search"]["mode"] for e in bundle["entry"])
    check("fhirpy: included", modes["match"] == 3 and modes["include"] >= 1, modes)
    back = client.resources("Patient").revinclude("MedicationRequest", "patient").search(_id=one.id).fetch_raw()
    check("fhirpy: rev-included", len(back["entry"]) == 1 + len(theirs), len(back["entry"]))
    has = client.resources("Patient").has("MedicationRequest", "patient", status="active").fetch_all()
    check("fhirpy: _has", 0 < len(has) <= expected["Patient"], len(has))

    made = client.resource("Patient", name=[{"family": "Tour", "given": ["Py"]}])
    made.save()
    check("fhirpy: created", made.id and made["meta"]["versionId"] == "1", made)
    made["gender"] = "female"
    made.save()
    read = client.reference("Patient", made.id).to_resource()
    check("fhirpy: updated", (read["gender"], read["meta"]["versionId"]) == ("female", "2"), read)
    made.delete()
    try:
        client.reference("Patient", made.id).to_resource()
        check("fhirpy: deleted", False)
    except (ResourceNotFound, OperationOutcome):
        check("fhirpy: deleted", True)
    try:
        client.resources("Patient").search(nonsense="1").fetch()
        check("fhirpy: an unknown parameter is refused", False)
    except OperationOutcome as outcome:
        check("fhirpy: an unknown parameter is refused", "nonsense" in str(outcome), outcome)


def by_fhirclient(base, expected):
    smart = fhirclient.client.FHIRClient(settings={"app_id": "tour", "api_base": base})
    everyone = list(patient.Patient.where({"_count": "7"}).perform_resources_iter(smart.server))
    check("fhirclient: all pages", len({p.id for p in everyone}) == len(everyone) == expected["Patient"], len(everyone))
    one = patient.Patient.read(everyone[0].id, smart.server)
    check("fhirclient: read", one.id == everyone[0].id and one.as_json()["name"] == everyone[0].as_json()["name"])
    search = medicationrequest.MedicationRequest.where({"patient": one.id, "_sort": "-authoredon"})
    for request in search.perform_resources(smart.server):
        check("fhirclient: by reference", request.subject.reference.endswith(one.id))
    since = patient.Patient.where({"birthdate": "lt1990-01-01", "_summary": "count"}).perform(smart.server)
    young = patient.Patient.where({"birthdate": "ge1990-01-01", "_summary": "count"}).perform(smart.server)
    check("fhirclient: dates divide", since.total + young.total == expected["Patient"], (since.total, young.total))
    made = patient.Patient({"name": [{"family": "Tour", "given": ["Client"]}]})
    answer = made.create(smart.server)
    check("fhirclient: created", bool(answer and answer["id"]), answer)
    again = patient.Patient.read(answer["id"], smart.server)
    again.gender = "male"
    check("fhirclient: updated", bool(again.update(smart.server)))
    again.delete()
    left = patient.Patient.where({"_id": answer["id"]}).perform_resources(smart.server)
    check("fhirclient: deleted", left == [], left)


if __name__ == "__main__":
    base, expected = sys.argv[1], loaded(sys.argv[2])
    by_fhirpy(base, expected)
    by_fhirclient(base, expected)
    print(f"fhirpy and fhirclient: {checks} checks passed")
