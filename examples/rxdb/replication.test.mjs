// RxDB and a real node: the story of tasks.mjs, what is pushed, and two devices with random edits while the network comes and goes and the
// node is killed. MOORING_SEED: the run's random moments.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { connect, documents, killAll, readAll, seeded, sleep, startNode, until } from '../../tests/system/harness.mjs';
import { conflictHandler, editOf, newDocument, replicateWithMooring, schema } from './mooring_replication.mjs';
import { Network } from './network.mjs';

const seed = Number(process.env.MOORING_SEED ?? (Date.now() & 0x7fffffff));
const never = 3_600_000; // what comes, comes by the push

// What a test that failed leaves open would keep the file running for ever.
const databases = new Set();
after(async () => {
  for (const one of databases) await one.close();
  await killAll();
});
async function openDatabase(name) {
  const database = await createRxDatabase({ name: `${name}-${process.pid}`, storage: getRxStorageMemory(), multiInstance: false });
  databases.add(database);
  return database;
}

test('the story of tasks.mjs is true', { timeout: 120_000 }, async () => {
  const node = await startNode();
  const story = spawn(process.execPath, [fileURLToPath(new URL('tasks.mjs', import.meta.url)), '--url', node.http,
    '--token', node.token(), '--token-admin', node.token({ user: 'boss', roles: ['admin'] })], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [story.stdout, story.stderr]) stream.setEncoding('utf8').on('data', text => { said += text; });
  const code = await new Promise(resolve => story.once('close', resolve));
  assert.equal(code, 0, said);
  assert.match(said, /All was as said: 9 checks/);
  await node.stop();
});

test('what one device does is pushed to the other; nobody asks in between; both come back from offline', { timeout: 60_000 }, async () => {
  const node = await startNode();
  const bearer = node.token();
  const device = async name => {
    const database = await openDatabase(`live-${name}`);
    const { tasks } = await database.addCollections({ tasks: {
      schema: schema({ title: { type: 'string' }, phone: { type: 'integer' }, tablet: { type: 'integer' } }), conflictHandler: conflictHandler((theirs, mine) => ({ ...mine, ...theirs }), () => []) } });
    const network = new Network({ fetch: (_, request) => fetch(node.http, request), address: () => node.ws });
    replicateWithMooring({ collection: tasks, domain: 'TASK', deviceId: name, url: 'http://node/graphql', getToken: () => bearer, priority: 'HIGH', pollIntervalMs: never, retryTimeMs: 100,
      fetch: network.fetch, WebSocket: network.WebSocket });
    return { name, database, tasks, network, get: async id => (await tasks.findOne(id).exec())?.toJSON() };
  };
  const phone = await device('phone'), tablet = await device('tablet'), both = [phone, tablet];
  const agree = (id, holds, what) => until(async () => {
    const [a, b] = await Promise.all(both.map(one => one.get(id)));
    return a && b && a.version === b.version && holds(a) && holds(b);
  }, what, 5000);
  const listening = count => until(async () => {
    const found = /^mooring_subscriptions (\d+)$/m.exec(await (await fetch(`${node.origin}/metrics`)).text());
    return Number(found[1]) === count;
  }, `${count} subscriptions`, 5000);
  await listening(2);

  await phone.tasks.insert(newDocument('t1', { title: 'one' }));
  await agree('t1', task => task.title === 'one' && task.version === 1, 'the new task on both');
  await editOf(await tablet.tasks.findOne('t1').exec(), { title: 'two' });
  await agree('t1', task => task.title === 'two' && task.version === 2, 'the edit on both');
  await sleep(300);
  const before = both.map(one => one.network.requests);
  await sleep(1000);
  assert.deepEqual(both.map(one => one.network.requests), before, 'nothing happened, so nobody asked');

  for (const one of both) one.network.isOnline = false;
  await listening(0);
  for (let n = 0; n < 5; ++n)
    for (const one of both) await editOf(await one.tasks.findOne('t1').exec(), { [one.name]: n });
  await phone.tasks.insert(newDocument('t2', { title: 'of the phone' }));
  await tablet.tasks.insert(newDocument('t3', { title: 'of the tablet' }));
  for (const one of both) one.network.isOnline = true;
  await agree('t1', task => task.phone === 4 && task.tablet === 4, 'the edits of both');
  for (const id of ['t2', 't3']) await agree(id, task => task.version === 1, `${id} on both`);

  await node.kill();
  await editOf(await phone.tasks.findOne('t2').exec(), { title: 'while the node was gone' });
  await node.start();
  await agree('t2', task => task.title === 'while the node was gone', 'what was done while the node was gone');
  await until(async () => (await (await connect(node, bearer)).ask(documents.devices)).devices.every(one => one.cursor !== null), 'positions to be acknowledged');
  for (const one of both) await one.database.close();
  await listening(0);
  await node.stop();
});

test('an edit of others that comes while the same document is being pushed is not missed, nor an answer that never comes waited for', { timeout: 60_000 }, async () => {
  const node = await startNode();
  const bearer = node.token();
  const database = await openDatabase('slow');
  const { tasks } = await database.addCollections({ tasks: {
    schema: schema({ title: { type: 'string' }, note: { type: 'string' } }), conflictHandler: conflictHandler((theirs, mine) => ({ ...mine, ...theirs }), () => []) } });
  // Requests wait before they are sent and answers before they are given, each until it is let go.
  const gates = { requests: null, answers: null };
  const through = async (kind, query) => {
    if (gates[kind]?.matches.test(query)) await new Promise(letGo => gates[kind].waiting.push(letGo));
  };
  const shut = (kind, matches) => (gates[kind] = { matches, waiting: [] });
  const open = kind => {
    const { waiting } = gates[kind];
    gates[kind] = null;
    for (const letGo of waiting) letGo();
  };
  const isHeld = kind => until(() => gates[kind].waiting.length > 0, `one of the ${kind} to wait`, 5000);
  let unanswered = 0;
  const network = new Network({ address: () => node.ws, fetch: async (_, request) => {
    const { query } = JSON.parse(request.body);
    if (/changes\(/.test(query) && ++unanswered === 1) // the connection is dead, and nobody says so
      return new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)));
    await through('requests', query);
    const response = await fetch(node.http, { ...request, signal: undefined });
    await through('answers', query);
    return response;
  } });
  const replication = replicateWithMooring({ collection: tasks, domain: 'TASK', deviceId: 'slow', url: 'http://node/graphql', getToken: () => bearer, priority: 'HIGH',
    pollIntervalMs: never, retryTimeMs: 40, requestTimeoutMs: 500, fetch: network.fetch, WebSocket: network.WebSocket });
  const other = await connect(node, bearer);
  const edit = (operationId, edits) => other.ask(documents.operations, { operations: [{ operationId, domain: 'TASK', entityId: 't', modifiedAt: new Date().toISOString(), priority: 'HIGH', ...edits }],
    key: operationId, device: 'other' });
  const here = async () => (await tasks.findOne('t').exec())?.toJSON();

  await edit('first', { operation: 'CREATE', data: { title: 'one' } });
  await until(async () => (await here())?.version === 1, 'the task', 10_000);

  shut('requests', /changes\(/);
  replication.resync();
  await isHeld('requests'); // a pull that is on its way…
  shut('answers', /syncOperations\(/);
  await editOf(await tasks.findOne('t').exec(), { note: 'of here' });
  await isHeld('answers'); // …when the node has taken the edit, and its answer is on its way
  await edit('second', { operation: 'UPDATE', baseVersion: 2, data: { title: 'two' } });
  open('requests');
  await sleep(200);
  open('answers');
  await until(async () => (await here()).version === 3, 'what the other wrote meanwhile', 5000);
  const { title, note } = await here();
  assert.deepEqual({ title, note }, { title: 'two', note: 'of here' });
  other.close();
  await database.close();
  await node.stop();
});

test(`two devices converge through outages and kills of the node (MOORING_SEED=${seed})`, { timeout: 240_000 }, async t => {
  const rand = seeded(seed), tasksMax = 8, rounds = 120;
  const node = await startNode();
  const bearer = node.token();
  // Field by field, so that no edit may lose what only it wrote. (By default the one that loses a conflict loses whole.)
  const boss = await connect(node, node.token({ user: 'boss', roles: ['admin'] }));
  await boss.ask(documents.policy, { policy: { domain: 'TASK', resolutionPolicy: 'MERGE' } });
  boss.close();
  const devices = [];
  for (const name of ['phone', 'tablet']) {
    const replications = [];
    const database = await openDatabase(name);
    // Each edit writes a field of its own, and some write the title as well.
    const fields = Object.fromEntries(['phone', 'tablet'].flatMap(who => Array.from({ length: rounds }, (_, n) => [`${who}${n}`, { type: 'integer' }])));
    const { tasks } = await database.addCollections({ tasks: {
      schema: schema({ title: { type: 'string' }, ...fields }), conflictHandler: conflictHandler((theirs, mine) => ({ ...mine, ...theirs }), () => replications) } });
    const device = { name, database, tasks, made: [], answers: 0, failures: 0 };
    device.network = new Network({ address: () => node.ws, fetch: async (_, request) => {
      const response = await fetch(node.http, request);
      device.answers += 1;
      if (device.answers === 5 || rand() < 0.05) throw new Error('the answer was lost');
      return response;
    } });
    device.replication = replicateWithMooring({
      collection: tasks, domain: 'TASK', deviceId: name, url: 'http://node/graphql', getToken: () => bearer, priority: 'HIGH', pollIntervalMs: never, retryTimeMs: 40, requestTimeoutMs: 2000,
      WebSocket: device.network.WebSocket,
      fetch: (...request) => device.network.fetch(...request).catch(problem => {
        device.failures += 1;
        throw problem;
      }),
    });
    replications.push(device.replication);
    devices.push(device);
  }

  let isOver = false, kills = 0;
  const chaos = (async () => {
    for (let n = 0; !isOver; ++n) {
      await sleep(50 + rand() * 250);
      const device = devices[Math.floor(rand() * 2)];
      if (n === 2 || rand() < 0.25) {
        await node.kill();
        kills += 1;
        await node.start();
      } else device.network.isOnline = !device.network.isOnline;
    }
  })();
  await Promise.all(devices.map(async device => {
    for (let n = 0; n < rounds; ++n) {
      const id = `task-${Math.floor(rand() * tasksMax)}`, field = `${device.name}${n}`;
      const change = { [field]: n, ...(rand() < 0.2 ? { title: `${device.name} ${n}` } : {}) };
      const there = await device.tasks.findOne(id).exec();
      if (there) await editOf(there, change);
      else await device.tasks.insert(newDocument(id, change));
      device.made.push({ id, field, value: n });
      await sleep(rand() * 50);
    }
  }));
  isOver = true;
  await chaos;
  for (const device of devices) device.network.isOnline = true;

  const client = await connect(node, bearer);
  const flat = entity => ({ ...entity.data, id: entity.entityId, version: entity.version });
  const sorted = list => [...list].sort((a, b) => (a.id < b.id ? -1 : 1)).map(one => Object.fromEntries(Object.entries(one).sort()));
  let truth;
  await until(async () => {
    truth = sorted((await readAll(client)).entities.map(flat));
    for (const device of devices) {
      const mine = sorted((await device.tasks.find().exec()).map(one => {
        const { modifiedAt, ...rest } = one.toJSON();
        return rest;
      }));
      if (JSON.stringify(mine) !== JSON.stringify(truth)) return false;
    }
    return devices.every(device => device.made.every(({ id, field }) => truth.find(one => one.id === id)?.[field] !== undefined));
  }, 'the same on both devices and the node, with every edit in it', 60_000).catch(async problem => {
    const missing = devices.flatMap(device => device.made.filter(({ id, field }) => truth.find(one => one.id === id)?.[field] === undefined));
    throw new Error(`${problem.message}; missing on the node: ${JSON.stringify(missing.slice(0, 10))}`);
  });
  for (const { made } of devices) for (const { id, field, value } of made) assert.equal(truth.find(one => one.id === id)[field], value);
  t.diagnostic(`${kills} kills, ${devices.map(one => `${one.failures} failed requests of the ${one.name}`).join(', ')}, ${truth.length} documents`);
  assert.ok(kills > 0 && devices.every(one => one.failures > 0));
  client.close();
  for (const device of devices) await device.database.close();
  await node.stop();
});
