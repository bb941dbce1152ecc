// The entity domains: versions, merge patches and conflicts. A conflict goes to the later modifiedAt here; the
// benchmark never makes one, but a server that could not notice one would be measured too cheap.
import { checkId, checkInstant, ItemError, records } from './records.js';

const privateDomains = new Set(['JOURNAL']);

// Records and private entities are their user's, the others the whole tenant's.
export const mayBeRead = (row, caller) =>
  row.userId === caller.user || !(records[row.domain] || privateDomains.has(row.domain));
const isObject = value => typeof value === 'object' && value !== null && !Array.isArray(value);

export function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const result = isObject(target) ? { ...target } : {};
  for (const name of Object.keys(patch)) {
    const value = patch[name];
    if (value === null) delete result[name];
    else result[name] = isObject(value) ? mergePatch(result[name], value) : value;
  }
  return result;
}

export function entityKey(tenant, domain, user, id) {
  return `e/${tenant}/${domain}/${privateDomains.has(domain) ? user : ''}/${id}`;
}

// Decides one edit. Returns { result, row, conflict }: row is what to store, when something is.
export function decideEdit(stored, edit, caller, device, now) {
  if (records[edit.domain]) throw new ItemError('VALIDATION_ERROR', 'is not edited by operations', 'domain');
  checkId(edit.entityId, 'entityId');
  checkInstant(edit.modifiedAt, 'modifiedAt', now);
  const deleting = edit.operation === 'DELETE';
  if (!deleting && !isObject(edit.data)) throw new ItemError('VALIDATION_ERROR', 'must be an object', 'data');
  if (!deleting && JSON.stringify(edit.data).length > 262_144)
    throw new ItemError('PAYLOAD_TOO_LARGE', 'is more than 256 KiB', 'data');

  const result = { itemId: edit.entityId, operationId: edit.operationId, success: true, version: null,
    duplicate: false, conflictDetected: false, conflictId: null, error: null };
  if (stored === undefined) {
    if (deleting) throw new ItemError('NOT_FOUND', 'no such entity', 'entityId');
    const stamps = {};
    for (const name of Object.keys(edit.data)) stamps[name] = [1, edit.modifiedAt, device];
    result.version = 1;
    return { result, row: { domain: edit.domain, entityId: edit.entityId, version: 1, deleted: false, data: edit.data,
      operation: 'CREATE', priority: edit.priority, modifiedAt: edit.modifiedAt, updatedAt: now, deviceId: device, userId: caller.user, runStart: 1, stamps } };
  }
  const base = edit.baseVersion ?? 0;
  if (base > stored.version) throw new ItemError('VALIDATION_ERROR', 'is newer than the stored version', 'baseVersion');
  const ownRun = stored.deviceId === device && stored.runStart <= base + 1;
  let conflict = null;
  if (base !== stored.version && !ownRun) {
    const touched = deleting ? null : Object.keys(edit.data);
    const fields = touched === null || stored.deleted
      ? []
      : touched.filter(name => stored.stamps[name] !== undefined && stored.stamps[name][0] > base);
    if (touched === null || stored.deleted || fields.length > 0) {
      const clientWins = Math.min(edit.modifiedAt, now + 300_000) > stored.modifiedAt;
      conflict = { domain: edit.domain, mobileId: edit.entityId, serverVersion: stored.version, clientVersion: base,
        fields, resolutionStrategy: 'MOST_RECENT_WINS', resolutionRequired: false, status: 'RESOLVED',
        winningVersion: clientWins ? 'client' : 'server', serverData: stored.data, clientData: edit.data,
        deviceId: device, userId: caller.user, createdAt: now };
      result.conflictDetected = true;
      if (!clientWins) {
        result.version = stored.version;
        return { result, conflict };
      }
    }
  }
  const version = stored.version + 1;
  const data = deleting ? null : edit.operation === 'UPDATE' ? mergePatch(stored.data, edit.data) : edit.data;
  const stamps = deleting ? {} : { ...stored.stamps };
  if (!deleting) for (const name of Object.keys(edit.data)) stamps[name] = [version, edit.modifiedAt, device];
  result.version = version;
  return { result, conflict, row: { domain: edit.domain, entityId: edit.entityId, version, deleted: deleting, data,
    operation: edit.operation, priority: edit.priority, modifiedAt: edit.modifiedAt, updatedAt: now, deviceId: device, userId: caller.user,
    runStart: stored.deviceId === device ? stored.runStart : version, stamps, at: stored.at } };
}
