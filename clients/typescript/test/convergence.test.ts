// Two devices of one user work on the same tasks while everything breaks: connections in the middle of messages, the node
// by kill -9, the app itself between any two commits of its storage. At the end both devices and the node have the same
// state, and each edit that a device made is in it exactly once.
//
// MOORING_SEED: the run's random moments. MOORING_EDITS: how many edits (3,000).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SyncClient, type Json, type Rejection } from '@mooring/client';
import { CrashingStorage } from './crashing_storage.js';
import { Node, Proxy, hasPush, listed, openClient, sleep, until } from './harness.js';
import { seeded } from './seeded.js';

const seed = Number(process.env['MOORING_SEED'] ?? Date.now() & 0x7fffffff);
const edits = Number(process.env['MOORING_EDITS'] ?? 3000);
const shared = 25;

class Device {
  readonly name: string;
  readonly #proxy: Proxy;
  readonly #bearer: string;
  readonly #random: () => number;
  readonly #push: 'auto' | 'never';
  client!: SyncClient;
  storage = new CrashingStorage();
  readonly rejections: Rejection[] = [];
  readonly problems = new Map<string, number>();
  crashes = 0;
  // What was made and accepted by the outbox.
  readonly own = new Map<string, { edits: number; last: number }>(); // entities that only this device edits
  readonly fields: { entity: string; field: string; value: number }[] = []; // on shared ones, each its own field
  readonly voices: string[] = [];
  made = 0;

  constructor(name: string, proxy: Proxy, bearer: string, random: () => number, push: 'auto' | 'never') {
    this.name = name;
    this.#proxy = proxy;
    this.#bearer = bearer;
    this.#random = random;
    this.#push = push;
  }

  async open(): Promise<void> {
    this.client = await openClient({
      url: this.#proxy.url, deviceId: this.name, storage: this.storage, getToken: () => Promise.resolve(this.#bearer), random: this.#random, push: this.#push,
      connectTimeoutMs: 2000, requestTimeoutMs: 3000,
      on: {
        rejected: one => void this.rejections.push(one),
        error: problem => {
          const name = String(problem).slice(0, 60);
          this.problems.set(name, (this.problems.get(name) ?? 0) + 1);
        },
      },
    });
    this.client.start();
  }

  // The app dies between two commits, or in one that lands or not, and is started again.
  async crash(): Promise<void> {
    this.storage.crashNow();
    await this.#restart();
  }

  // Nothing crashes from here on; who is dead already is started again, as a person would do it.
  async calm(): Promise<void> {
    this.storage.crashAfter(Infinity, false);
    if (this.storage.isDead) await this.#restart();
  }

  async #restart(): Promise<void> {
    this.crashes += 1;
    await this.client.stop();
    this.storage = new CrashingStorage(this.storage.survivors());
    await this.open();
  }

  // One edit of some kind. An edit that the outbox did not take does not count: the app knows.
  async work(): Promise<void> {
    const n = ++this.made;
    if (this.#random() < 0.01) this.storage.crashAfter(Math.floor(this.#random() * 4), this.#random() < 0.5);
    const kind = this.#random();
    const client = this.client;
    for (let attempt = 0; ; ++attempt) {
      try {
        if (kind < 0.3) await this.#editOwn(client, n);
        else if (kind < 0.75) await this.#editField(client, n);
        else if (kind < 0.9) await this.#editTitle(client, n);
        else await this.#voice(client, n);
        return;
      } catch (problem) {
        if (!this.storage.isDead) throw problem;
        // Whether it had landed is told by what is there now; the app would look, too.
        await this.#restart();
        if (await this.#hasLanded(kind, n)) return;
        return this.#again(kind, n);
      }
    }
  }

  async #again(kind: number, n: number): Promise<void> {
    const client = this.client;
    if (kind < 0.3) await this.#editOwn(client, n);
    else if (kind < 0.75) await this.#editField(client, n);
    else if (kind < 0.9) await this.#editTitle(client, n);
    else await this.#voice(client, n);
  }

  async #hasLanded(kind: number, n: number): Promise<boolean> {
    if (kind < 0.3) {
      const id = this.#ownId(n);
      if ((await this.client.get('TASK', id))?.data?.['last'] !== n) return false;
      this.#countOwn(id, n);
      return true;
    }
    if (kind < 0.75) {
      const { entity, field } = this.#fieldOf(n);
      if ((await this.client.get('TASK', entity))?.data?.[field] !== n) return false;
      this.fields.push({ entity, field, value: n });
      return true;
    }
    if (kind < 0.9) return (await this.client.get('TICKET', `ticket-${n % shared}`))?.data?.['title'] === `${this.name} ${n}`;
    this.voices.push(`${this.name}-voice-${n}`); // a record is the same however often it is recorded
    await this.client.recordVoice({ verificationId: `${this.name}-voice-${n}`, timestamp: '2026-01-05T08:00:00Z', verified: true });
    return true;
  }

  #ownId(n: number): string {
    return `${this.name}-own-${n % 20}`;
  }

  #fieldOf(n: number): { entity: string; field: string } {
    return { entity: `shared-${(n * 7) % shared}`, field: `${this.name}-${n}` };
  }

  #countOwn(id: string, n: number): void {
    this.own.set(id, { edits: (this.own.get(id)?.edits ?? 0) + 1, last: n });
  }

  async #editOwn(client: SyncClient, n: number): Promise<void> {
    const id = this.#ownId(n);
    if (await client.get('TASK', id)) await client.update('TASK', id, now => ({ ...now, last: n, before: now['last']! }));
    else await client.create('TASK', id, { last: n });
    this.#countOwn(id, n);
  }

  async #editField(client: SyncClient, n: number): Promise<void> {
    const { entity, field } = this.#fieldOf(n);
    if (await client.get('TASK', entity)) await client.update('TASK', entity, now => ({ ...now, [field]: n }));
    else await client.create('TASK', entity, { [field]: n });
    this.fields.push({ entity, field, value: n });
  }

  // The same field on both devices, deletions and new beginnings: conflicts, which the tenant's policy decides.
  async #editTitle(client: SyncClient, n: number): Promise<void> {
    const id = `ticket-${n % shared}`;
    const now = await client.get('TICKET', id);
    if (!now || now.deleted) await client.create('TICKET', id, { title: `${this.name} ${n}`, priority: n % 5 });
    else if (this.#random() < 0.1) await client.remove('TICKET', id);
    else await client.update('TICKET', id, data => ({ ...data, title: `${this.name} ${n}` }));
  }

  async #voice(client: SyncClient, n: number): Promise<void> {
    await client.recordVoice({ verificationId: `${this.name}-voice-${n}`, timestamp: '2026-01-05T08:00:00Z', verified: true });
    this.voices.push(`${this.name}-voice-${n}`);
  }
}

type State = Record<string, { version: number | null; data: Json }>;

async function stateOf(client: SyncClient): Promise<State> {
  const views = [...await listed(client, 'TASK'), ...await listed(client, 'TICKET')];
  return Object.fromEntries(views.map(one => [`${one.domain} ${one.entityId}`, { version: one.version, data: one.data }]).sort());
}

for (const [push, share] of [['auto', 1], ['never', 0.3]] as const)
  test(`push: ${push}: ${edits * share} edits on two devices, with everything breaking (MOORING_SEED=${seed})`, { timeout: 240_000 }, async t => {
    const random = seeded(seed);
    const node = await new Node({ 'data.shards': 2, 'data.map_bytes_initial': '1MiB' }).start();
    const bearer = node.token();
    t.diagnostic(`the node pushes: ${await hasPush(node)}`);
    const devices = await Promise.all(['phone', 'tablet'].map(async (name, at) => {
      const proxy = await new Proxy(node.port).listen();
      proxy.breakAfter = () => (random() < 0.7 ? 2000 + random() * 150_000 : Infinity);
      const device = new Device(name, proxy, bearer, seeded(seed + at + 1), push);
      await device.open();
      return { device, proxy };
    }));

    let kills = 0, cuts = 0, isOver = false;
    const chaos = (async () => {
      while (!isOver) {
        await sleep(50 + random() * 350);
        if (isOver) break;
        if (random() < 0.3) {
          await node.kill();
          kills += 1;
          await sleep(random() * 100);
          await node.start();
          for (const { proxy } of devices) proxy.target = node.port;
        } else if (random() < 0.3) await devices[Math.floor(random() * 2)]!.device.crash();
        else {
          cuts += 1;
          devices[Math.floor(random() * 2)]!.proxy.cut();
        }
      }
    })();
    // A crash of the app by chaos and an edit of the app are not at the same time: one app, one thread of work.
    const turns = devices.map(() => Promise.resolve());
    devices.forEach(({ device }, at) => {
      const crash = device.crash.bind(device);
      device.crash = () => (turns[at] = turns[at]!.then(crash));
    });
    await Promise.all(devices.map(async ({ device }, at) => {
      for (let left = Math.ceil(edits * share / 2); left > 0; --left) {
        await (turns[at] = turns[at]!.then(() => device.work()));
        if (device.made % 5 === 0) await sleep(random() * 40);
      }
    }));
    isOver = true;
    await chaos;
    for (const { device, proxy } of devices) {
      proxy.breakAfter = () => Infinity;
      await device.calm();
    }

    for (const { device } of devices) assert.ok(await device.client.synced({ timeoutMs: 60_000 }), `${device.name}: ${JSON.stringify(device.client.status)}`);
    // Beyond the user's push budget a node holds NORMAL edits back for up to a minute; an urgent one brings them along.
    for (const { device } of devices) await device.client.create('TASK', `last of ${device.name}`, {}, { priority: 'HIGH' });
    for (const { device } of devices) assert.ok(await device.client.synced({ timeoutMs: 60_000 }));
    // The node's own word, and both devices'.
    const there = (await node.all(bearer)).filter(one => !one.deleted);
    const truth: State = Object.fromEntries(there.filter(one => one.domain !== 'VOICE')
      .map(one => [`${one.domain} ${one.entityId}`, { version: one.version, data: one.data as Json }] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
    for (const { device } of devices) {
      const same = async () => JSON.stringify(sorted(await stateOf(device.client))) === JSON.stringify(sorted(truth));
      await until(same, `${device.name} to have the node's state`, 90_000).catch(async (problem: unknown) => {
        const mine = await stateOf(device.client);
        const differ = [...new Set([...Object.keys(mine), ...Object.keys(truth)])].filter(key => JSON.stringify(sorted(mine[key])) !== JSON.stringify(sorted(truth[key])));
        throw new Error(`${String(problem)}: ${differ.map(key => `${key}: ${JSON.stringify(mine[key])} is ${JSON.stringify(truth[key])}`).join('\n')}`);
      });
    }

    for (const { device } of devices) {
      assert.deepEqual(device.rejections, []);
      for (const [id, { edits: count, last }] of device.own) {
        assert.equal(truth[`TASK ${id}`]?.version, count, `${id}: a version for each of its edits`);
        assert.equal((truth[`TASK ${id}`]!.data as { last: number }).last, last, `${id}: the last edit is the last`);
      }
      for (const { entity, field, value } of device.fields)
        assert.equal((truth[`TASK ${entity}`]?.data as Record<string, Json> | undefined)?.[field], value, `${entity}.${field}`);
    }
    const perShared = new Map<string, number>();
    for (const { entity } of devices.flatMap(({ device }) => device.fields)) perShared.set(entity, (perShared.get(entity) ?? 0) + 1);
    for (const [entity, count] of perShared) assert.equal(truth[`TASK ${entity}`]!.version, count, `${entity}: a version for each of its edits, no more`);
    const voices = there.filter(one => one.domain === 'VOICE').map(one => one.entityId).sort();
    assert.deepEqual(voices, [...new Set(devices.flatMap(({ device }) => device.voices))].sort());

    const sum = (of: (one: (typeof devices)[number]) => number) => devices.reduce((all, one) => all + of(one), 0);
    t.diagnostic(`${kills} kills of the node, ${cuts} cuts and ${sum(one => one.proxy.broken)} connections broken inside a message, ${sum(one => one.device.crashes)} crashes of the app, `
      + `${sum(one => one.proxy.connections)} connections; ${Object.keys(truth).length} entities, ${voices.length} records`);
    if (edits * share >= 3000) assert.ok(kills > 0 && sum(one => one.device.crashes) > 0 && sum(one => one.proxy.broken) > 0, 'something broke');
    for (const { device, proxy } of devices) {
      await device.client.close();
      await proxy.close();
    }
    await node.stop();
  });

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, sorted(one)]));
}
