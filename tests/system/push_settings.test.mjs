// What a device wants pushed, when it may wait, and how much reaches a user in a minute: as real devices see it. The rules
// themselves are tested with a clock of their own in tests/sync/push_test.cpp.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { connect, documents, edit, killAll, listen, phone, sleep, startNode } from './harness.mjs';

after(killAll);

const set = (client, deviceId, setting) => client.ask(`mutation($subscription: PushSubscriptionInput!) {
  setPushSubscription(subscription: $subscription) { active } }`, { subscription: { deviceId, ...setting } });
const high = (id, data = {}, more = {}) => edit(id, data, { priority: 'HIGH', ...more });
const ticket = id => edit(id, {}, { domain: 'TICKET' });

// A device that listens and has caught up, and what comes from then on: ids, and when.
async function device(node, user, id) {
  const client = await connect(node, node.token({ user }));
  await client.ask(documents.register, { device: { deviceId: id, deviceType: 'PHONE' } });
  const heard = listen(client, id);
  const backlog = [];
  for (let event = await heard.next(); event.__typename !== 'CaughtUpEvent'; event = await heard.next()) backlog.push(event.entity.entityId);
  return {
    client, backlog,
    // The next `ids`, in this order; answers how long the last of them took.
    async hears(...ids) {
      const began = performance.now();
      for (const expected of ids) assert.equal((await heard.next(15_000)).entity?.entityId, expected);
      return performance.now() - began;
    },
    async hearsNothing(ms) {
      await sleep(ms);
      assert.deepEqual(heard.waiting(), []);
    },
  };
}

test('battery saver holds NORMAL pushes for its interval and sends them together; urgent ones do not wait', async () => {
  const interval = 3000;
  const node = await startNode({ set: { 'push.per_minute': 0, 'push.battery_saver_ms': `${interval}ms` } });
  let saver = await device(node, 'ann', 'saver'), other = await device(node, 'bob', 'other');
  let tasks = phone(await connect(node, node.token({ user: 'carl' })), 'writer');
  await set(saver.client, 'saver', { batterySaverMode: true }); // while it is connected: from now on

  const first = performance.now();
  await tasks.edit(edit('t1', {}));
  assert.ok(await other.hears('t1') < interval / 2);
  await saver.hearsNothing(interval / 2);
  await tasks.edit(edit('t2', {}));
  await other.hears('t2');
  await saver.hears('t1');
  const waited = performance.now() - first;
  assert.ok(waited > interval - 100 && waited < interval + 2000, `${waited} ms after the first of them`);
  assert.ok(await saver.hears('t2') < 500, 'together');

  await tasks.edit(edit('t3', {}));
  await saver.hearsNothing(300);
  await tasks.edit(high('t4'));
  assert.ok(await saver.hears('t3', 't4') < interval / 2, 'what is urgent takes along what waits');

  // Switched off while something waits.
  await tasks.edit(edit('t5', {}));
  await saver.hearsNothing(300);
  await set(saver.client, 'saver', { batterySaverMode: false });
  assert.ok(await saver.hears('t5') < interval / 2);
  await tasks.edit(edit('t6', {}));
  assert.ok(await saver.hears('t6') < interval / 2);

  // For one domain only.
  await set(saver.client, 'saver', { domain: 'TASK', batterySaverMode: true });
  await tasks.edit(ticket('k1'));
  assert.ok(await saver.hears('k1') < interval / 2);
  await tasks.edit(edit('t7', {}));
  await saver.hearsNothing(300);
  await tasks.edit(ticket('k2'));
  assert.ok(await saver.hears('t7', 'k2') < interval / 2, 'in the order of the feed');

  // It is the device's setting, not the connection's: it outlives kill -9. What waits comes with the next connection.
  await node.kill();
  await node.start();
  saver = await device(node, 'ann', 'saver');
  tasks = phone(await connect(node, node.token({ user: 'carl' })), 'writer');
  await tasks.edit(edit('t8', {}));
  await saver.hearsNothing(interval / 2);
  assert.equal((await device(node, 'ann', 'saver')).backlog.at(-1), 't8');
  await saver.hears('t8');
  await node.stop();
});

test('a filter counts for what waits and for what is new, also after kill -9', async () => {
  const node = await startNode({ set: { 'push.per_minute': 0 } });
  let reader = await device(node, 'ann', 'reader');
  await set(reader.client, 'reader', { priorityFilter: 'HIGH' });
  await set(reader.client, 'reader', { domain: 'TICKET', active: false });
  await node.kill();
  await node.start();
  let tasks = phone(await connect(node, node.token({ user: 'carl' })), 'writer');
  await tasks.edits([edit('t1', {}), high('t2'), high('k1', {}, { domain: 'TICKET' })]);
  reader = await device(node, 'ann', 'reader');
  assert.deepEqual(reader.backlog, ['t2']);
  await tasks.edits([edit('t3', {}), high('k2', {}, { domain: 'TICKET' }), high('t4')]);
  await reader.hears('t4');
  // Wider again: from the next edit on, nothing that was passed over comes again.
  await set(reader.client, 'reader', {});
  await tasks.edits([edit('t5', {}), high('k3', {}, { domain: 'TICKET' }), edit('t6', {})]);
  await reader.hears('t5', 't6');
  await node.stop();
});

test('ten pushes a minute reach a user; the others wait, those of other users do not', async () => {
  const node = await startNode(); // as it comes
  const phone1 = await device(node, 'ann', 'phone'), tablet = await device(node, 'ann', 'tablet'), other = await device(node, 'bob', 'other');
  const ann = phone(await connect(node, node.token({ user: 'ann' })), 'writer'), bob = phone(await connect(node, node.token({ user: 'bob' })), 'bobs');
  const journal = id => edit(id, {}, { domain: 'JOURNAL' });
  for (let n = 1; n <= 12; ++n) {
    await ann.edit(journal(`j${n}`));
    if (n > 10) continue;
    await phone1.hears(`j${n}`); // what one of the user's devices had does not count again for another
    await tablet.hears(`j${n}`);
  }
  await Promise.all([phone1, tablet].map(one => one.hearsNothing(500)));
  await bob.edit(edit('t1', {}));
  await ann.edit(edit('t2', {}));
  await other.hears('t1', 't2'); // bob has a budget of his own
  await Promise.all([phone1, tablet].map(one => one.hearsNothing(300)));
  // Who asks, by connecting, gets all of it; who is connected, when something urgent comes.
  assert.deepEqual((await device(node, 'ann', 'tablet')).backlog.slice(-4), ['j11', 'j12', 't1', 't2']);
  await ann.edit(journal('j13'));
  await phone1.hearsNothing(300);
  await ann.edit(high('t3'));
  await phone1.hears('j11', 'j12', 't1', 't2', 'j13', 't3');
  await node.stop();
});
