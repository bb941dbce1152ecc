// The client against a real node: what an app does with it, day by day.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { InvalidItemError, MemoryStorage, type Conflict, type Progress, type Rejection, type Write } from '@mooring/client';
import { listed, Node, openClient, until } from './harness.js';

let node: Node, bearer: string;
const getToken = () => Promise.resolve(bearer);
before(async () => {
  node = await new Node().start();
  bearer = node.token();
});
after(() => node.stop());

test('what was done offline is visible at once, uploaded later, and on the other device', async () => {
  const phone = await openClient({ url: node.url, deviceId: 'phone', getToken });
  await phone.create('TASK', 'pump', { title: 'Pump', tags: ['a'], place: { hall: 1, shelf: 2 } });
  await phone.update('TASK', 'pump', now => ({ ...now, title: 'Pump 7', place: { hall: 1, shelf: 3 } }));
  assert.equal(await phone.update('TASK', 'pump', now => ({ ...now })), null, 'nothing changed');
  await phone.create('TASK', 'gate', { title: 'Gate' });
  await phone.remove('TASK', 'gate');
  await phone.recordVoice({ verificationId: 'v1', timestamp: new Date().toISOString(), verified: true });
  await phone.recordSession({ sessionId: 's1', startTime: new Date().toISOString() });
  await phone.recordMetrics({ metricType: 'battery', value: 0.5, timestamp: new Date().toISOString() });
  await phone.recordBehavior({ sessionId: 'b1', events: [{ tap: 1 }], durationMs: 5 });
  assert.deepEqual((await phone.get('TASK', 'pump')), {
    domain: 'TASK', entityId: 'pump', data: { title: 'Pump 7', tags: ['a'], place: { hall: 1, shelf: 3 } }, version: null, deleted: false, waiting: 2 });
  assert.deepEqual((await listed(phone, 'TASK')).map(one => one.entityId), ['pump']);
  assert.equal(phone.status.outbox, 8);

  phone.start();
  assert.ok(await phone.synced({ timeoutMs: 10_000 }));
  assert.equal(phone.status.phase, 'live');
  assert.equal((await phone.get('TASK', 'pump'))!.version, 2);

  const progress: Progress[] = [];
  const tablet = await openClient({ url: node.url, deviceId: 'tablet', getToken, on: { progress: one => void progress.push(one) } });
  tablet.start();
  assert.ok(await tablet.synced({ timeoutMs: 10_000 }));
  assert.deepEqual((await tablet.get('TASK', 'pump'))!.data, { title: 'Pump 7', tags: ['a'], place: { hall: 1, shelf: 3 } });
  assert.equal(await tablet.get('TASK', 'gate').then(one => one?.deleted ?? true), true);
  assert.equal(progress[0]!.phase, 'first');
  assert.ok(progress.some(one => one.done && one.phase === 'first' && one.received > 0 && one.cursor !== null));
  const records = (await node.all(bearer)).filter(one => one.domain !== 'TASK');
  assert.deepEqual(records.map(one => one.domain).sort(), ['BEHAVIORAL', 'METRICS', 'SESSION', 'VOICE']);

  await tablet.update('TASK', 'pump', now => ({ ...now, note: 'drips' }));
  await phone.update('TASK', 'pump', now => ({ ...now, status: 'done' }));
  await until(async () => {
    const [a, b] = [await phone.get('TASK', 'pump'), await tablet.get('TASK', 'pump')];
    return a?.data?.['note'] === 'drips' && b?.data?.['status'] === 'done' && a.version === 4 && b.version === 4;
  }, 'both edits on both devices');
  await phone.close();
  await tablet.close();
});

test('only changed fields travel; a value null makes it the whole object', async () => {
  const sent: string[] = [];
  const { spyingSocket } = await import('./harness.js');
  const client = await openClient({ url: node.url, deviceId: 'frugal', getToken, webSocket: spyingSocket({ sent: text => void sent.push(text) }) });
  await client.create('TASK', 'wide', { a: 1, b: { c: 1, d: 1 }, e: 'long'.repeat(100) });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  await client.update('TASK', 'wide', (now: { b: object }) => ({ ...now, a: 2, b: { ...now.b, d: 2 } }));
  await client.synced();
  await client.update('TASK', 'wide', now => ({ ...now, a: null }));
  await client.synced();
  const edits = sent.filter(text => text.includes('syncOperations')).map(text => (JSON.parse(text) as { payload: { variables: { operations: Record<string, unknown>[] } } }).payload.variables.operations[0]!);
  assert.deepEqual(edits.map(one => [one['operation'], one['data']]).slice(1), [
    ['UPDATE', { a: 2, b: { d: 2 } }], ['SYNC', { a: null, b: { c: 1, d: 2 }, e: 'long'.repeat(100) }]]);
  assert.deepEqual((await node.all(bearer)).find(one => one.entityId === 'wide')!.data, { a: null, b: { c: 1, d: 2 }, e: 'long'.repeat(100) });
  await client.close();
});

test('what the node would refuse for certain is refused on the device', async () => {
  const client = await openClient({ url: node.url, deviceId: 'strict', getToken });
  await assert.rejects(async () => client.create('TASK', '', {}), InvalidItemError);
  await assert.rejects(async () => client.create('TASK', 'ä'.repeat(65), {}), InvalidItemError);
  await assert.rejects(async () => client.create('TASK', 'x', [] as unknown as object), InvalidItemError);
  await assert.rejects(async () => client.create('TASK', 'x', { big: 'x'.repeat(300 << 10) }), InvalidItemError);
  const deep = (n: number): object => (n === 1 ? {} : { a: deep(n - 1) });
  await assert.rejects(async () => client.create('TASK', 'x', deep(33)), InvalidItemError);
  await assert.rejects(async () => client.create('TASK', 'x', deep(2_000)), InvalidItemError);
  await assert.rejects(async () => client.update('TASK', 'no such', { a: 1 }), InvalidItemError);
  assert.equal(client.status.outbox, 0);
  await client.close();
});

test('one bad item goes to its callback and out of the outbox; the others are stored', async () => {
  const rejected: Rejection[] = [];
  const client = await openClient({ url: node.url, deviceId: 'mixed', getToken, on: { rejected: one => void rejected.push(one) } });
  const now = new Date().toISOString();
  await client.recordVoice({ verificationId: 'good-1', timestamp: now, verified: true }, { verificationId: 'bad-1', timestamp: now, verified: true, qualityScore: 7 },
    { verificationId: 'good-2', timestamp: now, verified: true });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  await until(() => rejected.length > 0, 'the rejection');
  assert.deepEqual(rejected.map(one => [one.item.kind, one.error.code, one.error.field]), [['voice', 'VALIDATION_ERROR', 'qualityScore']]);
  await until(() => client.rejections.length === 0, 'the callback\'s end');
  const there = (await node.all(bearer)).filter(one => one.domain === 'VOICE').map(one => one.entityId);
  assert.ok(there.includes('good-1') && there.includes('good-2') && !there.includes('bad-1'));
  await client.close();
});

test('an item whose shape sinks its whole batch is found by halving; the others are stored', async () => {
  const rejected: Rejection[] = [], storage = new MemoryStorage();
  const client = await openClient({ url: node.url, deviceId: 'odd', getToken, storage, on: { rejected: one => void rejected.push(one) } });
  const now = new Date().toISOString();
  const voices = Array.from({ length: 20 }, (_, at) => ({ verificationId: `odd-${at}`, timestamp: now, verified: (at === 13 ? 'perhaps' : true) as boolean }));
  await client.recordVoice(...voices);
  client.start();
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  await until(() => rejected.length > 0, 'the rejection');
  assert.deepEqual(rejected.map(one => [(one.item.input as { verificationId: string }).verificationId, one.error.code]), [['odd-13', 'BAD_USER_INPUT']]);
  assert.equal((await node.all(bearer)).filter(one => one.entityId.startsWith('odd-')).length, 19);
  await client.close();
});

test('a rejection that the app has not taken is told again after a restart', async () => {
  const storage = new MemoryStorage();
  const broken = await openClient({ url: node.url, deviceId: 'again', getToken, storage, on: { rejected: () => Promise.reject(new Error('the app fails')) } });
  await broken.recordVoice({ verificationId: 'again', timestamp: 'yesterday', verified: true });
  broken.start();
  await until(() => broken.rejections.length === 1, 'the rejection');
  await broken.close();
  const rejected: Rejection[] = [];
  const fixed = await openClient({ url: node.url, deviceId: 'again', getToken, storage: new MemoryStorage(storage.content()), on: { rejected: one => void rejected.push(one) } });
  assert.equal(fixed.rejections.length, 1);
  fixed.start();
  await until(() => fixed.rejections.length === 0, 'the rejection taken');
  assert.equal(rejected[0]!.error.code, 'VALIDATION_ERROR');
  await fixed.close();
});

test('a conflict that waits for a person: asked, decided, the same on both devices', async () => {
  const admin = node.token({ tenant: 'manual', user: 'boss', roles: ['admin'] }), worker = node.token({ tenant: 'manual', user: 'ann' });
  await node.ask(admin, 'mutation { setConflictPolicy(policy: { domain: TASK, resolutionPolicy: MANUAL }) { domain } }');
  const asked: Conflict[] = [];
  const a = await openClient({ url: node.url, deviceId: 'a', getToken: () => Promise.resolve(worker) });
  const b = await openClient({ url: node.url, deviceId: 'b', getToken: () => Promise.resolve(worker), on: {
    conflict: conflict => {
      asked.push(conflict);
      return { choose: 'merged', data: { title: `${String((conflict.serverData as { title: string }).title)} & ${String((conflict.clientData as { title: string }).title)}` }, notes: 'both' };
    },
  } });
  await a.create('TASK', 'c', { title: 'one' });
  a.start();
  assert.ok(await a.synced({ timeoutMs: 10_000 }));
  b.start();
  assert.ok(await b.synced({ timeoutMs: 10_000 }));
  await b.stop();
  await a.update('TASK', 'c', { title: 'from a' });
  assert.ok(await a.synced({ timeoutMs: 10_000 }));
  await b.update('TASK', 'c', { title: 'from b' });
  b.start();
  await until(async () => (await a.get('TASK', 'c'))?.data?.['title'] === 'from a & from b' && (await b.get('TASK', 'c'))?.data?.['title'] === 'from a & from b', 'the merged title on both');
  assert.equal(asked.length, 1);
  assert.deepEqual(asked[0]!.fields, ['title']);
  assert.deepEqual((await a.openConflicts()).conflicts, []);
  const conflict = await a.conflict(asked[0]!.conflictId);
  assert.deepEqual([conflict!.status, conflict!.winningVersion, conflict!.notes], ['RESOLVED', 'merged', 'both']);
  await a.close();
  await b.close();
});

test('another user\'s device id: the client stops and keeps its outbox', async () => {
  const owner = await openClient({ url: node.url, deviceId: 'mine', getToken });
  owner.start();
  assert.ok(await owner.synced({ timeoutMs: 10_000 }));
  await owner.close();
  const thief = await openClient({ url: node.url, deviceId: 'mine', getToken: () => Promise.resolve(node.token({ user: 'bob' })) });
  await thief.create('TASK', 'stolen', { a: 1 });
  thief.start();
  await until(() => thief.status.phase === 'failed', 'the end');
  assert.match(thief.status.problem!.message, /./);
  assert.equal((thief.status.problem as { code?: string }).code, 'FORBIDDEN');
  assert.equal(thief.status.outbox, 1);
  await thief.close();
});

test('a deactivated device: stopped, outbox kept; active again when it is registered', async () => {
  const token = node.token({ user: 'dora' });
  const client = await openClient({ url: node.url, deviceId: 'lost', getToken: () => Promise.resolve(token) });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  await node.ask(token, 'mutation { deactivateDevice(deviceId: "lost") }');
  await client.create('TASK', 'late', { a: 1 });
  await until(() => client.status.phase === 'failed', 'the end');
  assert.equal((client.status.problem as { code?: string }).code, 'DEVICE_DEACTIVATED');
  assert.equal(client.status.outbox, 1);
  await node.ask(token, 'mutation { registerDevice(device: { deviceId: "lost", deviceType: PHONE }) { active } }');
  client.start();
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  assert.equal(client.status.outbox, 0);
  await client.close();
});

test('a storage that is full: attempts with growing pauses, and the upload is settled once there is room', async () => {
  class FullStorage extends MemoryStorage {
    isFull = false;
    override commit(writes: readonly Write[]): Promise<void> {
      const settles = writes.some(({ key, value }) => key.startsWith('o/') && value === null);
      return this.isFull && settles ? Promise.reject(new Error('QuotaExceededError')) : super.commit(writes);
    }
  }
  const storage = new FullStorage(), pauses: number[] = [];
  let timesLive = 0;
  const client = await openClient({ url: node.url, deviceId: 'full', getToken, storage, backoff: { baseMs: 20, maximumMs: 10_000 }, random: () => 0.5, on: { status: one => {
    if (one.phase === 'live') timesLive += 1;
    if (one.phase === 'waiting') pauses.push(one.nextAttemptAt! - Date.now());
  } } });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  timesLive = 0;
  storage.isFull = true;
  await client.create('TASK', 'in-a-full-storage', { title: 'Pump' });
  await until(() => pauses.length >= 5, 'five attempts');
  assert.ok(timesLive > 0, 'the node took the connection every time');
  for (const [at, expected] of [10, 20, 40, 80, 160].entries()) assert.ok(pauses[at]! > expected - 10 && pauses[at]! < expected + 100, `${pauses}`);
  assert.equal(client.status.outbox, 1);
  storage.isFull = false;
  assert.ok(await client.synced({ timeoutMs: 10_000 }));
  assert.equal((await client.get('TASK', 'in-a-full-storage'))!.version, 1);
  await client.close();
});

test('a storage belongs to one device', async () => {
  const storage = new MemoryStorage();
  await (await openClient({ url: node.url, deviceId: 'first', getToken, storage })).close();
  await assert.rejects(openClient({ url: node.url, deviceId: 'second', getToken, storage: new MemoryStorage(storage.content()) }), /belongs to device first/);
});
