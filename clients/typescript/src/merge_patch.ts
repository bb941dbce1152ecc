// RFC 7396: JSON merge patches, applied and made.
import { equalJson, hasMember, isObject, setMember, type Json, type JsonObject } from './json.js';

// The target after the patch. Neither is changed; unchanged parts are shared with the target.
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: JsonObject = {};
  if (isObject(target)) for (const name of Object.keys(target)) setMember(result, name, target[name]!);
  for (const name of Object.keys(patch)) {
    const value = patch[name]!;
    if (value === null) delete result[name];
    else setMember(result, name, applyMergePatch(hasMember(result, name) ? result[name] : undefined, value));
  }
  return result;
}

// The smallest patch that makes `edited` of `base`: only what changed, members of objects one by one, lists whole.
// Undefined when there is none: a merge patch cannot give a member the value null (null removes it). An empty patch means
// that nothing changed.
export function makeMergePatch(base: JsonObject, edited: JsonObject): JsonObject | undefined {
  const patch: JsonObject = {};
  for (const name of Object.keys(base))
    if (!hasMember(edited, name) || edited[name] === undefined) setMember(patch, name, null);
  for (const name of Object.keys(edited)) {
    const after = edited[name];
    if (after === undefined) continue;
    const before = hasMember(base, name) ? base[name] : undefined;
    if (before !== undefined && equalJson(before, after)) continue;
    if (after === null) return undefined;
    if (isObject(after)) {
      const inner = makeMergePatch(isObject(before) ? before : {}, after);
      if (inner === undefined) return undefined;
      setMember(patch, name, inner);
    } else setMember(patch, name, after);
  }
  return patch;
}
