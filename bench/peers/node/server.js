// The peer: one process, graphql-transport-ws at /graphql, durable answers.
//
// node server.js --data DIR [--port N] [--engine jit|execute] [--sync plain|overlapping]
// Prints `listening on N` when ready. Ends on SIGTERM.
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WebSocketServer } from 'ws';

import { Documents, makeSchema } from './graphql.js';
import { Pushes } from './pushes.js';
import { serveGraphql } from './socket.js';
import { Store } from './store.js';
import { loadSecret, verifyToken } from './token.js';
import { Uploads } from './uploads.js';

const { values: flags } = parseArgs({ options: {
  data: { type: 'string', default: 'peer-data' },
  port: { type: 'string', default: '0' },
  engine: { type: 'string', default: 'jit' },
  sync: { type: 'string', default: 'plain' },
} });

mkdirSync(flags.data, { recursive: true, mode: 0o700 });
const secret = loadSecret(flags.data);
const store = new Store(join(flags.data, 'store'), { overlappingSync: flags.sync === 'overlapping' });
const pushes = new Pushes(store);
const schema = makeSchema(new Uploads(store, pushes), store, pushes);
const documents = new Documents(schema, flags.engine === 'jit');

const http = createServer((_, response) => response.writeHead(404).end());
const sockets = new WebSocketServer({ server: http, path: '/graphql', maxPayload: 10 << 20, perMessageDeflate: false,
  skipUTF8Validation: false });
serveGraphql({
  schema,
  connectionInitWaitTimeout: 10_000,
  onConnect(context) {
    const caller = verifyToken(secret, context.connectionParams?.authorization);
    if (caller === null) return false;
    context.extra.caller = caller;
    return true;
  },
  onSubscribe(context, _id, { query, variables, operationName }) {
    const prepared = documents.get(query);
    if (prepared.errors) return prepared.errors;
    return { schema, document: prepared.document, run: prepared.run, subscribe: prepared.subscribe, operationName, variableValues: variables ?? {},
      rootValue: undefined, contextValue: { caller: context.extra.caller } };
  },
  execute: args => args.run(args),
  subscribe: args => args.subscribe(args),
}, sockets);

http.listen({ port: Number(flags.port), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on ${http.address().port}`);
});

async function stop() {
  http.close();
  for (const socket of sockets.clients) socket.close(1001, 'Going away');
  await store.close();
  process.exit(0);
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
