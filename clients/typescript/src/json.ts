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

// The value as it would arrive on the other side: no undefined, no dates, nobody else's reference. Throws a TypeError
// for what is no JSON at all.
export function plainJson(value: unknown): Json {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('not a JSON value');
  return JSON.parse(text) as Json;
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
