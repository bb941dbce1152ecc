// syncEvents: publish and subscribe within the process for those who are up to date, the feed in LMDB for the others.
//
// A subscription is behind (next() reads the feed, a page at a time, when the socket takes it) or live (publish() puts
// events into its queue). It becomes live when it has read everything up to the last published position, so there is no
// gap; a live one whose queue is full is behind again from where its queue ends.
import { GraphQLError } from 'graphql';

import { decodeCursor, encodeCursor } from './cursors.js';
import { mayBeRead } from './entities.js';

const pageSize = 500;
const queueMax = 1000;
const turn = () => new Promise(resolve => setImmediate(resolve));
const refuse = (code, message) => new GraphQLError(message, { extensions: { code } });

// An event of one row of the feed. What was written of it is kept by document (graphql.js).
export function eventOf(tenant, position, row) {
  const cursor = encodeCursor(tenant, position);
  const serverTimestamp = Date.now();
  if (row.entityId === undefined)
    return { __typename: 'ConflictAlertEvent', cursor, conflict: row, actionRequired: row.resolutionRequired, priority: 'NORMAL', serverTimestamp };
  return { __typename: 'DataUpdateEvent', cursor, domain: row.domain, operation: row.operation ?? 'CREATE',
    priority: row.priority ?? 'NORMAL', entity: row, serverTimestamp };
}

class Subscription {
  constructor(pushes, topic, caller, deviceId, position) {
    this.pushes = pushes;
    this.topic = topic;
    this.caller = caller;
    this.deviceId = deviceId;
    this.position = position; // everything up to here is sent, queued or not for this device
    this.live = false;
    this.caughtUp = false;
    this.ended = false;
    this.queue = [];
    this.first = 0; // of the queue
    this.wake = null;
    this.write = event => event;
  }

  sees(row) {
    return row.entityId === undefined
      ? row.userId === undefined || row.userId === this.caller.user
      : row.deviceId !== this.deviceId && mayBeRead(row, this.caller);
  }

  take(position, row, event) {
    if (position <= this.position) return;
    if (this.queue.length - this.first >= queueMax) {
      this.live = false;
      return;
    }
    this.position = position;
    if (!this.sees(row)) return;
    if (this.wake !== null) {
      const wake = this.wake;
      this.wake = null;
      wake({ value: this.write(event), done: false });
    } else {
      this.queue.push(event);
    }
  }

  async next() {
    for (;;) {
      if (this.ended) return { value: undefined, done: true };
      if (this.first < this.queue.length) {
        const event = this.queue[this.first++];
        if (this.first === this.queue.length) {
          this.queue = [];
          this.first = 0;
        }
        return { value: this.write(event), done: false };
      }
      if (this.live) return new Promise(resolve => { this.wake = resolve; });
      await this.read();
    }
  }

  // The next page into the queue, or live.
  async read() {
    const { store } = this.pushes;
    const found = store.after(this.caller.tenant, this.position, pageSize);
    for (const { position, row } of found) {
      this.position = position;
      if (this.sees(row)) this.queue.push(eventOf(this.caller.tenant, position, row));
    }
    if (found.length === pageSize) return;
    if (this.position < this.topic.published) { // committed, and newer than what was read
      if (this.queue.length === 0) await turn();
      return;
    }
    this.live = true;
    if (this.caughtUp) return;
    this.caughtUp = true;
    this.queue.push({ __typename: 'CaughtUpEvent', cursor: encodeCursor(this.caller.tenant, this.position), serverTimestamp: Date.now() });
  }

  async return() {
    if (!this.ended) {
      this.ended = true;
      this.pushes.leave(this);
      this.wake?.({ value: undefined, done: true });
      this.wake = null;
    }
    return { value: undefined, done: true };
  }
  async throw(problem) {
    await this.return();
    throw problem;
  }
  [Symbol.asyncIterator]() {
    return this;
  }
}

export class Pushes {
  constructor(store) {
    this.store = store;
    this.topics = new Map(); // tenant -> { published, users: Map of user -> Set of subscriptions }
  }

  open(caller, deviceId, after) {
    const device = this.store.get(`d/${caller.tenant}/${deviceId}`);
    if (device === undefined) throw refuse('NOT_FOUND', 'no such device');
    if (device.owner !== caller.user) throw refuse('FORBIDDEN', 'the device belongs to another user');
    const position = after == null ? device.acknowledged ?? 0 : decodeCursor(caller.tenant, after, 'after');
    let topic = this.topics.get(caller.tenant);
    if (topic === undefined) this.topics.set(caller.tenant, topic = { published: 0, users: new Map() });
    const one = new Subscription(this, topic, caller, deviceId, position);
    const own = topic.users.get(caller.user);
    if (own === undefined) topic.users.set(caller.user, new Set([one]));
    else own.add(one);
    return one;
  }

  leave(one) {
    const own = one.topic.users.get(one.caller.user);
    own.delete(one);
    if (own.size > 0) return;
    one.topic.users.delete(one.caller.user);
    if (one.topic.users.size === 0) this.topics.delete(one.caller.tenant);
  }

  // The rows of one upload, after their commit. In the order of the commits.
  publish(tenant, rows) {
    const topic = this.topics.get(tenant);
    if (topic === undefined) return;
    for (const row of rows) {
      const position = row.at;
      const event = eventOf(tenant, position, row);
      topic.published = Math.max(topic.published, position);
      if (row.entityId === undefined || !mayBeRead(row, { tenant, user: null })) {
        for (const one of topic.users.get(row.userId) ?? []) if (one.live) one.take(position, row, event);
      } else {
        for (const own of topic.users.values()) for (const one of own) if (one.live) one.take(position, row, event);
      }
    }
  }
}
