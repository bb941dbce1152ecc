// Uploads, conflicts and the change feed of one node, through graphql-ws's client: docs/domain rules seen from outside.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { check, codes, documents, edit, killAll, now, phone, readAll, startNode, unique, voiceItem } from './harness.mjs';

let node, ann, bob, boss;

before(async () => {
  node = await startNode({ set: { 'network.threads': 2 } });
  ann = await node.client({ user: 'ann' });
  bob = await node.client({ user: 'bob' });
  boss = await node.client({ user: 'boss', roles: ['admin'] });
});

after(async () => {
  const how = await node.stop();
  assert.deepEqual([how.code, how.signal], [0, null], node.log);
  const checked = check(node.data);
  assert.equal(checked.code, 0, checked.out + checked.err);
});
after(killAll); // those of tests that failed

// A policy for a tenant of its own, so that tests do not meet; answers two users' phones in it and the admin.
async function tenantWith(policy) {
  const tenant = unique('tenant');
  const [one, two, admin] = await Promise.all([
    node.client({ tenant, user: 'one' }), node.client({ tenant, user: 'two' }),
    node.client({ tenant, user: 'admin', roles: ['admin'] }),
  ]);
  if (policy) await admin.ask(documents.policy, { policy });
  return { tenant, one: phone(one, 'phone-1'), two: phone(two, 'phone-2'), oneClient: one, twoClient: two, admin };
}

// Version 1 by `one`, version 2 by `one` (field `title` to "server"), then an edit of `title` on version 1 by `two`.
async function collide({ one, two }, { domain = 'TASK', mine = {}, theirs = {}, base = {} } = {}) {
  const id = unique('e');
  await one.edit(edit(id, { title: 'first', ...base }, { domain, modifiedAt: now(-60_000) }));
  const accepted = await one.edit(edit(id, { title: 'server', ...mine.data }, { domain, operation: 'UPDATE', baseVersion: 1, modifiedAt: now(-30_000), ...mine.more }));
  assert.equal(accepted.version, 2, JSON.stringify(accepted));
  const late = await two.edit(edit(id, { title: 'client', ...theirs.data }, { domain, operation: 'UPDATE', baseVersion: 1, modifiedAt: now(-10_000), ...theirs.more }));
  return { id, late, stored: await one.entity(domain, id) };
}

// ── exactly once ──

test('a retry is answered from what was stored, may select other fields, and writes nothing', async () => {
  const key = unique(), id = unique('v');
  const first = await phone(ann, 'a1').voice([voiceItem(id)], key);
  assert.equal(first.success, true);
  assert.equal(first.replayed, false);
  assert.equal(first.idempotencyKey, key);
  assert.deepEqual(first.items.map(one => [one.itemId, one.success, one.duplicate]), [[id, true, false]]);
  const marked = (await readAll(ann, { domains: ['VOICE'] })).cursor;

  const data = [{ ...voiceItem(id), timestamp: undefined }];
  const repeat = await ann.ask(documents.voice, { data: [{ ...data[0], timestamp: '2025-01-01T00:00:00Z' }], key: unique(), device: 'a1' });
  assert.equal(repeat.syncVoiceData.items[0].success, false, 'the same record with other content is an error');

  const again = await ann.run(`mutation($data: [VoiceDataInput!]!, $key: String!, $device: String!) {
    answer: syncVoiceData(deviceId: $device, idempotencyKey: $key, data: $data) { replayed metrics { totalItems durationMs } items { itemId } } }`,
  { data: [voiceItem(id)], key, device: 'a1' });
  assert.deepEqual(codes(again), ['IDEMPOTENCY_KEY_REUSED'], 'a timestamp of now is another request');
  assert.equal((await readAll(ann, { domains: ['VOICE'], since: marked })).entities.length, 0);
});

test('a replay has the first answer, timestamps and all', async () => {
  const key = unique(), data = [voiceItem(unique('v')), voiceItem(unique('v'), { confidenceScore: 2 })];
  const first = await phone(ann, 'a1').voice(data, key);
  const second = await phone(ann, 'a1').voice(data, key);
  assert.deepEqual(second, { ...first, replayed: true });
  const other = await ann.ask(`mutation($data: [VoiceDataInput!]!, $key: String!, $device: String!) {
    again: syncVoiceData(deviceId: $device, idempotencyKey: $key, data: $data) { replayed failedItems metrics { totalItems } } }`, { data, key, device: 'a1' });
  assert.deepEqual(other.again, { replayed: true, failedItems: 1, metrics: { totalItems: 2 } });
});

test('what is compared is what the request asks for, not its spelling', async () => {
  const key = unique(), id = unique('v');
  const at = '2025-09-28T12:00:00.000Z';
  const first = await ann.ask(`mutation { syncVoiceData(data: [{verificationId: "${id}", timestamp: "${at}", verified: true, metadata: "{\\"a\\":1}"}],
    idempotencyKey: "${key}", deviceId: "a1") { success replayed } }`);
  assert.deepEqual(first.syncVoiceData, { success: true, replayed: false });
  const second = await ann.ask(`mutation($v: VoiceDataInput!, $key: String!) {
    syncVoiceData(deviceId: "a1", idempotencyKey: $key, data: [$v]) { replayed } }`, { key, v: { verified: true, metadata: { a: 1 }, verificationId: id, timestamp: at } });
  assert.equal(second.syncVoiceData.replayed, true);
});

test('a key of another request is refused, and nothing of it is written', async () => {
  const key = unique(), id = unique('v');
  await phone(ann, 'a1').voice([voiceItem(unique('v'))], key);
  const reused = await ann.run(documents.voice, { data: [voiceItem(id)], key, device: 'a1' });
  assert.deepEqual(codes(reused), ['IDEMPOTENCY_KEY_REUSED']);
  assert.equal(reused.errors[0].extensions.retryable ?? false, false);
  const seen = await phone(ann, 'a1').voice([voiceItem(id)]);
  assert.equal(seen.items[0].duplicate, false);
  const crossed = await ann.run(documents.operations, { operations: [edit(unique('e'), {})], key, device: 'a1' });
  assert.deepEqual(codes(crossed), ['IDEMPOTENCY_KEY_REUSED'], 'another mutation is another request');
});

test('a key belongs to one device of one user', async () => {
  const key = unique();
  for (const [client, device] of [[ann, 'a1'], [ann, 'a2'], [bob, 'b1']])
    assert.equal((await phone(client, device).voice([voiceItem(unique('v'))], key)).replayed, false);
});

test('connections that race with one key run it once', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, () => node.client({ user: 'ann' })));
  for (let round = 0; round < 25; ++round) {
    const key = unique(), data = [voiceItem(unique('v'))];
    const answers = await Promise.all(clients.map(one => phone(one, 'a1').voice(data, key)));
    assert.equal(answers.filter(one => !one.replayed).length, 1, 'one execution');
    for (const one of answers) assert.deepEqual({ ...one, replayed: false }, { ...answers[0], replayed: false });
    assert.equal(answers[0].items[0].duplicate, false);
  }
  await Promise.all(clients.map(one => one.close()));
});

test('keys are 1 to 255 bytes of printable ASCII', async () => {
  for (const key of ['', 'x'.repeat(256), 'tab\there', 'ä', 'nul\u0000']) {
    const answer = await ann.run(documents.voice, { data: [voiceItem(unique('v'))], key, device: 'a1' });
    assert.deepEqual(codes(answer), ['BAD_USER_INPUT'], JSON.stringify(key));
  }
  for (const key of ['x'.repeat(255), unique('~ !'), unique('"\\')])
    assert.equal((await phone(ann, 'a1').voice([voiceItem(unique('v'))], key)).success, true, key);
});

test('an operationId makes an edit exactly-once in whatever batch it travels', async () => {
  const p = phone(ann, 'a1');
  const edits = [0, 1, 2].map(i => edit(unique('e'), { i }, { operationId: unique('op') }));
  const first = await p.edits(edits);
  assert.deepEqual(first.items.map(one => one.duplicate), [false, false, false]);
  const regrouped = await p.edits([edits[2], edit(unique('e'), { fresh: true }, { operationId: unique('op') }), edits[0]]);
  assert.deepEqual(regrouped.items.map(one => one.duplicate), [true, false, true]);
  assert.deepEqual(regrouped.items.map(one => one.version), [1, 1, 1]);
  assert.equal((await p.entity('TASK', edits[0].entityId)).version, 1);
  const twice = await p.edits([edits[1], edits[1]]);
  assert.deepEqual(twice.items.map(one => one.duplicate), [true, true]);
  const other = await p.edits([{ ...edits[0], data: { i: 'other' } }]);
  assert.equal(other.success, false);
  assert.equal(other.errors[0].code, 'VALIDATION_ERROR');
  assert.equal(other.errors[0].field, 'operationId');
});

// ── items ──

test('a bad item does not sink its batch', async () => {
  const ids = ['good-1', 'score', 'good-2', 'time', 'future', 'good-3'].map(unique);
  const answer = await phone(ann, 'a1').voice([
    voiceItem(ids[0]), voiceItem(ids[1], { qualityScore: 1.5 }), voiceItem(ids[2]),
    voiceItem(ids[3], { timestamp: 'yesterday' }), voiceItem(ids[4], { timestamp: now(25 * 3600_000) }),
    voiceItem(ids[5], { timestamp: '2025-09-28T14:00:00+02:00' }),
  ]);
  assert.equal(answer.success, false);
  assert.deepEqual([answer.syncedItems, answer.failedItems], [3, 3]);
  assert.deepEqual(answer.items.map(one => one.success), [true, false, true, false, false, true]);
  assert.deepEqual(answer.errors.map(one => [one.code, one.field, one.itemId]), [
    ['VALIDATION_ERROR', 'qualityScore', ids[1]], ['VALIDATION_ERROR', 'timestamp', ids[3]], ['VALIDATION_ERROR', 'timestamp', ids[4]],
  ]);
});

test('each rule of an item names the field that broke it', async () => {
  const p = phone(ann, 'a1');
  const answer = await p.batch({
    behavioralData: [{ sessionId: unique('s'), events: [], durationMs: -1 }, { sessionId: '', events: [1], durationMs: 1 }],
    sessionData: [{ sessionId: unique('s'), startTime: now(), endTime: now(-1000) }],
    metricsData: [{ metricType: '', value: 1, timestamp: now() }],
    operations: [
      edit('x'.repeat(129), {}), edit(unique('e'), [1]), edit(unique('e'), null), edit(unique('e'), {}, { domain: 'VOICE' }),
      edit(unique('e'), { big: 'x'.repeat(256 << 10) }), edit(unique('e'), {}, { modifiedAt: 'never' }),
      edit(unique('e'), { a: 1 }, { baseVersion: 7 }), edit(unique('e'), undefined, { operation: 'DELETE' }),
    ],
  });
  assert.equal(answer.success, false);
  assert.deepEqual(answer.behavioralSyncResult.errors.map(one => one.field), ['durationMs', 'sessionId']);
  assert.deepEqual(answer.sessionSyncResult.errors.map(one => one.field), ['endTime']);
  assert.deepEqual(answer.metricsSyncResult.errors.map(one => one.field), ['metricType']);
  const found = answer.operationsSyncResult.errors.map(one => [one.code, one.field]);
  assert.deepEqual(found.map(one => one[1]).slice(0, 6), ['entityId', 'data', 'data', 'domain', 'data', 'modifiedAt'], JSON.stringify(found));
  assert.equal(answer.operationsSyncResult.failedItems, found.length);
  assert.equal(found.at(-1)[0], 'NOT_FOUND', 'deleting what is not there');
});

test('JSON that nests too deep is its item\'s error', async () => {
  let deep = 1;
  for (let i = 0; i < 40; ++i) deep = [deep];
  const answer = await phone(ann, 'a1').edits([edit(unique('e'), { deep }), edit(unique('e'), { fine: [[[1]]] })]);
  assert.deepEqual(answer.items.map(one => one.success), [false, true]);
  assert.equal(answer.errors[0].field, 'data');
});

test('a batch of everything is one commit with a section of each kind', async () => {
  const p = phone(ann, 'everything');
  const [v, b, s, e] = ['v', 'b', 's', 'e'].map(unique);
  const key = unique();
  const what = {
    voiceData: [voiceItem(v, { confidenceScore: 0.5, processingTimeMs: 3, metadata: '{"as":"text"}' })],
    behavioralData: [{ sessionId: b, events: [{ tap: 1 }, 'x', [null]], durationMs: 12, userInteractions: 1, screenChanges: 0, metadata: {} }],
    sessionData: [{ sessionId: s, startTime: now(-5000), activities: [{ a: 1 }] }],
    metricsData: [{ metricType: 'battery', value: 0.5, unit: 'ratio', timestamp: now(), tags: { where: 'here' } }],
    operations: [edit(e, { title: 'all' }), edit(e, { title: 'again' }, { operation: 'UPDATE', baseVersion: 1 })],
    metadata: { app: 1 }, clientTimestamp: now(),
  };
  const answer = await p.batch(what, key);
  assert.equal(answer.success, true, JSON.stringify(answer));
  const { durationMs, ...counts } = answer.overallMetrics;
  assert.deepEqual(counts, { totalItems: 6, syncedItems: 6, failedItems: 0, conflictsDetected: 0 });
  assert.ok(durationMs > 0 && durationMs < 60_000, `${durationMs}`);
  assert.deepEqual(answer.operationsSyncResult.items.map(one => one.version), [1, 2], 'items are applied in their order');
  assert.deepEqual((await p.entity('VOICE', v)).data.metadata, { as: 'text' });
  const changed = await p.batch({ ...what, metadata: { app: 2 } }, key).catch(problem => problem);
  assert.match(changed.message, /IDEMPOTENCY_KEY_REUSED/);
  // Word for word, but for the time it took: that was measured after what is stored had been written.
  const replayOf = (name, value) => (name === 'replayed' ? true : name === 'durationMs' ? undefined : value);
  const replay = await p.batch(what, key);
  assert.equal(replay.replayed, true);
  assert.equal(JSON.stringify(replay, replayOf), JSON.stringify(answer, replayOf));
  assert.equal((await p.batch({ voiceData: what.voiceData })).behavioralSyncResult, null, 'a list that was not sent has no section');
});

test('an empty batch and one of over 1,000 items are refused whole', async () => {
  const wrong = async batch => codes(await ann.run(documents.batch, { batch: { idempotencyKey: unique(), deviceId: 'a1', clientTimestamp: now(), ...batch } }));
  assert.deepEqual(await wrong({}), ['PAYLOAD_TOO_LARGE']);
  assert.deepEqual(await wrong({ voiceData: [], operations: [] }), ['PAYLOAD_TOO_LARGE']);
  const many = n => Array.from({ length: n }, () => voiceItem(unique('v')));
  assert.deepEqual(await wrong({ voiceData: many(1001) }), ['PAYLOAD_TOO_LARGE']);
  assert.deepEqual(await wrong({ voiceData: many(501), operations: Array.from({ length: 500 }, () => edit(unique('e'), {})) }), ['PAYLOAD_TOO_LARGE']);
  assert.equal((await phone(ann, 'a1').voice(many(1000))).syncedItems, 1000);
  assert.deepEqual(codes(await ann.run(documents.voice, { data: many(1), key: unique(), device: '' })), ['BAD_USER_INPUT']);
});

test('a record is stored once; a session may be completed, and nothing else changes', async () => {
  const p = phone(ann, 'a1'), id = unique('v'), item = voiceItem(id), session = unique('s');
  assert.equal((await p.voice([item])).items[0].duplicate, false);
  const again = await p.voice([item]);
  assert.deepEqual([again.success, again.items[0].duplicate], [true, true]);
  const other = await p.voice([{ ...item, verified: false }]);
  assert.deepEqual([other.errors[0].code, other.errors[0].field], ['VALIDATION_ERROR', 'verified']);
  assert.equal((await p.entity('VOICE', id)).data.verified, true);

  const open = { sessionId: session, startTime: now(-9000) };
  await p.batch({ sessionData: [open] });
  const done = { ...open, endTime: now(), durationMs: 9000 };
  assert.equal((await p.batch({ sessionData: [done] })).success, true);
  assert.equal((await p.batch({ sessionData: [done] })).sessionSyncResult.items[0].duplicate, true);
  assert.equal((await p.batch({ sessionData: [{ ...done, durationMs: 1 }] })).sessionSyncResult.errors[0].field, 'durationMs');
  assert.equal((await p.entity('SESSION', session)).data.durationMs, 9000);
});

// ── devices ──

test('the first upload registers its device, and its second user is refused', async () => {
  const device = unique('device');
  await phone(ann, device).voice([voiceItem(unique('v'))]);
  const { devices } = await ann.ask(documents.devices);
  const mine = devices.find(one => one.deviceId === device);
  assert.deepEqual([mine.userId, mine.deviceType, mine.priority, mine.active, mine.syncCount], ['ann', 'OTHER', 50, true, 1]);
  for (const [document, variables] of [
    [documents.voice, { data: [voiceItem(unique('v'))], key: unique(), device }],
    [documents.register, { device: { deviceId: device, deviceType: 'PHONE' } }],
    [documents.acknowledge, { id: device, cursor: (await readAll(bob)).cursor }],
  ]) assert.deepEqual(codes(await bob.run(document, variables)), ['FORBIDDEN']);
  assert.equal((await bob.ask('query($id: ID!) { device(deviceId: $id) { deviceId } }', { id: device })).device, null);
});

test('a token that names a device opens that device only', async () => {
  const bound = await node.client({ user: 'ann', device: 'bound-1' });
  assert.equal((await phone(bound, 'bound-1').voice([voiceItem(unique('v'))])).success, true);
  const other = await bound.run(documents.voice, { data: [voiceItem(unique('v'))], key: unique(), device: 'a1' });
  assert.deepEqual(codes(other), ['FORBIDDEN']);
  await bound.close();
});

test('a registered device can be changed by its user and counts its syncs', async () => {
  const device = unique('device');
  const made = (await ann.ask(documents.register, { device: { deviceId: device, deviceType: 'TABLET', deviceName: 'The tablet' } })).registerDevice;
  assert.deepEqual([made.deviceName, made.priority, made.syncCount], ['The tablet', 60, 0]);
  assert.equal((await ann.ask(documents.register, { device: { deviceId: device, deviceType: 'DESKTOP', priority: 7 } })).registerDevice.priority, 7);
  await phone(ann, device).voice([voiceItem(unique('v')), voiceItem(unique('v'), { confidenceScore: -1 })]);
  const { devices } = await ann.ask(documents.devices);
  const after = devices.find(one => one.deviceId === device);
  assert.deepEqual([after.syncCount, after.failedSyncCount], [0, 1]);
});

test('a deactivated device is refused from then on and its sockets close with 4403', async () => {
  const device = unique('lost');
  const lost = await node.client({ user: 'ann', device });
  await phone(lost, device).voice([voiceItem(unique('v'))]);
  const unbound = await node.client({ user: 'ann' });
  await phone(unbound, device).voice([voiceItem(unique('v'))]);
  assert.deepEqual(codes(await bob.run(documents.deactivate, { id: device })), ['FORBIDDEN']);
  assert.deepEqual(codes(await bob.run(documents.deactivate, { id: unique('absent') })), ['NOT_FOUND']);
  assert.equal((await ann.ask(documents.deactivate, { id: device })).deactivateDevice, true);
  assert.equal((await lost.closed).code, 4403);
  assert.deepEqual(codes(await ann.run(documents.voice, { data: [voiceItem(unique('v'))], key: unique(), device })), ['DEVICE_DEACTIVATED']);
  const back = await node.client({ user: 'ann', device });
  assert.deepEqual(codes(await back.run(documents.devices)), ['DEVICE_DEACTIVATED'], 'its token opens nothing any more');
});

test('an admin may deactivate any device of the tenant', async () => {
  const device = unique('device');
  await phone(bob, device).voice([voiceItem(unique('v'))]);
  assert.equal((await boss.ask(documents.deactivate, { id: device })).deactivateDevice, true);
  const foreign = await node.client({ tenant: unique('tenant'), user: 'boss', roles: ['admin'] });
  assert.deepEqual(codes(await foreign.run(documents.deactivate, { id: 'a1' })), ['NOT_FOUND']);
});

// ── tenants, private and shared ──

test('a foreign id answers exactly as an absent one', async () => {
  const other = await node.client({ tenant: unique('tenant'), user: 'ann' });
  const id = unique('e');
  await phone(ann, 'a1').edit(edit(id, { secret: 1 }));
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'MANUAL' });
  const { late } = await collide(meeting);
  for (const [document, present, absent] of [
    [documents.entity, { domain: 'TASK', id }, { domain: 'TASK', id: 'no-such' }],
    [documents.conflict, { id: late.conflictId }, { id: 'c999999' }],
    ['query($id: ID!) { device(deviceId: $id) { deviceId } }', { id: 'a1' }, { id: 'no-such' }],
  ]) assert.deepEqual(await other.run(document, present), await other.run(document, absent));
  const resolve = async conflictId => {
    const answer = await other.run(documents.resolve, { resolution: { conflictId, resolutionStrategy: 'MANUAL', chosenVersion: 'client' } });
    for (const one of answer.errors) delete one.extensions.requestId;
    return answer;
  };
  const refused = await resolve(late.conflictId);
  assert.deepEqual(refused, await resolve('c999999'));
  assert.deepEqual(codes(refused), ['NOT_FOUND']);
  assert.equal((await readAll(other)).entities.length, 0);
  assert.equal((await phone(other, 'a1').edit(edit(id, { mine: 1 }))).version, 1, 'the id is free in another tenant, and so is the device\'s');
});

test('private domains are their user\'s, shared ones the tenant\'s', async () => {
  const id = unique('e');
  await phone(ann, 'a1').edits([edit(id, { of: 'ann' }, { domain: 'JOURNAL' }), edit(id, { of: 'all' }, { domain: 'TICKET' })]);
  assert.equal(await phone(bob, 'b1').entity('JOURNAL', id), null);
  assert.equal((await phone(bob, 'b1').entity('TICKET', id)).data.of, 'all');
  const own = await phone(bob, 'b1').edit(edit(id, { of: 'bob' }, { domain: 'JOURNAL' }));
  assert.deepEqual([own.success, own.version, own.conflictDetected], [true, 1, false], 'nobody learns of another\'s ids');
  const second = await node.client({ user: 'ann' });
  assert.equal((await phone(second, 'a9').entity('JOURNAL', id)).data.of, 'ann', 'all of the user\'s devices see it');
  const feed = await readAll(bob);
  assert.ok(!feed.entities.some(one => one.data?.of === 'ann' || (one.domain === 'VOICE' && one.userId !== 'bob')));
  await second.close();
});

test('only an admin sets policies, of domains that have versions, and each tenant has its own', async () => {
  const policy = { domain: 'WORK_ORDER', resolutionPolicy: 'CLIENT_WINS', autoResolve: true, notifyOnConflict: false };
  assert.deepEqual(codes(await ann.run(documents.policy, { policy })), ['FORBIDDEN']);
  assert.deepEqual((await boss.ask(documents.policy, { policy })).setConflictPolicy, policy);
  const list = async client => (await client.ask('{ conflictPolicies { domain resolutionPolicy autoResolve notifyOnConflict } }')).conflictPolicies;
  assert.deepEqual((await list(ann)).find(one => one.domain === 'WORK_ORDER'), policy);
  const { oneClient } = await tenantWith();
  assert.deepEqual((await list(oneClient)).map(one => `${one.domain} ${one.resolutionPolicy}`).sort(), [
    'ATTENDANCE SERVER_WINS', 'JOURNAL CLIENT_WINS', 'TASK MOST_RECENT_WINS', 'TICKET PRESERVE_ESCALATION', 'WORK_ORDER MOST_RECENT_WINS']);
  assert.deepEqual(codes(await boss.run(documents.policy, { policy: { ...policy, domain: 'VOICE' } })), ['BAD_USER_INPUT']);
});

// ── versions and conflicts ──

test('versions grow by one, an update is a merge patch, a deletion leaves a tombstone', async () => {
  const p = phone(ann, 'a1'), id = unique('e');
  assert.equal((await p.edit(edit(id, { a: 1, b: { c: 1, d: 2 }, gone: 1 }, { operation: 'CREATE' }))).version, 1);
  assert.equal((await p.edit(edit(id, { b: { c: 9 }, gone: null }, { operation: 'UPDATE', baseVersion: 1 }))).version, 2);
  assert.deepEqual((await p.entity('TASK', id)).data, { a: 1, b: { c: 9, d: 2 } });
  assert.equal((await p.edit(edit(id, { whole: true }, { baseVersion: 2 }))).version, 3);
  assert.deepEqual((await p.entity('TASK', id)).data, { whole: true });
  assert.equal((await p.edit(edit(id, undefined, { operation: 'DELETE', baseVersion: 3 }))).version, 4);
  const tomb = await p.entity('TASK', id);
  assert.ok(tomb === null || (tomb.deleted && tomb.data === null && tomb.version === 4), JSON.stringify(tomb));
  const { entities } = await readAll(ann, { domains: ['TASK'] });
  assert.deepEqual(entities.filter(one => one.entityId === id).map(one => [one.version, one.deleted, one.data]), [[4, true, null]]);
});

test('a device does not conflict with itself', async () => {
  const p = phone(ann, 'a1'), id = unique('e');
  await p.edit(edit(id, { n: 1 }));
  for (const n of [2, 3, 4]) {
    const item = await p.edit(edit(id, { n }, { operation: 'UPDATE', baseVersion: 1 }));
    assert.deepEqual([item.success, item.version, item.conflictDetected], [true, n, false]);
  }
});

test('a base version from the future is an error', async () => {
  const id = unique('e');
  await phone(ann, 'a1').edit(edit(id, { n: 1 }));
  const item = await phone(ann, 'a1').edit(edit(id, { n: 2 }, { operation: 'UPDATE', baseVersion: 5 }));
  assert.deepEqual([item.success, item.error.code, item.error.field], [false, 'VALIDATION_ERROR', 'baseVersion']);
});

test('edits of different fields meet without a conflict; the same result twice writes nothing', async () => {
  const { one, two } = await tenantWith();
  const id = unique('e');
  await one.edit(edit(id, { a: 1, b: 1 }));
  await one.edit(edit(id, { a: 2 }, { operation: 'UPDATE', baseVersion: 1 }));
  const met = await two.edit(edit(id, { b: 2 }, { operation: 'UPDATE', baseVersion: 1 }));
  assert.deepEqual([met.success, met.version, met.conflictDetected], [true, 3, false]);
  assert.deepEqual((await one.entity('TASK', id)).data, { a: 2, b: 2 });
  const same = await one.edit(edit(id, { b: 2 }, { operation: 'UPDATE', baseVersion: 1 }));
  assert.deepEqual([same.success, same.version, same.conflictDetected], [true, 3, false]);
});

for (const [strategy, expected, side] of [
  ['CLIENT_WINS', 'client', 'client'], ['SERVER_WINS', 'server', 'server'], ['MOST_RECENT_WINS', 'client', 'client'],
  ['DEVICE_PRIORITY', 'client', 'client'], ['MERGE', 'client', 'merged']])
  test(`${strategy}: the conflict is recorded as resolved and the entity holds the winner`, async () => {
    const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: strategy });
    const { id, late, stored } = await collide(meeting);
    assert.deepEqual([late.success, late.conflictDetected], [true, true]);
    assert.equal(stored.data.title, expected);
    assert.equal(stored.version, expected === 'server' ? 2 : 3);
    assert.equal(late.version, stored.version);
    const { conflict } = await meeting.oneClient.ask(documents.conflict, { id: late.conflictId });
    assert.deepEqual([conflict.status, conflict.mobileId, conflict.fields, conflict.serverVersion, conflict.clientVersion, conflict.resolutionStrategy],
      ['RESOLVED', id, ['title'], 2, 1, strategy]);
    assert.equal(conflict.winningVersion, side);
    assert.equal(conflict.resolutionRequired, false);
    assert.equal(conflict.clientData.title, 'client');
    assert.equal(conflict.serverData.title, 'server');
    assert.deepEqual(late.conflicts.map(one => one.conflictId), [late.conflictId]);
  });

test('MOST_RECENT_WINS: the earlier edit loses, and a clock an hour ahead gains nothing', async () => {
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'MOST_RECENT_WINS' });
  const older = await collide(meeting, { theirs: { more: { modifiedAt: now(-45_000) } } });
  assert.deepEqual([older.stored.data.title, older.stored.version], ['server', 2]);
  const ahead = await collide(meeting, { mine: { more: { modifiedAt: now(3600_000) } } });
  const next = await meeting.two.edit(edit(ahead.id, { title: 'later' }, { operation: 'UPDATE', baseVersion: 1, modifiedAt: now(200_000) }));
  assert.equal(next.conflictDetected, true);
  assert.equal((await meeting.one.entity('TASK', ahead.id)).data.title, 'later', 'the wrong clock counted as the server\'s');
});

test('DEVICE_PRIORITY decides between two devices of one user, whoever was later', async () => {
  const tenant = unique('tenant'), user = await node.client({ tenant, user: 'u' });
  await user.ask(documents.register, { device: { deviceId: 'desk', deviceType: 'DESKTOP' } });
  await user.ask(documents.register, { device: { deviceId: 'pocket', deviceType: 'PHONE' } });
  const { late, stored } = await collide({ one: phone(user, 'desk'), two: phone(user, 'pocket') });
  assert.equal(late.conflictDetected, true);
  assert.equal(stored.data.title, 'server', 'the desktop stays though the phone was later');
  const turned = await collide({ one: phone(user, 'pocket'), two: phone(user, 'desk') }, { theirs: { more: { modifiedAt: now(-50_000) } } });
  assert.equal(turned.stored.data.title, 'client');
});

test('MERGE goes field by field', async () => {
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'MERGE' });
  const { stored } = await collide(meeting, { base: { mine: 0, theirs: 0 }, mine: { data: { mine: 1 } }, theirs: { data: { theirs: 1 } } });
  assert.deepEqual(stored.data, { title: 'client', mine: 1, theirs: 1 });
});

test('PRESERVE_ESCALATION never undoes an escalation', async () => {
  const meeting = await tenantWith();
  const { stored } = await collide(meeting, { domain: 'TICKET', base: { priority: 'low', escalated: false },
    mine: { data: { priority: 'critical', escalated: true } }, theirs: { data: { priority: 'medium', escalated: false } } });
  assert.deepEqual(stored.data, { title: 'client', priority: 'critical', escalated: true });
});

test('MANUAL keeps both sides until a person chooses the client\'s', async () => {
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'MANUAL' });
  const { id, late, stored } = await collide(meeting);
  assert.deepEqual([late.success, late.conflictDetected, stored.data.title, stored.version], [true, true, 'server', 2]);
  const open = (await meeting.oneClient.ask(documents.conflicts, { status: 'OPEN' })).conflicts;
  assert.deepEqual(open.conflicts.map(one => [one.conflictId, one.resolutionRequired, one.winningVersion, one.resolvedAt]), [[late.conflictId, true, null, null]]);
  const resolution = { conflictId: late.conflictId, resolutionStrategy: 'MANUAL', chosenVersion: 'client', notes: 'theirs is right' };
  const done = (await meeting.oneClient.ask(documents.resolve, { resolution })).resolveConflict;
  assert.deepEqual([done.success, done.resolutionResult, done.winningVersion, done.version], [true, 'resolved', 'client', 3]);
  assert.equal((await meeting.one.entity('TASK', id)).data.title, 'client');
  const second = (await meeting.twoClient.ask(documents.resolve, { resolution: { ...resolution, chosenVersion: 'server' } })).resolveConflict;
  assert.deepEqual([second.success, second.resolutionResult, second.winningVersion, second.version], [true, 'already_resolved', 'client', 3]);
  const { conflict } = await meeting.twoClient.ask(documents.conflict, { id: late.conflictId });
  assert.deepEqual([conflict.status, conflict.resolvedBy, conflict.notes, conflict.winningVersion], ['RESOLVED', 'one', 'theirs is right', 'client']);
  assert.ok(conflict.resolvedAt);
  assert.equal((await meeting.oneClient.ask(documents.conflicts, { status: 'OPEN' })).conflicts.conflicts.length, 0);
});

test('choosing the server\'s side writes no version; a merged object is what a person made', async () => {
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'CLIENT_WINS', autoResolve: false });
  const kept = await collide(meeting);
  const resolve = (conflictId, chosenVersion, mergeData) => meeting.oneClient.run(documents.resolve, {
    resolution: { conflictId, resolutionStrategy: 'MANUAL', chosenVersion, mergeData } });
  const server = (await resolve(kept.late.conflictId, 'server')).data.resolveConflict;
  assert.deepEqual([server.resolutionResult, server.version], ['resolved', 2]);
  assert.equal((await meeting.one.entity('TASK', kept.id)).version, 2);
  const joined = await collide(meeting);
  assert.deepEqual(codes(await resolve(joined.late.conflictId, 'merged')), ['BAD_USER_INPUT'], 'merged needs the object');
  assert.deepEqual(codes(await resolve(joined.late.conflictId, 'mine')), ['BAD_USER_INPUT']);
  const merged = (await resolve(joined.late.conflictId, 'merged', { title: 'both' })).data.resolveConflict;
  assert.deepEqual([merged.resolutionResult, merged.winningVersion, merged.version], ['resolved', 'merged', 3]);
  assert.deepEqual((await meeting.one.entity('TASK', joined.id)).data, { title: 'both' });
});

test('two people who resolve one conflict at once get one outcome', async () => {
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'MANUAL' });
  for (let round = 0; round < 5; ++round) {
    const { id, late } = await collide(meeting);
    const answers = await Promise.all([meeting.oneClient, meeting.twoClient].map((client, i) => client.ask(documents.resolve, {
      resolution: { conflictId: late.conflictId, resolutionStrategy: 'MANUAL', chosenVersion: ['client', 'server'][i] } })));
    const results = answers.map(one => one.resolveConflict);
    assert.deepEqual(results.map(one => one.resolutionResult).sort(), ['already_resolved', 'resolved']);
    assert.equal(results[0].winningVersion, results[1].winningVersion);
    assert.equal((await meeting.one.entity('TASK', id)).version, results[0].version);
  }
});

test('a conflict in a private domain is nobody else\'s', async () => {
  const tenant = unique('tenant');
  const [u, v, admin] = await Promise.all([node.client({ tenant, user: 'u' }), node.client({ tenant, user: 'v' }), node.client({ tenant, user: 'w', roles: ['admin'] })]);
  await admin.ask(documents.policy, { policy: { domain: 'JOURNAL', resolutionPolicy: 'MANUAL' } });
  const { late } = await collide({ one: phone(u, 'p1'), two: phone(u, 'p2') }, { domain: 'JOURNAL' });
  assert.equal(late.conflictDetected, true);
  assert.equal((await v.ask(documents.conflict, { id: late.conflictId })).conflict, null);
  assert.equal((await v.ask(documents.conflicts, {})).conflicts.conflicts.length, 0);
  const tried = await v.run(documents.resolve, { resolution: { conflictId: late.conflictId, resolutionStrategy: 'MANUAL', chosenVersion: 'client' } });
  assert.match(JSON.stringify(tried), /NOT_FOUND/);
  assert.equal((await u.ask(documents.conflicts, {})).conflicts.conflicts.length, 1);
});

test('deleting beats editing only where the policy makes that side win', async () => {
  for (const [policy, deleted] of [['CLIENT_WINS', true], ['SERVER_WINS', false]]) {
    const { one, two } = await tenantWith({ domain: 'TASK', resolutionPolicy: policy });
    const id = unique('e');
    await one.edit(edit(id, { a: 1 }));
    await one.edit(edit(id, { a: 2 }, { operation: 'UPDATE', baseVersion: 1 }));
    const late = await two.edit(edit(id, undefined, { operation: 'DELETE', baseVersion: 1 }));
    assert.equal(late.conflictDetected, true);
    const stored = await one.entity('TASK', id);
    assert.equal(stored === null || stored.deleted, deleted, policy);
  }
});

// ── the feed ──

test('changes come in pages, each entity once at its newest version, oldest change first', async () => {
  const { one, oneClient } = await tenantWith();
  const ids = Array.from({ length: 25 }, () => unique('e'));
  await one.edits(ids.map(id => edit(id, { n: 1 })));
  await one.edit(edit(ids[3], { n: 2 }, { operation: 'UPDATE', baseVersion: 1 }));
  const all = await readAll(oneClient, { first: 10 });
  assert.equal(all.pages, 3);
  assert.deepEqual(all.entities.map(entity => entity.entityId), [...ids.filter(id => id !== ids[3]), ids[3]]);
  assert.equal(all.entities.at(-1).version, 2);
  assert.equal((await readAll(oneClient, { since: all.cursor })).entities.length, 0);
  await one.edits([edit(ids[7], { n: 3 }, { operation: 'UPDATE', baseVersion: 1 }), edit(unique('j'), {}, { domain: 'JOURNAL' })]);
  const since = await readAll(oneClient, { since: all.cursor });
  assert.deepEqual(since.entities.map(entity => entity.domain), ['TASK', 'JOURNAL']);
  assert.deepEqual((await readAll(oneClient, { since: all.cursor, domains: ['JOURNAL'] })).entities.length, 1);
  for (const first of [0, -1, 1_000_000]) {
    const answer = await oneClient.run(documents.changes, { first });
    assert.ok(codes(answer)[0] === 'BAD_USER_INPUT' || answer.data.changes.cursor, `first: ${first}`);
  }
});

test('conflicts come in pages too', async () => {
  const meeting = await tenantWith({ domain: 'TASK', resolutionPolicy: 'MANUAL' });
  const ids = [];
  for (let i = 0; i < 5; ++i) ids.push((await collide(meeting)).late.conflictId);
  const seen = [];
  for (let after = null; ;) {
    const { conflicts } = await meeting.oneClient.ask(documents.conflicts, { first: 2, after });
    seen.push(...conflicts.conflicts.map(one => one.conflictId));
    if (!conflicts.hasMore) break;
    after = conflicts.cursor;
  }
  assert.deepEqual(seen.sort(), ids.sort());
});

test('a foreign cursor and one that is none are refused', async () => {
  const { oneClient, one } = await tenantWith();
  await one.edit(edit(unique('e'), {}));
  const { cursor } = await readAll(oneClient);
  const flipped = cursor.replace(/^./, letter => (letter === 'A' ? 'B' : 'A'));
  for (const since of ['', 'x', 'AAAA', `${cursor}A`, cursor.slice(1), flipped, `${cursor}=`, '🦑', 'A'.repeat(10_000)])
    assert.deepEqual(codes(await oneClient.run(documents.changes, { since })), ['BAD_USER_INPUT'], since.slice(0, 40));
  assert.deepEqual(codes(await ann.run(documents.changes, { since: cursor })), ['BAD_USER_INPUT']);
  assert.deepEqual(codes(await ann.run(documents.acknowledge, { id: 'a1', cursor })), ['BAD_USER_INPUT']);
  assert.deepEqual(codes(await ann.run(documents.conflicts, { after: cursor })), ['BAD_USER_INPUT']);
});

test('an acknowledged cursor is kept with its device', async () => {
  const { one, two, oneClient, twoClient } = await tenantWith();
  await two.edits([0, 1, 2].map(() => edit(unique('e'), {})));
  await one.edit(edit(unique('e'), {}));
  const { cursor } = await readAll(oneClient);
  assert.equal((await oneClient.ask(documents.acknowledge, { id: 'phone-1', cursor })).acknowledge, true);
  await two.edit(edit(unique('e'), {}));
  const [mine] = (await oneClient.ask(documents.devices)).devices;
  assert.deepEqual([mine.cursor, mine.pendingChanges], [cursor, 1]);
  assert.equal((await oneClient.ask(documents.acknowledge, { id: 'phone-1', cursor })).acknowledge, true, 'again is fine');
  assert.deepEqual((await twoClient.ask(documents.devices)).devices.map(device => device.deviceId), ['phone-2'], 'only the caller\'s own');
});

test('everything is there after a restart: entities, keys, operation ids, cursors, policies', async () => {
  const key = unique(), data = [voiceItem(unique('v'))], operation = edit(unique('e'), { kept: 1 }, { operationId: unique('op') });
  const first = await phone(ann, 'a1').voice(data, key);
  await phone(ann, 'a1').edits([operation]);
  const { cursor } = await readAll(ann);
  const how = await node.stop();
  assert.equal(how.code, 0);
  await node.start();
  [ann, bob, boss] = await Promise.all([node.client({ user: 'ann' }), node.client({ user: 'bob' }), node.client({ user: 'boss', roles: ['admin'] })]);
  assert.deepEqual(await phone(ann, 'a1').voice(data, key), { ...first, replayed: true });
  assert.equal((await phone(ann, 'a1').edits([operation])).items[0].duplicate, true);
  assert.deepEqual((await readAll(ann, { since: cursor })).entities, []);
  assert.equal((await ann.ask('{ conflictPolicies { domain resolutionPolicy } }')).conflictPolicies.find(one => one.domain === 'WORK_ORDER').resolutionPolicy, 'CLIENT_WINS');
});
