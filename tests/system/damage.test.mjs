// `mooring check` on files that a broken disk could leave: it says what it can, and never ends by a signal itself.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { check, documents, edit, killAll, phone, post, sleep, startNode, unique, voiceItem } from './harness.mjs';

after(killAll); // also when a test failed

const page = 4096;
const seeds = Number(process.env.MOORING_DAMAGE_SEEDS ?? 60);

// xorshift: the same noise for the same seed, on every machine.
function noise(seed) {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n & 0xffffffffffffffffn || 1n;
  const next = () => {
    state ^= state << 13n & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= state << 17n & 0xffffffffffffffffn;
    return Number(state >> 32n);
  };
  return { next, fill: bytes => { for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(next(), i); } };
}

async function stoppedNode() {
  const node = await startNode();
  const client = await node.client();
  for (let i = 0; i < 6; ++i) {
    await phone(client, 'p').voice(Array.from({ length: 100 }, () => voiceItem(unique('v'))));
    await phone(client, 'p').edits(Array.from({ length: 20 }, () => edit(unique('e'), { text: 'x'.repeat(6_000) })));
  }
  client.close();
  await node.stop();
  return { data: node.data, file: join(node.data, 'shards/0/data.mdb') };
}

test('pages of noise: damage is damage, whatever LMDB makes of it', async () => {
  const { data, file } = await stoppedNode();
  const sound = check(data);
  assert.equal(sound.code, 0);
  assert.match(sound.out, / 720 entities/, 'a clean stop brings everything into the tables');
  const clean = readFileSync(file), pages = Math.floor(clean.length / page);
  const outcomes = { 0: 0, 1: 0, 3: 0 };
  let ended = 0;
  for (let seed = 1; seed <= seeds; ++seed) {
    const random = noise(seed), bytes = Buffer.from(clean);
    for (let i = 0; i <= seed % 4; ++i) {
      const at = 2 + random.next() % (pages - 2); // the first two are two copies of one thing
      const target = bytes.subarray(at * page, (at + 1) * page);
      if (seed % 3 === 0) random.fill(target); // all of it
      else random.fill(target.subarray(16)); // its head as it was, so that LMDB believes the rest
    }
    writeFileSync(file, bytes);
    const how = check(data);
    assert.ok(how.code in outcomes, `seed ${seed}: ${how.code ?? how.signal}\n${how.out}${how.err}`);
    outcomes[how.code] += 1;
    if (how.out.includes('cannot be read on')) {
      ended += 1;
      assert.equal(how.code, 3);
      assert.match(how.out, /shard 0: the file is damaged so much that it cannot be read on: its reader was ended by SIG(SEGV|BUS|ABRT) while it read the [a-z ]+\n/);
      assert.match(how.out, /\d+ findings: restore a backup/);
    }
    assert.ok(!how.err.includes('mdb.c'), how.err);
  }
  console.log(`${seeds} seeds: ${JSON.stringify(outcomes)}, ${ended} ended their reader`);
  assert.ok(outcomes[3] >= seeds / 3, JSON.stringify(outcomes));
  writeFileSync(file, clean);
  assert.equal(check(data).code, 0, 'the file as it was is sound');
});

test('rows that claim to be far larger than the file end their reader, and the operator is told where', async () => {
  const { data, file } = await stoppedNode();
  const clean = readFileSync(file), bytes = Buffer.from(clean);
  let changed = 0;
  for (let at = 2 * page; at + page <= bytes.length; at += page) {
    // LMDB's page: flags at 10 (2: a leaf), from 16 on the places of its rows; a row begins with the size of its value.
    if (bytes.readUInt16LE(at + 10) !== 2 || bytes.readUInt16LE(at + 12) <= 16) continue;
    const row = at + bytes.readUInt16LE(at + 16);
    if (row + 8 > at + page) continue;
    bytes.writeUInt32LE(0xfffffff0, row);
    changed += 1;
  }
  assert.ok(changed > 10, `${changed}`);
  writeFileSync(file, bytes);
  const how = check(data);
  assert.equal(how.code, 3, how.out + how.err);
  assert.match(how.out, /shard 0: the file is damaged so much that it cannot be read on: its reader was ended by SIG(SEGV|BUS) while it read the (log|[a-z ]+)\n/);
  assert.match(how.out, /\d+ findings: restore a backup/);
});

test('a shard that cannot be read hides nothing of the others', async () => {
  const node = await startNode({ set: { 'data.shards': 2 } });
  for (const tenant of ['acme', 'umbrella', 'initech', 'hooli']) {
    const client = await node.client({ tenant });
    await phone(client, 'p').voice(Array.from({ length: 100 }, () => voiceItem(unique('v'))));
    client.close();
  }
  await node.stop();
  assert.equal(check(node.data).code, 0);
  const file = join(node.data, 'shards/0/data.mdb'), bytes = readFileSync(file);
  // Behind the pages that say how to read it, nothing is what it was.
  noise(1).fill(bytes.subarray(2 * page, bytes.length & ~3));
  writeFileSync(file, bytes);
  const how = check(node.data);
  assert.equal(how.code, 3, how.out + how.err);
  assert.match(how.out, /shard 0: .*(cannot be read|damaged)/);
  assert.match(how.out, /shard 1: \d+ rows, \d+ tenants/);
});

test('who meets damage hears INTERNAL and a request id, and the log has why under that id', async () => {
  const node = await startNode();
  const mark = `private-${unique()}`, id = unique('e');
  const client = await node.client();
  await phone(client, 'p').edits([edit(id, { mark })]);
  client.close();
  await node.stop();
  const file = join(node.data, 'shards/0/data.mdb'), bytes = readFileSync(file);
  let places = 0;
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1), ++places) bytes[at + 2] ^= 0x20;
  assert.ok(places > 0);
  writeFileSync(file, bytes);
  await node.start();
  const { json } = await post(node, node.token(), { query: documents.entity, variables: { domain: 'TASK', id } });
  const [refused] = json.errors;
  assert.equal(refused.extensions.code, 'INTERNAL');
  assert.match(refused.extensions.requestId, /^[0-9a-f]+$/);
  assert.ok(!/row|checksum|damage/i.test(refused.message), refused.message);
  // The log is written by a thread of its own, a moment later.
  await node.logged(new RegExp(`request ${refused.extensions.requestId}: Query`));
  await node.logged(new RegExp(`request ${refused.extensions.requestId}: tenant`));
  const lines = node.log.split('\n').filter(line => line.includes(`request ${refused.extensions.requestId}: `));
  assert.ok(lines.some(line => /error +request [0-9a-f]+: Query\.entity: .*(damaged|checksum)/.test(line)), node.log);
  assert.ok(lines.some(line => /tenant acme: a query met damage/.test(line)), node.log);
  assert.ok(!node.log.includes(mark.slice(-8)) && !node.log.includes('private'), 'no entity\'s data');
  await node.stop();
});

test('a clean stop leaves tables that hold everything, on a loaded node too', async () => {
  const node = await startNode({ set: { 'data.shards': 2, 'data.apply_age_ms': '1m', 'network.threads': 2 } });
  const clients = await Promise.all(['acme', 'umbrella', 'initech'].map(tenant => node.client({ tenant })));
  let acknowledged = 0, sent = 0, stopping = false;
  const load = Promise.all(clients.map(async client => {
    try {
      while (!stopping) {
        sent += 50;
        await phone(client, 'p').voice(Array.from({ length: 50 }, () => voiceItem(unique('v'))));
        acknowledged += 50;
      }
    } catch {
      // the node stopped
    }
  }));
  while (acknowledged < 2_000) await sleep(10);
  const stopped = node.stop();
  const how = await stopped;
  stopping = true;
  await load;
  assert.equal(how.code, 0);
  assert.ok(how.took_ms < 10_000, `${how.took_ms} ms`);
  const { code, out } = check(node.data);
  assert.equal(code, 0, out);
  const counts = [...out.matchAll(/ (\d+) entities,.* log (\d+) to (\d+), tables up to (\d+)/g)];
  assert.equal(counts.length, 2);
  const entities = counts.reduce((sum, [, n]) => sum + Number(n), 0);
  assert.ok(acknowledged <= entities && entities <= sent, `${acknowledged} <= ${entities} <= ${sent}`);
  for (const [, , , last, applied] of counts) assert.equal(applied, last);
});
