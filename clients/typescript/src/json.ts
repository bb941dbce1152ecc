// JSON values and what the client needs to do with them. Plain functions; nothing here changes its arguments.

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// A member named __proto__ is a member like any other, never the prototype.
export function setMember(target: JsonObject, name: string, value: Json): void {
  if (name === '__proto__') Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
}

export function hasMember(object: object, name: string): boolean {
  return Object.prototype.hasOwnProperty.call(object, name);
}

// Equal as JSON: the order of members does not count, a member that is undefined is not there.
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((one, at) => equalJson(one, right[at]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const names = Object.keys(left).filter(name => left[name] !== undefined);
  if (names.length !== Object.keys(right).filter(name => right[name] !== undefined).length) return false;
  return names.every(name => hasMember(right, name) && equalJson(left[name], right[name]));
}

// The value as it would arrive on the other side: no undefined, no dates, nobody else's reference, and U+FFFD where half a
// surrogate pair stood, as in a text that was cut inside an emoji. Throws a TypeError for what is no JSON at all.
export function plainJson(value: unknown): Json {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('not a JSON value');
  return JSON.parse(wellFormed(text)) as Json;
}

// JSON.stringify writes pairs as they are and halves as escapes; engines from before that write both as they are.
function wellFormed(text: string): string {
  const written = text.includes('\\ud') ? text.replace(/\\(u[dD][89a-fA-F][0-9a-fA-F]{2}|[^])/g, (all, code: string) => (code.length === 5 ? '\\ufffd' : all)) : text;
  return written.replace(/[\ud800-\udfff]/gu, '\ufffd');
}

// How many objects and lists stand in each other: 0 for anything else.
export function nesting(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  let deepest = 0;
  for (const one of Array.isArray(value) ? value : Object.values(value)) deepest = Math.max(deepest, nesting(one));
  return 1 + deepest;
}

// Bytes of a string as UTF-8, without making them.
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; ++at) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit >= 0xd800 && unit < 0xdc00 && at + 1 < text.length && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) {
      bytes += 2; // two units, four bytes
      at += 1;
    } else bytes += unit < 0x800 ? 1 : 2; // a lone surrogate travels as U+FFFD: three bytes
  }
  return bytes;
}
