// What the client sends is valid by the node's schema, and all that it reads of an answer is asked for.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildSchema, parse, validate, validateSchema } from 'graphql';
import { documents, uploadText } from '../dist/documents.js';

const schema = buildSchema(readFileSync(new URL('../../../api/schema.graphql', import.meta.url), 'utf8'));

test('the schema is one', () => assert.deepEqual(validateSchema(schema), []));

for (const [name, text] of Object.entries(documents))
  test(`the document ${name} is valid by api/schema.graphql`, t => {
    const problems = validate(schema, parse(text)).map(one => one.message);
    if (name === 'events' && !schema.getSubscriptionType()) return t.skip('the schema has no Subscription type');
    if (name === 'pushSettings' && !schema.getType('PushSubscriptionInput')) return t.skip('the schema has no push settings');
    assert.deepEqual(problems, []);
    assert.ok(text.length < 16_000);
  });

test('an upload\'s text depends on nothing but what is in it', () => {
  const items = [{ kind: 'voice' as const, input: { verificationId: 'v', timestamp: 't', verified: true } }];
  const text = uploadText('k', 'd', 'now', items);
  assert.equal(text, uploadText('k', 'd', 'later', items));
  assert.deepEqual((JSON.parse(text) as { variables: unknown }).variables, { data: [items[0]!.input], key: 'k', device: 'd' });
});
