// Push settings, calls to sync, messages, and what else devices are told, through a real node.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { documents, edit, killAll, listen, phone, run, sleep, startNode } from './harness.mjs';

after(killAll);

const high = (id, data, more = {}) => edit(id, data, { priority: 'HIGH', ...more });
const subscribe = `mutation($subscription: PushSubscriptionInput!) { setPushSubscription(subscription: $subscription) {
  deviceId domain active batterySaverMode priorityFilter } }`;
const subscriptions = 'query($id: ID!) { pushSubscriptions(deviceId: $id) { domain active batterySaverMode priorityFilter } }';
const trigger = 'mutation($domains: [SyncDomainEnum!]!, $user: ID) { triggerSync(domains: $domains, userId: $user) }';
const broadcast = `mutation($message: String!, $data: JSON, $priority: PriorityEnum, $user: ID, $device: ID) {
  broadcast(message: $message, data: $data, priority: $priority, userId: $user, deviceId: $device) }`;
const state = `query($id: ID!) { deviceSyncState(deviceId: $id) { deviceId domains { domain lastVersion lastSyncAt entities pending } } }`;
const refused = async (client, query, variables) =>
  (await run(client.client, query, variables)).errors?.[0].extensions.code ?? 'accepted';

async function crew(node, users) {
  const out = {};
  for (const [device, user, roles] of users) {
    const client = await node.client({ user, roles: roles ?? [] });
    await client.ask(documents.register, { device: { deviceId: device, deviceType: 'PHONE' } });
    out[device] = client;
  }
  return out;
}

test('push settings take effect at once, and are there after a restart', async () => {
  const node = await startNode({ set: { 'push.per_minute': 0 } });
  const { r, w } = await crew(node, [['r', 'bob'], ['w', 'ann']]);
  const heard = listen(r, 'r');
  assert.equal((await heard.next()).__typename, 'CaughtUpEvent');
  const tasks = phone(w, 'w');
  assert.deepEqual((await r.ask(subscribe, { subscription: { deviceId: 'r', domain: 'TICKET', active: false } })).setPushSubscription,
    { deviceId: 'r', domain: 'TICKET', active: false, batterySaverMode: false, priorityFilter: 'NORMAL' });
  await r.ask(subscribe, { subscription: { deviceId: 'r', priorityFilter: 'HIGH' } });
  await tasks.edits([high('k1', {}, { domain: 'TICKET' }), edit('t1', {}), high('t2', {})]);
  assert.equal((await heard.next()).entity.entityId, 't2');
  await r.ask(subscribe, { subscription: { deviceId: 'r', domain: 'TICKET' } });
  await tasks.edits([edit('k2', {}, { domain: 'TICKET' }), edit('t3', {}), high('t4', {})]);
  assert.equal((await heard.next()).entity.entityId, 'k2');
  assert.equal((await heard.next()).entity.entityId, 't4');
  assert.equal(await refused(w, subscribe, { subscription: { deviceId: 'r' } }), 'FORBIDDEN');
  assert.equal(await refused(w, subscribe, { subscription: { deviceId: 'nobody' } }), 'NOT_FOUND');
  await node.kill();
  await node.start();
  const again = await node.client({ user: 'bob' });
  assert.deepEqual((await again.ask(subscriptions, { id: 'r' })).pushSubscriptions, [
    { domain: null, active: true, batterySaverMode: false, priorityFilter: 'HIGH' },
    { domain: 'TICKET', active: true, batterySaverMode: false, priorityFilter: 'NORMAL' }]);
  await node.stop();
});

test('one upload is one push, however many items it has', async () => {
  const node = await startNode({ set: { 'push.per_minute': 2 } });
  const { r, w } = await crew(node, [['r', 'bob'], ['w', 'ann']]);
  const heard = listen(r, 'r');
  assert.equal((await heard.next()).__typename, 'CaughtUpEvent');
  for (const batch of [1, 2]) {
    await phone(w, 'w').edits(Array.from({ length: 50 }, (_, i) => edit(`t${batch}-${i}`, { i })));
    for (let i = 0; i < 50; ++i) assert.equal((await heard.next()).entity.entityId, `t${batch}-${i}`);
  }
  await phone(w, 'w').edit(edit('later', {}));
  await sleep(300);
  assert.deepEqual(heard.waiting(), []);
  await node.stop();
});

test('calls to sync and messages reach whom they are meant for, also those who come later', async () => {
  const node = await startNode();
  const { boss, a1, a2, b1 } = await crew(node, [['boss', 'root', ['admin']], ['a1', 'ann'], ['a2', 'ann'], ['b1', 'bob']]);
  const heard = { a1: listen(a1, 'a1'), b1: listen(b1, 'b1') };
  for (const one of Object.values(heard)) assert.equal((await one.next()).__typename, 'CaughtUpEvent');
  assert.equal((await boss.ask(trigger, { domains: ['TASK', 'VOICE'], user: 'ann' })).triggerSync, 2);
  const called = await heard.a1.next();
  assert.deepEqual([called.__typename, called.domains, called.reason, called.priority], ['SyncTriggerEvent', ['VOICE', 'TASK'], 'server_update', 'HIGH']);
  assert.equal((await boss.ask(broadcast, { message: 'tea', data: { room: 7 }, priority: 'HIGH' })).broadcast, 4);
  for (const device of ['a1', 'b1']) {
    const told = await heard[device].next(); // nothing of ann's came to bob before
    assert.deepEqual([told.__typename, told.message, told.data], ['SystemNotificationEvent', 'tea', { room: 7 }]);
  }
  assert.equal((await boss.ask(broadcast, { message: 'only you', device: 'a2', priority: 'HIGH' })).broadcast, 1);
  // a2 was not there: it finds all three, in order, and a1 hears nothing of what was for a2.
  const late = listen(a2, 'a2');
  assert.equal((await late.next()).__typename, 'SyncTriggerEvent');
  assert.equal((await late.next()).message, 'tea');
  assert.equal((await late.next()).message, 'only you');
  assert.equal((await late.next()).__typename, 'CaughtUpEvent');
  await boss.ask(broadcast, { message: 'last', priority: 'CRITICAL' });
  assert.equal((await heard.a1.next()).message, 'last');
  for (const [user, device] of [['nobody', null], [null, 'nothing'], ['bob', 'a1']])
    assert.equal((await boss.ask(broadcast, { message: 'm', user, device })).broadcast, 0);
  assert.equal(await refused(a1, trigger, { domains: ['TASK'] }), 'FORBIDDEN');
  assert.equal(await refused(a1, broadcast, { message: 'm' }), 'FORBIDDEN');
  assert.equal(await refused(boss, trigger, { domains: [] }), 'BAD_USER_INPUT');
  assert.equal(await refused(boss, broadcast, { message: '' }), 'BAD_USER_INPUT');
  await node.stop();
});

test('policies, deactivations and conflicts are told, and the device that lost is pushed what stands', async () => {
  const node = await startNode({ set: { 'push.per_minute': 0 } });
  const { boss, a1, a2, b1 } = await crew(node, [['boss', 'root', ['admin']], ['a1', 'ann'], ['a2', 'ann'], ['b1', 'bob']]);
  await phone(a1, 'a1').edit(edit('t1', { a: 1 }));
  await phone(b1, 'b1').edit(edit('t1', { a: 2 }, { baseVersion: 1 }));
  const heard = listen(a1, 'a1');
  assert.equal((await heard.next()).entity.version, 2);
  assert.equal((await heard.next()).__typename, 'CaughtUpEvent');
  await boss.ask(documents.policy, { policy: { domain: 'TASK', resolutionPolicy: 'MANUAL' } });
  const policy = await heard.next();
  assert.deepEqual([policy.message, policy.data.resolutionPolicy], ['conflict policy of TASK changed', 'MANUAL']);
  // a1 was pushed version 2 and edits version 1 all the same.
  const lost = await phone(a1, 'a1').edit(edit('t1', { a: 3 }, { baseVersion: 1 }));
  const alert = await heard.next();
  assert.deepEqual([alert.__typename, alert.priority, alert.actionRequired, alert.conflict.conflictId], ['ConflictAlertEvent', 'CRITICAL', true, lost.conflictId]);
  await b1.ask(documents.resolve, { resolution: { conflictId: lost.conflictId, resolutionStrategy: 'SERVER_WINS', chosenVersion: 'server' } });
  const again = await heard.next();
  assert.deepEqual([again.__typename, again.entity.version, again.entity.data], ['DataUpdateEvent', 2, { a: 2 }]);
  const closed = await heard.next();
  assert.deepEqual([closed.__typename, closed.actionRequired], ['ConflictAlertEvent', false]);
  await a2.ask(documents.deactivate, { id: 'a2' });
  const gone = await heard.next();
  assert.deepEqual([gone.message, gone.data, gone.priority], ['device a2 was deactivated', { deviceId: 'a2' }, 'HIGH']);
  const heardByBob = listen(b1, 'b1');
  const all = [];
  for (let event = await heardByBob.next(); event.__typename !== 'CaughtUpEvent'; event = await heardByBob.next()) all.push(event.message);
  assert.ok(!all.includes('device a2 was deactivated'));
  await node.stop();
});

const health = '{ syncHealth { status successRate avgLatencyMs p95LatencyMs conflictRate lastSyncAt activeDevices { deviceId online } } }';
const queue = 'query($id: ID!) { queueStatus(deviceId: $id) { deviceId pending highPriority estimatedSeconds healthy } }';
const advice = '{ optimalSyncTime { syncNow waitSeconds load reason } }';
const analytics = `query($from: DateTime!, $to: DateTime!) { syncAnalytics(from: $from, to: $to) { hour requests successfulRequests
  replayedRequests avgLatencyMs p95LatencyMs conflictsAutoResolved conflictsOpened bytes devices domains { domain items failedItems conflicts } } }`;

test('health, queues, advice and the hours are told from what happened, also after kill -9', async () => {
  const node = await startNode();
  const { boss, a1, b1 } = await crew(node, [['boss', 'root', ['admin']], ['a1', 'ann'], ['b1', 'bob']]);
  const from = new Date(Date.now() - 3_600_000).toISOString(), to = new Date(Date.now() + 3_600_000).toISOString();
  await phone(a1, 'a1').edit(edit('t1', { a: 1 }));
  await phone(b1, 'b1').edits([high('t1', { a: 2 }, { baseVersion: 1 }), edit('k1', {}, { domain: 'TICKET' })]);
  await phone(a1, 'a1').edit(edit('never', null, { operation: 'DELETE' }));
  assert.deepEqual((await a1.ask(queue, { id: 'a1' })).queueStatus, { deviceId: 'a1', pending: 2, highPriority: 1, estimatedSeconds: 0.0002, healthy: true });
  const said = (await a1.ask(advice)).optimalSyncTime;
  assert.equal(said.syncNow, said.waitSeconds === 0);
  assert.ok(said.load >= 0 && said.load <= 1);
  // All that was counted is written after a moment, or with a later upload, at most a minute late.
  const hour = async client => {
    const rows = (await client.ask(analytics, { from, to })).syncAnalytics;
    const sum = name => rows.reduce((total, row) => total + row[name], 0);
    return { rows, requests: sum('requests'), successful: sum('successfulRequests') };
  };
  let seen;
  for (let tries = 0; tries < 100 && (seen = await hour(boss)).requests === 0; ++tries) await sleep(100);
  assert.ok(seen.requests >= 1);
  assert.ok(seen.rows[0].p95LatencyMs > 0 && seen.rows[0].devices >= 1 && seen.rows[0].bytes > 0);
  assert.ok(seen.rows[0].domains.some(one => one.domain === 'TASK' && one.items >= 1));
  const mine = (await a1.ask(health)).syncHealth;
  assert.equal(mine.status, 'unhealthy'); // one of two
  assert.equal(mine.successRate, 0.5);
  assert.ok(mine.p95LatencyMs > 0);
  assert.deepEqual(mine.activeDevices.map(one => one.deviceId), ['a1']);
  assert.equal(await refused(a1, analytics, { from, to }), 'FORBIDDEN');
  assert.equal(await refused(boss, analytics, { from: to, to: from }), 'BAD_USER_INPUT');
  await node.kill();
  await node.start();
  const again = await node.client({ user: 'root', roles: ['admin'] });
  const stored = await hour(again);
  assert.ok(stored.requests >= seen.requests);
  const later = await node.client({ user: 'ann' });
  await phone(later, 'a1').edit(edit('t9', {}));
  let grown;
  for (let tries = 0; tries < 100 && (grown = await hour(again)).requests <= stored.requests; ++tries) await sleep(100);
  assert.equal(grown.requests, stored.requests + 1);
  await node.stop();
});

test('a device\'s sync state says what it uploaded and what waits for it', async () => {
  const node = await startNode();
  const { boss, a1, b1 } = await crew(node, [['boss', 'root', ['admin']], ['a1', 'ann'], ['b1', 'bob']]);
  await phone(a1, 'a1').edits([edit('t1', { a: 1 }), edit('t1', { a: 2 }, { baseVersion: 1 })]);
  await phone(b1, 'b1').edits([edit('k1', {}, { domain: 'TICKET' }), edit('j1', {}, { domain: 'JOURNAL' })]);
  const { domains } = (await a1.ask(state, { id: 'a1' })).deviceSyncState;
  assert.deepEqual(domains.map(({ lastSyncAt, ...rest }) => rest), [
    { domain: 'TASK', lastVersion: 2, entities: 2, pending: 0 }, { domain: 'TICKET', lastVersion: null, entities: 0, pending: 1 }]);
  assert.ok(Math.abs(Date.parse(domains[0].lastSyncAt) - Date.now()) < 60_000);
  assert.equal(domains[1].lastSyncAt, null);
  assert.equal((await boss.ask(state, { id: 'a1' })).deviceSyncState.deviceId, 'a1');
  assert.equal(await refused(b1, state, { id: 'a1' }), 'FORBIDDEN');
  assert.equal(await refused(b1, state, { id: 'nobody' }), 'NOT_FOUND');
  await node.stop();
});
