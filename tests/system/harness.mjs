// What every system test needs: nodes on fresh folders, tokens, clients. Each node is a child of the test and is
// stopped by its own pid; a test file that ends, or fails, leaves no process and no folder behind.
//
// The binary under test: environment variable MOORING_BIN, else build/release/mooring.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

export { sleep };
export const source = fileURLToPath(new URL('../..', import.meta.url));
export const binary = process.env.MOORING_BIN || join(source, 'build/release/mooring');
// The command reads MOORING_… as settings; what names this run's own choices must not reach it.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MOORING_')));
if (!existsSync(binary)) throw new Error(`${binary} does not exist: build it, or name it in MOORING_BIN`);

const folders = new Set();
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

// Kills every node that is still there. A file whose tests stop their own nodes says after(killAll): a test that failed
// would else wait for its node for ever.
export async function killAll() {
  await Promise.all([...children].map(child => {
    child.kill('SIGKILL');
    return new Promise(resolve => child.once('exit', resolve));
  }));
}

export function freshFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-system-'));
  folders.add(folder);
  return folder;
}

// The command, run to its end. `env`: added to ours.
export function mooring(args, { env = {}, timeout = 60_000 } = {}) {
  const done = spawnSync(binary, args, { encoding: 'utf8', env: { ...environment, ...env }, timeout });
  if (done.error) throw done.error;
  return { code: done.status, signal: done.signal, out: done.stdout, err: done.stderr };
}

export function check(data) {
  return mooring(['check', '--data', data]);
}

export function token(data, { tenant = 'acme', user = 'ann', device, roles = [], ttl = '1h', more = [] } = {}) {
  const args = ['token', '--data', data, '--tenant', tenant, '--user', user, '--ttl', ttl, ...more];
  if (device) args.push('--device', device);
  for (const role of roles) args.push('--role', role);
  return execFileSync(binary, args, { encoding: 'utf8', env: environment }).trim();
}

// A token that `mooring token` would never print: any header, any claims, signed by any secret.
export function forge(secret, header, claims) {
  const part = value => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

export class Node {
  #log = '';
  #watchers = new Set();

  constructor(data, args, env = {}, host = '127.0.0.1') {
    this.data = data;
    this.args = args;
    this.env = env;
    this.host = host;
  }

  get log() {
    return this.#log;
  }

  // Starts, or starts again after stop or kill: on the same folder, on a new port.
  async start() {
    this.#log = '';
    this.child = spawn(binary, ['serve', '--data', this.data, ...this.args], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...environment, ...this.env } });
    children.add(this.child);
    this.child.stderr.setEncoding('utf8').on('data', text => {
      this.#log += text;
      for (const look of this.#watchers) look();
    });
    this.ended = new Promise(resolve => this.child.once('exit', (code, signal) => {
      children.delete(this.child);
      resolve({ code, signal });
    }));
    const [, scheme, port] = await this.logged(/serving (wss?):\/\/\S+?:(\d+)\/graphql/, 60_000);
    this.port = Number(port);
    this.pid = this.child.pid;
    this.ws = `${scheme}://${this.host}:${port}/graphql`;
    this.origin = `${scheme === 'wss' ? 'https' : 'http'}://${this.host}:${port}`;
    this.http = `${this.origin}/graphql`;
    return this;
  }

  // The match of the first line that fits, waiting for it.
  logged(pattern, timeout = 10_000) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle(value);
      };
      const look = () => {
        const match = pattern.exec(this.#log);
        if (match) end(resolve, match);
      };
      const timer = setTimeout(() => end(reject, new Error(`no line ${pattern} in:\n${this.#log}`)), timeout);
      this.#watchers.add(look);
      this.ended.then(how => {
        look(); // what it said last may have come with its end
        end(reject, new Error(`ended with ${how.signal ?? how.code}:\n${this.#log}`));
      });
      look();
    });
  }

  signal(name) {
    this.child.kill(name);
  }

  // Ends as its operator would end it. Answers the exit code and how long it took.
  async stop() {
    const began = performance.now();
    this.child.kill('SIGTERM');
    const how = await this.ended;
    return { ...how, took_ms: performance.now() - began };
  }

  // Ends without any chance to finish.
  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  token(claims) {
    return token(this.data, claims);
  }

  async client(claims) {
    return connect(this, typeof claims === 'string' ? claims : this.token(claims));
  }
}

// `set`: settings, as {'network.threads': 2}. Rate limits are off unless a test asks for them: one user does all.
// `env`: added to ours.
export async function startNode({ data = join(freshFolder(), 'data'), set = {}, args = [], listen = '127.0.0.1:0', env = {} } = {}) {
  const settings = { 'limits.enabled': false, ...set };
  const given = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const host = listen.startsWith('[::1]') ? '[::1]' : '127.0.0.1';
  return new Node(data, ['--listen', listen, ...given, ...args], env, host).start();
}

// A client over graphql-ws, connected. `run` answers one operation's result, errors and all.
export async function connect(node, bearer, options = {}) {
  let opened, failed, closedWith;
  const isOpen = new Promise((resolve, reject) => {
    opened = resolve;
    failed = reject;
  });
  const closed = new Promise(resolve => {
    closedWith = resolve;
  });
  const client = createClient({
    url: node.ws,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${bearer}` },
    lazy: false,
    retryAttempts: 0,
    onNonLazyError: () => {}, // told by `closed`
    ...options,
    on: {
      connected: socket => opened(socket),
      closed: event => {
        closedWith(event);
        failed(Object.assign(new Error(`closed: ${event.code} ${event.reason}`), { code: event.code }));
      },
      ...options.on,
    },
  });
  isOpen.catch(() => {});
  const socket = await isOpen;
  return {
    socket,
    closed,
    client,
    close: () => client.dispose(),
    run: (query, variables) => run(client, query, variables),
    // The data; an error is thrown.
    async ask(query, variables) {
      const answer = await run(client, query, variables);
      if (answer.errors) throw new Error(JSON.stringify(answer.errors));
      return answer.data;
    },
  };
}

export function run(client, query, variables) {
  return new Promise((resolve, reject) => {
    let answer;
    client.subscribe({ query, variables }, {
      next: value => {
        answer = value;
      },
      // graphql-ws hands refusals (message `error`) over as an array, and a lost socket as a close event.
      error: problem => (Array.isArray(problem) ? resolve({ errors: problem }) : reject(problem)),
      complete: () => (answer === undefined ? reject(new Error('completed without an answer')) : resolve(answer)),
    });
  });
}

// GraphQL over HTTP.
export async function post(node, bearer, body, headers = {}) {
  const response = await fetch(node.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(bearer ? { authorization: `Bearer ${bearer}` } : {}), ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    // not every answer is JSON
  }
  return { status: response.status, headers: response.headers, text, json };
}

// Resolves when `probe` answers something true; for what has no event to wait for.
export async function until(probe, what, timeout = 10_000) {
  const end = performance.now() + timeout;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(20);
  }
}

export const codes = answer => (answer.errors ?? []).map(one => one.extensions?.code);
export const now = (offset_ms = 0) => new Date(Date.now() + offset_ms).toISOString();

// Chance with a seed (mulberry32), so that a run can be had again.
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

let counter = 0;
export const unique = (prefix = 'k') => `${prefix}-${process.pid}-${Date.now().toString(36)}-${++counter}`;

export function secretOf(data) {
  return readFileSync(join(data, 'jwt.secret'));
}

// ── documents that many tests send ──

const item = '{ itemId operationId success version duplicate conflictDetected conflictId error { code message field itemId } }';
const conflict = '{ conflictId domain mobileId serverVersion clientVersion fields resolutionStrategy resolutionRequired status '
  + 'winningVersion serverData clientData deviceId createdAt resolvedAt resolvedBy notes }';
const response = `{ success syncedItems failedItems items ${item} conflicts ${conflict} errors { code message field itemId } `
  + 'serverTimestamp idempotencyKey replayed }';

export const documents = {
  voice: `mutation($data: [VoiceDataInput!]!, $key: String!, $device: String!) {
    syncVoiceData(data: $data, idempotencyKey: $key, deviceId: $device) ${response} }`,
  operations: `mutation($operations: [SyncOperationInput!]!, $key: String!, $device: String!) {
    syncOperations(operations: $operations, idempotencyKey: $key, deviceId: $device) ${response} }`,
  batch: `mutation($batch: SyncBatchInput!) { syncBatch(batch: $batch) { success
    voiceSyncResult ${response} behavioralSyncResult ${response} sessionSyncResult ${response}
    metricsSyncResult ${response} operationsSyncResult ${response}
    overallMetrics { totalItems syncedItems failedItems conflictsDetected durationMs } warnings serverTimestamp idempotencyKey replayed } }`,
  resolve: `mutation($resolution: ConflictResolutionInput!) { resolveConflict(resolution: $resolution) {
    success conflictId resolutionResult winningVersion version mergeDetails message error { code message field } } }`,
  entity: `query($domain: SyncDomainEnum!, $id: ID!) { entity(domain: $domain, entityId: $id) {
    domain entityId version deleted data modifiedAt updatedAt deviceId userId } }`,
  changes: `query($domains: [SyncDomainEnum!], $since: Cursor, $first: Int) { changes(domains: $domains, since: $since, first: $first) {
    entities { domain entityId version deleted data modifiedAt updatedAt deviceId userId } cursor hasMore } }`,
  conflict: `query($id: ID!) { conflict(conflictId: $id) ${conflict} }`,
  conflicts: `query($status: ConflictStatusEnum, $domains: [SyncDomainEnum!], $first: Int, $after: Cursor) {
    conflicts(status: $status, domains: $domains, first: $first, after: $after) { conflicts ${conflict} cursor hasMore } }`,
  policy: `mutation($policy: ConflictPolicyInput!) { setConflictPolicy(policy: $policy) {
    domain resolutionPolicy autoResolve notifyOnConflict } }`,
  register: `mutation($device: DeviceInput!) { registerDevice(device: $device) {
    deviceId userId deviceType deviceName priority active online syncCount failedSyncCount conflictCount pendingChanges cursor } }`,
  devices: `{ devices { deviceId userId deviceType priority active online registeredAt lastSyncAt syncCount failedSyncCount
    conflictCount healthScore pendingChanges cursor } }`,
  deactivate: 'mutation($id: ID!) { deactivateDevice(deviceId: $id) }',
  acknowledge: 'mutation($id: ID!, $cursor: Cursor!) { acknowledge(deviceId: $id, cursor: $cursor) }',
  events: `subscription ($device: ID!, $after: Cursor) { syncEvents(deviceId: $device, after: $after) { __typename
    ... on DataUpdateEvent { cursor domain operation priority entity { entityId version deleted data deviceId userId } serverTimestamp }
    ... on ConflictAlertEvent { cursor actionRequired priority conflict ${conflict} }
    ... on SyncTriggerEvent { cursor domains reason priority }
    ... on SystemNotificationEvent { cursor message data priority }
    ... on ResyncRequiredEvent { cursor reason }
    ... on CaughtUpEvent { cursor } } }`,
};

export const voiceItem = (id, more = {}) => ({ verificationId: id, timestamp: now(), verified: true, ...more });
export const edit = (id, data, more = {}) => ({ domain: 'TASK', operation: 'SYNC', entityId: id, data, modifiedAt: now(), ...more });

// Uploads of one device, each with a key of its own unless it is given.
export function phone(client, device) {
  return {
    async voice(data, key = unique()) {
      return (await client.ask(documents.voice, { data, key, device })).syncVoiceData;
    },
    async edits(operations, key = unique()) {
      return (await client.ask(documents.operations, { operations: [operations].flat(), key, device })).syncOperations;
    },
    // One edit; its item.
    async edit(operation, key) {
      const answer = await this.edits([operation], key);
      return { ...answer.items[0], conflicts: answer.conflicts };
    },
    async batch(batch, key = unique()) {
      return (await client.ask(documents.batch, {
        batch: { idempotencyKey: key, deviceId: device, clientTimestamp: now(), ...batch },
      })).syncBatch;
    },
    async entity(domain, id) {
      return (await client.ask(documents.entity, { domain, id })).entity;
    },
  };
}

// A device's stream of events. `next` answers the next event, 'ended' when the stream is over, or 'timeout'.
export function listen(client, device, after = null) {
  const queue = [];
  const takers = [];
  let ended = false;
  let fail;
  const failed = new Promise(resolve => { fail = resolve; });
  const put = event => (takers.length > 0 ? takers.shift()(event) : queue.push(event));
  const end = () => {
    ended = true;
    while (takers.length > 0) takers.shift()('ended');
  };
  const stop = client.client.subscribe({ query: documents.events, variables: { device, after } }, {
    next: value => {
      if (value.errors) fail(value.errors);
      put(value.data?.syncEvents ?? value);
    },
    error: problem => {
      fail(Array.isArray(problem) ? problem : [problem]);
      end();
    },
    complete: end,
  });
  return {
    failed,
    stop,
    waiting: () => [...queue],
    async next(timeout = 5_000) {
      if (queue.length > 0) return queue.shift();
      if (ended) return 'ended';
      let taker;
      const late = sleep(timeout).then(() => {
        const at = takers.indexOf(taker);
        if (at >= 0) takers.splice(at, 1);
        return 'timeout';
      });
      return Promise.race([new Promise(resolve => { takers.push(taker = resolve); }), late]);
    },
  };
}

// Every page of the feed, joined; checks that no entity comes twice within one reading.
export async function readAll(client, { domains = null, since = null, first = 100 } = {}) {
  const entities = [];
  let pages = 0;
  for (;;) {
    const { changes } = await client.ask(documents.changes, { domains, since, first });
    entities.push(...changes.entities);
    pages += 1;
    since = changes.cursor;
    if (!changes.hasMore) return { entities, cursor: since, pages };
  }
}
