// The outbox and what belongs to it, over each storage, with a crash between any two commits: nothing is lost that was
// acknowledged to the app, nothing reaches the node twice, and a batch that was sent is sent again to the byte.
import 'fake-indexeddb/auto';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexedDbStorage, MemoryStorage, OutboxFullError, applyMergePatch, type Json, type JsonObject, type Storage, type SyncItemResult, type SyncOperationInput } from '@mooring/client';
import { LocalState } from '../dist/local_state.js';
import type { Batch } from '../dist/outbox.js';
import { seeded } from './seeded.js';

type Content = [string, string][];
let databases = 0;
const storages: Record<string, (content: Content) => Promise<Storage>> = {
  memory: content => Promise.resolve(new MemoryStorage(content)),
  IndexedDB: async content => {
    const storage = await IndexedDbStorage.open(`test-${++databases}`);
    if (content.length > 0) await storage.commit(content.map(([key, value]) => ({ key, value })));
    return storage;
  },
};
const contentOf = (storage: Storage) => storage.scan('');

// The process that uses a storage dies at its commit number `at`, which lands or not. Keeps what the storage held after
// each commit, for crashes that lose the newest.
class Mortal implements Storage {
  readonly past: Content[] = [];
  commits = 0;
  isDead = false;
  constructor(readonly inner: Storage, readonly at = Infinity, readonly lands = false) {}

  get(key: string) {
    return this.isDead ? Promise.reject(new Error('dead')) : this.inner.get(key);
  }
  scan(...given: Parameters<Storage['scan']>) {
    return this.isDead ? Promise.reject(new Error('dead')) : this.inner.scan(...given);
  }
  async commit(writes: Parameters<Storage['commit']>[0]) {
    if (this.isDead) throw new Error('dead');
    const dies = ++this.commits > this.at;
    if (!dies || this.lands) {
      this.past.push(await contentOf(this.inner));
      await this.inner.commit(writes);
    }
    if (!dies) return;
    this.isDead = true;
    throw new Error('dead');
  }
  close() {
    return this.inner.close();
  }
}

// What a node does with uploads, as far as exactly-once goes (docs/domain.md), for one device.
class ModelNode {
  readonly answers = new Map<string, { text: string; results: SyncItemResult[] }>();
  readonly operations = new Map<string, SyncItemResult>();
  readonly entities = new Map<string, { version: number; data: Json }>();
  readonly applied: string[] = [];
  replays = 0;
  duplicates = 0;

  take(text: string): SyncItemResult[] {
    const { variables } = JSON.parse(text) as { variables: { key: string; operations: SyncOperationInput[] } };
    const before = this.answers.get(variables.key);
    if (before) {
      assert.equal(text, before.text, 'a retry is the same upload to the byte');
      this.replays += 1;
      return before.results;
    }
    const results = variables.operations.map(edit => this.#apply(edit));
    this.answers.set(variables.key, { text, results });
    return results;
  }

  #apply(edit: SyncOperationInput): SyncItemResult {
    const stored = this.operations.get(edit.operationId);
    if (stored) {
      this.duplicates += 1;
      return { ...stored, duplicate: true };
    }
    const before = this.entities.get(edit.entityId);
    assert.ok((edit.baseVersion ?? 0) <= (before?.version ?? 0), 'no base that the node does not know');
    const data = edit.operation === 'DELETE' ? null : edit.operation === 'UPDATE' ? applyMergePatch(before?.data ?? {}, edit.data!) : edit.data!;
    const version = (before?.version ?? 0) + 1;
    this.entities.set(edit.entityId, { version, data });
    this.applied.push(edit.operationId);
    const result = { itemId: edit.entityId, operationId: edit.operationId, success: true, version, duplicate: false, conflictDetected: false, conflictId: null, error: null };
    this.operations.set(edit.operationId, result);
    return result;
  }
}

let ids = 0;
const open = (storage: Storage) => LocalState.open(storage, { deviceId: 'd', nowMs: () => 1_700_000_000_000, makeId: () => `id-${++ids}`, outbox: { itemsMax: 1000, bytesMax: 1 << 20 } });

// A day of an app: edits of three tasks, uploads, some answers lost. `done` gets each edit that the app was told is safe.
async function live(state: LocalState, node: ModelNode, random: () => number, steps: number, done: (id: string) => void): Promise<void> {
  let sent: { batch: Batch; results: SyncItemResult[] } | null = null;
  for (let step = 0; step < steps; ++step) {
    const what = random(), id = `task-${Math.floor(random() * 3)}`;
    if (what < 0.45) {
      const edit = await state.edit('TASK', id, now => (
        now?.data == null ? { kind: 'CREATE', data: { n: step } } : random() < 0.1 ? { kind: 'DELETE' } : { kind: 'UPDATE', data: { ...now.data, n: step, [`f${step % 5}`]: step } }), 'NORMAL');
      if (edit) done(edit.operationId);
    } else if (what < 0.75) {
      const batch = await state.form({ items: 1 + Math.floor(random() * 4), bytes: 100_000 });
      if (batch) {
        const results = node.take(batch.text);
        sent = random() < 0.3 ? null : { batch, results }; // the answer may be lost
      }
    } else if (what < 0.8) {
      if (state.batch && !node.answers.has(state.batch.key)) await state.dissolve(state.batch, true); // refused, not executed
    } else if (sent && state.batch === sent.batch) {
      await state.settle(sent.batch, sent.results, '2026-01-05T08:00:00.000Z');
      sent = null;
    }
  }
}

async function drain(state: LocalState, node: ModelNode): Promise<void> {
  for (let batch; (batch = await state.form({ items: 50, bytes: 100_000 }));) await state.settle(batch, node.take(batch.text), '2026-01-05T08:00:00.000Z');
}

// The device has what the node has, as far as it was told.
async function compare(state: LocalState, node: ModelNode): Promise<void> {
  assert.equal(state.waiting, 0);
  for (const [id, { version, data }] of node.entities) {
    if (state.expected.some(one => one.entityId === id)) continue; // has to be read
    const view = await state.get('TASK', id);
    assert.deepEqual([view?.version, view?.data], [version, data], id);
  }
}

for (const [name, make] of Object.entries(storages)) {
  test(`${name}: a crash at any commit, landed or not, loses nothing and doubles nothing`, async t => {
    const steps = 60, seed = 11;
    const whole = new Mortal(await make([]));
    await live(await open(whole), new ModelNode(), seeded(seed), steps, () => {});
    assert.ok(whole.commits > 30);
    let replays = 0, duplicates = 0;
    for (let at = 0; at < whole.commits; ++at)
      for (const lands of [false, true]) {
        const node = new ModelNode(), safe: string[] = [];
        const storage = new Mortal(await make([]), at, lands);
        await assert.rejects(async () => live(await open(storage), node, seeded(seed), steps, id => safe.push(id)), /dead/);
        const state = await open(await make(await contentOf(storage.inner)));
        await drain(state, node);
        assert.equal(new Set(node.applied).size, node.applied.length, 'applied twice');
        assert.deepEqual(node.applied.filter(id => safe.includes(id)), safe, 'all that was safe, in order');
        assert.ok(node.applied.length <= safe.length + 1, 'and at most the one whose commit was hit');
        await compare(state, node);
        replays += node.replays;
        duplicates += node.duplicates;
      }
    assert.ok(replays > 0, 'some answers were had twice');
    t.diagnostic(`${whole.commits} commits, ${2 * whole.commits} crashes, ${replays} replays, ${duplicates} duplicates`);
  });

  test(`${name}: a crash that loses the newest commits loses their edits and nothing else`, async t => {
    const steps = 50, seed = 23;
    const whole = new Mortal(await make([]));
    await live(await open(whole), new ModelNode(), seeded(seed), steps, () => {});
    let duplicates = 0, crashes = 0;
    for (let at = 1; at < whole.commits; at += name === 'memory' ? 1 : 4)
      for (const lost of [1, 2, 5]) {
        const node = new ModelNode(), safe: { id: string; commit: number }[] = [];
        const storage = new Mortal(await make([]), at, true);
        await assert.rejects(async () => live(await open(storage), node, seeded(seed), steps, id => safe.push({ id, commit: storage.commits })), /dead/);
        crashes += 1;
        const left = Math.max(0, storage.past.length - lost);
        const state = await open(await make(storage.past[left]!));
        await drain(state, node);
        assert.equal(new Set(node.applied).size, node.applied.length, 'applied twice');
        const kept = safe.filter(one => one.commit <= left).map(one => one.id);
        for (const id of kept) assert.ok(node.applied.includes(id), `${id} was stored and is lost`);
        duplicates += node.duplicates;
        assert.equal(state.waiting, 0);
      }
    assert.ok(duplicates > 0, 'operation ids did their work');
    t.diagnostic(`${crashes} crashes, ${duplicates} duplicates`);
  });

  test(`${name}: a storage that fails now and then, and goes on, changes nothing of that`, async () => {
    const random = seeded(5), node = new ModelNode(), inner = await make([]);
    let failures = 0;
    const flaky: Storage = {
      get: key => inner.get(key), scan: (...given) => inner.scan(...given), close: () => inner.close(),
      commit: async writes => {
        const fails = random() < 0.3;
        if (!fails || random() < 0.5) await inner.commit(writes); // what is told as failed may be there
        if (!fails) return;
        failures += 1;
        throw new Error('quota');
      },
    };
    let state: LocalState | undefined;
    while (!state) state = await open(flaky).catch(() => undefined);
    const safe: string[] = [];
    for (let round = 0; round < 150; ++round) {
      await state.edit('TASK', `task-${round % 3}`, now => (now?.data ? { kind: 'UPDATE', data: { ...now.data, n: round } } : { kind: 'CREATE', data: { n: round } }), 'NORMAL').then(edit => safe.push(edit!.operationId), () => {});
      if (round % 4 === 3) {
        const batch = await state.form({ items: 5, bytes: 100_000 }).catch(() => null);
        if (batch) await state.settle(batch, node.take(batch.text), '2026-01-05T08:00:00.000Z').catch(() => {});
      }
    }
    while (state.waiting > 0) {
      const batch = await state.form({ items: 50, bytes: 100_000 }).catch(() => null);
      if (batch) await state.settle(batch, node.take(batch.text), '2026-01-05T08:00:00.000Z').catch(() => {});
    }
    assert.ok(failures > 20);
    assert.deepEqual(node.applied, safe);
    await compare(state, node);
  });

  test(`${name}: scans by prefix, in order, from a key on, so many; commits all or nothing`, async () => {
    const storage = await make([]);
    await storage.commit(['b/2', 'a', 'b/10', 'b/1', 'c/1', 'b'].map(key => ({ key, value: `<${key}>` })));
    const keys = async (...given: Parameters<Storage['scan']>) => (await storage.scan(...given)).map(([key, value]) => {
      assert.equal(value, `<${key}>`);
      return key;
    });
    assert.deepEqual(await keys('b/'), ['b/1', 'b/10', 'b/2']);
    assert.deepEqual(await keys('b/', { limit: 2 }), ['b/1', 'b/10']);
    assert.deepEqual(await keys('b/', { after: 'b/1' }), ['b/10', 'b/2']);
    assert.deepEqual(await keys('b/', { after: 'b/1', limit: 1 }), ['b/10']);
    assert.deepEqual(await keys('b/', { after: 'a' }), ['b/1', 'b/10', 'b/2']);
    assert.deepEqual(await keys('x'), []);
    assert.deepEqual(await keys(''), ['a', 'b', 'b/1', 'b/10', 'b/2', 'c/1']);
    await storage.commit([{ key: 'b/1', value: null }, { key: 'b/3', value: '<b/3>' }, { key: 'nothing', value: null }]);
    assert.deepEqual(await keys('b/'), ['b/10', 'b/2', 'b/3']);
    assert.equal(await storage.get('b/1'), undefined);
    assert.equal(await storage.get('b/3'), '<b/3>');
    await storage.commit([]);
    await storage.close();
  });
}

test('IndexedDB keeps what was committed over closing and opening', async () => {
  const first = await IndexedDbStorage.open('kept');
  await first.commit([{ key: 'k', value: 'v' }]);
  await first.close();
  const second = await IndexedDbStorage.open('kept');
  assert.equal(await second.get('k'), 'v');
  await second.close();
  await assert.rejects(second.commit([{ key: 'k', value: 'w' }]));
});

// ── batches ──

const edits = async (state: LocalState, count: number, data: (n: number) => JsonObject) => {
  for (let n = 0; n < count; ++n) await state.edit('TASK', `t-${n}`, () => ({ kind: 'CREATE', data: data(n) }), 'NORMAL');
};
const done = (batch: Batch) => batch.entries.map(({ item }, at) => ({
  itemId: String(at), operationId: (item.input as SyncOperationInput).operationId, success: true, version: 1, duplicate: false, conflictDetected: false, conflictId: null, error: null }));

test('a batch is the oldest items, at most so many and so many bytes; one item always fits', async () => {
  const state = await open(new MemoryStorage());
  await edits(state, 10, n => ({ text: 'x'.repeat(n === 7 ? 50_000 : 1000) }));
  const sizes: number[] = [], texts: number[] = [];
  for (let batch; (batch = await state.form({ items: 4, bytes: 6000 }));) {
    sizes.push(batch.entries.length);
    texts.push(batch.text.length);
    await state.settle(batch, done(batch), '');
  }
  assert.deepEqual(sizes, [3, 3, 1, 1, 2]);
  for (const [at, size] of sizes.entries()) if (size > 1) assert.ok(texts[at]! <= 6000, `${texts[at]} bytes`);
});

test('a batch that was formed stays the same, whatever the limits and whatever else is done', async () => {
  const storage = new MemoryStorage();
  const state = await open(storage);
  await edits(state, 5, n => ({ n }));
  const batch = (await state.form({ items: 3, bytes: 100_000 }))!;
  await edits(state, 3, n => ({ again: n }));
  assert.equal(await state.form({ items: 1, bytes: 1 }), batch);
  const after = await (await open(new MemoryStorage(storage.content()))).form({ items: 100, bytes: 1 << 20 });
  assert.deepEqual([after!.key, after!.text, after!.entries.map(one => one.sequence)], [batch.key, batch.text, batch.entries.map(one => one.sequence)]);
});

test('of a batch that is refused as a whole the culprit is found in log steps, the others go through in order', async () => {
  const state = await open(new MemoryStorage());
  await edits(state, 64, n => ({ n }));
  const stored: number[] = [], rejected: number[] = [];
  let attempts = 0;
  for (let batch; (batch = await state.form({ items: 500, bytes: 1 << 20 })); ++attempts) {
    const numbers = batch.entries.map(({ item }) => (item.input as SyncOperationInput).data!["n"] as number);
    if (!numbers.includes(41)) {
      stored.push(...numbers);
      await state.settle(batch, done(batch), '');
    } else if (numbers.length === 1) {
      rejected.push(...numbers);
      const { rejections } = await state.reject(batch, { code: 'BAD_USER_INPUT', message: 'no' });
      assert.equal(rejections.length, 1);
    } else await state.dissolve(batch, true);
  }
  assert.deepEqual(rejected, [41]);
  assert.deepEqual(stored, Array.from({ length: 64 }, (_, n) => n).filter(n => n !== 41));
  assert.ok(attempts < 40, `${attempts} attempts`);
  assert.equal(await state.get('TASK', 't-41'), undefined, 'the rejected edit is no longer seen');
});

test('an item that failed for a reason that passes stays; one that failed for good leaves', async () => {
  const state = await open(new MemoryStorage());
  await edits(state, 3, n => ({ n }));
  const batch = (await state.form({ items: 10, bytes: 100_000 }))!;
  const results: SyncItemResult[] = done(batch);
  results[0] = { ...results[0]!, success: false, version: null, error: { code: 'UNAVAILABLE', message: 'later' } };
  results[1] = { ...results[1]!, success: false, version: null, error: { code: 'VALIDATION_ERROR', message: 'never', field: 'data' } };
  const { rejections } = await state.settle(batch, results, '');
  assert.deepEqual(rejections.map(one => [one.sequence, one.error.code]), [[2, 'VALIDATION_ERROR']]);
  assert.equal(state.waiting, 1);
  const next = (await state.form({ items: 10, bytes: 100_000 }))!;
  assert.deepEqual(next.entries.map(one => one.sequence), [1]);
  assert.notEqual(next.key, batch.key);
});

test('the outbox has a limit, and says so', async () => {
  const state = await LocalState.open(new MemoryStorage(), { deviceId: 'd', nowMs: () => 0, makeId: () => `id-${++ids}`, outbox: { itemsMax: 3, bytesMax: 10_000 } });
  await edits(state, 3, n => ({ n }));
  await assert.rejects(edits(state, 1, () => ({})), OutboxFullError);
  const small = await LocalState.open(new MemoryStorage(), { deviceId: 'd', nowMs: () => 0, makeId: () => `id-${++ids}`, outbox: { itemsMax: 100, bytesMax: 1000 } });
  await assert.rejects(edits(small, 1, () => ({ text: 'x'.repeat(1000) })), OutboxFullError);
  assert.equal(small.waiting, 0);
});

// ── what is known after an answer ──

const entity = (version: number, data: Json, more: object = {}) => ({
  domain: 'TASK' as const, entityId: 't', version, deleted: data === null, data, modifiedAt: '2026-01-05T08:00:00Z', updatedAt: `2026-01-05T08:00:0${version}Z`, deviceId: 'other', userId: 'u', ...more });
const answer = (version: number, more: Partial<SyncItemResult> = {}): SyncItemResult[] => [{ itemId: 't', operationId: null, success: true, version, duplicate: false, conflictDetected: false, conflictId: null, error: null, ...more }];

test('an edit names the version that the node told, not one that was only derived', async () => {
  const state = await open(new MemoryStorage());
  await state.beginReading(null);
  await state.applyPage([entity(5, { a: 1, b: 1 })], 'c1', false);
  await state.endReading();
  const edit = (data: JsonObject) => state.edit('TASK', 't', now => ({ kind: 'UPDATE', data: { ...now!.data, ...data } }), 'NORMAL');
  assert.equal((await edit({ a: 2 }))!.baseVersion, 5);
  await state.settle((await state.form({ items: 9, bytes: 1e6 }))!, answer(6), '');
  assert.deepEqual((await state.get('TASK', 't'))!.version, 6);
  assert.equal((await edit({ a: 3 }))!.baseVersion, 5, 'version 6 may be somebody else\'s, with the same change and more');
  await state.apply([entity(6, { a: 2, b: 9 })], 'c2');
  assert.deepEqual((await state.get('TASK', 't'))!.data, { a: 3, b: 9 }, 'as it is: what the node told replaces what was derived');
  assert.equal((await edit({ a: 4 }))!.baseVersion, 6);
});

test('a version that skips some, or came of a conflict, has to be read; until then the edit stays in sight', async () => {
  const state = await open(new MemoryStorage());
  await state.beginReading(null);
  await state.applyPage([entity(1, { a: 1 })], 'c1', false);
  await state.endReading();
  await state.edit('TASK', 't', () => ({ kind: 'UPDATE', data: { a: 2 } }), 'NORMAL');
  await state.settle((await state.form({ items: 9, bytes: 1e6 }))!, answer(4), '');
  assert.deepEqual(state.expected, [{ domain: 'TASK', entityId: 't' }]);
  assert.deepEqual((await state.get('TASK', 't'))!.data, { a: 2 });
  await state.apply([entity(3, { a: 1, b: 1 })], 'c2');
  assert.equal(state.expected.length, 1, 'an older one is not it');
  await state.apply([entity(4, { a: 2, b: 1 })]);
  assert.equal(state.expected.length, 0);
  assert.deepEqual((await state.get('TASK', 't'))!.data, { a: 2, b: 1 });
  await state.edit('TASK', 't', () => ({ kind: 'UPDATE', data: { a: 7 } }), 'NORMAL');
  await state.settle((await state.form({ items: 9, bytes: 1e6 }))!, answer(5, { conflictDetected: true, conflictId: 'x' }), '');
  assert.equal(state.expected.length, 1);
  await state.notFound(state.expected);
  assert.equal(state.expected.length, 0);
});

test('reading everything again removes what the node no longer has, survives crashes, and keeps waiting edits', async () => {
  const storage = new MemoryStorage();
  let state = await open(storage);
  await state.beginReading(null);
  await state.applyPage([entity(1, { a: 1 }), entity(1, { a: 1 }, { entityId: 'u' })], 'c1', true);
  await state.applyPage([entity(1, { a: 1 }, { entityId: 'v' })], 'c2', false);
  await state.endReading();
  assert.equal(state.position.cursor, 'c2');
  await state.edit('TASK', 'new', () => ({ kind: 'CREATE', data: { mine: 1 } }), 'NORMAL');
  await state.edit('TASK', 'u', () => ({ kind: 'UPDATE', data: { a: 2 } }), 'NORMAL');
  await state.beginReading('behind-the-gap');
  await state.applyPage([entity(1, { a: 5 }, { entityId: 'v' })], 'c3', true);
  state = await open(new MemoryStorage(storage.content())); // the app was killed
  assert.deepEqual([state.position.reading?.cursor, state.position.cursor], ['c3', 'c2']);
  const { changed } = await state.applyPage([entity(1, { a: 1 }, { entityId: 'u' })], 'c4', false);
  assert.deepEqual(changed, [], 'as it was');
  const ended = await state.endReading();
  assert.deepEqual(ended.changed, [{ domain: 'TASK', entityId: 't' }]);
  assert.equal(await state.get('TASK', 't'), undefined);
  assert.equal(state.position.cursor, 'behind-the-gap');
  const views = [];
  for await (const view of state.list('TASK')) views.push([view.entityId, view.data]);
  assert.deepEqual(views, [['u', { a: 2 }], ['v', { a: 5 }], ['new', { mine: 1 }]]);
});

test('an id that begins a new life after its tombstone was swept is taken; an old version of this life is not', async () => {
  const state = await open(new MemoryStorage());
  await state.apply([entity(5, null, { updatedAt: '2026-01-05T08:00:05Z' })], 'c1');
  await state.apply([entity(2, { old: 1 }, { updatedAt: '2026-01-05T08:00:02Z' })]);
  assert.equal((await state.get('TASK', 't'))!.deleted, true);
  await state.apply([entity(1, { life: 2 }, { updatedAt: '2026-03-05T08:00:00Z' })], 'c2');
  assert.deepEqual((await state.get('TASK', 't'))!.data, { life: 2 });
});
