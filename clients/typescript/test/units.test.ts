// The parts that are values: patches, back-off, network quality, what each code means, tokens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyMergePatch, makeMergePatch, type Json, type JsonObject } from '@mooring/client';
import { Backoff } from '../dist/backoff.js';
import { expiryOf } from '../dist/connection.js';
import { RequestError, judge, judgeClose } from '../dist/errors.js';
import { equalJson, utf8Length } from '../dist/json.js';
import { NetworkQuality } from '../dist/network_quality.js';
import { makeId } from '../dist/runtime.js';
import { Waiter } from '../dist/waiter.js';
import { ManualClock } from './manual_clock.js';
import { seeded } from './seeded.js';

// ── merge patches ──

test('the examples of RFC 7396, appendix A', () => {
  const examples: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }], [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }], [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }], [{ a: ['b'] }, { a: 'c' }, { a: 'c' }], [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }], [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [['a', 'b'], ['c', 'd'], ['c', 'd']], [{ a: 'b' }, ['c'], ['c']], [{ a: 'foo' }, null, null], [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }], [[1, 2], { a: 'b', c: null }, { a: 'b' }], [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, expected] of examples) assert.deepEqual(applyMergePatch(target, patch), expected);
});

test('a patch holds what changed and nothing else', () => {
  const base = { same: [1, { x: 2 }], gone: 1, deep: { same: 1, changed: 1, gone: { a: 1 } }, list: [1, 2], kind: 1 };
  const edited = { same: [1, { x: 2 }], deep: { same: 1, changed: 2 }, list: [1, 2, 3], kind: { now: 'object' }, fresh: { a: [] } };
  assert.deepEqual(makeMergePatch(base, edited), { gone: null, deep: { changed: 2, gone: null }, list: [1, 2, 3], kind: { now: 'object' }, fresh: { a: [] } });
  assert.deepEqual(makeMergePatch(base, base), {});
  assert.deepEqual(makeMergePatch({ a: null }, { a: null }), {}, 'a null that stays');
  assert.equal(makeMergePatch({}, { a: null }), undefined, 'a null that is new cannot be said');
  assert.equal(makeMergePatch({ a: 1 }, { a: { b: null } }), undefined);
  assert.deepEqual(makeMergePatch({ a: 1 }, { a: undefined } as unknown as JsonObject), { a: null });
});

test('for 20,000 random pairs the patch makes the one of the other, and neither is changed', () => {
  const random = seeded(7396);
  const pick = (n: number) => Math.floor(random() * n);
  const names = ['a', 'b', 'c', '__proto__', 'constructor', 'ü'];
  const value = (depth: number): Json => {
    const kind = pick(depth > 0 ? 7 : 5);
    if (kind < 5) return [pick(3), 'text', true, false, ''][kind]!;
    if (kind === 5) return Array.from({ length: pick(3) }, () => value(depth - 1));
    return object(depth - 1);
  };
  const object = (depth: number): JsonObject => {
    const made: JsonObject = {};
    for (let left = pick(4); left > 0; --left) Object.defineProperty(made, names[pick(names.length)]!, { value: value(depth), enumerable: true, configurable: true, writable: true });
    return made;
  };
  let empty = 0;
  for (let round = 0; round < 20_000; ++round) {
    const base = object(3), edited = pick(4) === 0 ? JSON.parse(JSON.stringify(base)) as JsonObject : object(3);
    const before = JSON.stringify([base, edited]);
    const patch = makeMergePatch(base, edited);
    assert.ok(patch);
    assert.ok(equalJson(applyMergePatch(base, patch), edited), `${JSON.stringify(base)} → ${JSON.stringify(edited)} by ${JSON.stringify(patch)}`);
    assert.ok(equalJson(applyMergePatch(base, JSON.parse(JSON.stringify(patch)) as Json), edited), 'also when it has travelled');
    assert.equal(JSON.stringify([base, edited]), before);
    if (Object.keys(patch).length === 0) empty += 1;
  }
  assert.ok(empty > 1000);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('the length in UTF-8 is right for every kind of character', () => {
  for (const text of ['', 'a', 'ä', '€', '😀', 'a😀ä€', '\ud800', '\udc00x', '\ud800\ud800\udc00']) assert.equal(utf8Length(text), Buffer.byteLength(text), JSON.stringify(text));
});

// ── back-off ──

test('the delay is anywhere between nothing and the doubled range, and never above the maximum', () => {
  const at = (chance: number) => {
    const backoff = new Backoff({ baseMs: 100, maximumMs: 1000 }, () => chance);
    return Array.from({ length: 6 }, () => backoff.next());
  };
  assert.deepEqual(at(0), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(at(0.5), [50, 100, 200, 400, 500, 500]);
  assert.deepEqual(at(0.999), [99.9, 199.8, 399.6, 799.2, 999, 999]);
});

test('retryAfterMs is waited for in full, with the jitter on top', () => {
  const backoff = new Backoff({ baseMs: 100, maximumMs: 1000 }, () => 0.5);
  assert.equal(backoff.next(3000), 3050);
  assert.equal(backoff.next(3000), 3100);
  assert.equal(backoff.failures, 2);
  backoff.reset();
  assert.equal(backoff.next(), 50);
  const long = new Backoff({}, () => 0.5);
  for (let failures = 0; failures < 5000; ++failures) long.next();
  assert.equal(long.next(), 30_000);
});

test('a thousand phones that lost the same node come back spread over the whole range', () => {
  const random = seeded(1);
  const delays = Array.from({ length: 1000 }, () => {
    const backoff = new Backoff({ baseMs: 1000, maximumMs: 8000 }, random);
    for (let failures = 0; failures < 3; ++failures) backoff.next();
    return backoff.next();
  });
  for (let tenth = 0; tenth < 10; ++tenth) {
    const count = delays.filter(one => one >= tenth * 800 && one < (tenth + 1) * 800).length;
    assert.ok(count > 60 && count < 140, `${count} in tenth ${tenth}`);
  }
});

// ── network quality ──

test('the grade follows round trips and failures, and the worse of the two counts', () => {
  const grade = (rttMs: number[], attempts: boolean[]) => {
    const quality = new NetworkQuality();
    for (const ms of rttMs) quality.roundTrip(ms);
    for (const one of attempts) quality.attempt(one);
    return quality.grade;
  };
  const fine = Array<boolean>(20).fill(true);
  assert.equal(new NetworkQuality().grade, 'good');
  assert.equal(grade([20], fine), 'excellent');
  assert.equal(grade([150], fine), 'good');
  assert.equal(grade([800], fine), 'fair');
  assert.equal(grade([2000], fine), 'poor');
  assert.equal(grade([20], [...fine, false]), 'fair');
  assert.equal(grade([20], [...fine, false, false]), 'poor');
  assert.equal(grade([20], [...fine, false, false, ...fine]), 'excellent');
  assert.equal(grade([20, 20, 20, 5000], fine), 'poor');
});

test('batches get small on a bad network, by speed and by failures, and never empty', () => {
  const quality = new NetworkQuality();
  quality.roundTrip(20);
  assert.deepEqual(quality.limits(), { items: 500, bytes: 256 << 10, lingerMs: 10 });
  quality.uploaded(10_000, 1020); // 10 bytes a millisecond
  assert.deepEqual(quality.limits(), { items: 500, bytes: 20_000, lingerMs: 10 });
  quality.attempt(false);
  assert.equal(quality.limits().bytes, 10_000);
  for (let failures = 0; failures < 30; ++failures) quality.attempt(false);
  assert.deepEqual(quality.limits(), { items: 1, bytes: 4 << 10, lingerMs: 1000 });
  for (let uploads = 0; uploads < 30; ++uploads) quality.uploaded(100_000, 30);
  assert.equal(quality.grade, 'excellent');
  assert.equal(quality.limits().bytes, 256 << 10);
});

test('a small upload measures the round trip, a large one the speed', () => {
  const quality = new NetworkQuality();
  quality.uploaded(500, 80);
  assert.equal(quality.rttMs, 80);
  assert.equal(quality.bytesPerMs, undefined);
  quality.uploaded(8000, 180);
  assert.equal(quality.rttMs, 80);
  assert.equal(quality.bytesPerMs, 80);
});

// ── errors ──

const refusal = (code: string, more: object = {}) => new RequestError([{ message: code, extensions: { code, ...more } }]);

test('each code of the node has its verdict', () => {
  const verdicts = Object.fromEntries(['UNAUTHENTICATED', 'FORBIDDEN', 'BAD_USER_INPUT', 'PAYLOAD_TOO_LARGE', 'RATE_LIMITED', 'QUERY_TOO_COMPLEX',
    'IDEMPOTENCY_KEY_REUSED', 'NOT_FOUND', 'DEVICE_DEACTIVATED', 'UNAVAILABLE', 'STORAGE_FULL', 'INTERNAL'].map(code => [code, judge(refusal(code))]));
  assert.deepEqual(verdicts, {
    UNAUTHENTICATED: 'renew', FORBIDDEN: 'stop', BAD_USER_INPUT: 'reject', PAYLOAD_TOO_LARGE: 'split', RATE_LIMITED: 'retry', QUERY_TOO_COMPLEX: 'reject',
    IDEMPOTENCY_KEY_REUSED: 'rekey', NOT_FOUND: 'reject', DEVICE_DEACTIVATED: 'stop', UNAVAILABLE: 'retry', STORAGE_FULL: 'retry', INTERNAL: 'puzzle' });
  assert.equal(judge(refusal('SOMETHING_NEW', { retryable: true })), 'retry');
  assert.equal(judge(refusal('SOMETHING_NEW')), 'puzzle');
  assert.equal(judge(refusal('toString')), 'puzzle');
});

test('of several errors the longest wait counts', () => {
  const problem = new RequestError([{ message: 'a', extensions: { code: 'RATE_LIMITED', retryAfterMs: 100 } }, { message: 'b', extensions: { code: 'RATE_LIMITED', retryAfterMs: 900 } }]);
  assert.equal(problem.retryAfterMs, 900);
  assert.equal(refusal('UNAVAILABLE').retryAfterMs, undefined);
});

test('each close code has its verdict', () => {
  const codes = [1000, 1001, 1002, 1003, 1006, 1007, 1009, 1011, 1012, 1013, 4400, 4401, 4403, 4406, 4408, 4409, 4429, 4500];
  assert.deepEqual(Object.fromEntries(codes.map(code => [code, judgeClose(code)])), {
    1000: 'reconnect', 1001: 'reconnect', 1002: 'fatal', 1003: 'fatal', 1006: 'reconnect', 1007: 'fatal', 1009: 'split', 1011: 'reconnect', 1012: 'reconnect',
    1013: 'reconnect', 4400: 'fatal', 4401: 'renew', 4403: 'renew', 4406: 'fatal', 4408: 'reconnect', 4409: 'fatal', 4429: 'fatal', 4500: 'reconnect' });
});

// ── odds and ends ──

test('a token\'s expiry is read from it; anything else has none', () => {
  const token = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
  assert.equal(expiryOf(token({ sub: 'änn — a long name that is not ASCII 😀', exp: 1_900_000_000 })), 1_900_000_000_000);
  assert.equal(expiryOf(token({ sub: 'ann' })), undefined);
  for (const text of ['', 'opaque', 'a.b.c', 'a.!!.c', 'a.e30']) assert.equal(expiryOf(text), undefined, text);
});

test('ids differ, and are short and printable', () => {
  const ids = new Set(Array.from({ length: 10_000 }, makeId));
  assert.equal(ids.size, 10_000);
  for (const id of ids) assert.match(id, /^[\x21-\x7e]{1,64}$/);
});

test('a waiter keeps a call that came early, sleeps on without one, and ends', async () => {
  const clock = new ManualClock();
  const waiter = new Waiter(clock);
  waiter.call();
  waiter.call();
  await waiter.wait();
  let woke = false;
  const waits = waiter.wait(100).then(() => { woke = true; });
  await clock.advance(99);
  assert.equal(woke, false);
  await clock.advance(1);
  assert.equal(woke, true);
  await waits;
  const paused = waiter.pause(1000).then(() => 'over');
  waiter.call();
  await clock.advance(999);
  assert.equal(await Promise.race([paused, Promise.resolve('still')]), 'still', 'a pause ignores calls');
  waiter.end();
  assert.equal(await paused, 'over');
  await waiter.wait();
});
