// Real-time push, with graphql-ws as the client: what one device does is on the others, in order and without a gap.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { check, documents, edit, killAll, listen, phone, sleep, startNode, unique, until } from './harness.mjs';
import { http } from './wire.mjs';

after(killAll);

const high = (id, data, more = {}) => edit(id, data, { priority: 'HIGH', ...more });

test('an edit on one device is pushed to the user\'s other devices and to those of the tenant, not to its own', async () => {
  const node = await startNode();
  const [ann1, ann2, bob, stranger] = await Promise.all([
    node.client({ user: 'ann' }), node.client({ user: 'ann' }), node.client({ user: 'bob' }), node.client({ tenant: 'other', user: 'ann' })]);
  for (const [client, device] of [[ann1, 'a1'], [ann2, 'a2'], [bob, 'b1'], [stranger, 's1']])
    await client.ask(documents.register, { device: { deviceId: device, deviceType: 'PHONE' } });
  const heard = { a1: listen(ann1, 'a1'), a2: listen(ann2, 'a2'), b1: listen(bob, 'b1'), s1: listen(stranger, 's1') };
  for (const one of Object.values(heard)) assert.equal((await one.next()).__typename, 'CaughtUpEvent');

  await phone(ann1, 'a1').edit(high('t1', { title: 'one' }));
  await phone(ann1, 'a1').edit(high('j1', { text: 'private' }, { domain: 'JOURNAL' }));
  for (const device of ['a2', 'b1']) {
    const event = await heard[device].next();
    assert.equal(event.__typename, 'DataUpdateEvent');
    assert.deepEqual([event.domain, event.priority, event.entity.entityId, event.entity.version, event.entity.data, event.entity.deviceId, event.entity.userId],
      ['TASK', 'HIGH', 't1', 1, { title: 'one' }, 'a1', 'ann']);
  }
  assert.equal((await heard.a2.next()).entity.entityId, 'j1');
  // Whatever else might come would come before this.
  await phone(bob, 'b1').edit(high('t2', { title: 'two' }));
  await phone(stranger, 's2').edit(high('t3', {}));
  assert.equal((await heard.a1.next()).entity.entityId, 't2');
  assert.equal((await heard.a2.next()).entity.entityId, 't2');
  assert.equal((await heard.s1.next()).entity.entityId, 't3');
  assert.deepEqual(heard.b1.waiting(), []);
  await node.stop();
});

test('an event is written once for all who select the same fields, and again for who selects others', async () => {
  const node = await startNode();
  const metric = async name => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec((await http(node, { path: '/metrics' })).text)[1]);
  const clients = await Promise.all(Array.from({ length: 20 }, (_, n) => node.client({ user: `u${n % 5}` })));
  const heard = [];
  for (const [n, client] of clients.entries()) {
    await client.ask(documents.register, { device: { deviceId: `d${n}`, deviceType: 'PHONE' } });
    heard.push(listen(client, `d${n}`));
    assert.equal((await heard[n].next()).__typename, 'CaughtUpEvent');
  }
  const brief = [];
  clients[7].client.subscribe({ query: 'subscription { syncEvents(deviceId: "d7") { ... on DataUpdateEvent { entity { entityId } } } }' },
    { next: ({ data }) => brief.push(data.syncEvents.entity?.entityId), error: () => {}, complete: () => {} });
  await until(() => brief.length === 1, 'the end of its backlog');

  const before = { written: await metric('mooring_events_written_total'), sent: await metric('mooring_events_sent_total') };
  const edits = 5;
  for (let n = 0; n < edits; ++n) await phone(clients[0], 'd0').edit(high(`t${n}`, { n }));
  for (const one of heard.slice(1)) for (let n = 0; n < edits; ++n) assert.equal((await one.next()).entity.data.n, n);
  await until(() => brief.length === 1 + edits, 'the brief ones');
  assert.deepEqual(brief.slice(1), ['t0', 't1', 't2', 't3', 't4']);
  assert.equal(await metric('mooring_events_sent_total') - before.sent, edits * 20, 'to 19 devices, and to one of them twice');
  assert.equal(await metric('mooring_events_written_total') - before.written, edits * 2, 'one text for each of the two selections');
  await node.stop();
});

test('what was missed is delivered from the acknowledged position, then CaughtUpEvent, then what is new', async () => {
  const node = await startNode();
  const [writer, reader] = [await node.client({ user: 'ann' }), await node.client({ user: 'bob' })];
  await reader.ask(documents.register, { device: { deviceId: 'r', deviceType: 'TABLET' } });
  const tasks = phone(writer, 'w');
  for (let n = 0; n < 700; n += 100)
    await tasks.edits(Array.from({ length: 100 }, (_, i) => edit(`t${n + i}`, { n: n + i })));
  const first = listen(reader, 'r');
  const seen = [];
  let at;
  for (;;) {
    const event = await first.next();
    at = event.cursor;
    if (event.__typename === 'CaughtUpEvent') break;
    seen.push(event.entity.entityId);
  }
  assert.deepEqual(seen, Array.from({ length: 700 }, (_, i) => `t${i}`));
  first.stop();
  await reader.ask(documents.acknowledge, { id: 'r', cursor: at });
  await tasks.edit(edit('t5', { n: 'again' }));
  const second = listen(reader, 'r');
  assert.equal((await second.next()).entity.entityId, 't5');
  assert.equal((await second.next()).__typename, 'CaughtUpEvent');
  await tasks.edit(high('t6', { n: 'now' }));
  assert.equal((await second.next()).entity.data.n, 'now');
  await node.stop();
});

test('NORMAL pushes beyond the budget wait and leave together, each entity once; urgent ones take them along', async () => {
  const node = await startNode({ set: { 'push.per_minute': 2 } });
  const [writer, reader] = [await node.client({ user: 'ann' }), await node.client({ user: 'bob' })];
  await reader.ask(documents.register, { device: { deviceId: 'r', deviceType: 'TABLET' } });
  const heard = listen(reader, 'r');
  assert.equal((await heard.next()).__typename, 'CaughtUpEvent');
  const tasks = phone(writer, 'w');
  for (let n = 1; n <= 6; ++n) await tasks.edit(edit(n < 5 ? `t${n}` : 't3', { n }));
  assert.equal((await heard.next()).entity.data.n, 1);
  assert.equal((await heard.next()).entity.data.n, 2);
  await sleep(300);
  assert.deepEqual(heard.waiting(), []);
  await tasks.edit(high('t9', { n: 9 }));
  assert.deepEqual([(await heard.next()).entity.data.n, (await heard.next()).entity.data.n, (await heard.next()).entity.data.n], [4, 6, 9]);
  await node.stop();
});

test('a device that is unknown, another user\'s or deactivated is told so; deactivation closes its socket with 4403', async () => {
  const node = await startNode();
  const [ann, bob] = [await node.client({ user: 'ann' }), await node.client({ user: 'bob' })];
  assert.equal((await listen(ann, 'nobody').failed)[0].extensions.code, 'NOT_FOUND');
  await bob.ask(documents.register, { device: { deviceId: 'b', deviceType: 'PHONE' } });
  assert.equal((await listen(ann, 'b').failed)[0].extensions.code, 'FORBIDDEN');
  await ann.ask(documents.register, { device: { deviceId: 'a', deviceType: 'PHONE' } });
  const second = await node.client({ user: 'ann' });
  const heard = listen(second, 'a');
  assert.equal((await heard.next()).__typename, 'CaughtUpEvent');
  assert.equal((await ann.ask(documents.devices)).devices.find(one => one.deviceId === 'a').online, true);
  await ann.ask(documents.deactivate, { id: 'a' });
  assert.equal((await second.closed).code, 4403);
  const later = await node.client({ user: 'ann' });
  assert.equal((await listen(later, 'a').failed)[0].extensions.code, 'DEVICE_DEACTIVATED');
  await node.stop();
});

test('listeners that leave hold nobody up', async () => {
  const node = await startNode({ set: { 'network.threads': 2 } });
  const clients = await Promise.all([1, 2, 3, 4].map(() => node.client())); // on both network threads
  await clients[0].ask(documents.register, { device: { deviceId: 'r', deviceType: 'TABLET' } });
  const took = [];
  for (let n = 0; n < 16; ++n) {
    const listeners = clients.map(client => listen(client, 'r'));
    for (const one of listeners) while ((await one.next()).__typename !== 'CaughtUpEvent') { /* what is stored */ }
    for (const one of listeners) one.stop();
    await sleep(20);
    const began = performance.now();
    await phone(clients[n % 4], `w${n % 4}`).edit(edit(`t${n}`, {}));
    took.push(Math.round(performance.now() - began));
  }
  // What the node tells itself of their leaving once lay where it was until the housekeeping of each second, and an
  // upload by way of the other thread behind it.
  assert.ok(took.filter(one => one > 500).length < 2, `${took}`);
  await node.stop();
});

test('nothing is missed, doubled or out of order while connections break and the node is killed', async () => {
  const node = await startNode();
  const users = ['ann', 'bob', 'cid'];
  const devices = users.flatMap(user => [1, 2, 3].map(n => ({ user, id: `${user}-${n}`, cursor: null, model: new Map(), order: [], stop: () => {} })));
  const clients = new Map();
  const client = async user => {
    for (;;) {
      const known = clients.get(user);
      if (known) return known;
      try {
        const made = await node.client({ user });
        clients.set(user, made);
        made.closed.then(() => clients.get(user) === made && clients.delete(user));
        return made;
      } catch {
        await sleep(20);
      }
    }
  };
  const retry = async what => {
    for (;;) {
      try {
        return await what();
      } catch {
        await sleep(20);
      }
    }
  };
  for (const device of devices)
    await retry(async () => (await client(device.user)).ask(documents.register, { device: { deviceId: device.id, deviceType: 'PHONE' } }));

  let over = false;
  const listening = devices.map(async device => {
    while (!over) {
      let socket;
      try {
        socket = await node.client({ user: device.user });
      } catch {
        await sleep(20);
        continue;
      }
      const heard = listen(socket, device.id, device.cursor);
      const until = performance.now() + 200 + Math.random() * 1500;
      while (!over && performance.now() < until) {
        const event = await heard.next(100);
        if (event === 'timeout') continue;
        if (event === 'ended') break;
        assert.notEqual(event.__typename, 'ResyncRequiredEvent');
        if (event.__typename === 'DataUpdateEvent') {
          const { entityId, version, data, deviceId } = event.entity;
          // A merge is pushed to the device whose edit it took up as well: it has not seen the outcome.
          if (entityId.endsWith('-journal')) assert.notEqual(deviceId, device.id, 'its own edit came back');
          const before = device.model.get(entityId);
          assert.ok(!before || before.version <= version, `${entityId} went back from ${before?.version} to ${version}`);
          if (data.owner) assert.equal(data.owner, device.user, 'another user\'s private entity');
          device.model.set(entityId, { version, data });
        }
        device.cursor = event.cursor;
        if (Math.random() < 0.1) socket.ask(documents.acknowledge, { id: device.id, cursor: event.cursor }).catch(() => {});
      }
      heard.stop();
      socket.close();
    }
  });
  const final = new Map();
  const writing = devices.map(async (device, index) => {
    for (let n = 0; n < 60; ++n) {
      const isPrivate = n % 5 === 0;
      const id = isPrivate ? `${device.id}-journal` : `task-${(n * 7 + index) % 20}`;
      const operation = edit(id, { n, by: device.id, ...(isPrivate ? { owner: device.user } : {}) },
        { domain: isPrivate ? 'JOURNAL' : 'TASK', priority: 'HIGH', operationId: unique() });
      const key = unique();
      const item = await retry(async () => phone(await client(device.user), device.id).edit(operation, key));
      assert.ok(item.success);
      await sleep(Math.random() * 30);
    }
  });
  const trouble = (async () => {
    for (let n = 0; n < 3; ++n) {
      await sleep(700);
      await node.kill();
      await node.start();
    }
  })();
  await Promise.all([...writing, trouble]);
  const reader = await node.client({ user: 'ann' });
  for (const user of users) {
    const mine = user === 'ann' ? reader : await node.client({ user });
    const { changes } = await mine.ask(documents.changes, { first: 1000 });
    final.set(user, new Map(changes.entities.map(one => [one.entityId, one])));
  }
  try {
    await until(() => devices.every(device => [...final.get(device.user).values()].every(entity =>
      entity.deviceId === device.id || device.model.get(entity.entityId)?.version === entity.version)), 'every device to have everything', 20_000);
  } finally {
    over = true;
  }
  await Promise.all(listening);
  for (const device of devices)
    for (const [id, { version, data }] of device.model) {
      const entity = final.get(device.user).get(id);
      assert.ok(entity, `${device.id} has ${id}, which its user may not see`);
      if (entity.deviceId !== device.id) assert.deepEqual([version, data], [entity.version, entity.data]);
    }
  await node.stop();
  assert.equal(check(node.data).code, 0);
});
