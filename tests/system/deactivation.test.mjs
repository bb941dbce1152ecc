// A lost phone: its sockets are closed, its requests are refused, what it uploaded stays, and its owner can have it back.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { codes, connect, documents, edit, killAll, listen, now, phone, post, readAll, run, sleep, startNode, unique, until, voiceItem } from './harness.mjs';

after(killAll);

const devices = async (node, bearer) => Object.fromEntries((await post(node, bearer, { query: documents.devices })).json.data.devices.map(one => [one.deviceId, one]));
const register = { device: { deviceId: 'phone', deviceType: 'PHONE' } };
const subscribe = 'mutation { setPushSubscription(subscription: { deviceId: "phone" }) { active } }';

test('every socket of the device is closed with 4403 within a second, nobody else\'s is', async () => {
  const node = await startNode({ set: { 'network.threads': 2 } });
  const ann = node.token({ user: 'ann' }), bound = node.token({ user: 'ann', device: 'phone' });
  await post(node, ann, { query: documents.register, variables: register });
  // By its token; by having uploaded; by listening, here twice.
  const named = await connect(node, bound), uploading = await connect(node, ann), listening = await connect(node, ann), again = await connect(node, ann);
  await phone(uploading, 'phone').edit(edit('t1', { from: 'phone' }));
  const heard = [listen(listening, 'phone'), listen(again, 'phone')];
  for (const one of heard) assert.equal((await one.next()).__typename, 'CaughtUpEvent');
  const tablet = await connect(node, ann), other = await connect(node, node.token({ user: 'bob' })), namesake = await connect(node, node.token({ tenant: 'other', user: 'ann' }));
  await phone(tablet, 'tablet').edit(edit('t2', {}, { priority: 'HIGH' }));
  await phone(namesake, 'phone').edit(edit('t1', {}));
  for (const one of heard) assert.equal((await one.next()).entity.entityId, 't2');
  assert.deepEqual([(await devices(node, ann)).phone.online, (await devices(node, ann)).phone.active], [true, true]);

  assert.deepEqual(codes(await run(other.client, documents.deactivate, { id: 'phone' })), ['FORBIDDEN']);
  assert.deepEqual(codes(await run(tablet.client, documents.deactivate, { id: 'nothing' })), ['NOT_FOUND']);
  const began = performance.now();
  assert.equal((await tablet.ask(documents.deactivate, { id: 'phone' })).deactivateDevice, true);
  for (const one of [named, uploading, listening, again]) {
    const { code, reason } = await Promise.race([one.closed, sleep(2000).then(() => ({ code: 'still open' }))]);
    assert.deepEqual([code, reason], [4403, 'the device was deactivated']);
  }
  assert.ok(performance.now() - began < 1000, `${performance.now() - began} ms`);
  await phone(tablet, 'tablet').edit(edit('t3', {}, { priority: 'HIGH' }));
  for (const one of heard) assert.deepEqual(one.waiting(), []);
  for (const one of [tablet, other, namesake]) assert.ok((await one.ask('{ serverInfo { version } }')).serverInfo.version);
  assert.deepEqual([(await devices(node, ann)).phone.online, (await devices(node, ann)).phone.active], [false, false]);
  assert.equal((await tablet.ask(documents.deactivate, { id: 'phone' })).deactivateDevice, true, 'once more changes nothing');
  await node.stop();
});

test('later requests are refused, over every transport and after a restart; what it uploaded stays', async () => {
  const node = await startNode();
  const ann = node.token({ user: 'ann' }), bound = node.token({ user: 'ann', device: 'phone' }), admin = node.token({ user: 'boss', roles: ['admin'] });
  const first = await connect(node, ann), key = unique(), operations = [edit('t1', { from: 'phone' }), edit('j1', { text: 'mine' }, { domain: 'JOURNAL' })];
  await phone(first, 'phone').edits(operations, key);
  await phone(first, 'phone').voice([voiceItem('v1')]);
  const heard = listen(first, 'phone');
  const { cursor } = await heard.next();
  assert.deepEqual((await post(node, admin, { query: documents.deactivate, variables: { id: 'phone' } })).json.data, { deactivateDevice: true });
  assert.equal((await first.closed).code, 4403);

  const refusals = async () => {
    const requests = [
      [documents.operations, { operations: [edit('t2', {})], key: unique(), device: 'phone' }],
      [documents.operations, { operations, key, device: 'phone' }], // the retry of what was stored, too
      [documents.voice, { data: [voiceItem('v2')], key: unique(), device: 'phone' }],
      [documents.batch, { batch: { idempotencyKey: unique(), deviceId: 'phone', clientTimestamp: now(), operations: [edit('t2', {})] } }],
      [documents.acknowledge, { id: 'phone', cursor }],
      [subscribe, {}],
    ];
    const later = await connect(node, ann);
    for (const [query, variables] of requests) {
      assert.deepEqual(codes(await run(later.client, query, variables)), ['DEVICE_DEACTIVATED'], query);
      const { status, json } = await post(node, ann, { query, variables });
      assert.deepEqual([status, codes(json)], [200, ['DEVICE_DEACTIVATED']], query);
    }
    assert.equal((await listen(later, 'phone').failed)[0].extensions.code, 'DEVICE_DEACTIVATED');
    // With a token of its own it can do nothing at all, and not bring itself back.
    for (const [query, variables] of [...requests, [documents.register, register], [documents.changes, {}], [documents.entity, { domain: 'TASK', id: 't1' }]])
      assert.deepEqual(codes((await post(node, bound, { query, variables })).json), ['DEVICE_DEACTIVATED'], query);
    later.close();
  };
  await refusals();
  await node.kill();
  await node.start();
  await refusals();

  const tablet = await connect(node, ann);
  const { entities } = await readAll(tablet);
  assert.deepEqual(entities.map(one => [one.entityId, one.version, one.deviceId]), [['t1', 1, 'phone'], ['j1', 1, 'phone'], ['v1', 1, 'phone']]);
  await node.stop();
});

test('registerDevice of its owner makes it active again; it finds what it missed and its old keys', async () => {
  const node = await startNode();
  const ann = node.token({ user: 'ann' });
  const first = await connect(node, ann), key = unique(), operations = [edit('t1', { from: 'phone' })];
  await phone(first, 'phone').edits(operations, key);
  const before = listen(first, 'phone');
  const { cursor } = await before.next();
  await first.ask(documents.acknowledge, { id: 'phone', cursor });
  await post(node, ann, { query: documents.deactivate, variables: { id: 'phone' } });
  await first.closed;
  const tablet = await connect(node, ann);
  await phone(tablet, 'tablet').edits([edit('t2', { from: 'tablet' }), edit('t3', { from: 'tablet' })]);
  assert.deepEqual(codes((await post(node, node.token({ user: 'bob' }), { query: documents.register, variables: register })).json), ['FORBIDDEN']);
  assert.equal((await devices(node, ann)).phone.active, false);

  const back = await connect(node, ann);
  assert.equal((await back.ask(documents.register, register)).registerDevice.active, true);
  const heard = listen(back, 'phone');
  const all = [];
  for (let event = await heard.next(); event.__typename !== 'CaughtUpEvent'; event = await heard.next()) all.push(event.entity?.entityId ?? event.message);
  assert.deepEqual(all, ['device phone was deactivated', 't2', 't3']);
  const again = await phone(back, 'phone').edits(operations, key);
  assert.deepEqual([again.replayed, again.items[0].version], [true, 1]);
  assert.equal((await phone(back, 'phone').edit(edit('t1', { from: 'phone', n: 2 }, { baseVersion: 1 }))).version, 2);
  await phone(tablet, 'tablet').edit(edit('t4', {}, { priority: 'HIGH' }));
  assert.equal((await heard.next()).entity.entityId, 't4');
  await until(async () => (await devices(node, ann)).phone.online, 'it to be online');
  await node.stop();
});

test('a device that is deactivated at the moment when it begins to listen hears nothing either', { timeout: 60_000 }, async t => {
  const node = await startNode({ set: { 'network.threads': 2, 'push.per_minute': 0 } });
  const ann = node.token({ user: 'ann' }), bob = await connect(node, node.token({ user: 'bob' })), tally = { closed: 0, refused: 0 };
  for (let n = 0; n < 60; ++n) {
    const id = `d${n}`, client = await connect(node, ann);
    await post(node, ann, { query: documents.register, variables: { device: { deviceId: id, deviceType: 'PHONE' } } });
    const gone = post(node, ann, { query: documents.deactivate, variables: { id } });
    for (const until = performance.now() + (n % 20) / 10; performance.now() < until;) await new Promise(setImmediate);
    const heard = listen(client, id);
    await gone;
    await phone(bob, 'b').edit(edit(`secret-${n}`, {}, { priority: 'HIGH' }));
    const how = await Promise.race([client.closed.then(({ code }) => (code === 4403 ? 'closed' : code)), heard.failed.then(([one]) => (one.extensions?.code === 'DEVICE_DEACTIVATED' ? 'refused' : 'closed')), sleep(5000)]);
    assert.ok(how in tally, `it listens on: ${how}`);
    tally[how] += 1;
    assert.ok(!heard.waiting().some(one => one.entity?.entityId === `secret-${n}`));
    client.close();
  }
  t.diagnostic(JSON.stringify(tally));
  await node.stop();
});
