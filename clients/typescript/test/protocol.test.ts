// What the client does when the node refuses, closes, is silent or lets a token run out; and the push, event by event.
// Against a node that does as it is told.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { MemoryStorage, type ClientOptions, type Progress, type Rejection, type SyncClient } from '@mooring/client';
import { openClient, sleep, until } from './harness.js';
import { ScriptedNode, failure, uploaded } from './scripted_node.js';

let node: ScriptedNode;
let clients: SyncClient[] = [];
beforeEach(async () => { node = await new ScriptedNode().listening(); });
afterEach(async () => {
  for (const client of clients) await client.close();
  clients = [];
  await node.close();
});

async function started(options: Partial<ClientOptions> = {}): Promise<SyncClient> {
  const client = await openClient({ url: node.url, deviceId: 'd', getToken: () => Promise.resolve('token'), ...options });
  clients.push(client);
  client.start();
  return client;
}
const isUpload = (query: string) => query.includes('syncOperations') || query.includes('syncVoiceData') || query.includes('syncBatch');

// ── uploads ──

for (const code of ['RATE_LIMITED', 'UNAVAILABLE', 'STORAGE_FULL'])
  test(`${code}: the same bytes again, not before retryAfterMs`, async () => {
    const times: number[] = [];
    node.onRequest = ({ query }) => {
      if (!isUpload(query)) return;
      times.push(performance.now());
      if (times.length < 3) return { errors: [failure(code, { retryAfterMs: 120 })] };
      return;
    };
    const client = await started();
    await client.create('TASK', 'a', { n: 1 });
    assert.ok(await client.synced({ timeoutMs: 5000 }));
    const sent = node.requests.filter(one => isUpload(one.query));
    assert.equal(sent.length, 3);
    assert.equal(new Set(sent.map(one => one.text)).size, 1, 'byte for byte');
    for (const at of [1, 2]) assert.ok(times[at]! - times[at - 1]! >= 118, `${times[at]! - times[at - 1]!} ms`);
    assert.equal(node.connections, 1, 'the connection is none the worse');
  });

test('a lost answer: the same bytes again on the next connection, and after a restart of the app', async () => {
  let uploads = 0;
  node.onRequest = ({ query }) => (isUpload(query) && ++uploads < 3 ? { close: 1011 } : undefined);
  const storage = new MemoryStorage();
  const first = await openClient({ url: node.url, deviceId: 'd', storage, getToken: () => Promise.resolve('token') });
  first.start();
  await first.create('TASK', 'a', { n: 1 });
  await until(() => uploads > 0, 'the first upload');
  await first.stop();
  assert.equal(first.status.outbox, 1);
  const second = await started({ storage: new MemoryStorage(storage.content()) });
  await second.create('TASK', 'b', { n: 2 });
  assert.ok(await second.synced({ timeoutMs: 5000 }));
  const sent = node.requests.filter(one => isUpload(one.query));
  assert.ok(sent.length >= 4);
  assert.equal(new Set(sent.slice(0, -1).map(one => one.text)).size, 1, 'byte for byte, without the edit that came later');
  assert.deepEqual((sent.at(-1)!.variables['operations'] as { entityId: string }[]).map(one => one.entityId), ['b']);
});

test('no answer at all: the connection is given up, and the upload repeated on another', async () => {
  let uploads = 0;
  node.onRequest = ({ query }) => (isUpload(query) && ++uploads === 1 ? 'silence' : undefined);
  const client = await started({ requestTimeoutMs: 100 });
  await client.create('TASK', 'a', { n: 1 });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.equal(node.connections, 2);
  assert.ok(client.quality.failureShare > 0);
});

for (const code of ['BAD_USER_INPUT', 'QUERY_TOO_COMPLEX', 'NOT_FOUND', 'PAYLOAD_TOO_LARGE', 'VALIDATION_ERROR'])
  test(`${code} for a whole batch: halved until the culprit is alone, which is rejected`, async () => {
    node.onRequest = ({ query, text }) => (isUpload(query) && text.includes('"culprit"') ? { refuse: [failure(code)] } : undefined);
    const rejected: Rejection[] = [];
    const client = await openClient({ url: node.url, deviceId: 'd', getToken: () => Promise.resolve('token'), on: { rejected: one => void rejected.push(one) } });
    clients.push(client);
    for (const id of ['a', 'b', 'culprit', 'c']) await client.create('TASK', id, { n: 1 });
    client.start();
    assert.ok(await client.synced({ timeoutMs: 5000 }));
    await until(() => client.rejections.length === 0, 'the callback');
    assert.deepEqual(rejected.map(one => [(one.item.input as { entityId: string }).entityId, one.error.code]), [['culprit', code]]);
    assert.deepEqual(node.requests.filter(one => isUpload(one.query)).map(one => (one.variables['operations'] as { entityId: string }[]).map(edit => edit.entityId).join(' ')),
      ['a b culprit c', 'a b', 'culprit c', 'culprit', 'c']);
    assert.equal(await client.get('TASK', 'culprit'), undefined);
    assert.ok(await client.get('TASK', 'c'));
  });

test('1009 during an upload: as PAYLOAD_TOO_LARGE', async () => {
  node.onRequest = ({ query, text }) => (isUpload(query) && text.includes('"culprit"') ? { close: 1009 } : undefined);
  const rejected: Rejection[] = [];
  const client = await openClient({ url: node.url, deviceId: 'd', getToken: () => Promise.resolve('token'), on: { rejected: one => void rejected.push(one) } });
  clients.push(client);
  for (const id of ['a', 'culprit', 'b']) await client.create('TASK', id, { n: 1 });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await until(() => rejected.length === 1, 'the rejection');
  assert.equal(rejected[0]!.error.code, 'PAYLOAD_TOO_LARGE');
});

test('INTERNAL: five more tries of the same bytes, then halved and rejected', async () => {
  node.onRequest = ({ query }) => (isUpload(query) ? { errors: [failure('INTERNAL')] } : undefined);
  const rejected: Rejection[] = [];
  const client = await started({ on: { rejected: one => void rejected.push(one) } });
  await client.create('TASK', 'a', { n: 1 });
  await until(() => rejected.length === 1, 'the rejection');
  const sent = node.requests.filter(one => isUpload(one.query));
  assert.deepEqual([sent.length, new Set(sent.map(one => one.text)).size], [6, 1]);
});

test('IDEMPOTENCY_KEY_REUSED: the same edits under a new key', async () => {
  let uploads = 0;
  node.onRequest = ({ query }) => (isUpload(query) && ++uploads === 1 ? { errors: [failure('IDEMPOTENCY_KEY_REUSED')] } : undefined);
  const client = await started();
  await client.create('TASK', 'a', { n: 1 });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  const sent = node.requests.filter(one => isUpload(one.query)).map(one => one.variables as { key: string; operations: { operationId: string }[] });
  assert.equal(sent.length, 2);
  assert.notEqual(sent[0]!.key, sent[1]!.key);
  assert.equal(sent[0]!.operations[0]!.operationId, sent[1]!.operations[0]!.operationId);
});

for (const code of ['FORBIDDEN', 'DEVICE_DEACTIVATED'])
  test(`${code}: the client stops, keeps its outbox, and goes on when it is started again`, async () => {
    node.onRequest = ({ query }) => (isUpload(query) ? { errors: [failure(code)] } : undefined);
    const client = await started();
    await client.create('TASK', 'a', { n: 1 });
    await until(() => client.status.phase === 'failed', 'the end');
    assert.equal((client.status.problem as { code?: string }).code, code);
    assert.equal(client.status.outbox, 1);
    node.onRequest = () => {};
    client.start();
    assert.ok(await client.synced({ timeoutMs: 5000 }));
    const sent = node.requests.filter(one => isUpload(one.query));
    assert.equal(sent[0]!.text, sent[1]!.text);
  });

test('every kind goes in one batch, in order; one kind alone by its own mutation', async () => {
  node.onRequest = ({ query, variables }) => {
    if (!query.includes('syncBatch')) return;
    const batch = variables['batch'] as Record<string, unknown[]>;
    const part = (name: string) => (batch[name] ? uploaded({ operations: batch[name], key: batch['idempotencyKey'] }) : null);
    return { data: { syncBatch: { success: true, voiceSyncResult: part('voiceData'), behavioralSyncResult: part('behavioralData'), sessionSyncResult: part('sessionData'), metricsSyncResult: part('metricsData'), operationsSyncResult: part('operations'), serverTimestamp: '', idempotencyKey: '', replayed: false } } };
  };
  const client = await openClient({ url: node.url, deviceId: 'd', getToken: () => Promise.resolve('token') });
  clients.push(client);
  const at = '2026-01-05T08:00:00Z';
  await client.recordVoice({ verificationId: 'v', timestamp: at, verified: true });
  await client.create('TASK', 't', {});
  await client.recordMetrics({ metricType: 'm', value: 1, timestamp: at });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await client.recordVoice({ verificationId: 'v2', timestamp: at, verified: true });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.deepEqual(node.requests.filter(one => isUpload(one.query)).map(one => /sync[A-Z]\w+/.exec(one.query)![0]), ['syncBatch', 'syncVoiceData']);
});

test('an edit of high priority does not wait for others to come along', async () => {
  const client = await started();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  for (let samples = 0; samples < 40; ++samples) client.quality.roundTrip(5000); // poor: a second
  const began = performance.now();
  await client.create('TASK', 'slow', {});
  await sleep(100);
  assert.equal(node.requests.filter(one => isUpload(one.query)).length, 0);
  await client.create('TASK', 'urgent', {}, { priority: 'CRITICAL' });
  await until(() => node.requests.some(one => isUpload(one.query)), 'the upload');
  assert.ok(performance.now() - began < 700);
});

// ── connections and tokens ──

test('a token is renewed by a ping before it expires, on the same connection', async () => {
  const token = (seconds: number, n: number) => `e30.${Buffer.from(JSON.stringify({ n, exp: Date.now() / 1000 + seconds })).toString('base64url')}.x`;
  const reasons: string[] = [];
  const client = await started({ getToken: ({ reason }) => {
    reasons.push(reason);
    return Promise.resolve(token(reason === 'initial' ? 1 : 3600, reasons.length));
  } });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await until(() => node.pings.some(one => 'authorization' in one), 'the ping', 3000);
  assert.deepEqual(reasons, ['initial', 'expiring']);
  assert.match(String(node.pings.find(one => 'authorization' in one)!['authorization']), /^Bearer e30\./);
  assert.equal(node.connections, 1);
});

test('getToken that fails while the token expires is asked again, and the app\'s log told', async () => {
  let asked = 0;
  const problems: unknown[] = [];
  const client = await started({ on: { error: problem => void problems.push(problem) }, getToken: () => {
    if (++asked === 2) return Promise.reject(new Error('no network'));
    return Promise.resolve({ token: `t${asked}`, expiresAtMs: Date.now() + (asked === 1 ? 1500 : 3_600_000) });
  } });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await until(() => node.pings.some(one => one['authorization'] === 'Bearer t3'), 'the fresh token', 4000);
  assert.match(String(problems[0]), /no network/);
});

for (const code of [4401, 4403])
  test(`${code}: another token, then on; after three refusals in a row the client stops`, async () => {
    node.onInit = ({ token }) => (token === 'good' ? undefined : code);
    const reasons: string[] = [];
    const client = await started({ getToken: ({ reason }) => {
      reasons.push(reason);
      return Promise.resolve(reason === 'refused' ? 'good' : 'stale');
    } });
    assert.ok(await client.synced({ timeoutMs: 5000 }));
    assert.deepEqual(reasons, ['initial', 'refused']);
    await client.create('TASK', 'kept', {});
    await client.synced();
    node.onInit = () => code;
    node.talks.at(-1)!.socket.close(code, 'token expired');
    await until(() => client.status.phase === 'failed', 'the end');
    assert.deepEqual(reasons.slice(2), ['refused', 'refused', 'refused']);
    assert.equal((client.status.problem as { closeCode?: number }).closeCode, code);
  });

for (const code of [1000, 1001, 1006, 1011, 1012, 1013, 4408, 4500])
  test(`${code}: connects again and goes on from the cursor`, async () => {
    const client = await started();
    assert.ok(await client.synced({ timeoutMs: 5000 }));
    if (code === 1006) node.talks[0]!.socket.terminate();
    else node.talks[0]!.socket.close(code);
    await until(() => node.of('subscription').length === 2 && client.status.phase === 'live', 'the second subscription');
    assert.equal(node.of('subscription')[1]!.variables['after'], 'c.');
    assert.equal(node.of('registerDevice').length, 1, 'registered once');
  });

for (const code of [4400, 4406, 4409, 4429, 1002])
  test(`${code}: trying again would not help`, async () => {
    const client = await started();
    assert.ok(await client.synced({ timeoutMs: 5000 }));
    node.talks[0]!.socket.close(code);
    await until(() => client.status.phase === 'failed', 'the end');
    assert.equal(node.connections, 1);
    client.start();
    assert.ok(await client.synced({ timeoutMs: 5000 }));
  });

test('a peer that no longer answers pings is left', async () => {
  const client = await started({ pingIntervalMs: 50, pongTimeoutMs: 80 });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await until(() => node.pings.length > 1, 'pings');
  assert.equal(node.connections, 1);
  assert.ok(client.quality.rttMs! < 80);
  node.pongs = false;
  await until(() => node.connections > 1, 'another connection');
});

test('while there is no node: attempts with growing pauses; reconnect() tries at once', async () => {
  const closed = await new ScriptedNode().listening();
  const url = closed.url;
  await closed.close();
  const pauses: number[] = [];
  const client = await started({ url, backoff: { baseMs: 1000, maximumMs: 8000 }, random: () => 0.5, on: { status: one => {
    if (one.phase === 'waiting') pauses.push(one.nextAttemptAt! - Date.now());
  } } });
  for (let attempt = 1; attempt <= 4; ++attempt) {
    await until(() => pauses.length === attempt, 'the pause');
    client.reconnect();
  }
  for (const [at, expected] of [500, 1000, 2000, 4000].entries()) assert.ok(Math.abs(pauses[at]! - expected) < 100, `${pauses[at]}`);
  const began = performance.now();
  await client.stop();
  assert.ok(performance.now() - began < 100);
  assert.equal(client.status.phase, 'stopped');
});

// ── the push ──

const cursorOf = (n: number) => `p${String(n).padStart(6, '0')}`;
const update = (n: number, id: string, version: number, data: object | null, domain = 'TASK') => ({
  __typename: 'DataUpdateEvent', cursor: cursorOf(n), domain, operation: data ? 'UPDATE' : 'DELETE', priority: 'NORMAL',
  entity: { domain, entityId: id, version, deleted: data === null, data, modifiedAt: '2026-01-05T08:00:00Z', updatedAt: '2026-01-05T08:00:00Z', deviceId: 'other', userId: 'u' } });

function pushes(script: (push: (event: unknown) => void, after: string, talk: number) => void): void {
  node.onRequest = ({ query, variables }, talk) => (query.startsWith('subscription') ? { events: push => script(push, variables['after'] as string, talk.number) } : undefined);
}

test('events are applied in order, told to the app, and their position acknowledged', async () => {
  pushes(push => {
    push(update(1, 'a', 1, { n: 1 }));
    push(update(2, 'b', 1, { n: 1 }));
    push(update(3, 'a', 2, { n: 2 }));
    push(update(4, 'b', 2, null));
    push(update(5, 'x', 1, { private: 1 }, 'VOICE'));
    push({ __typename: 'SystemNotificationEvent', cursor: cursorOf(6), message: 'hello', data: { a: 1 }, priority: 'HIGH' });
    push({ __typename: 'SyncTriggerEvent', cursor: cursorOf(7), domains: ['TASK'], reason: 'server_update', priority: 'HIGH' });
    push({ __typename: 'CaughtUpEvent', cursor: cursorOf(8) });
  });
  const told: unknown[] = [];
  const client = await started({ on: {
    change: keys => void told.push(keys.map(one => one.entityId).join(' ')), notification: one => void told.push(one.message),
    trigger: one => void told.push(one.reason), progress: one => void (one.phase === 'catch-up' && told.push(`caught up with ${one.received}`)) } });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.deepEqual((await client.get('TASK', 'a'))!.data, { n: 2 });
  assert.equal((await client.get('TASK', 'b'))!.deleted, true);
  assert.equal(await client.get('VOICE', 'x'), undefined, 'a domain that is not kept here');
  assert.deepEqual(told.filter(one => one !== ''), ['a b a b', 'hello', 'server_update', 'caught up with 4']);
  assert.deepEqual([client.status.phase, client.status.mode], ['live', 'push']);
  await until(() => node.of('acknowledge(').some(one => one.variables['cursor'] === cursorOf(8)), 'the acknowledgement');
  assert.ok(node.of('acknowledge(').length <= 3, 'one for many');
});

test('after an interruption, and after a restart, the subscription goes on behind the last event that was stored', async () => {
  const afters: string[] = [];
  pushes((push, after, talk) => {
    afters.push(after);
    if (talk === 1) {
      push(update(1, 'a', 1, { n: 1 }));
      push(update(2, 'a', 2, { n: 2 }));
    } else if (talk === 2) push(update(3, 'a', 3, { n: 3 }));
    else push({ __typename: 'CaughtUpEvent', cursor: cursorOf(3) });
  });
  const storage = new MemoryStorage();
  const first = await openClient({ url: node.url, deviceId: 'd', storage, getToken: () => Promise.resolve('token') });
  first.start();
  await until(async () => (await first.get('TASK', 'a'))?.version === 2, 'two events');
  node.talks[0]!.socket.terminate();
  await until(async () => (await first.get('TASK', 'a'))?.version === 3, 'the third');
  await first.close();
  const second = await started({ storage: new MemoryStorage(storage.content()) });
  assert.ok(await second.synced({ timeoutMs: 5000 }));
  assert.deepEqual(afters, ['c.', cursorOf(2), cursorOf(3)]);
  assert.equal(node.of('pendingChanges').length, 1, 'everything was read once');
});

test('an event that comes twice, or late, changes nothing', async () => {
  const changes: string[] = [];
  pushes(push => {
    push(update(1, 'a', 2, { n: 2 }));
    push({ __typename: 'SyncTriggerEvent', cursor: cursorOf(1), domains: [], reason: 'x', priority: 'HIGH' });
    push(update(1, 'a', 2, { n: 2 }));
    push(update(2, 'a', 1, { n: 1 }));
    push({ __typename: 'CaughtUpEvent', cursor: cursorOf(2) });
  });
  const client = await started({ on: { change: keys => void changes.push(...keys.map(one => one.entityId)) } });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.deepEqual((await client.get('TASK', 'a'))!.data, { n: 2 });
  assert.deepEqual(changes, ['a']);
});

test('ResyncRequiredEvent: everything is read again, what is gone is removed, and the push goes on from the event\'s cursor', async () => {
  const storage = new MemoryStorage(), afters: string[] = [], progress: Progress[] = [];
  let reads = 0;
  const entity = (id: string, version: number) => update(0, id, version, { version }).entity;
  node.onRequest = ({ query, variables }, { number }) => {
    if (query.includes('pendingChanges')) return { data: { device: { pendingChanges: 3 } } };
    if (query.includes('changes(')) {
      const since = variables['since'] as string | null;
      if (since === null) reads += 1;
      if (reads === 1) return { data: { changes: { entities: [entity('gone', 1), entity('kept', 1)], cursor: 'first', hasMore: false } } };
      return since === null ? { data: { changes: { entities: [entity('kept', 1)], cursor: 'page', hasMore: true } } }
        : { data: { changes: { entities: [entity('new', 4)], cursor: 'last', hasMore: false } } };
    }
    if (!query.startsWith('subscription')) return;
    afters.push(variables['after'] as string);
    return { events: push => {
      if (number === 1 && afters.length === 1) push({ __typename: 'ResyncRequiredEvent', cursor: 'behind the gap', reason: 'swept' });
      else push({ __typename: 'CaughtUpEvent', cursor: 'behind the gap' });
    } };
  };
  const client = await started({ storage, on: { progress: one => void progress.push(one) } });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.deepEqual(afters, ['first', 'behind the gap']);
  assert.equal(await client.get('TASK', 'gone'), undefined);
  assert.deepEqual([(await client.get('TASK', 'kept'))!.version, (await client.get('TASK', 'new'))!.version], [1, 4]);
  assert.deepEqual(progress.map(one => [one.phase, one.received, one.total, one.done]), [
    ['first', 0, 3, false], ['first', 2, 2, true], ['again', 0, 3, false], ['again', 1, 3, false], ['again', 2, 2, true], ['catch-up', 0, 0, true]]);
});

test('a subscription whose cursor is refused: everything is read again', async () => {
  const afters: unknown[] = [];
  node.onRequest = ({ query, variables }) => {
    if (!query.startsWith('subscription')) return;
    afters.push(variables['after']);
    return afters.length === 1 ? { refuse: [failure('BAD_USER_INPUT', { field: 'after' })] } : undefined;
  };
  const client = await started();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.deepEqual(node.of('changes(').map(one => one.variables['since']), [null, null]);
  assert.equal(client.status.mode, 'push');
});

test('a node without the subscription is asked every pollIntervalMs, and its open conflicts with it', async () => {
  let version = 0;
  node.onRequest = ({ query }) => {
    if (query.startsWith('subscription')) return { refuse: [failure('BAD_USER_INPUT')] };
    if (query.includes('__schema')) return { data: { __schema: { subscriptionType: null } } };
    if (query.includes('changes(')) return { data: { changes: { entities: [update(0, 'a', ++version, { version }).entity], cursor: `at${version}`, hasMore: false } } };
    return;
  };
  const client = await started({ pollIntervalMs: 30 });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.equal(client.status.mode, 'poll');
  await until(async () => (await client.get('TASK', 'a'))!.version! > 4, 'more');
  const sinces = node.of('changes(').map(one => one.variables['since']);
  assert.deepEqual(sinces.slice(0, 4), [null, 'at1', 'at2', 'at3']);
  assert.ok(node.of('conflicts(').length >= 4);
});

test('more events than the storage can take: the subscription is ended and taken up again; none is lost', async () => {
  let subscriptions = 0;
  const total = 12_000;
  pushes((push, after) => {
    subscriptions += 1;
    const from = after.startsWith('p') ? Number(after.slice(1)) : 0;
    for (let n = from + 1; n <= total; ++n) push(update(n, `t${n % 50}`, n, { n }));
    push({ __typename: 'CaughtUpEvent', cursor: cursorOf(total) });
  });
  const versions: number[] = [], storage = new MemoryStorage();
  const commit = storage.commit.bind(storage);
  storage.commit = async writes => {
    await sleep(60);
    return commit(writes);
  };
  const client = await started({ storage, requestTimeoutMs: 60_000 });
  assert.ok(await client.synced({ timeoutMs: 20_000 }));
  for (let n = 0; n < 50; ++n) versions.push((await client.get('TASK', `t${n}`))!.version!);
  assert.deepEqual(versions.sort((a, b) => a - b), Array.from({ length: 50 }, (_, at) => total - 49 + at));
  assert.ok(subscriptions > 1 && node.completed.length >= 1, `${subscriptions} subscriptions`);
});

test('a subscription that the node completes is taken up again', async () => {
  let subscriptions = 0;
  node.onRequest = ({ query }) => (query.startsWith('subscription') && ++subscriptions === 1 ? { data: { syncEvents: { __typename: 'CaughtUpEvent', cursor: 'c' } } } : undefined);
  const client = await started();
  await until(() => subscriptions === 2 && client.status.phase === 'live', 'the second');
  assert.equal(node.connections, 1);
});

test('a conflict alert: the app is asked once, its decision sent, the outcome read', async () => {
  const conflict = (status: string, more: object = {}) => ({
    conflictId: 'k', domain: 'TASK', mobileId: 'a', serverVersion: 2, clientVersion: 1, fields: ['n'], resolutionStrategy: null, resolutionRequired: true, status,
    winningVersion: null, serverData: { n: 2 }, clientData: { n: 1 }, deviceId: 'd', createdAt: '', resolvedAt: null, resolvedBy: null, notes: null, ...more });
  let asked = 0;
  const resolved: unknown[] = [];
  node.onRequest = ({ query }) => {
    if (query.startsWith('subscription')) return { events: push => {
      for (const n of [1, 2]) push({ __typename: 'ConflictAlertEvent', cursor: cursorOf(n), conflict: conflict('OPEN'), actionRequired: true, priority: 'CRITICAL' });
      push({ __typename: 'ConflictAlertEvent', cursor: cursorOf(3), conflict: conflict('RESOLVED', { conflictId: 'auto', winningVersion: 'client' }), actionRequired: false, priority: 'NORMAL' });
      push({ __typename: 'CaughtUpEvent', cursor: cursorOf(4) });
    } };
    if (query.includes('resolveConflict')) return { data: { resolveConflict: { success: true, conflictId: 'k', resolutionResult: 'resolved', winningVersion: 'merged', version: 3, message: null, error: null } } };
    if (query.includes('conflict(')) return { data: { conflict: { domain: 'TASK', mobileId: 'a' } } };
    if (query.includes('entity(')) return { data: { e0: update(0, 'a', 3, { n: 3 }).entity } };
    return;
  };
  const client = await started({ on: { conflict: () => {
    asked += 1;
    return Promise.resolve({ choose: 'merged' as const, data: { n: 3 } });
  }, resolved: one => void resolved.push(one.conflictId) } });
  await until(async () => (await client.get('TASK', 'a'))?.version === 3, 'the outcome');
  assert.equal(asked, 1);
  assert.deepEqual(resolved, ['auto']);
  assert.deepEqual(node.of('resolveConflict').map(one => one.variables['resolution']), [
    { conflictId: 'k', resolutionStrategy: 'MERGE', chosenVersion: 'merged', mergeData: { n: 3 }, notes: null }]);
});
