// RxDB's replication of one collection with one domain of a Mooring node, over the public GraphQL API: `changes` to pull,
// `syncOperations` to push, `resolveConflict` for what both sides changed, `syncEvents` to hear at once when there is
// something to pull.
//
//   const replication = replicateWithMooring({ collection, domain: 'TASK', deviceId, url, getToken });
//   replication.resync();   // asks for changes now
//
// A document of the collection has `id`, `version` and `modifiedAt` beside the app's own fields (see `schema`). `version` is
// the node's and never edited; the app's edits go through `editOf`, which stamps their time. All three make an edit the
// same edit when it is sent again: its operationId is made of them, so a lost answer doubles nothing, even over a restart.
import { createHash, webcrypto } from 'node:crypto';
import { createClient } from 'graphql-ws';
import { replicateRxCollection } from 'rxdb/plugins/replication';
import { Subject } from 'rxjs';

globalThis.crypto ??= webcrypto; // RxDB hashes with it, and Node.js 18 has no global one

const own = new Set(['id', 'version', 'modifiedAt', '_deleted', '_attachments', '_rev', '_meta']);

// The schema of a collection with these fields of the app.
export function schema(properties) {
  return {
    version: 0,
    primaryKey: 'id',
    type: 'object',
    properties: {
      id: { type: 'string', maxLength: 128 },
      version: { type: 'integer' }, // of the node; 0: it does not have the document yet
      modifiedAt: { type: 'string' },
      ...properties,
    },
    required: ['id', 'version', 'modifiedAt'],
  };
}

const now = () => new Date().toISOString();
export const newDocument = (id, data) => ({ ...data, id, version: 0, modifiedAt: now() });
export const editOf = (document, change) => document.incrementalPatch({ ...change, modifiedAt: now() });
export const deletionOf = async document => (await document.incrementalPatch({ modifiedAt: now() })).getLatest().incrementalRemove();

// What RxDB does when the node has another state than the one that an edit was made on. `merge(master, mine, base)` makes
// one document of both; it is asked only for conflicts that the node left open. What the node has decided, stands. A deletion
// that meets an open conflict gives way: the document is kept.
export function conflictHandler(merge, replications) {
  return {
    isEqual: (a, b) => a.version === b.version && !!a._deleted === !!b._deleted && same(dataOf(a), dataOf(b)),
    resolve: ({ realMasterState, newDocumentState, assumedMasterState }) => {
      const open = replications().some(one => one.isOpen(realMasterState.id));
      if (!open) return Promise.resolve(realMasterState);
      return Promise.resolve({ ...realMasterState, ...merge(dataOf(realMasterState), dataOf(newDocumentState), dataOf(assumedMasterState ?? {})), modifiedAt: now() });
    },
  };
}

// `priority` of the edits: HIGH ones are pushed to the others at once; of NORMAL ones, at most ten a minute reach a user by
// themselves. `pollIntervalMs`: asks for changes that often besides, for networks that let no WebSocket through. A request
// that is not answered within `requestTimeoutMs` is sent again: of a connection that died, not every network tells.
export function replicateWithMooring({ collection, domain, deviceId, url, getToken, priority = 'NORMAL', pollIntervalMs = 60_000, retryTimeMs = 1000,
  requestTimeoutMs = 30_000, fetch = globalThis.fetch, WebSocket = globalThis.WebSocket }) {
  const open = new Map(); // open conflicts of this device, by document; each is closed by the next push of the document
  let loaded = null; // those that were there before
  const stream = new Subject();

  async function ask(query, variables) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await getToken()}` },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    const { data, errors } = await response.json();
    if (errors) throw Object.assign(new Error(`${errors[0].extensions.code}: ${errors[0].message}`), { extensions: errors[0].extensions });
    return data;
  }

  // ── pull ──

  const documentOf = ({ entityId, version, deleted, data, modifiedAt }) => ({ ...data, id: entityId, version, modifiedAt, _deleted: deleted });

  const page = async (since, first) => (await ask(`query($domains: [SyncDomainEnum!], $since: Cursor, $first: Int) {
    changes(domains: $domains, since: $since, first: $first) { entities { entityId version deleted data modifiedAt } cursor hasMore } }`,
  { domains: [domain], since, first })).changes;

  // RxDB passes over what it pulls while the same document is being pushed. From the first page with such a document on, its
  // checkpoint stays where it is until the push is settled; then all behind it is asked for once more.
  const pushing = new Set();
  let pushes = 0; // begun
  let ahead = null; // how far was read while the checkpoint stays behind

  async function pull(checkpoint, batchSize) {
    if (checkpoint?.cursor) void acknowledge(checkpoint.cursor); // RxDB has stored it
    const from = ahead;
    let cursor = from ?? checkpoint?.cursor ?? null;
    let documents = [];
    try {
      // RxDB takes a short answer for the end; Mooring's pages may end early, and hasMore says.
      for (let hasMore = true; hasMore && documents.length < batchSize;) {
        const changes = await page(cursor, batchSize - documents.length);
        documents.push(...changes.entities.map(documentOf));
        ({ cursor, hasMore } = changes);
      }
    } catch (problem) {
      if (!cursor || problem.extensions?.code !== 'BAD_USER_INPUT') throw problem;
      ({ documents, cursor } = await everything()); // it is older than what the node keeps
    }
    const isBehind = from !== null || documents.some(one => pushing.has(one.id));
    if (!isBehind) return { documents, checkpoint: { cursor } };
    if (ahead === from) ahead = cursor; // else a push was settled meanwhile, and the next page is the first behind the checkpoint
    return { documents, checkpoint };
  }

  // RxDB has noted what became of the pushes until now.
  async function settle() {
    const last = pushes;
    await replication.awaitInSync();
    if (pushes !== last) return; // the newer one settles this one as well
    pushing.clear();
    if (ahead === null) return;
    ahead = null;
    call();
  }

  // The position is gone: all there is, and what is here but not there is deleted.
  async function everything() {
    const documents = [];
    let cursor = null;
    for (let hasMore = true; hasMore;) {
      const changes = await page(cursor, 500);
      documents.push(...changes.entities.map(documentOf));
      ({ cursor, hasMore } = changes);
    }
    const there = new Set(documents.map(one => one.id));
    for (const document of await collection.find().exec())
      if (document.version > 0 && !there.has(document.id)) documents.push({ ...document.toJSON(), _deleted: true });
    return { documents, cursor };
  }

  // ── push ──

  function operationOf({ assumedMasterState: base, newDocumentState: mine }) {
    const data = dataOf(mine);
    const edit = { domain, entityId: mine.id, baseVersion: base?.version || null, modifiedAt: mine.modifiedAt, priority };
    if (mine._deleted) edit.operation = 'DELETE';
    else if (!base || base._deleted) Object.assign(edit, { operation: 'CREATE', data });
    else Object.assign(edit, { operation: 'UPDATE', data: patchOf(dataOf(base), data) });
    return { ...edit, operationId: createHash('sha256').update(JSON.stringify(edit)).digest('base64url') };
  }

  async function loadOpen() {
    for (let after = null, hasMore = true; hasMore;) {
      const { conflicts } = await ask(`query($domains: [SyncDomainEnum!], $after: Cursor) { conflicts(status: OPEN, domains: $domains, first: 100, after: $after) {
        conflicts { conflictId mobileId deviceId } cursor hasMore } }`, { domains: [domain], after });
      for (const one of conflicts.conflicts) if (one.deviceId === deviceId) open.set(one.mobileId, one.conflictId);
      ({ cursor: after, hasMore } = conflicts);
    }
  }

  // Answers, as RxDB wants it, the present state of those documents that are now something else than what was sent.
  async function push(rows) {
    pushes += 1;
    for (const row of rows) pushing.add(row.newDocumentState.id);
    await (loaded ??= loadOpen().catch(problem => {
      loaded = null;
      throw problem;
    }));
    const toResolve = rows.filter(row => open.has(row.newDocumentState.id));
    const toSend = rows.filter(row => !open.has(row.newDocumentState.id));
    const differ = new Set();
    for (const { newDocumentState: mine } of toResolve) {
      const { resolveConflict: outcome } = await ask(`mutation($resolution: ConflictResolutionInput!) {
        resolveConflict(resolution: $resolution) { success resolutionResult version error { code message } } }`,
      { resolution: { conflictId: open.get(mine.id), resolutionStrategy: 'MERGE', chosenVersion: 'merged', mergeData: dataOf(mine) } });
      if (outcome.error) throw new Error(outcome.error.message);
      open.delete(mine.id);
      differ.add(mine.id);
    }
    if (toSend.length > 0) {
      const operations = toSend.map(operationOf);
      const key = createHash('sha256').update(JSON.stringify(operations)).digest('base64url');
      const { syncOperations } = await ask(`mutation($operations: [SyncOperationInput!]!, $key: String!, $device: String!) {
        syncOperations(operations: $operations, idempotencyKey: $key, deviceId: $device) {
          replayed items { itemId success version duplicate conflictDetected error { code message } } conflicts { conflictId mobileId status } } }`,
      { operations, key, device: deviceId });
      syncOperations.items.forEach(({ success, version, duplicate, conflictDetected, error }, at) => {
        const { assumedMasterState: base, newDocumentState: mine } = toSend[at];
        if (!success && error.code !== 'NOT_FOUND') throw new Error(`${mine.id}: ${error.code}: ${error.message}`); // NOT_FOUND: deleted already
        // The answer to a retry is of before: others may have edited it since.
        if (syncOperations.replayed || duplicate || conflictDetected || version !== (base?.version ?? 0) + 1) differ.add(mine.id);
      });
      for (const { mobileId, conflictId, status } of syncOperations.conflicts) if (status === 'OPEN') open.set(mobileId, conflictId);
    }
    const masters = [];
    for (const id of differ) {
      const { entity } = await ask('query($domain: SyncDomainEnum!, $id: ID!) { entity(domain: $domain, entityId: $id) { entityId version deleted data modifiedAt } }', { domain, id });
      const mine = rows.find(row => row.newDocumentState.id === id).newDocumentState;
      if (entity && !(mine._deleted && entity.deleted)) masters.push(documentOf(entity));
    }
    call(); // nobody pushes the device its own versions
    settle().catch(() => {}); // the replication is over
    return masters;
  }

  // ── live ──
  //
  // An event says that there is something new, and `changes` says what: so the device's own versions come in their place
  // among those of others, and RxDB's checkpoint is the only position that has to be kept. Events that come together are one
  // request.

  let isCalled = false, isOver = false;
  function call() {
    if (isCalled) return;
    isCalled = true;
    setTimeout(() => {
      isCalled = false;
      stream.next('RESYNC');
    }, 10);
  }

  function heard(event) {
    const domains = event.domains ?? [event.domain ?? domain];
    if (domains.includes(domain)) call();
  }

  // The node begins behind what was acknowledged, so that this is where a subscription goes on after an interruption.
  let acknowledged = null, isAcknowledging = false;
  async function acknowledge(cursor) {
    if (isAcknowledging || cursor === acknowledged) return;
    isAcknowledging = true;
    try {
      await ask('mutation($device: ID!, $cursor: Cursor!) { acknowledge(deviceId: $device, cursor: $cursor) }', { device: deviceId, cursor });
      acknowledged = cursor;
    } catch {
      // with the next
    } finally {
      isAcknowledging = false;
    }
  }

  const socket = createClient({
    url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket, retryAttempts: 0,
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
  });
  let awake = () => {};
  const pause = () => new Promise(resolve => {
    const timer = setTimeout(resolve, retryTimeMs * (0.5 + Math.random()));
    awake = () => {
      clearTimeout(timer);
      resolve();
    };
  });

  // One subscription after the other. Each says CaughtUpEvent when it has begun: what was missed is asked for then.
  async function follow() {
    while (!isOver) {
      const refused = await new Promise(resolve => socket.subscribe({ query: `subscription($device: ID!) { syncEvents(deviceId: $device) { __typename
        ... on DataUpdateEvent { domain } ... on SyncTriggerEvent { domains } ... on CaughtUpEvent { cursor } ... on ResyncRequiredEvent { cursor } } }`,
      variables: { device: deviceId } }, {
        next: ({ data }) => data && heard(data.syncEvents),
        error: resolve, // the reasons of a refusal, or the end of the connection
        complete: () => resolve(null),
      }));
      if (isOver) return;
      if (refused?.[0]?.extensions?.code === 'NOT_FOUND') // the device: it has not uploaded anything yet
        await ask('mutation($device: DeviceInput!) { registerDevice(device: $device) { deviceId } }', { device: { deviceId, deviceType: 'OTHER' } }).catch(pause);
      else await pause();
    }
  }

  const replication = replicateRxCollection({
    collection,
    replicationIdentifier: `mooring-${url}-${domain}`,
    live: true,
    retryTime: retryTimeMs,
    pull: { handler: pull, stream$: stream.asObservable(), batchSize: 100 },
    push: { handler: push, batchSize: 100 },
  });
  const beat = setInterval(call, pollIntervalMs);
  void follow();
  replication.canceled$.subscribe(canceled => {
    if (!canceled) return;
    isOver = true;
    clearInterval(beat);
    awake();
    void socket.dispose();
  });
  return Object.assign(replication, { resync: () => stream.next('RESYNC'), isOpen: id => open.has(id) });
}

// ── documents ──

const dataOf = document => Object.fromEntries(Object.entries(document).filter(([name]) => !own.has(name)));

function same(a, b) {
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return a === b;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Array.isArray(a) === Array.isArray(b) && [...names].every(name => same(a[name], b[name]));
}

// An RFC 7396 merge patch of the fields that differ.
function patchOf(base, edited) {
  const patch = {};
  for (const name of new Set([...Object.keys(base), ...Object.keys(edited)])) {
    if (same(base[name], edited[name])) continue;
    const isNested = [base[name], edited[name]].every(one => typeof one === 'object' && one && !Array.isArray(one));
    patch[name] = isNested ? patchOf(base[name], edited[name]) : edited[name] ?? null;
  }
  return patch;
}
