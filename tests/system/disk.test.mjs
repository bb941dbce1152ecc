// A disk that fills up, and a machine that loses power: on a small file system of its own, in an image file behind a loop
// device. Needs root and loop devices; without them the tests are skipped, and say so loudly.
//
// The power cut. On one machine an honest one needs three things: nothing may reach the "disk" but what the node (or the
// kernel, in its own time) flushed, so the loop device uses direct I/O, and unflushed pages of the mounted file system do
// not show in the image; the moment must be random, so the image is copied while the node, stopped by SIGSTOP in mid
// work, cannot flush any more; and the copy is all that the next start gets: mounted (the journal is replayed, as after a
// power cut), checked, served. What was answered before the stop must be there, once.
//
// MOORING_CUTS: how many cuts (6). MOORING_SEED: the run's random moments.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { check, codes, connect, documents, edit, freshFolder, killAll, phone, readAll, sleep, startNode, unique, until, voiceItem } from './harness.mjs';

const cuts = Number(process.env.MOORING_CUTS ?? 6);
const seed = Number(process.env.MOORING_SEED ?? (Date.now() & 0x7fffffff));

const mounts = [];
const run = (...args) => execFileSync(args[0], args.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

// Attaches and mounts the image. Answers {folder, device, release}.
function mount(image) {
  const folder = join(freshFolder(), 'disk');
  mkdirSync(folder);
  const device = run('losetup', '--find', '--show', '--direct-io=on', image);
  const one = { folder, device, release() {
    if (!mounts.includes(one)) return;
    mounts.splice(mounts.indexOf(one), 1);
    try {
      run('umount', folder);
    } finally {
      run('losetup', '--detach', device);
    }
  } };
  try {
    run('mount', '-t', 'ext4', device, folder);
  } catch (problem) {
    run('losetup', '--detach', device);
    throw problem;
  }
  mounts.push(one);
  return one;
}

function makeDisk(mebibytes) {
  const image = join(freshFolder(), 'image');
  writeFileSync(image, '');
  truncateSync(image, mebibytes << 20);
  run('mkfs.ext4', '-q', '-F', '-m', '0', '-b', '4096', image);
  return image;
}

// Why it cannot be done here, or nothing.
function obstacle() {
  if (process.getuid() !== 0) return 'not root';
  if (!existsSync('/dev/loop-control')) return 'no loop devices';
  try {
    mount(makeDisk(16)).release();
  } catch (problem) {
    return `a loop device cannot be mounted: ${problem.stderr || problem.message}`;
  }
  return null;
}

const why = obstacle();
if (why) console.error(`\n!!! THE DISK TESTS ARE SKIPPED: ${why}. A full disk and a power cut are NOT tested by this run. !!!\n`);
const skip = why ?? false;

after(async () => {
  await killAll();
  for (const one of [...mounts]) {
    try {
      one.release();
    } catch (problem) {
      console.error(`left mounted: ${one.folder}: ${problem.message}`);
    }
  }
});

test('a full disk: uploads are refused with STORAGE_FULL, reads go on, and it heals without a restart', { skip, timeout: 120_000 }, async t => {
  const disk = mount(makeDisk(128));
  const node = await startNode({ data: join(disk.folder, 'data'), set: {
    'data.disk_reserve_bytes': '8MiB', 'data.disk_reserve_share': 0.01, 'data.map_bytes_initial': '1MiB', 'network.threads': 2 } });
  const client = await node.client();
  const p = phone(client, 'p');
  const free = () => {
    const { bavail, bsize } = statfsSync(disk.folder);
    return (bavail * bsize) / (1 << 20);
  };
  const filler = 'x'.repeat(100 << 10);
  const acknowledged = new Map(); // key → id
  const upload = (key, id) => client.run(documents.operations, {
    key, device: 'p', operations: Array.from({ length: 4 }, (_, i) => edit(`${id}-${i}`, { filler, i }, { modifiedAt: '2025-09-28T12:00:00Z' })) });

  // Somebody else's file takes most of it, ours fill the rest.
  const other = join(disk.folder, 'other');
  writeFileSync(other, Buffer.alloc(60 << 20));
  // The first refusals may be followed by a success, while what waits in the log moves to the tables and makes room.
  let refused = null, refusedKey, refusedId, inRow = 0;
  for (let i = 0; i < 600 && inRow < 20; ++i) {
    const key = unique(), id = unique('e');
    const answer = await upload(key, id);
    if (answer.errors) {
      [refused, refusedKey, refusedId] = [answer, key, id];
      assert.deepEqual(codes(refused), ['STORAGE_FULL'], `after ${acknowledged.size} uploads, ${free()} MiB free`);
      inRow += 1;
      await sleep(20);
    } else {
      acknowledged.set(key, id);
      inRow = 0;
    }
  }
  assert.equal(inRow, 20, `it became full; ${free()} MiB free`);
  assert.equal(refused.errors[0].extensions.retryable, true);
  assert.ok(free() > 4, `the reserve was left alone: ${free()} MiB`);
  t.diagnostic(`full after ${acknowledged.size} uploads of 400 KiB, with ${free().toFixed(1)} MiB free`);

  // Reads and acknowledgements work.
  assert.deepEqual(codes(await upload(refusedKey, refusedId)), ['STORAGE_FULL'], 'a retry too');
  const read = await readAll(client, { first: 20 });
  assert.equal(read.entities.length, acknowledged.size * 4);
  const acknowledge = await client.run(documents.acknowledge, { id: 'p', cursor: read.cursor });
  assert.deepEqual(codes(acknowledge), [], 'acknowledging works on a full disk');
  const [key, id] = acknowledged.entries().next().value;
  assert.equal((await upload(key, id)).data.syncOperations.replayed, true, 'and so does recognising a retry');

  // Even the reserve is taken by somebody else, to the last block.
  try {
    writeFileSync(join(disk.folder, 'greedy'), Buffer.alloc(64 << 20));
  } catch (problem) {
    assert.equal(problem.code, 'ENOSPC');
  }
  assert.deepEqual(codes(await upload(unique(), unique('e'))), ['STORAGE_FULL']);
  assert.equal((await p.entity('TASK', `${id}-0`)).version, 1);
  rmSync(join(disk.folder, 'greedy'));

  rmSync(other);
  const healed = await until(async () => {
    const answer = await upload(refusedKey, refusedId);
    return answer.data && answer;
  }, 'uploads to work again', 15_000);
  assert.equal(healed.data.syncOperations.replayed, false, 'the refused upload had not run');
  acknowledged.set(refusedKey, refusedId);
  assert.deepEqual(healed.data.syncOperations.items.map(one => [one.success, one.version, one.duplicate]), Array(4).fill([true, 1, false]));
  const more = unique('e');
  assert.equal((await upload(unique('last'), more)).data.syncOperations.success, true);
  acknowledged.set('last', more);
  client.close();

  // And after a restart everything that was acknowledged, and nothing else, is there.
  assert.equal((await node.stop()).code, 0, node.log);
  assert.equal(check(node.data).code, 0);
  await node.start();
  const back = await node.client();
  const { entities } = await readAll(back, { first: 20 });
  const expected = [...acknowledged.values()].flatMap(one => [0, 1, 2, 3].map(i => `${one}-${i}`)).sort();
  assert.deepEqual(entities.map(one => one.entityId).sort(), expected);
  back.close();
  assert.equal((await node.stop()).code, 0);
  disk.release();
});

test('a disk that others fill to the last block in mid work: reads and retries go on, refusals come at once, nothing is lost', { skip, timeout: 120_000 }, async t => {
  const disk = mount(makeDisk(96));
  // What is acknowledged stays in the log as long as it may, so that the disk fills while much is not in the tables yet.
  const node = await startNode({ data: join(disk.folder, 'data'), set: {
    'data.disk_reserve_bytes': '8MiB', 'data.disk_reserve_share': 0.01, 'data.map_bytes_initial': '1MiB', 'data.apply_age_ms': '5s',
    'network.threads': 2, 'limits.enabled': false } });
  const clients = await Promise.all(Array.from({ length: 8 }, () => node.client()));
  const acknowledged = new Map(); // key → {device, ids}
  const refused = new Map();
  const took = { upload: [], retry: [], read: [], changes: [] };
  const timed = async (what, work) => {
    const began = performance.now();
    const answer = await work;
    took[what].push(performance.now() - began);
    return answer;
  };
  // Small and large, new entities and many versions of the same ones.
  const upload = (client, key, { device, ids, size }) => client.run(documents.operations, {
    key, device, operations: ids.map(id => edit(id, { filler: 'x'.repeat(size) }, { modifiedAt: '2025-09-28T12:00:00Z' })) });
  const greedy = join(disk.folder, 'greedy');
  const fill = (file, bytes) => {
    try {
      writeFileSync(file, Buffer.alloc(bytes));
    } catch (problem) {
      assert.equal(problem.code, 'ENOSPC');
    }
  };
  let full = false, done = false, stored = 0, budget = 6 << 20; // bytes
  const lanes = clients.map(async (client, lane) => {
    const device = `d${lane}`, p = phone(client, device);
    for (let i = 0; !done; ++i) {
      const key = unique(), what = { device, ids: [`hot-${lane}-${i % 5}`, ...Array.from({ length: 1 + (i % 8) }, (_, n) => unique(`e${n}`))], size: i % 3 === 0 ? 20_000 : 300 };
      if (!full && stored > budget) { // it shall not be us who fill it
        await sleep(2);
        continue;
      }
      const wasFull = full, answer = wasFull ? await timed('upload', upload(client, key, what)) : await upload(client, key, what);
      if (answer.errors) {
        assert.deepEqual(codes(answer), ['STORAGE_FULL']);
        refused.set(key, what);
        await sleep(5);
      } else {
        assert.equal(answer.data.syncOperations.replayed, false);
        acknowledged.set(key, what);
        stored += what.ids.length * what.size;
      }
      if (!wasFull) continue;
      const mine = [...acknowledged].filter(([, one]) => one.device === device);
      if (mine.length === 0) continue;
      const [oldKey, old] = mine[Math.floor(Math.random() * mine.length)];
      const again = await timed('retry', upload(client, oldKey, old));
      assert.equal(again.data?.syncOperations.replayed, true, JSON.stringify(again.errors));
      // Whatever was acknowledged is seen, the newest too.
      const [, newest] = mine.at(-1);
      assert.ok(await timed('read', p.entity('TASK', newest.ids.at(-1))), 'what was acknowledged is read');
      const page = await timed('changes', client.run('{ changes(first: 5) { cursor hasMore } }'));
      assert.deepEqual(codes(page), []);
    }
  });
  const running = Promise.all(lanes);
  running.catch(() => { done = true; });

  try {
    for (let wave = 0; wave < 3 && !done; ++wave) {
      await sleep(300 + wave * 200);
      fill(greedy, 96 << 20); // all of it, the reserve too
      full = true;
      await sleep(1_500);
      full = false;
      rmSync(greedy);
      budget = stored + (6 << 20);
      const before = acknowledged.size;
      if (wave < 2) await until(() => done || acknowledged.size > before + 8, 'uploads to go through again', 15_000);
    }
  } finally {
    done = true;
  }
  await running;
  assert.ok(acknowledged.size > 50 && refused.size > 20, `${acknowledged.size} acknowledged, ${refused.size} refused`);
  for (const [what, times] of Object.entries(took)) {
    times.sort((a, b) => a - b);
    const at = share => times[Math.min(times.length - 1, Math.floor(times.length * share))];
    t.diagnostic(`${what} on the full disk: ${times.length}, median ${at(0.5).toFixed(1)} ms, 99% ${at(0.99).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms`);
    assert.ok(times.length > 10, what);
    assert.ok(at(0.95) < 1_000, `${what}: ${at(0.95)} ms`);
  }
  assert.doesNotMatch(node.log, /loaded from disk|cannot be loaded/, 'the shard never stopped');

  // The same clients' refused uploads go through, each for the first time.
  const before = acknowledged.size;
  for (const [key, what] of [...refused].slice(0, 20)) {
    const answer = await until(async () => {
      const one = await upload(clients[0], key, what);
      return one.data && one;
    }, 'a refused upload to go through', 15_000);
    assert.equal(answer.data.syncOperations.replayed, false, 'it had not run');
    acknowledged.set(key, what);
  }
  assert.ok(acknowledged.size >= before + 20);
  for (const client of clients) client.close();
  assert.equal((await node.stop()).code, 0, node.log);
  const checked = check(node.data);
  assert.equal(checked.code, 0, checked.out + checked.err);
  await node.start();
  const back = await node.client();
  const { entities } = await readAll(back, { first: 200 });
  const expected = new Set([...acknowledged.values()].flatMap(one => one.ids));
  assert.deepEqual(entities.map(one => one.entityId).sort(), [...expected].sort(), 'everything that was acknowledged, and nothing else');
  back.close();
  assert.equal((await node.stop()).code, 0);
  disk.release();
});

test('a node that starts on a disk without a free block: reads and retries work, uploads as soon as there is room', { skip, timeout: 120_000 }, async () => {
  const disk = mount(makeDisk(64));
  const node = await startNode({ data: join(disk.folder, 'data'), set: {
    'data.disk_reserve_bytes': '4MiB', 'data.disk_reserve_share': 0.01, 'data.map_bytes_initial': '1MiB', 'data.apply_age_ms': '5s', 'limits.enabled': false } });
  const acknowledged = new Map(); // key → id
  const upload = (client, key, id) => client.run(documents.operations, {
    key, device: 'p', operations: [edit(id, { filler: 'x'.repeat(500) }, { modifiedAt: '2025-09-28T12:00:00Z' })] });
  const uploadSome = async (client, count) => {
    for (let i = 0; i < count; ++i) {
      const key = unique(), id = unique('e');
      assert.equal((await upload(client, key, id)).data.syncOperations.success, true);
      acknowledged.set(key, id);
    }
  };
  const greedy = join(disk.folder, 'greedy');
  const fill = () => {
    for (const bytes of [64 << 20, 4096]) // what a large write leaves, a small one takes
      try {
        for (let n = 0; ; ++n) writeFileSync(`${greedy}${bytes}-${n}`, Buffer.alloc(bytes));
      } catch (problem) {
        assert.equal(problem.code, 'ENOSPC');
      }
    assert.equal(statfsSync(disk.folder).bavail, 0, 'no block is free');
  };
  const free = () => {
    for (const name of readdirSync(disk.folder)) if (name.startsWith('greedy')) rmSync(join(disk.folder, name));
  };
  // Killed with much in the log and little in the tables; stopped in order; and stopped when that could not even be tidied up.
  for (const end of ['kill', 'stop', 'fill, then stop', 'fill, then kill']) {
    const client = await node.client();
    await uploadSome(client, 40);
    if (end.startsWith('fill')) fill();
    client.close();
    if (end.endsWith('kill')) await node.kill();
    else assert.equal((await node.stop()).code, 0, node.log);
    if (!end.startsWith('fill')) fill();

    await node.start();
    const back = await node.client();
    const { entities } = await readAll(back, { first: 100 });
    assert.deepEqual(entities.map(one => one.entityId).sort(), [...acknowledged.values()].sort(), `after "${end}"`);
    const [key, id] = [...acknowledged].at(-1);
    assert.equal((await upload(back, key, id)).data.syncOperations.replayed, true);
    const refusedKey = unique(), refusedId = unique('e');
    assert.deepEqual(codes(await upload(back, refusedKey, refusedId)), ['STORAGE_FULL'], end);
    free();
    const healed = await until(async () => {
      const answer = await upload(back, refusedKey, refusedId);
      return answer.data && answer;
    }, 'uploads to work again', 15_000);
    assert.equal(healed.data.syncOperations.replayed, false);
    acknowledged.set(refusedKey, refusedId);
    back.close();
  }

  // Not even the blocks are there that a node leaves behind its files' ends, as after a copy of the folder: it runs, is not
  // ready, and is as soon as there is room.
  const client = await node.client();
  await uploadSome(client, 40);
  client.close();
  await node.kill();
  for (const name of readdirSync(join(node.data, 'shards'))) {
    const file = join(node.data, 'shards', name, 'data.mdb');
    truncateSync(file, statSync(file).size);
  }
  fill();
  await node.start();
  assert.equal((await fetch(`${node.origin}/readyz`)).status, 503);
  const early = await node.client();
  assert.deepEqual(codes(await early.run('{ changes(first: 5) { cursor } }')), ['UNAVAILABLE']);
  free();
  await until(async () => (await fetch(`${node.origin}/readyz`)).status === 200, 'the node to be ready', 20_000);
  const { entities } = await readAll(early, { first: 100 });
  assert.deepEqual(entities.map(one => one.entityId).sort(), [...acknowledged.values()].sort());
  early.close();
  assert.equal((await node.stop()).code, 0);
  assert.equal(check(node.data).code, 0);
  disk.release();
});

// The image as it is on the "disk" right now, without what only the kernel's caches know.
function copyImage(image, to) {
  run('dd', `if=${image}`, `of=${to}`, 'bs=1M', 'iflag=direct', 'conv=sparse', 'status=none');
}

test(`${cuts} power cuts lose nothing that was acknowledged (MOORING_SEED=${seed})`, { skip, timeout: 60_000 + cuts * 20_000 }, async t => {
  let state = seed >>> 0;
  const random = () => { // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
  state ||= 1;
  let image = makeDisk(96), total = 0, replayed = 0, ran = 0, unflushed = 0;
  const answered = []; // {key, ids}
  let pending = []; // sent, and not answered before the cut

  const request = ({ key, ids }) => [documents.voice, { key, device: 'p', data: ids.map(id => ({ ...voiceItem(id), timestamp: '2025-09-28T12:00:00Z', metadata: { fill: 'y'.repeat(400) } })) }];
  for (let cut = 0; cut <= cuts; ++cut) {
    const disk = mount(image);
    const witness = join(disk.folder, `witness-${cut - 1}`); // nobody flushed it before the last cut
    if (cut > 0 && !(existsSync(witness) && statSync(witness).size > 0)) unflushed += 1;
    // A small map grows during the run, and applying at once writes the tables as often as the log.
    const node = await startNode({ data: join(disk.folder, 'data'), set: { 'data.disk_reserve_bytes': '4MiB', 'data.disk_reserve_share': 0.01,
      'data.map_bytes_initial': '1MiB', 'data.apply_age_ms': cut % 2 === 0 ? '1s' : '10ms', 'data.apply_bytes_max': '64KiB' } });
    const client = await node.client();

    // What the last cut left open is sent again; then everything must be there once.
    for (const one of pending) {
      const { syncVoiceData } = await client.ask(...request(one));
      assert.equal(syncVoiceData.success, true);
      assert.ok(syncVoiceData.items.every(item => !item.duplicate), 'wholly there, or wholly absent');
      if (syncVoiceData.replayed) replayed += 1;
      else ran += 1;
      answered.push(one);
    }
    pending = [];
    const ids = (await readAll(client, { first: 1000 })).entities.map(one => one.entityId);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual([...ids].sort(), answered.flatMap(one => one.ids).sort(), `after cut ${cut}`);
    for (const one of answered.slice(-20)) assert.equal((await client.ask(...request(one))).syncVoiceData.replayed, true);
    if (cut === cuts) {
      client.close();
      assert.equal((await node.stop()).code, 0);
      assert.equal(check(node.data).code, 0);
      disk.release();
      break;
    }

    let cutting = false;
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      while (!cutting) {
        const one = { key: unique('key'), ids: Array.from({ length: 1 + lane * 2 }, () => unique('v')) };
        pending.push(one);
        await client.ask(...request(one));
        if (cutting) break; // its answer may have come after the stop: it counts as not answered
        pending.splice(pending.indexOf(one), 1);
        answered.push(one);
        total += 1;
      }
    });
    Promise.all(lanes).catch(() => {});
    await sleep(200 + random() * 500);
    writeFileSync(join(disk.folder, `witness-${cut}`), 'x'.repeat(4096));
    node.signal('SIGSTOP');
    cutting = true; // in the same turn: no answer is taken in between
    await until(() => /State:\s+T/.test(run('cat', `/proc/${node.pid}/status`)), 'the node to stand still');
    const next = join(freshFolder(), 'image');
    copyImage(image, next);
    await node.kill();
    disk.release();
    rmSync(image);
    image = next;
  }
  t.diagnostic(`${total} uploads acknowledged; of those cut off ${replayed} had been stored, ${ran} had not`);
  assert.ok(total > cuts * 5);
  assert.ok(unflushed > 0, 'what nobody flushes is lost by these cuts, or they are none');
  assert.ok(statSync(image).size === 96 << 20);
});
