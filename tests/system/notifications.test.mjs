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
