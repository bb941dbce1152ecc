// The client against a real node where only a real one will do: tokens that really run out, limits that really refuse, a
// position that is really gone, the push.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MemoryStorage, type Progress } from '@mooring/client';
import { Node, Proxy, hasPush, listed, openClient, sleep, spyingSocket, until } from './harness.js';

let node: Node, pushes: boolean;
before(async () => {
  node = await new Node({ 'auth.clock_skew_ms': '0s' }).start();
  pushes = await hasPush(node);
});
after(() => node.stop());

test('a connection outlives its tokens: the next one comes by ping, and nothing is closed', async () => {
  const proxy = await new Proxy(node.port).listen();
  let asked = 0;
  const client = await openClient({ url: proxy.url, deviceId: 'long', getToken: () => {
    asked += 1;
    return Promise.resolve(node.token({ ttl: '2s' }));
  } });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await sleep(5000);
  await client.create('TASK', 'late', { n: 1 });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.ok(asked >= 3, `${asked} tokens`);
  assert.equal(proxy.connections, 1);
  await client.close();
  await proxy.close();
});

test('a token that ran out is replaced on the next connection', async () => {
  const stale = node.token({ ttl: '1s' }), proxy = await new Proxy(node.port).listen();
  const reasons: string[] = [];
  const client = await openClient({ url: proxy.url, deviceId: 'stale', getToken: ({ reason }) => {
    reasons.push(reason);
    if (reason === 'expiring') return Promise.reject(new Error('not now'));
    return Promise.resolve(reason === 'refused' ? node.token() : stale);
  } });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await until(() => reasons.includes('refused'), 'the end of the token', 5000);
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.equal(proxy.connections, 2);
  await client.close();
  await proxy.close();
});

test('the rate limit: the client waits as long as the node says, and everything arrives', async () => {
  const strict = await new Node({ 'limits.enabled': true, 'limits.user_per_second': 20, 'limits.user_burst': 12 }).start();
  const bearer = strict.token(), refusals: string[] = [];
  const client = await openClient({ url: strict.url, deviceId: 'eager', getToken: () => Promise.resolve(bearer), pollIntervalMs: 1000, acknowledgeAfterMs: 1000,
    on: { error: problem => void refusals.push((problem as { code?: string }).code ?? String(problem)) } });
  client.start();
  for (let n = 0; n < 12; ++n) {
    await client.create('TASK', `t${n}`, { n }, { priority: 'HIGH' });
    await sleep(20);
  }
  assert.ok(await client.synced({ timeoutMs: 20_000 }));
  assert.ok(refusals.includes('RATE_LIMITED'), refusals.join());
  await client.stop();
  await sleep(700);
  assert.equal((await strict.all(bearer)).length, 12);
  await client.close();
  await strict.stop();
});

test('the first sync of 3,000 entities comes in pages with progress, is interrupted, and goes on where it was', async () => {
  const token = node.token({ tenant: 'large' });
  const writer = await openClient({ url: node.url, deviceId: 'writer', getToken: () => Promise.resolve(token) });
  for (let n = 0; n < 3000; ++n) await writer.create('TASK', `t${n}`, { n });
  writer.start();
  assert.ok(await writer.synced({ timeoutMs: 30_000 }));
  await writer.close();

  const proxy = await new Proxy(node.port).listen();
  const progress: Progress[] = [], sinces: unknown[] = [];
  let interrupted = false;
  const reader = await openClient({ url: proxy.url, deviceId: 'reader', getToken: () => Promise.resolve(token), pageSize: 250,
    webSocket: spyingSocket({ sent: text => {
      const { payload } = JSON.parse(text) as { payload?: { query?: string; variables?: { since?: unknown } } };
      if (payload?.query?.includes('changes(')) sinces.push(payload.variables!.since);
    } }),
    on: { progress: one => {
      progress.push(one);
      if (one.received >= 1000 && !interrupted) {
        interrupted = true;
        proxy.cut();
      }
    } } });
  reader.start();
  assert.ok(await reader.synced({ timeoutMs: 30_000 }));
  assert.equal((await listed(reader, 'TASK')).length, 3000);
  assert.equal(sinces.filter(one => one === null).length, 1, 'read from the beginning once');
  const first = progress.filter(one => one.phase === 'first');
  assert.ok(first.every(one => one.total === 3000), 'the node knows how many');
  assert.deepEqual([first.at(-1)!.received, first.at(-1)!.done], [3000, true]);
  assert.ok(first.every((one, at) => at === 0 || one.received >= first[at - 1]!.received) && first.length >= 12);
  await reader.close();
  await proxy.close();
});

test('a position that the node does not know: everything is read again, and what is gone goes', async () => {
  const token = node.token({ tenant: 'moved' }), other = node.token({ tenant: 'elsewhere' });
  const storage = new MemoryStorage();
  const there = await openClient({ url: node.url, deviceId: 'mover', storage, getToken: () => Promise.resolve(other) });
  await there.create('TASK', 'left behind', { n: 1 });
  there.start();
  assert.ok(await there.synced({ timeoutMs: 5000 }));
  await there.close();
  const progress: Progress[] = [];
  const here = await openClient({ url: node.url, deviceId: 'mover', storage: new MemoryStorage(storage.content()), getToken: () => Promise.resolve(token), on: { progress: one => void progress.push(one) } });
  await here.create('TASK', 'new', { n: 2 });
  here.start();
  assert.ok(await here.synced({ timeoutMs: 5000 }));
  assert.ok(progress.some(one => one.phase === 'again' && one.done));
  assert.deepEqual((await listed(here, 'TASK')).map(one => one.entityId), ['new']);
  await here.close();
});

test('a domain that is kept from now on is read from its beginning', async () => {
  const token = node.token({ tenant: 'wider' }), storage = new MemoryStorage();
  const open = (content: MemoryStorage, domains: ('TASK' | 'TICKET')[]) => openClient({ url: node.url, deviceId: 'd', storage: content, domains, getToken: () => Promise.resolve(token) });
  const narrow = await open(storage, ['TASK']);
  const other = await openClient({ url: node.url, deviceId: 'e', getToken: () => Promise.resolve(token) });
  await other.create('TICKET', 'ticket', { n: 1 });
  await other.create('TASK', 'task', { n: 1 });
  other.start();
  assert.ok(await other.synced({ timeoutMs: 5000 }));
  narrow.start();
  assert.ok(await narrow.synced({ timeoutMs: 5000 }));
  assert.deepEqual([(await listed(narrow, 'TASK')).length, (await listed(narrow, 'TICKET')).length], [1, 0]);
  await narrow.close();
  const wide = await open(new MemoryStorage(storage.content()), ['TASK', 'TICKET']);
  wide.start();
  assert.ok(await wide.synced({ timeoutMs: 5000 }));
  assert.deepEqual([(await listed(wide, 'TASK')).length, (await listed(wide, 'TICKET')).length], [1, 1]);
  await wide.close();
  await other.close();
});

// ── the push ──

const unlessPushed = async (t: { skip(why: string): void }): Promise<boolean> => {
  if (!pushes) t.skip('this node has no Subscription type');
  return pushes;
};

test('a node without the subscription is polled', async t => {
  if (pushes) return t.skip('this node pushes');
  const client = await openClient({ url: node.url, deviceId: 'polling', getToken: () => Promise.resolve(node.token()) });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.equal(client.status.mode, 'poll');
  await client.close();
});

test('push: an edit is on the user\'s other device without polling, and the position is acknowledged', async t => {
  if (!await unlessPushed(t)) return;
  const token = node.token({ tenant: 'push' });
  const open = (deviceId: string) => openClient({ url: node.url, deviceId, getToken: () => Promise.resolve(token), pollIntervalMs: 3_600_000 });
  const a = await open('a'), b = await open('b');
  a.start();
  b.start();
  assert.ok(await a.synced({ timeoutMs: 5000 }) && await b.synced({ timeoutMs: 5000 }));
  assert.deepEqual([a.status.mode, b.status.mode], ['push', 'push']);
  await a.create('TASK', 'pushed', { n: 1 }, { priority: 'HIGH' });
  await until(async () => (await b.get('TASK', 'pushed'))?.version === 1, 'the creation', 5000);
  await b.update('TASK', 'pushed', now => ({ ...now, from: 'b' }), { priority: 'HIGH' });
  await until(async () => (await a.get('TASK', 'pushed'))?.data?.['from'] === 'b', 'the update', 5000);
  await a.remove('TASK', 'pushed', { priority: 'HIGH' });
  await until(async () => (await b.get('TASK', 'pushed'))?.deleted === true, 'the deletion', 5000);
  await until(async () => (await node.ask<{ devices: { deviceId: string; cursor: string | null; pendingChanges: number }[] }>(token, '{ devices { deviceId cursor pendingChanges } }'))
    .devices.every(one => one.cursor !== null && one.pendingChanges === 0), 'the acknowledgements', 5000);
  await a.close();
  await b.close();
});

test('push: what was missed offline comes in order when the device is back, behind its own position', async t => {
  if (!await unlessPushed(t)) return;
  const token = node.token({ tenant: 'missed' }), storage = new MemoryStorage();
  const open = (deviceId: string, kept?: MemoryStorage) => openClient({ url: node.url, deviceId, getToken: () => Promise.resolve(token), pollIntervalMs: 3_600_000, ...(kept ? { storage: kept } : {}) });
  const a = await open('a');
  let b = await open('b', storage);
  a.start();
  b.start();
  assert.ok(await a.synced({ timeoutMs: 5000 }) && await b.synced({ timeoutMs: 5000 }));
  await b.close();
  for (let n = 0; n < 300; ++n) {
    if (n < 100) await a.create('TASK', `t${n}`, { n });
    else await a.update('TASK', `t${n % 100}`, now => ({ ...now, n }));
  }
  assert.ok(await a.synced({ timeoutMs: 10_000 }));
  b = await open('b', new MemoryStorage(storage.content()));
  b.start();
  assert.ok(await b.synced({ timeoutMs: 10_000 }));
  const views = await listed(b, 'TASK');
  assert.equal(views.length, 100);
  assert.ok(views.every(one => one.version === 3 && (one.data!['n'] as number) >= 200));
  await a.close();
  await b.close();
});

test('push: conflicts reach the app, and what was decided both devices', async t => {
  if (!await unlessPushed(t)) return;
  const token = node.token({ tenant: 'alerts' }), admin = node.token({ tenant: 'alerts', user: 'boss', roles: ['admin'] });
  await node.ask(admin, 'mutation { setConflictPolicy(policy: { domain: TASK, resolutionPolicy: MANUAL }) { domain } }');
  const told: string[] = [];
  const a = await openClient({ url: node.url, deviceId: 'a', getToken: () => Promise.resolve(token) });
  const b = await openClient({ url: node.url, deviceId: 'b', getToken: () => Promise.resolve(token), on: {
    conflict: conflict => void told.push(`conflict ${conflict.fields.join()}`), resolved: conflict => void told.push(`resolved ${String(conflict.winningVersion)}`) } });
  a.start();
  b.start();
  assert.ok(await a.synced({ timeoutMs: 5000 }) && await b.synced({ timeoutMs: 5000 }));
  await a.create('TASK', 'k', { title: 'one' }, { priority: 'HIGH' });
  await until(async () => (await b.get('TASK', 'k'))?.version === 1, 'the task', 5000);
  await a.stop();
  await a.update('TASK', 'k', { title: 'from a' });
  await b.update('TASK', 'k', { title: 'from b' });
  assert.ok(await b.synced({ timeoutMs: 5000 }));
  a.start();
  await until(() => told.includes('conflict title'), 'the conflict', 5000);
  const { conflicts: [open] } = await b.openConflicts();
  await b.resolve(open!.conflictId, { choose: 'client' });
  await until(() => told.includes('resolved client'), 'its end', 5000);
  await until(async () => (await a.get('TASK', 'k'))?.data?.['title'] === 'from a' && (await b.get('TASK', 'k'))?.data?.['title'] === 'from a', 'the winner on both', 10_000);
  await a.close();
  await b.close();
});

test('push: triggers and notifications reach the app, also those of the time that it was offline', async t => {
  const { __schema: { mutationType } } = await node.ask<{ __schema: { mutationType: { fields: { name: string }[] } } }>(node.token(), '{ __schema { mutationType { fields { name } } } }');
  if (!['triggerSync', 'broadcast'].every(name => mutationType.fields.some(one => one.name === name))) return t.skip('this node has no triggerSync or no broadcast');
  if (!await unlessPushed(t)) return;
  const token = node.token({ tenant: 'notes' }), admin = node.token({ tenant: 'notes', user: 'boss', roles: ['admin'] });
  const told: string[] = [];
  const client = await openClient({ url: node.url, deviceId: 'd', getToken: () => Promise.resolve(token), on: {
    trigger: one => void told.push(`trigger ${one.reason}`), notification: one => void told.push(`notification ${one.message}`) } });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  await node.ask(admin, 'mutation { triggerSync(domains: [TASK], reason: "please") }');
  await node.ask(admin, 'mutation { broadcast(message: "hello", priority: HIGH) }');
  await until(() => told.length === 2, 'trigger and notification', 5000);
  await client.stop();
  await node.ask(admin, 'mutation { broadcast(message: "while you were away", priority: HIGH) }');
  client.start();
  await until(() => told.length === 3, 'the other notification', 5000);
  assert.deepEqual(told, ['trigger please', 'notification hello', 'notification while you were away']);
  await client.close();
});
