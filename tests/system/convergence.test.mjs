// Ten devices of one user and twenty users with a device each work on the same tenant, and everything breaks: sockets in the
// middle of things, subscriptions, the node by SIGTERM and by kill -9. A model knows from the answers what each entity was
// at each version. In the end every device has exactly what its user may see, and what it heard on the way was true: each
// event as the model has it, in one order for all, none again behind an acknowledged position, none of others' private
// things, none of its own.
//
// MOORING_SEED: the run's random choices. MOORING_EDITS: how many edits (3,300).
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { check, connect, documents, edit, killAll, phone, readAll, seeded, sleep, startNode, unique, until } from './harness.mjs';

after(killAll);

const seed = Number(process.env.MOORING_SEED ?? Date.now() & 0x7fffffff);
const edits = Number(process.env.MOORING_EDITS ?? 3300);

const keyOf = (domain, entityId) => `${domain} ${entityId}`;
const isPrivate = domain => domain === 'JOURNAL';
const outcomeOf = (made, before) => (made?.operation === 'UPDATE' ? { ...before, ...made.data } : made?.data ?? null);

// What happened in one tenant, as the answers tell it.
class Model {
  entities = new Map(); // key → { owner, versions: version → { device, operation, data, base } }
  conflicts = new Map(); // id → domain
  newest = new Map(); // key → the highest version that was answered
  accepted = 0;

  accept(device, operation, item) {
    const key = keyOf(operation.domain, operation.entityId);
    if (!this.entities.has(key)) this.entities.set(key, { domain: operation.domain, owner: isPrivate(operation.domain) ? device.user : null, versions: new Map() });
    const { versions } = this.entities.get(key);
    assert.ok(!versions.has(item.version), `${key}: two edits made version ${item.version}`);
    versions.set(item.version, { device: device.id, operation: operation.operation, data: operation.data ?? null, base: operation.baseVersion ?? 0 });
    this.newest.set(key, Math.max(this.newest.get(key) ?? 0, item.version));
    if (item.conflictDetected) this.conflicts.set(item.conflictId, operation.domain);
    this.accepted += 1;
  }

  // Every entity at each of its versions. An edit makes one version, so there are no holes.
  history() {
    return new Map([...this.entities].map(([key, { versions }]) => {
      const states = [null];
      for (let version = 1; version <= versions.size; ++version) {
        const made = versions.get(version);
        assert.ok(made, `${key}: nobody was told of making version ${version} of ${versions.size}`);
        states.push({ version, deleted: made.operation === 'DELETE', data: outcomeOf(made, states.at(-1)?.data), device: made.device });
      }
      return [key, states];
    }));
  }

  // A version that its device knows whole from the answer, and is not told of again: all versions since the one that it was
  // made on are the device's own (docs/domain.md, rules 2 and 3). Where an edit was merged, the device has not seen the outcome.
  isPlain(key, version) {
    const { versions, domain } = this.entities.get(key), { device, base } = versions.get(version);
    if (domain === 'TICKET') return true;
    for (let before = base + 1; before < version; ++before) if (versions.get(before)?.device !== device) return false;
    return true;
  }

  // What a device that held `data` at the base of its plain edit has now.
  outcome(key, version, data) {
    const { versions } = this.entities.get(key);
    for (let at = versions.get(version).base + 1; at <= version; ++at) data = outcomeOf(versions.get(at), data);
    return data;
  }
}

class Device {
  state = new Map(); // key → { version, deleted, data }
  cursor = null; // of the last event
  acknowledged = { cursor: null, isCertain: true };
  events = []; // all that came
  alerts = new Set(); // ids of conflicts
  routes = []; // of each subscription: the cursors that it passed, from where it began
  client = null;
  isAcknowledging = false;
  unanswered = new Set(); // keys that its upload edits: what it made of them it will hear from the answer
  sessions = 0;
  made = 0;

  constructor(world, model, { tenant, user, id, wants = () => true, settings = [] }) {
    Object.assign(this, { world, model, tenant, user, id, wants, settings });
    this.bearer = world.node.token({ tenant, user });
    this.random = world.chance();
  }

  get name() {
    return `${this.tenant}/${this.id}`;
  }

  async open() {
    while (!this.client) {
      try {
        const made = await connect(this.world.node, this.bearer);
        made.closed.then(() => { if (this.client === made) this.client = null; });
        this.client = made;
      } catch {
        await sleep(10 + this.random() * 50);
      }
    }
    return this.client;
  }

  async patiently(what) {
    for (;;) {
      try {
        return await what(await this.open());
      } catch (problem) {
        if (/"code":"(?!UNAVAILABLE)/.test(problem?.message)) throw problem;
        await sleep(10 + this.random() * 30);
      }
    }
  }

  async register() {
    await this.patiently(client => client.ask(documents.register, { device: { deviceId: this.id, deviceType: 'PHONE' } }));
    for (const setting of this.settings)
      await this.patiently(client => client.ask(`mutation($subscription: PushSubscriptionInput!) {
        setPushSubscription(subscription: $subscription) { active } }`, { subscription: { deviceId: this.id, ...setting } }));
  }

  // ── what it hears ──

  async listen() {
    while (!this.world.isOver) {
      const client = await this.open();
      await this.#session(client);
      if (this.random() < 0.3) client.socket.terminate(); // the network went
      if (this.random() < 0.2) await sleep(this.random() * 600); // and the device slept
    }
    this.client?.close();
  }

  // One subscription, until it ends or its time is over.
  #session(client) {
    const fromAcknowledged = this.acknowledged.isCertain && this.random() < 0.5;
    const began = { at: fromAcknowledged ? this.acknowledged.cursor : this.cursor, caughtUp: false, due: new Map(this.model.newest) };
    const route = began.at === null ? [] : [began.at];
    this.routes.push(route);
    this.sessions += 1;
    return new Promise(resolve => {
      const stop = client.client.subscribe({ query: documents.events, variables: { device: this.id, after: fromAcknowledged ? null : this.cursor } }, {
        next: ({ data, errors }) => {
          try {
            assert.ok(data?.syncEvents, JSON.stringify(errors));
            this.#hear(data.syncEvents, began, route);
          } catch (problem) {
            this.world.wrong(`${this.name}: ${problem.message}`);
          }
        },
        error: problem => {
          if (Array.isArray(problem) && problem[0].extensions?.code !== 'UNAVAILABLE') this.world.wrong(`${this.name}: ${JSON.stringify(problem)}`);
          end();
        },
        complete: () => end(),
      });
      const timer = setTimeout(() => stop(), 200 + this.random() * 3000);
      this.leave = () => stop();
      const end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #hear(event, began, route) {
    const kind = event.__typename;
    if (route.at(-1) !== event.cursor) route.push(event.cursor);
    else assert.equal(kind, 'CaughtUpEvent', `${kind} at a cursor that was passed`);
    if (kind === 'DataUpdateEvent') this.#take(event);
    else if (kind === 'ConflictAlertEvent') {
      assert.deepEqual([event.actionRequired, event.conflict.domain], [false, 'TICKET']);
      assert.ok(this.wants('TICKET'), 'a conflict of a domain that it does not want');
      this.alerts.add(event.conflict.conflictId);
    } else if (kind === 'CaughtUpEvent') {
      assert.ok(!began.caughtUp, 'caught up twice');
      began.caughtUp = true;
      for (const [key, version] of began.due)
        if (this.#concerns(key) && !this.unanswered.has(key)) assert.ok((this.state.get(key)?.version ?? 0) >= version, `caught up without version ${version} of ${key}`);
    } else assert.deepEqual([kind, event.message], ['SystemNotificationEvent', 'conflict policy of TICKET changed']); // made at the beginning
    this.cursor = event.cursor;
    if (this.random() < 0.04) this.#acknowledge();
  }

  #take({ domain, operation, entity }) {
    const { entityId, version, deleted, data, deviceId, userId } = entity;
    const key = keyOf(domain, entityId);
    assert.ok(this.wants(domain), `${key}, of a domain that it does not want`);
    if (isPrivate(domain)) assert.equal(userId, this.user, `${key} is private`);
    const before = this.state.get(key);
    assert.ok(!before || before.version <= version || before.isOwn, `${key} went back from ${before?.version} to ${version}`);
    this.events.push({ key, version, deleted, data, deviceId, operation });
    if (!before || before.version <= version) this.state.set(key, { version, deleted, data });
  }

  // One at a time. One without an answer may have been stored or not: until the next that is answered, nobody relies on it.
  async #acknowledge() {
    if (this.isAcknowledging || !this.client) return;
    this.isAcknowledging = true;
    const { cursor } = this;
    this.acknowledged.isCertain = false;
    try {
      await this.client.ask(documents.acknowledge, { id: this.id, cursor });
      this.acknowledged = { cursor, isCertain: true };
    } catch {
      // with the connection
    }
    this.isAcknowledging = false;
  }

  #concerns(key) {
    const { domain, owner } = this.model.entities.get(key);
    return this.wants(domain) && (owner === null || owner === this.user);
  }

  // ── what it does ──

  async work(share) {
    while (this.made < share) {
      const operations = this.#operations(Math.min(1 + Math.floor(this.random() ** 2 * 9), share - this.made));
      await this.upload(operations);
      this.made += operations.length;
      await sleep(this.random() ** 2 * 1500);
    }
  }

  async upload(operations) {
    const key = unique(), names = operations.map(one => keyOf(one.domain, one.entityId)), held = names.map(name => this.state.get(name));
    this.unanswered = new Set(names);
    const answer = await this.patiently(client => phone(client, this.id).edits(operations, key));
    this.unanswered.clear();
    answer.items.forEach((item, at) => {
      const operation = operations[at], name = names[at];
      assert.ok(item.success, `${this.name}: ${JSON.stringify([operation, item])}`);
      this.model.accept(this, operation, item);
      if (!this.model.isPlain(name, item.version) || (this.state.get(name)?.version ?? 0) >= item.version) return;
      this.state.set(name, { version: item.version, deleted: operation.operation === 'DELETE', data: this.model.outcome(name, item.version, held[at]?.data), isOwn: true });
    });
  }

  #operations(count) {
    const made = new Map();
    while (made.size < count) {
      const one = this.#operation();
      made.set(keyOf(one.domain, one.entityId), one);
    }
    return [...made.values()];
  }

  #operation() {
    const n = `${this.made}-${Math.floor(this.random() * 1e9)}`, pick = many => Math.floor(this.random() * many);
    const more = { priority: this.random() < 0.05 ? 'HIGH' : 'NORMAL', ...(this.random() < 0.5 ? { operationId: unique('o') } : {}) };
    const on = (domain, id, data, operation) => edit(id, data, { domain, operation, baseVersion: this.state.get(keyOf(domain, id))?.version ?? null, ...more });
    const kind = this.random();
    if (kind < 0.25 && this.wants('TICKET')) return on('TICKET', `ticket-${pick(10)}`, { by: this.id, n }, 'SYNC'); // everybody writes the same
    if (kind < 0.5) return on('TASK', `shared-${pick(12)}`, { [this.id]: n }, 'UPDATE'); // everybody writes a field of their own
    const domain = kind < 0.75 && this.wants('JOURNAL') ? 'JOURNAL' : 'TASK', id = `${this.id}-${pick(6)}`;
    const there = this.state.get(keyOf(domain, id));
    if (there && !there.deleted && this.random() < 0.15) return on(domain, id, undefined, 'DELETE');
    return on(domain, id, { by: this.user, n }, 'SYNC');
  }
}

// Whether there is an order that all routes keep to. A cursor that comes again behind itself is a circle too.
function circleIn(devices) {
  const next = new Map(), before = new Map();
  for (const { routes } of devices)
    for (const route of routes)
      route.forEach((cursor, at) => {
        if (!next.has(cursor)) next.set(cursor, new Set());
        if (!before.has(cursor)) before.set(cursor, 0);
        if (at === 0 || next.get(route[at - 1]).has(cursor)) return;
        next.get(route[at - 1]).add(cursor);
        before.set(cursor, before.get(cursor) + 1);
      });
  const free = [...before].filter(([, count]) => count === 0).map(([cursor]) => cursor);
  for (let cursor; (cursor = free.pop()) !== undefined; before.delete(cursor))
    for (const one of next.get(cursor)) {
      before.set(one, before.get(one) - 1);
      if (before.get(one) === 0) free.push(one);
    }
  return [...before.keys()];
}

test(`30 devices, ${edits} edits, and everything breaks: all see what they may, in one order, once (MOORING_SEED=${seed})`, { timeout: 200_000 }, async t => {
  const chance = seeded(seed);
  const node = await startNode({ set: { 'network.threads': 2, 'push.per_minute': 30, 'push.battery_saver_ms': '1s' } });
  const world = { node, isOver: false, violations: [], chance: () => seeded(Math.floor(chance() * 2 ** 32)),
    wrong: what => { if (world.violations.push(what) > 20) world.isOver = true; } };
  const acme = new Model(), other = new Model();
  const devices = [
    ...Array.from({ length: 10 }, (_, n) => ({ user: 'ann', id: `ann-${n}`, ...[{}, { wants: one => one !== 'TICKET', settings: [{ domain: 'TICKET', active: false }] },
      { settings: [{ batterySaverMode: true }] }, { settings: [{ domain: 'TICKET', batterySaverMode: true }, {}] }][n] })),
    ...Array.from({ length: 20 }, (_, n) => ({ user: `user-${n}`, id: `device-${n}`, ...[{}, { wants: one => one === 'TASK', settings: [{ domain: 'TASK' }] },
      { settings: [{ batterySaverMode: true }] }][n] })),
  ].map(one => new Device(world, acme, { tenant: 'acme', ...one }));
  // The same names in another tenant.
  const strangers = [0, 1].map(n => new Device(world, other, { tenant: 'other', user: 'ann', id: `ann-${n}` }));
  const everybody = [...devices, ...strangers];
  for (const tenant of ['acme', 'other']) {
    const boss = await connect(node, node.token({ tenant, user: 'boss', roles: ['admin'] }));
    await boss.ask(documents.policy, { policy: { domain: 'TICKET', resolutionPolicy: 'CLIENT_WINS' } });
    boss.close();
  }
  await Promise.all(everybody.map(one => one.register()));

  const listening = Promise.all(everybody.map(one => one.listen()));
  let isWorking = true, kills = 0, stops = 0;
  const trouble = (async () => {
    while (isWorking || kills < 3 || stops < 2) {
      await sleep(800 + chance() * 1800);
      if (world.isOver) return;
      if (kills <= 2 * stops && (chance() < 0.7 || kills < stops)) {
        await node.kill();
        kills += 1;
      } else {
        const how = await node.stop();
        assert.equal(how.code, 0, node.log);
        stops += 1;
      }
      await node.start();
    }
  })();
  const share = Math.ceil(edits / everybody.length);
  await Promise.all(everybody.map(one => one.work(share)));
  isWorking = false;
  await trouble;
  // What battery savers and the users' budgets hold back leaves with what is urgent. Its own author does not hear of it.
  for (const one of [devices[0], devices.at(-1), ...strangers])
    await one.upload([edit(`last-of-${one.id}`, { n: 'last' }, { priority: 'HIGH' })]);

  const truth = new Map([acme, other].map(model => [model, model.history()]));
  const expected = device => new Map([...truth.get(device.model)].filter(([key]) => {
    const { domain, owner } = device.model.entities.get(key);
    return device.wants(domain) && (owner === null || owner === device.user);
  }).map(([key, states]) => [key, states.at(-1)]));
  const isSame = (mine, theirs) => mine?.version === theirs?.version && mine.deleted === theirs.deleted && isDeepStrictEqual(mine.data, theirs.data);
  const differences = device => {
    const should = expected(device);
    return [...new Set([...should.keys(), ...device.state.keys()])].filter(key => !isSame(device.state.get(key), should.get(key)));
  };
  const missingAlerts = device => [...device.model.conflicts].filter(([id, domain]) => device.wants(domain) && !device.alerts.has(id));
  try {
    await until(() => world.violations.length > 0 || everybody.every(one => differences(one).length === 0 && missingAlerts(one).length === 0),
      'everybody to have everything', 20_000).catch(problem => {
      for (const one of everybody) {
        for (const key of differences(one).slice(0, 3)) world.wrong(`${one.name}: ${key} is ${JSON.stringify(one.state.get(key))} and not ${JSON.stringify(expected(one).get(key))}`);
        for (const [id] of missingAlerts(one).slice(0, 3)) world.wrong(`${one.name}: was not told of conflict ${id}`);
      }
      world.wrong(problem.message);
    });
  } finally {
    world.isOver = true;
    for (const one of everybody) one.leave?.();
    await listening;
  }
  assert.deepEqual(world.violations, []);

  // What was heard on the way.
  for (const device of everybody) {
    const states = truth.get(device.model);
    for (const { key, version, deleted, data, deviceId, operation } of device.events) {
      const was = states.get(key)?.[version];
      assert.ok(was, `${device.name} heard of version ${version} of ${key}, which nobody made`);
      assert.deepEqual([deviceId, deleted, operation === 'DELETE', data], [was.device, was.deleted, was.deleted, was.data], `${device.name}: ${key}, version ${version}`);
      if (deviceId === device.id) assert.ok(!device.model.isPlain(key, version), `${device.name} heard of its own edit: ${key}, version ${version}`);
    }
    for (const id of device.alerts) assert.ok(device.model.conflicts.has(id), `${device.name} heard of conflict ${id}, which no answer told of`);
  }
  assert.deepEqual(circleIn(devices), [], 'no order that all devices saw');
  assert.deepEqual(circleIn(strangers), []);
  // And the node's own word.
  const reader = await connect(node, devices[0].bearer);
  const { entities } = await readAll(reader, { first: 500 });
  assert.equal(entities.length, expected(devices[0]).size);
  for (const one of entities) assert.ok(isSame(one, expected(devices[0]).get(keyOf(one.domain, one.entityId))), `${one.entityId} on the node`);
  reader.close();
  assert.equal(acme.accepted + other.accepted, everybody.length * share + 4);

  const sum = of => everybody.reduce((all, one) => all + of(one), 0);
  t.diagnostic(`${kills} kills, ${stops} restarts, ${sum(one => one.sessions)} subscriptions, ${sum(one => one.events.length)} events, `
    + `${acme.entities.size} entities, ${acme.conflicts.size} conflicts`);
  await node.stop();
  assert.equal(check(node.data).code, 0);
});
