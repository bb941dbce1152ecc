// Two devices of one user keep their tasks in RxDB and replicate them with a running Mooring node: both online, both
// offline with edits that meet, both back.
//
//   npm start -- --url http://127.0.0.1:8440/graphql --token TOKEN --token-admin TOKEN
//
//   --token        of a user                                         or RXDB_TOKEN
//   --token-admin  of a user of the same tenant with role admin      or RXDB_TOKEN_ADMIN
//
// `mooring token --data DIR --tenant acme --user ann` prints such a token. Exit codes: 0 all was as said, 1 something was
// not, 2 wrong arguments. It may be played again on the same node: every run makes its own ids.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { conflictHandler, deletionOf, editOf, newDocument, replicateWithMooring, schema } from './mooring_replication.mjs';
import { Network } from './network.mjs';

const names = ['url', 'token', 'token-admin'];
const { values: given } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: 'string' }])) });
given.url ??= 'http://127.0.0.1:8440/graphql';
given.token ??= process.env.RXDB_TOKEN;
given['token-admin'] ??= process.env.RXDB_TOKEN_ADMIN;
if (!given.token || !given['token-admin']) {
  console.error('usage: node tasks.mjs --url … --token … --token-admin …');
  process.exit(2);
}

const run = `${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;

// A phone or a tablet: a database, a collection, and a network that is there or not.
async function device(name) {
  const replications = [];
  const database = await createRxDatabase({ name: `${name}-${run}`, storage: getRxStorageMemory(), multiInstance: false });
  // Two titles of an open conflict are joined; of the rest, the node's stays.
  const merge = (theirs, mine) => ({ ...theirs, title: [...new Set([theirs.title, mine.title])].join(' / ') });
  const { tasks } = await database.addCollections({ tasks: {
    schema: schema({ title: { type: 'string' }, status: { type: 'string' }, note: { type: 'string' } }),
    conflictHandler: conflictHandler(merge, () => replications),
  } });
  const network = new Network();
  const self = { name, database, tasks, network };
  self.replication = replicateWithMooring({
    collection: tasks, domain: 'TASK', deviceId: `${name}-${run}`, url: given.url, getToken: () => given.token, priority: 'HIGH', retryTimeMs: 200,
    fetch: network.fetch, WebSocket: network.WebSocket,
  });
  replications.push(self.replication);
  return self;
}

const gql = async (token, query, variables) => {
  const response = await fetch(given.url, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
};
const policy = resolutionPolicy => gql(given['token-admin'], 'mutation($p: ConflictPolicyInput!) { setConflictPolicy(policy: $p) { domain } }', { p: { domain: 'TASK', resolutionPolicy } });

let checks = 0;
async function until(claim, probe) {
  let found;
  for (const end = Date.now() + 15_000; !await probe(value => { found = value; });) {
    if (Date.now() > end) throw new Error(`${claim}\n    but: ${JSON.stringify(found)}`);
    await sleep(50);
  }
  checks += 1;
  console.log(`  ✓ ${claim}`);
}

const pump = `pump-${run}`, gate = `gate-${run}`;
const phone = await device('phone'), tablet = await device('tablet');
const get = async (self, id) => (await self.tasks.findOne(id).exec())?.toJSON();
const both = (claim, holds) => until(claim, async note => {
  const [a, b] = [await get(phone, pump), await get(tablet, pump)];
  note([a, b]);
  return holds(a) && holds(b) && a?.version === b?.version;
});
const offline = (...devices) => devices.forEach(one => { one.network.isOnline = false; });
const online = (...devices) => devices.forEach(one => { one.network.isOnline = true; });

try {
  console.log('Both online');
  await phone.tasks.insert(newDocument(pump, { title: 'Check the pump', status: 'open' }));
  await phone.tasks.insert(newDocument(gate, { title: 'Paint the gate', status: 'open' }));
  await both('a task made on the phone is on the tablet', task => task?.title === 'Check the pump' && task.version === 1);

  console.log('Both offline: different fields of one task, and a deletion');
  offline(phone, tablet);
  await editOf(await phone.tasks.findOne(pump).exec(), { status: 'running' });
  await editOf(await tablet.tasks.findOne(pump).exec(), { note: 'valve 3 drips' });
  await deletionOf(await tablet.tasks.findOne(gate).exec());
  await sleep(300);
  await until('nothing of it is on the node', async note => {
    const { entity } = await gql(given.token, 'query($id: ID!) { entity(domain: TASK, entityId: $id) { version } }', { id: pump });
    note(entity);
    return entity.version === 1;
  });
  online(phone, tablet);
  await both('back online, both edits stand on both', task => task?.status === 'running' && task.note === 'valve 3 drips');
  await until('and the deleted task is gone on both', async () => !await get(phone, gate) && !await get(tablet, gate));

  console.log('Both offline: the same field, and the node leaves conflicts to people');
  await policy('MANUAL');
  offline(phone, tablet);
  await editOf(await phone.tasks.findOne(pump).exec(), { title: 'Repair the pump' });
  await editOf(await tablet.tasks.findOne(pump).exec(), { title: 'Replace the pump' });
  online(phone);
  await until('the phone was first', async () => (await get(phone, pump)).version === 4);
  online(tablet);
  await both('RxDB\'s conflict handler joined the titles, and the node took its decision', task => task?.title === 'Repair the pump / Replace the pump');
  await until('no conflict is left open', async note => {
    const { conflicts } = await gql(given.token, '{ conflicts(status: OPEN, first: 100) { conflicts { mobileId } } }');
    note(conflicts);
    return !conflicts.conflicts.some(one => one.mobileId === pump);
  });

  console.log('Both offline: the same field, and the later edit wins by itself');
  await policy('MOST_RECENT_WINS');
  offline(phone, tablet);
  await editOf(await phone.tasks.findOne(pump).exec(), { status: 'done' });
  await sleep(20);
  await editOf(await tablet.tasks.findOne(pump).exec(), { status: 'blocked' });
  online(tablet);
  await until('the tablet was first', async () => (await get(tablet, pump)).version === 6);
  online(phone);
  await both('the later edit stands on both', task => task?.status === 'blocked');
  console.log(`All was as said: ${checks} checks.`);
} catch (problem) {
  console.error(`✗ ${problem.message}`);
  process.exitCode = 1;
} finally {
  await policy('MOST_RECENT_WINS').catch(() => {});
  for (const one of [phone, tablet]) await one.database.close();
}
