// The client against a real node where only a real one will do: tokens that really run out, limits that really refuse, a
// position that is really gone, the push.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MemoryStorage, type Progress } from '@mooring/client';
import { Node, Proxy, listed, openClient, sleep, spyingSocket, until } from './harness.js';

let node: Node;
before(async () => {
  node = await new Node({ 'auth.clock_skew_ms': '0s' }).start();
});
after(() => node.stop());

test('a connection outlives its tokens: the next one comes by ping, nothing is closed, and the pushes go on', async () => {
  const proxy = await new Proxy(node.port).listen();
  let asked = 0;
  const renewals: string[] = [];
  const client = await openClient({ url: proxy.url, deviceId: 'long', getToken: () => {
    asked += 1;
    return Promise.resolve(node.token({ ttl: '2s' }));
  }, webSocket: spyingSocket({ sent: text => void (text.includes('"type":"ping"') && text.includes('Bearer') && renewals.push(text)) }) });
  client.start();
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.equal(client.status.mode, 'push');
  const lasting = node.token();
  const other = await openClient({ url: node.url, deviceId: 'other', getToken: () => Promise.resolve(lasting) });
  other.start();
  for (let n = 0; n < 5; ++n) {
    await sleep(1000);
    await other.create('TASK', `from elsewhere ${n}`, { n }, { priority: 'HIGH' });
    await until(async () => await client.get('TASK', `from elsewhere ${n}`), `push ${n}`, 3000);
  }
  await client.create('TASK', 'late', { n: 1 });
  assert.ok(await client.synced({ timeoutMs: 5000 }));
  assert.ok(asked >= 3 && renewals.length === asked - 1, `${asked} tokens, ${renewals.length} by ping`);
  assert.equal(new Set(renewals).size, renewals.length, 'each another');
  assert.equal(proxy.connections, 1);
  await other.close();
  await client.close();
  await proxy.close();
});

test('what JavaScript can write arrives: texts cut inside an emoji, large numbers, and what stands behind them', async () => {
  const bearer = node.token();
  const open = (deviceId: string) => openClient({ url: node.url, deviceId, getToken: () => Promise.resolve(bearer) });
  const phone = await open('writes anything');
  const cut = 'hello 😀'.slice(0, 7);
  await phone.create('TASK', 'cut', { text: cut, [`key ${cut}`]: 1, whole: '😀', escaped: '\\ud83d' });
  await phone.create('TASK', 'large', { a: 1e20, b: 2 ** 64, c: -(2 ** 70), d: 1e21, e: 1.5e300, f: Number.MAX_SAFE_INTEGER });
  await phone.create('TASK', 'innocent', { n: 1 });
  phone.start();
  assert.ok(await phone.synced({ timeoutMs: 5000 }));
  const tablet = await open('reads it');
  tablet.start();
  assert.ok(await tablet.synced({ timeoutMs: 5000 }));
  const lost = 'hello \ufffd';
  assert.deepEqual((await tablet.get('TASK', 'cut'))?.data, { text: lost, [`key ${lost}`]: 1, whole: '😀', escaped: '\\ud83d' });
  assert.deepEqual((await phone.get('TASK', 'cut'))?.data, (await tablet.get('TASK', 'cut'))?.data);
  assert.deepEqual((await tablet.get('TASK', 'large'))?.data, { a: 1e20, b: 2 ** 64, c: -(2 ** 70), d: 1e21, e: 1.5e300, f: Number.MAX_SAFE_INTEGER });
  assert.ok(await tablet.get('TASK', 'innocent'));
  await phone.close();
  await tablet.close();
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

test('push: an edit is on the user\'s other device without polling, and the position is acknowledged', async () => {
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

test('push: what was missed offline comes in order when the device is back, behind its own position', async () => {
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

test('push: conflicts reach the app, and what was decided both devices', async () => {
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

test('push: triggers and notifications reach those whom they are meant for, also those of the time that they were offline', async () => {
  const admin = node.token({ tenant: 'notes', user: 'boss', roles: ['admin'] });
  const told: Record<string, unknown[]> = { phone: [], tablet: [], other: [] };
  const open = (deviceId: string, user: string) => {
    const token = node.token({ tenant: 'notes', user });
    return openClient({ url: node.url, deviceId, getToken: () => Promise.resolve(token), on: {
      trigger: one => void told[deviceId]!.push(one), notification: one => void told[deviceId]!.push(one) } });
  };
  const devices = { phone: await open('phone', 'ann'), tablet: await open('tablet', 'ann'), other: await open('other', 'bob') };
  for (const one of Object.values(devices)) {
    one.start();
    assert.ok(await one.synced({ timeoutMs: 5000 }));
  }
  const call = (mutation: string) => node.ask<Record<string, number>>(admin, `mutation { sent: ${mutation} }`);
  assert.deepEqual(await call('triggerSync(domains: [VOICE, TASK], userId: "ann", reason: "please")'), { sent: 2 });
  assert.deepEqual(await call('broadcast(message: "hello", data: { room: 7, to: ["all"] }, priority: HIGH)'), { sent: 3 });
  assert.deepEqual(await call('broadcast(message: "only you", priority: CRITICAL, deviceId: "tablet")'), { sent: 1 });
  const trigger = { domains: ['VOICE', 'TASK'], reason: 'please', priority: 'HIGH' };
  const hello = { message: 'hello', data: { room: 7, to: ['all'] }, priority: 'HIGH' }, onlyYou = { message: 'only you', data: null, priority: 'CRITICAL' };
  const expected: Record<string, unknown[]> = { phone: [trigger, hello], tablet: [trigger, hello, onlyYou], other: [hello] };
  const hasAll = () => Object.keys(expected).every(name => told[name]!.length >= expected[name]!.length);
  await until(hasAll, 'all of them', 5000).catch(() => {});
  assert.deepEqual(told, expected);

  await devices.phone.stop();
  await call('broadcast(message: "while you were away", priority: HIGH)');
  const away = { message: 'while you were away', data: null, priority: 'HIGH' };
  devices.phone.start();
  for (const all of Object.values(expected)) all.push(away);
  await until(hasAll, 'the other notification', 5000).catch(() => {});
  assert.deepEqual(told, expected);
  for (const one of Object.values(devices)) await one.close();
});

test('push: a notification that the app did not finish with is told again after its restart', async () => {
  const token = node.token({ tenant: 'once more' }), admin = node.token({ tenant: 'once more', user: 'boss', roles: ['admin'] });
  const storage = new MemoryStorage(), told: string[] = [];
  const open = (kept: MemoryStorage, finishes: boolean) => openClient({ url: node.url, deviceId: 'd', storage: kept, getToken: () => Promise.resolve(token), on: {
    notification: one => {
      told.push(one.message);
      return finishes ? Promise.resolve() : new Promise(() => {});
    } } });
  const first = await open(storage, false);
  first.start();
  assert.ok(await first.synced({ timeoutMs: 5000 }));
  for (const message of ['one', 'two']) await node.ask(admin, 'mutation($message: String!) { broadcast(message: $message, priority: HIGH) }', { message });
  await until(() => told.length > 0, 'the first', 5000);
  const second = await open(new MemoryStorage(storage.content()), true); // the app was killed there
  second.start();
  assert.ok(await second.synced({ timeoutMs: 5000 }));
  assert.deepEqual(told, ['one', 'one', 'two']);
  await second.close();
});
