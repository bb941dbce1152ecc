// kill -9 under load, again and again. Several devices upload all the time and, like a phone, send what was not answered
// again with the same key once the node is back. At the end every acknowledged item is there exactly once, every retry
// landed once, versions are consistent, and the folder is sound.
//
// MOORING_KILLS: how many kills (20). MOORING_SEED: the run's random moments.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { check, connect, documents, edit, killAll, now, readAll, sleep, startNode, voiceItem } from './harness.mjs';

after(killAll);

const kills = Number(process.env.MOORING_KILLS ?? 20);
const seed = Number(process.env.MOORING_SEED ?? (Date.now() & 0x7fffffff));
const shared = 40; // entities that every device edits

// mulberry32
function random(from) {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// One device. Its outbox: several requests in flight, each sent again until it is answered.
class Device {
  constructor(index, user, bearer, rand) {
    Object.assign(this, { index, user, bearer, rand, name: `device-${index}`, made: 0 });
    this.answered = []; // {request, answer}
    this.retries = 0;
    this.replays = 0;
    this.resent = 0;
  }

  make() {
    const n = ++this.made, key = `${this.name}-key-${n}`;
    const kind = n % 4;
    if (kind === 0)
      return { key, kind: 'voice', document: documents.voice, variables: { key, device: this.name,
        data: Array.from({ length: 1 + (n % 7) }, (_, i) => voiceItem(`${this.name}-v-${n}-${i}`)) } };
    // Every edit changes a field that is its own, so that all of them meet without a conflict and all must be seen.
    const operations = kind === 1
      ? [{ ...edit(`${this.name}-own-${n}`, { made: n }), operation: 'CREATE', operationId: `${this.name}-op-${n}` }]
      : Array.from({ length: kind }, (_, i) => ({
        domain: 'TASK', operation: 'UPDATE', entityId: `shared-${Math.floor(this.rand() * shared)}`, baseVersion: 1,
        data: { [`${this.name}-${n}-${i}`]: n }, modifiedAt: now(), operationId: `${this.name}-op-${n}-${i}` }));
    return { key, kind: 'operations', document: documents.operations, variables: { operations, key, device: this.name } };
  }

  // Uploads until `stop.asked`, then ends when everything was answered.
  async work(node, stop) {
    let client = null;
    const lane = async () => {
      while (!stop.asked) {
        const request = this.make();
        for (let attempt = 0; ; ++attempt) {
          if (attempt > 0) this.retries += 1;
          let answer;
          try {
            client ??= connect(node, this.bearer);
            const mine = client;
            try {
              answer = await (await mine).run(request.document, request.variables);
            } catch (lost) {
              if (client === mine) client = null;
              throw lost;
            }
          } catch {
            await sleep(5 + this.rand() * 20);
            continue;
          }
          if (answer.errors) {
            assert.ok(answer.errors.every(one => one.extensions.retryable), JSON.stringify(answer.errors));
            await sleep(5 + this.rand() * 20);
            continue;
          }
          const result = answer.data.syncVoiceData ?? answer.data.syncOperations;
          assert.equal(result.success, true, JSON.stringify(result.errors));
          if (attempt > 0) this.resent += 1;
          if (result.replayed) {
            assert.ok(attempt > 0, 'only a retry can be a replay');
            this.replays += 1;
          }
          this.answered.push({ request, result });
          break;
        }
        // Now and then the answer is "lost" after it came: the retry must be the stored answer.
        if (this.rand() < 0.05) this.lost = request;
        if (this.lost && client) {
          const { lost } = this, last = this.answered.find(one => one.request === lost);
          const again = await (await client.catch(() => null))?.run(lost.document, lost.variables).catch(() => null);
          if (again?.data) {
            this.lost = null;
            const replay = again.data.syncVoiceData ?? again.data.syncOperations;
            assert.deepEqual(replay, { ...last.result, replayed: true });
          }
        }
      }
    };
    await Promise.all([lane(), lane(), lane()]);
    if (client) (await client).close();
  }
}

// A phone that only reads: the changes since the last time, all the time. What it was shown is never taken back, and in the
// end it has what is there, without a gap.
class Reader {
  constructor(bearer) {
    Object.assign(this, { bearer, has: new Map(), since: null, pages: 0 });
  }

  take({ cursor, entities }) {
    for (const entity of entities) {
      const id = `${entity.domain} ${entity.entityId}`, known = this.has.get(id);
      assert.ok(!known || entity.version >= known.version, `${id} went back from ${known?.version} to ${entity.version}`);
      if (known?.version === entity.version) assert.deepEqual(entity, known);
      this.has.set(id, entity);
    }
    this.since = cursor;
    this.pages += 1;
  }

  async work(node, stop) {
    let client = null;
    while (!stop.asked) {
      let page;
      try {
        client ??= await connect(node, this.bearer);
        page = await client.run(documents.changes, { first: 500, since: this.since });
      } catch {
        client = null;
      }
      if (page?.data) this.take(page.data.changes);
      else await sleep(10);
    }
    client?.close();
  }

  async finish(client) {
    for (let more = true; more;) {
      const { changes } = await client.ask(documents.changes, { first: 500, since: this.since });
      this.take(changes);
      more = changes.hasMore;
    }
  }
}

test(`${kills} kills under load lose nothing and double nothing (MOORING_SEED=${seed})`, { timeout: 60_000 + kills * 10_000 }, async t => {
  const rand = random(seed);
  const node = await startNode({ set: { 'network.threads': 2, 'data.shards': 2, 'data.map_bytes_initial': '1MiB' } });
  const users = ['ann', 'ann', 'bob', 'cid'];
  const tokens = Object.fromEntries(users.map(user => [user, node.token({ user })]));
  const seeder = await connect(node, tokens.cid);
  const seeded = await seeder.ask(documents.operations, {
    operations: Array.from({ length: shared }, (_, i) => edit(`shared-${i}`, { seed: i }, { operation: 'CREATE' })), key: 'seed', device: 'seeder' });
  assert.equal(seeded.syncOperations.success, true);
  seeder.close();

  const stop = { asked: false };
  const devices = users.map((user, i) => new Device(i, user, tokens[user], random(seed + i + 1)));
  const reader = new Reader(tokens.ann);
  const load = Promise.all([...devices, reader].map(one => one.work(node, stop)));
  load.catch(() => {
    stop.asked = true;
  });
  for (let i = 0; i < kills && !stop.asked; ++i) {
    await sleep(20 + rand() * 250);
    await node.kill();
    if (i % 7 === 3) { // what a dead node leaves is already sound, before any recovery
      const checked = check(node.data);
      assert.equal(checked.code, 0, checked.out + checked.err);
    }
    await node.start();
  }
  await sleep(100);
  stop.asked = true;
  await load;

  // What was acknowledged, and what is there.
  const sum = name => devices.reduce((all, device) => all + device[name], 0);
  const acknowledged = devices.flatMap(device => device.answered);
  t.diagnostic(`${acknowledged.length} requests answered, ${sum('retries')} attempts lost, ${sum('resent')} answered on a retry, ${sum('replays')} of them replays`);
  assert.ok(acknowledged.length > kills * 5, 'the load was a load');
  assert.ok(kills < 10 || sum('resent') > 0, 'kills hit requests in flight');

  const clients = Object.fromEntries(await Promise.all([...new Set(users)].map(async user => [user, await connect(node, tokens[user])])));
  const feeds = {};
  for (const [user, client] of Object.entries(clients)) feeds[user] = (await readAll(client, { first: 500 })).entities;

  await reader.finish(clients.ann);
  t.diagnostic(`${reader.pages} pages read meanwhile`);
  assert.deepEqual([...reader.has.values()].sort((a, b) => (a.entityId < b.entityId ? -1 : 1)),
    [...feeds.ann].sort((a, b) => (a.entityId < b.entityId ? -1 : 1)), 'who read all along has what is there');

  for (const [user, entities] of Object.entries(feeds)) {
    const seen = new Map();
    for (const entity of entities) {
      const id = `${entity.domain} ${entity.entityId}`;
      assert.ok(!seen.has(id), `${id} is in ${user}'s feed twice`);
      seen.set(id, entity);
    }
    for (const device of devices.filter(one => one.user === user))
      for (const { request, result } of device.answered) {
        if (request.kind === 'voice') {
          for (const item of request.variables.data) assert.ok(seen.delete(`VOICE ${item.verificationId}`), `${item.verificationId} was acknowledged and is gone`);
          for (const item of result.items) assert.equal(item.duplicate, false, `${item.itemId} was stored twice`);
        } else {
          for (const item of result.items) assert.deepEqual([item.duplicate, item.conflictDetected, item.error], [false, false, null], JSON.stringify(item));
          if (request.variables.operations[0].operation === 'CREATE') {
            const own = seen.get(`TASK ${request.variables.operations[0].entityId}`);
            assert.deepEqual([own?.version, own?.data], [1, request.variables.operations[0].data]);
          }
        }
      }
    assert.deepEqual([...seen.keys()].filter(id => id.startsWith('VOICE')), [], 'every record that is there was acknowledged');
  }

  // The shared entities: each accepted edit is one version and one field, none missing, none more.
  const expected = new Map(Array.from({ length: shared }, (_, i) => [`shared-${i}`, { data: { seed: i }, versions: [1] }]));
  for (const { request, result } of acknowledged.filter(one => one.request.kind === 'operations'))
    request.variables.operations.forEach((operation, i) => {
      const entity = expected.get(operation.entityId);
      if (!entity || operation.operation === 'CREATE') return;
      Object.assign(entity.data, operation.data);
      entity.versions.push(result.items[i].version);
    });
  for (const [id, { data, versions }] of expected) {
    const stored = feeds.ann.find(one => one.entityId === id);
    assert.deepEqual(stored.data, data, `${id} has exactly the acknowledged edits`);
    assert.equal(stored.version, versions.length, `${id}: one version for each acknowledged edit`);
    assert.deepEqual(versions.sort((a, b) => a - b), versions.map((_, i) => i + 1), `${id}: each version was given once`);
  }

  const how = await node.stop();
  assert.deepEqual([how.code, how.signal], [0, null], node.log);
  const checked = check(node.data);
  assert.equal(checked.code, 0, checked.out + checked.err);
});
