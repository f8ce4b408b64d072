// A tour of a server with a client that JavaScript programs use: fhir-kit-client.
//
//     node tour.mjs BASE PATIENTS     BASE: FHIR base; PATIENTS: how many there are
//
// It is copied to where `fhir-kit-client` is installed: modules are looked up from the file that names them.

import Client from 'fhir-kit-client';

const [base, patients] = [process.argv[2], Number(process.argv[3])];
const client = new Client({ baseUrl: base });
let checks = 0;

function check(what, isSo, detail) {
  checks += 1;
  if (!isSo) {
    console.error(`fhir-kit-client: ${what}:`, detail);
    process.exit(1);
  }
}

async function fails(status, ask) {
  try {
    await ask();
  } catch (error) {
    return error.response?.status === status || error;
  }
  return 'it went well';
}

const statement = await client.capabilityStatement();
check('capabilities', statement.fhirVersion === '4.0.1', statement.fhirVersion);

const seen = new Set();
let pages = 0;
let bundle = await client.search({ resourceType: 'Patient', searchParams: { _count: '7' } });
while (bundle) {
  pages += 1;
  for (const entry of bundle.entry ?? []) {
    check('each once', !seen.has(entry.resource.id), entry.resource.id);
    seen.add(entry.resource.id);
  }
  bundle = bundle.link.some((l) => l.relation === 'next') ? await client.nextPage({ bundle }) : null;
}
check('all pages', seen.size === patients && pages === Math.ceil(patients / 7), [seen.size, pages]);

const [id] = seen;
const read = await client.read({ resourceType: 'Patient', id });
check('read', read.id === id);
const medicines = await client.search({ resourceType: 'MedicationRequest', searchParams: { patient: id, _sort: '-authoredon' } });
const dates = (medicines.entry ?? []).map((e) => Date.parse(e.resource.authoredOn));
check('sorted', dates.every((d, n) => n === 0 || dates[n - 1] >= d), dates);
const compartment = await client.compartmentSearch({
  resourceType: 'MedicationRequest',
  compartment: { resourceType: 'Patient', id },
});
check('compartment', (compartment.entry ?? []).length === dates.length, (compartment.entry ?? []).length);
const posted = await client.search({
  resourceType: 'Patient',
  searchParams: { _id: id },
  options: { postSearch: true },
});
check('_search by POST', posted.total === 1, posted);
const included = await client.search({
  resourceType: 'MedicationRequest',
  searchParams: { _include: 'MedicationRequest:patient', _count: '3' },
});
check('included', included.entry.some((e) => e.search.mode === 'include'), included.entry.length);

const made = await client.create({ resourceType: 'Patient', body: { resourceType: 'Patient', name: [{ family: 'Tour' }] } });
check('created', made.id && made.meta.versionId === '1', made);
await client.update({ resourceType: 'Patient', id: made.id, body: { ...made, gender: 'other' } });
const patched = await client.patch({
  resourceType: 'Patient',
  id: made.id,
  JSONPatch: [{ op: 'replace', path: '/gender', value: 'female' }],
});
check('patched', patched.gender === 'female' && patched.meta.versionId === '3', patched);
const first = await client.vread({ resourceType: 'Patient', id: made.id, version: '1' });
check('vread', first.gender === undefined, first);
const history = await client.history({ resourceType: 'Patient', id: made.id });
check('history', history.total === 3 && history.entry.length === 3, history.total);
const batch = await client.batch({
  body: { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `Patient/${made.id}` } }] },
});
check('batch', batch.entry[0].resource.id === made.id, batch);
await client.delete({ resourceType: 'Patient', id: made.id });
check('gone', (await fails(410, () => client.read({ resourceType: 'Patient', id: made.id }))) === true);
const unknown = await fails(400, () => client.search({ resourceType: 'Patient', searchParams: { nonsense: '1' } }));
check('an unknown parameter is refused', unknown === true, unknown);

console.log(`fhir-kit-client: ${checks} checks passed`);
