// Everything the device knows and must not forget: the outbox, the entities as the node last had them, the position in the
// feed. All in one storage, so that each step is one commit: an answer takes its items out of the outbox and stores their
// versions at once; a page of changes brings its cursor along.
//
// What the app sees of an entity is the node's state with the device's own waiting edits on top.
//
// Methods may be called at any time; those that write wait for each other.
import { InvalidItemError, MooringError, isRetriedItem } from './errors.js';
import { equalJson, isObject, nesting, plainJson, utf8Length, type Json, type JsonObject } from './json.js';
import { applyMergePatch, makeMergePatch } from './merge_patch.js';
import { Outbox, scanAll, type Batch, type Entry, type Outcome, type OutboxLimits, type Rejection } from './outbox.js';
import type { Storage, Write } from './storage.js';
import type { EditKind, Entity, EntityDomain, OutboxItem, Priority, RecordItem, SyncDomain, SyncItemResult, SyncOperationInput } from './types.js';

// An entity as the app sees it.
export interface View<Data extends JsonObject = JsonObject> {
  domain: SyncDomain;
  entityId: string;
  data: Data | null; // null: deleted
  version: number | null; // of the state below the waiting edits; null: the node has none yet
  deleted: boolean;
  waiting: number; // own edits that the node has not answered
}

export interface EntityKey {
  domain: SyncDomain;
  entityId: string;
}

// `confirmed` is the newest version that the node itself told. A version beyond it was derived: the node's last state plus
// the device's own accepted edit. That is nearly always right, but an edit that changed nothing because somebody else had
// made the same change is answered with that other version, which may hold more. So the next edit names the confirmed
// version as its base: if the versions since are all the device's own, the node accepts it just the same; if not, it
// merges, and tells the device of the outcome. Naming a version that the device does not really hold would hide it for ever.
interface StoredEntity {
  generation: number;
  version: number;
  confirmed: number; // 0: none
  deleted: boolean;
  data: Json;
  modifiedAt: string;
  updatedAt: string;
  deviceId: string;
  userId: string;
}

// The node has a newer version than we do, which came about by our own edit and somebody else's, so that we cannot know
// it: what it probably looks like, until it is read.
interface Expected {
  version: number;
  data?: Json;
}

// A reading of everything, from the beginning: the first sync, or after the cursor was refused.
export interface FullReading {
  generation: number;
  cursor: string | null; // read so far
  received: number;
  goOnFrom: string | null; // then; null: from where the reading ended
  done: boolean; // only what was not seen again remains to be removed
}

export interface Position {
  cursor: string | null; // everything up to here is stored
  reading: FullReading | null;
  generation: number;
}

interface Meta {
  format: 1;
  deviceId: string;
  registered?: string; // what registerDevice was told
  domains?: readonly SyncDomain[]; // that are kept
}

export interface ApplyResult {
  changed: EntityKey[];
}

const entityIdBytesMax = 128, dataBytesMax = 256 << 10, nestingMax = 32;

const keyOf = (domain: string, entityId: string) => `${domain}/${encodeURIComponent(entityId)}`;
const idOf = (key: string): EntityKey => {
  const [domain, id] = key.slice(2).split('/') as [SyncDomain, string];
  return { domain, entityId: decodeURIComponent(id) };
};

function checkId(entityId: string): void {
  if (typeof entityId !== 'string' || entityId === '') throw new InvalidItemError('entityId', 'must not be empty');
  if (utf8Length(entityId) > entityIdBytesMax) throw new InvalidItemError('entityId', `at most ${entityIdBytesMax} bytes`);
  try {
    encodeURIComponent(entityId);
  } catch {
    throw new InvalidItemError('entityId', 'is not valid Unicode');
  }
}

function checkedData(value: unknown): JsonObject {
  let plain: Json;
  try {
    plain = plainJson(value);
  } catch {
    throw new InvalidItemError('data', 'must be JSON');
  }
  if (!isObject(plain)) throw new InvalidItemError('data', 'must be an object');
  if (nesting(plain) > nestingMax) throw new InvalidItemError('data', `at most ${nestingMax} objects and lists in each other`);
  if (utf8Length(JSON.stringify(plain)) > dataBytesMax) throw new InvalidItemError('data', `at most ${dataBytesMax} bytes`);
  return plain;
}

// The node looks at each JSON value in it; here only what would make the whole message unreadable counts.
function checkedRecord(item: RecordItem): OutboxItem {
  let plain: Json;
  try {
    plain = plainJson(item);
  } catch {
    throw new InvalidItemError('data', 'must be JSON');
  }
  if (nesting(plain) > 2 * nestingMax) throw new InvalidItemError('data', `at most ${nestingMax} objects and lists in each other`);
  return plain as unknown as OutboxItem;
}

// What one edit makes of the data below it; null: nothing is there.
function edited(below: Json, edit: SyncOperationInput): Json {
  if (edit.operation === 'DELETE') return null;
  if (edit.operation === 'UPDATE') return applyMergePatch(below ?? {}, edit.data ?? {});
  return edit.data ?? null;
}

export interface LocalStateOptions {
  deviceId: string;
  nowMs: () => number;
  makeId: () => string;
  outbox: OutboxLimits;
}

export class LocalState {
  readonly #storage: Storage;
  readonly #options: LocalStateOptions;
  readonly #outbox: Outbox;
  readonly #waiting = new Map<string, Entry[]>(); // edits by entity, in order
  readonly #expected = new Map<string, Expected>();
  #meta: Meta;
  #position: Position;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(storage: Storage, options: LocalStateOptions, outbox: Outbox, meta: Meta, position: Position) {
    this.#storage = storage;
    this.#options = options;
    this.#outbox = outbox;
    this.#meta = meta;
    this.#position = position;
    for (const entry of outbox.entries()) this.#addWaiting(entry);
  }

  static async open(storage: Storage, options: LocalStateOptions): Promise<LocalState> {
    const stored = await storage.get('meta');
    const meta: Meta = stored === undefined ? { format: 1, deviceId: options.deviceId } : JSON.parse(stored) as Meta;
    if (meta.format !== 1) throw new MooringError(`the storage has format ${String(meta.format)}, which this version does not know`);
    if (meta.deviceId !== options.deviceId)
      throw new MooringError(`the storage belongs to device ${meta.deviceId}; use another one for ${options.deviceId}`);
    if (stored === undefined) await storage.commit([{ key: 'meta', value: JSON.stringify(meta) }]);
    const position = await storage.get('position');
    const outbox = await Outbox.open(storage, options.outbox);
    const state = new LocalState(storage, options, outbox, meta,
      position === undefined ? { cursor: null, reading: null, generation: 0 } : JSON.parse(position) as Position);
    await scanAll(storage, 'x/', (key, value) => state.#expected.set(key.slice(2), JSON.parse(value) as Expected));
    return state;
  }

  get position(): Readonly<Position> {
    return this.#position;
  }

  get waiting(): number {
    return this.#outbox.size;
  }

  get rejections(): Rejection[] {
    return this.#outbox.rejections;
  }

  get registered(): string | undefined {
    return this.#meta.registered;
  }

  // Entities whose newest version has to be read.
  get expected(): EntityKey[] {
    return [...this.#expected.keys()].map(key => idOf(`x/${key}`));
  }

  // When the oldest waiting item came, and whether any is in a hurry.
  get oldest(): { queuedAt: number; urgent: boolean } | undefined {
    const [first] = this.#outbox.entries();
    return first && { queuedAt: first.queuedAt, urgent: this.#outbox.urgent > 0 };
  }

  // The batch that was formed and is not answered.
  get batch(): Batch | null {
    return this.#outbox.batch;
  }

  // ── reading ──

  // Reads wait for a write that runs, so that nothing is seen between the storage and its mirror in memory.
  get(domain: SyncDomain, entityId: string): Promise<View | undefined> {
    checkId(entityId);
    const key = keyOf(domain, entityId);
    return this.#alone(async () => this.#view(key, await this.#stored(key)));
  }

  // All of a domain that are not deleted, in order of their ids as the storage orders them; new ones of the device last.
  async *list(domain: SyncDomain): AsyncIterableIterator<View> {
    const seen = new Set<string>();
    for (let after: string | undefined, isLast = false; !isLast;) {
      yield* await this.#alone(async () => {
        const page = await this.#storage.scan(`e/${domain}/`, after === undefined ? { limit: 200 } : { after, limit: 200 });
        isLast = page.length < 200;
        after = page[page.length - 1]?.[0];
        return page.flatMap(([key, value]) => {
          seen.add(key.slice(2));
          const view = this.#view(key.slice(2), JSON.parse(value) as StoredEntity);
          return view && !view.deleted ? [view] : [];
        });
      });
    }
    yield* await this.#alone(async () => {
      const views: View[] = [];
      for (const key of new Set([...this.#waiting.keys(), ...this.#expected.keys()])) {
        if (!key.startsWith(`${domain}/`) || seen.has(key)) continue;
        const view = this.#view(key, await this.#stored(key));
        if (view && !view.deleted) views.push(view);
      }
      return views;
    });
  }

  // ── writing on the device ──

  // One edit, made of what the app sees now. Null when it changes nothing.
  edit(domain: EntityDomain, entityId: string, change: (now: View | undefined) => { kind: EditKind; data?: unknown } | null, priority: Priority): Promise<SyncOperationInput | null> {
    checkId(entityId);
    return this.#alone(async () => {
      const key = keyOf(domain, entityId);
      const stored = await this.#stored(key);
      const now = this.#view(key, stored);
      const wanted = change(now);
      if (!wanted) return null;
      const input: SyncOperationInput = {
        operationId: this.#options.makeId(), domain, operation: wanted.kind, entityId, baseVersion: stored?.confirmed || null,
        modifiedAt: new Date(this.#options.nowMs()).toISOString(), priority,
      };
      if (wanted.kind !== 'DELETE') {
        const data = checkedData(wanted.data);
        input.data = data;
        if (wanted.kind === 'UPDATE') {
          const patch = makeMergePatch(now?.data ?? {}, data);
          if (patch && Object.keys(patch).length === 0) return null;
          if (patch && equalJson(applyMergePatch(now?.data ?? {}, patch), data)) input.data = patch;
          else input.operation = 'SYNC'; // a value null, which no patch can give
        }
      }
      for (const entry of await this.#outbox.enqueue([{ kind: 'edit', input }], this.#options.nowMs())) this.#addWaiting(entry);
      return input;
    });
  }

  record(items: readonly RecordItem[]): Promise<void> {
    const plain = items.map(one => checkedRecord(one));
    return this.#alone(async () => {
      await this.#outbox.enqueue(plain, this.#options.nowMs());
    });
  }

  // ── uploading ──

  form(limits: { items: number; bytes: number }): Promise<Batch | null> {
    return this.#alone(() => this.#outbox.form(limits, { deviceId: this.#options.deviceId, nowMs: this.#options.nowMs(), makeId: this.#options.makeId }));
  }

  dissolve(batch: Batch, smaller: boolean): Promise<void> {
    return this.#alone(() => this.#outbox.dissolve(batch, smaller));
  }

  forget(rejection: Rejection): Promise<void> {
    return this.#alone(() => this.#outbox.forget(rejection));
  }

  // The answer to the batch: each entry's result, by position.
  settle(batch: Batch, results: readonly SyncItemResult[], serverTimestamp: string): Promise<ApplyResult & { rejections: Rejection[] }> {
    return this.#alone(async () => {
      const entities = new Map<string, StoredEntity | undefined>(), expected = new Map<string, Expected | null>();
      const dirty = new Set<string>(), touched = new Set<string>();
      const outcomes: Outcome[] = [];
      for (const [at, { item }] of batch.entries.entries()) {
        const result = results[at]!;
        if (!result.success) {
          const error = result.error ?? { code: 'INTERNAL', message: 'the item failed without a reason' };
          outcomes.push(isRetriedItem(error.code) ? 'keep' : error);
          if (item.kind === 'edit') touched.add(keyOf(item.input.domain, item.input.entityId));
          continue;
        }
        outcomes.push('done');
        if (item.kind !== 'edit') continue;
        const key = keyOf(item.input.domain, item.input.entityId);
        touched.add(key);
        if (!entities.has(key)) entities.set(key, await this.#stored(key));
        const before = entities.get(key);
        const { version } = result;
        if (version === null || version <= (before?.version ?? 0)) continue;
        const awaited = expected.get(key) ?? this.#expected.get(key);
        const known = awaited === undefined && !result.conflictDetected && version === (before?.version ?? 0) + 1
          && this.#isKnown(before, item.input);
        if (known) {
          entities.set(key, {
            generation: this.#generation, version, confirmed: before?.confirmed ?? 0, deleted: item.input.operation === 'DELETE', data: edited(before?.data ?? null, item.input),
            modifiedAt: item.input.modifiedAt, updatedAt: serverTimestamp, deviceId: this.#options.deviceId, userId: '',
          });
          dirty.add(key);
        } else if (!awaited || awaited.version < version) {
          const below = awaited?.data ?? before?.data ?? null;
          expected.set(key, result.conflictDetected
            ? { version, ...(awaited?.data === undefined ? {} : { data: awaited.data }) } // who won is not known
            : { version, data: edited(below, item.input) });
        }
      }
      const writes: Write[] = [];
      for (const key of dirty) writes.push({ key: `e/${key}`, value: JSON.stringify(entities.get(key)) });
      for (const [key, value] of expected) writes.push({ key: `x/${key}`, value: value && JSON.stringify(value) });
      const rejections = await this.#outbox.settle(batch, outcomes, writes);
      for (const [key, value] of expected) if (value) this.#expected.set(key, value);
      for (const [at, entry] of batch.entries.entries()) if (outcomes[at] !== 'keep') this.#removeWaiting(entry);
      return { rejections, changed: [...touched].map(key => idOf(`e/${key}`)) };
    });
  }

  // The node refused the batch's only item for good.
  reject(batch: Batch, error: { code: string; message: string; field?: string | null }): Promise<ApplyResult & { rejections: Rejection[] }> {
    return this.#alone(async () => {
      const rejections = await this.#outbox.settle(batch, batch.entries.map(() => error));
      for (const entry of batch.entries) this.#removeWaiting(entry);
      return { rejections, changed: batch.entries.flatMap(({ item }) => (item.kind === 'edit' ? [{ domain: item.input.domain, entityId: item.input.entityId }] : [])) };
    });
  }

  // ── the feed ──

  // Entities as the node has them, and the position up to which this is all. `cursor` undefined: they were asked for by
  // name, the position stays.
  apply(entities: readonly Entity[], cursor?: string): Promise<ApplyResult> {
    return this.#alone(async () => {
      const position = cursor === undefined ? this.#position : { ...this.#position, cursor };
      return this.#store(entities, position, false);
    });
  }

  // Begins to read everything again. Waiting edits and what is stored stay; what is not seen again is removed at the end.
  beginReading(goOnFrom: string | null): Promise<void> {
    return this.#alone(async () => {
      const generation = Math.max(this.#position.generation, this.#position.reading?.generation ?? 0) + 1;
      await this.#setPosition({ ...this.#position, reading: { generation, cursor: null, received: 0, goOnFrom, done: false } });
    });
  }

  // A page of that reading.
  applyPage(entities: readonly Entity[], cursor: string, hasMore: boolean): Promise<ApplyResult> {
    return this.#alone(async () => {
      const reading = this.#position.reading;
      if (!reading) throw new Error('nothing is being read from the beginning');
      return this.#store(entities, { ...this.#position,
        reading: { ...reading, cursor, received: reading.received + entities.length, done: !hasMore } }, true);
    });
  }

  // After its last page: removes what the node no longer has.
  endReading(): Promise<ApplyResult> {
    return this.#alone(async () => {
      const reading = this.#position.reading;
      if (!reading?.done) throw new Error('the reading has not come to its end');
      const changed: EntityKey[] = [];
      for (let after: string | undefined; ;) {
        const page = await this.#storage.scan('e/', after === undefined ? { limit: 500 } : { after, limit: 500 });
        const writes: Write[] = [];
        for (const [key, value] of page) {
          const { generation, deleted } = JSON.parse(value) as StoredEntity;
          if (generation >= reading.generation) continue;
          writes.push({ key, value: null });
          if (!deleted) changed.push(idOf(key));
        }
        if (writes.length > 0) await this.#storage.commit(writes);
        if (page.length < 500) break;
        after = page[page.length - 1]![0];
      }
      await this.#setPosition({ cursor: reading.goOnFrom ?? reading.cursor, reading: null, generation: reading.generation });
      return { changed };
    });
  }

  // These have to be read: what came of them is not told to this device otherwise.
  expect(keys: readonly EntityKey[]): Promise<void> {
    return this.#alone(async () => {
      const names = keys.map(({ domain, entityId }) => keyOf(domain, entityId)).filter(key => !this.#expected.has(key));
      const unknown: Expected = { version: 0 };
      await this.#storage.commit(names.map(key => ({ key: `x/${key}`, value: JSON.stringify(unknown) })));
      for (const key of names) this.#expected.set(key, unknown);
    });
  }

  // The node does not know the entity: there is nothing to expect.
  notFound(keys: readonly EntityKey[]): Promise<void> {
    return this.#alone(async () => {
      const names = keys.map(({ domain, entityId }) => keyOf(domain, entityId)).filter(key => this.#expected.has(key));
      if (names.length === 0) return;
      await this.#storage.commit(names.map(key => ({ key: `x/${key}`, value: null })));
      for (const key of names) this.#expected.delete(key);
    });
  }

  setRegistered(what: string): Promise<void> {
    return this.#alone(() => this.#setMeta({ ...this.#meta, registered: what }));
  }

  // What is kept here from now on. A domain that is new is read from its beginning, and so everything is.
  async setDomains(domains: readonly SyncDomain[]): Promise<void> {
    const before = this.#meta.domains;
    if (before && domains.every(one => before.includes(one)) && before.every(one => domains.includes(one))) return;
    if (before && this.#position.cursor !== null && domains.some(one => !before.includes(one))) await this.beginReading(null);
    await this.#alone(() => this.#setMeta({ ...this.#meta, domains: [...domains] }));
  }

  // After whatever is being written.
  close(): Promise<void> {
    return this.#alone(() => this.#storage.close());
  }

  // ──

  get #generation(): number {
    return this.#position.reading?.generation ?? this.#position.generation;
  }

  // Whether the state after an accepted edit can be told from the state before it, when the versions are neighbours.
  #isKnown(before: StoredEntity | undefined, edit: SyncOperationInput): boolean {
    if (edit.operation === 'DELETE') return true;
    // A whole object on an older base is merged with what came between; a patch on a tombstone is the node's affair.
    if (edit.operation === 'UPDATE') return before === undefined ? edit.baseVersion === null : !before.deleted;
    return (edit.baseVersion ?? 0) === (before?.version ?? 0);
  }

  async #store(entities: readonly Entity[], position: Position, isReading: boolean): Promise<ApplyResult> {
    const stored = await Promise.all(entities.map(one => this.#stored(keyOf(one.domain, one.entityId))));
    const latest = new Map<string, StoredEntity>();
    const changed: EntityKey[] = [], writes: Write[] = [], arrived: string[] = [];
    const generation = position.reading?.generation ?? position.generation;
    entities.forEach((entity, at) => {
      const { domain, entityId, version, deleted, modifiedAt, updatedAt, deviceId, userId } = entity;
      const key = keyOf(domain, entityId);
      const before = latest.get(key) ?? stored[at];
      const isNewer = before === undefined || version > before.version
        || (version === before.version && before.confirmed !== version)
        // Another life of the same id: its tombstone was swept on the node; or the node was restored from a backup.
        || (version < before.version && before.deleted && updatedAt > before.updatedAt)
        || (isReading && before.generation < generation);
      if (isNewer) {
        latest.set(key, { generation, version, confirmed: version, deleted, data: deleted ? null : entity.data, modifiedAt, updatedAt, deviceId, userId });
        if (before === undefined || before.version !== version || before.deleted !== deleted || !equalJson(before.data, deleted ? null : entity.data)) changed.push({ domain, entityId });
      } else if (before.generation !== generation) latest.set(key, { ...before, generation });
      const awaited = this.#expected.get(key);
      if (awaited && (version >= awaited.version || isNewer && isReading)) arrived.push(key);
    });
    for (const [key, value] of latest) writes.push({ key: `e/${key}`, value: JSON.stringify(value) });
    for (const key of arrived) writes.push({ key: `x/${key}`, value: null });
    if (position !== this.#position) writes.push({ key: 'position', value: JSON.stringify(position) });
    if (writes.length > 0) await this.#storage.commit(writes);
    this.#position = position;
    for (const key of arrived) this.#expected.delete(key);
    return { changed };
  }

  async #setMeta(meta: Meta): Promise<void> {
    await this.#storage.commit([{ key: 'meta', value: JSON.stringify(meta) }]);
    this.#meta = meta;
  }

  async #setPosition(position: Position): Promise<void> {
    await this.#storage.commit([{ key: 'position', value: JSON.stringify(position) }]);
    this.#position = position;
  }

  async #stored(key: string): Promise<StoredEntity | undefined> {
    const text = await this.#storage.get(`e/${key}`);
    return text === undefined ? undefined : JSON.parse(text) as StoredEntity;
  }

  #view(key: string, stored: StoredEntity | undefined): View | undefined {
    const waiting = this.#waiting.get(key) ?? [];
    const expected = this.#expected.get(key);
    if (!stored && waiting.length === 0 && expected?.data === undefined) return undefined;
    let data: Json = expected?.data !== undefined && expected.version > (stored?.version ?? 0) ? expected.data : stored?.data ?? null;
    for (const { item } of waiting) if (item.kind === 'edit') data = edited(data, item.input);
    const object = isObject(data) ? data : null;
    return { ...idOf(`e/${key}`), data: object, version: stored?.version ?? null, deleted: object === null, waiting: waiting.length };
  }

  #addWaiting(entry: Entry): void {
    if (entry.item.kind !== 'edit') return;
    const key = keyOf(entry.item.input.domain, entry.item.input.entityId);
    const waiting = this.#waiting.get(key);
    if (waiting) waiting.push(entry);
    else this.#waiting.set(key, [entry]);
  }

  #removeWaiting(entry: Entry): void {
    if (entry.item.kind !== 'edit') return;
    const key = keyOf(entry.item.input.domain, entry.item.input.entityId);
    const rest = (this.#waiting.get(key) ?? []).filter(one => one !== entry);
    if (rest.length > 0) this.#waiting.set(key, rest);
    else this.#waiting.delete(key);
  }

  // Runs after everything that was begun before it.
  #alone<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(run);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
