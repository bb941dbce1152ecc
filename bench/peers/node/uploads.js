// One upload, exactly once: idempotency by key, items one by one, everything in one durable transaction.
import { hash } from 'node:crypto';
import { GraphQLError } from 'graphql';

import { decodeCursor, encodeCursor } from './cursors.js';
import { decideEdit, entityKey, mayBeRead } from './entities.js';
import { completeSession, ItemError, records } from './records.js';

const keyWindow = 86_400_000;
const refuse = (code, message) => new GraphQLError(message, { extensions: { code } });

const itemResult = itemId => ({ itemId, operationId: null, success: true, version: null, duplicate: false,
  conflictDetected: false, conflictId: null, error: null });

function section(items) {
  return { success: true, syncedItems: 0, failedItems: 0, items: new Array(items), conflicts: [], errors: [] };
}

// What is kept of an answer for replays: plain results shrink to their id and version.
function shrink(answer) {
  const sections = {};
  for (const name of Object.keys(answer.sections)) {
    const part = answer.sections[name];
    sections[name] = { ...part, items: part.items.map(item =>
      item.success && !item.duplicate && !item.conflictDetected && item.operationId == null
        ? (item.version === null ? item.itemId : [item.itemId, item.version])
        : item) };
  }
  return { ...answer, sections };
}
function unshrink(answer) {
  for (const name of Object.keys(answer.sections)) {
    const part = answer.sections[name];
    part.items = part.items.map(item =>
      typeof item === 'string' ? itemResult(item)
        : Array.isArray(item) ? { ...itemResult(item[0]), version: item[1] } : item);
  }
  return answer;
}

export class Uploads {
  constructor(store, pushes) {
    this.store = store;
    this.pushes = pushes;
    this.changed = null; // the rows of the upload that is being decided, by key: those who listen hear of the last of each
    this.running = new Map(); // idempotency row key -> promise of the answer
    this.owners = new Map(); // device row key -> user, bounded; LMDB has them all
  }

  // `sections`: [[domain or 'OPERATIONS', items, name of the result]]. Answers { sections, overall, … }.
  async upload(caller, mutation, deviceId, key, sections, asked) {
    if (!/^[\x20-\x7e]{1,255}$/.test(key)) throw refuse('BAD_USER_INPUT', 'idempotencyKey: 1 to 255 printable ASCII');
    if (deviceId.length === 0 || Buffer.byteLength(deviceId) > 128) throw refuse('BAD_USER_INPUT', 'deviceId');
    if (caller.device !== undefined && caller.device !== deviceId) throw refuse('FORBIDDEN', 'another device');
    let total = 0;
    for (const s of sections) total += s[1].length;
    if (total === 0 || total > 1000) throw refuse('PAYLOAD_TOO_LARGE', '1 to 1,000 items');

    const request = hash('sha1', mutation + JSON.stringify(asked), 'base64');
    const rowKey = `k/${caller.tenant}/${caller.user}/${deviceId}/${key}`;
    const now = Date.now();
    const same = this.running.get(rowKey);
    if (same !== undefined) {
      if (same.request !== request) throw refuse('IDEMPOTENCY_KEY_REUSED', 'the key was used for another request');
      return { ...(await same.answer), replayed: true };
    }
    const stored = this.store.get(rowKey);
    if (stored !== undefined && stored.at > now - keyWindow) {
      if (stored.request !== request) throw refuse('IDEMPOTENCY_KEY_REUSED', 'the key was used for another request');
      return { ...unshrink(stored.answer), replayed: true };
    }
    this.owner(caller, deviceId, now);

    const began = performance.now();
    const changed = this.changed = new Map();
    const answer = { sections: {}, total, synced: 0, failed: 0, conflicts: 0, durationMs: 0, serverTimestamp: now,
      idempotencyKey: key };
    for (const [domain, items, name] of sections) {
      const part = section(items.length);
      for (let i = 0; i < items.length; ++i) {
        try {
          part.items[i] = domain === 'OPERATIONS'
            ? this.edit(caller, deviceId, items[i], now, part)
            : this.record(caller, deviceId, domain, items[i], now);
          ++part.syncedItems;
        } catch (problem) {
          if (!(problem instanceof ItemError)) throw problem;
          const itemId = String(domain === 'OPERATIONS' ? items[i].entityId : records[domain].id(items[i], deviceId));
          const error = { code: problem.code, message: problem.message, field: problem.field, itemId };
          part.items[i] = { ...itemResult(itemId), success: false, error };
          part.errors.push(error);
          ++part.failedItems;
        }
      }
      part.success = part.failedItems === 0;
      answer.sections[name] = part;
      answer.synced += part.syncedItems;
      answer.failed += part.failedItems;
      answer.conflicts += part.conflicts.length;
    }
    this.store.put(rowKey, { request, at: now, answer: shrink(answer) });
    const done = this.store.durable().then(() => {
      this.pushes.publish(caller.tenant, changed.values());
      answer.durationMs = performance.now() - began;
      this.running.delete(rowKey);
      return answer;
    }, problem => {
      this.running.delete(rowKey);
      throw problem;
    });
    this.running.set(rowKey, { request, answer: done });
    return { ...(await done), replayed: false };
  }

  // A device belongs to the first user who syncs with it.
  owner(caller, deviceId, now) {
    const rowKey = `d/${caller.tenant}/${deviceId}`;
    let owner = this.owners.get(rowKey);
    if (owner === undefined) {
      owner = this.store.get(rowKey)?.owner;
      if (owner === undefined) {
        owner = caller.user;
        this.store.put(rowKey, { owner, type: 'OTHER', registeredAt: now });
      }
      if (this.owners.size >= 100_000) this.owners.delete(this.owners.keys().next().value);
      this.owners.set(rowKey, owner);
    }
    if (owner !== caller.user) throw refuse('FORBIDDEN', 'the device belongs to another user');
  }

  async register(caller, input) {
    if (input.deviceId.length === 0 || Buffer.byteLength(input.deviceId) > 128) throw refuse('BAD_USER_INPUT', 'deviceId');
    this.owner(caller, input.deviceId, Date.now());
    const rowKey = `d/${caller.tenant}/${input.deviceId}`;
    const device = { ...this.store.get(rowKey), type: input.deviceType, name: input.deviceName, os: input.osType,
      osVersion: input.osVersion, app: input.appVersion, priority: input.priority };
    this.store.put(rowKey, device);
    await this.store.durable();
    return { deviceId: input.deviceId, userId: device.owner, deviceType: device.type, active: true };
  }

  async acknowledge(caller, deviceId, cursor) {
    const position = decodeCursor(caller.tenant, cursor, 'cursor');
    this.owner(caller, deviceId, Date.now());
    const rowKey = `d/${caller.tenant}/${deviceId}`;
    const device = this.store.get(rowKey);
    if (position > (device.acknowledged ?? 0)) this.store.put(rowKey, { ...device, acknowledged: position });
    await this.store.durable();
    return true;
  }

  // A row that stands in the feed, at the feed's end.
  place(tenant, rowKey, row, previous) {
    this.store.put(rowKey, row);
    this.store.appendFeed(tenant, row.at, rowKey, previous);
    this.changed.delete(rowKey); // those who listen hear in the order of the positions
    this.changed.set(rowKey, row);
  }

  record(caller, deviceId, domain, item, now) {
    const kind = records[domain];
    kind.check(item, now);
    const id = kind.id(item, deviceId);
    const rowKey = `r/${caller.tenant}/${domain}/${caller.user}/${id}`;
    const result = itemResult(id);
    const stored = this.store.get(rowKey);
    let data = item;
    let version = 1;
    if (stored !== undefined) {
      if (JSON.stringify(stored.data) === JSON.stringify(item)) {
        result.duplicate = true;
        return result;
      }
      data = domain === 'SESSION' ? completeSession(stored.data, item) : null;
      if (data === null) throw new ItemError('VALIDATION_ERROR', 'was stored with other content', 'id');
      version = stored.version + 1;
    }
    const at = this.store.nextPosition(caller.tenant);
    this.place(caller.tenant, rowKey, { domain, entityId: id, version, deleted: false, data, modifiedAt: now,
      updatedAt: now, deviceId, userId: caller.user, at }, stored?.at);
    return result;
  }

  edit(caller, deviceId, edit, now, part) {
    let operationKey = null;
    let editHash = null;
    if (edit.operationId != null) {
      operationKey = `o/${caller.tenant}/${caller.user}/${deviceId}/${edit.operationId}`;
      editHash = hash('sha1', JSON.stringify(edit), 'base64');
      const before = this.store.get(operationKey);
      if (before !== undefined) {
        if (before.edit !== editHash)
          throw new ItemError('VALIDATION_ERROR', 'was used for another edit', 'operationId');
        return { ...before.result, duplicate: true };
      }
    }
    const rowKey = entityKey(caller.tenant, edit.domain, caller.user, edit.entityId);
    const stored = this.store.get(rowKey);
    const { result, row, conflict } = decideEdit(stored, edit, caller, deviceId, now);
    if (conflict) {
      conflict.at = this.store.nextPosition(caller.tenant);
      conflict.conflictId = result.conflictId = `c${conflict.at}`;
      this.place(caller.tenant, `c/${caller.tenant}/${conflict.conflictId}`, conflict);
      part.conflicts.push(conflict);
    }
    if (row) {
      row.at = this.store.nextPosition(caller.tenant);
      this.place(caller.tenant, rowKey, row, stored?.at);
    }
    if (operationKey !== null) this.store.put(operationKey, { edit: editHash, result });
    return result;
  }

  // The feed after a cursor: what this user may see, oldest change first.
  changes(caller, domains, since, first) {
    let position = since == null ? 0 : decodeCursor(caller.tenant, since, 'since');
    const limit = Math.max(1, Math.min(first, 1000));
    const entities = [];
    let more = true;
    while (entities.length < limit && more) {
      const wanted = limit - entities.length;
      const found = this.store.after(caller.tenant, position, wanted);
      more = found.length === wanted;
      for (const { position: at, row } of found) {
        position = at;
        if (row.entityId === undefined) continue; // a conflict
        if (!mayBeRead(row, caller)) continue;
        if (domains && !domains.includes(row.domain)) continue;
        entities.push(row);
      }
    }
    if (more) more = this.store.after(caller.tenant, position, 1).length > 0;
    return { entities, cursor: encodeCursor(caller.tenant, position), hasMore: more };
  }
}
