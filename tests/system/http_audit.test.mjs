// GraphQL over HTTP as the community's own audit suite sees it: every MUST and SHOULD holds.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { killAll, startNode } from './harness.mjs';

let node, bearer;
before(async () => {
  node = await startNode();
  bearer = node.token();
});
after(() => node.stop());
after(killAll);

const audits = serverAudits({
  url: () => node.http,
  fetchFn: (url, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${bearer}`);
    return fetch(url, { ...init, headers });
  },
});

test('the suite has its audits', () => {
  assert.ok(audits.filter(one => one.name.startsWith('MUST')).length >= 10);
  assert.ok(audits.filter(one => one.name.startsWith('SHOULD')).length >= 20);
});

// What the draft leaves to the server (MAY) is reported, not required.
for (const audit of audits)
  test(`${audit.id}: ${audit.name}`, async t => {
    const result = await audit.fn();
    if (result.status === 'ok') return;
    if (audit.name.startsWith('MAY')) t.diagnostic(`${result.status}: ${result.reason}`);
    else assert.fail(`${result.status}: ${result.reason}`);
  });
