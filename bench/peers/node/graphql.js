// The schema with its resolvers, and documents that are parsed, validated and compiled once.
import { readFileSync } from 'node:fs';
import { BREAK, buildSchema, createSourceEventStream, execute, getOperationAST, GraphQLError, Kind, parse, validate, visit } from 'graphql';
import { compileQuery, isCompiledQuery } from 'graphql-jit';

import { entityKey } from './entities.js';

const instant = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function sectionOf(answer, name) {
  const part = answer.sections[name];
  if (part === undefined) return null;
  return { ...part, metrics: metricsOf(part.items.length, part, answer.durationMs),
    serverTimestamp: answer.serverTimestamp, idempotencyKey: answer.idempotencyKey, replayed: answer.replayed };
}
const metricsOf = (totalItems, part, durationMs) => ({ totalItems, syncedItems: part.syncedItems,
  failedItems: part.failedItems, conflictsDetected: part.conflicts.length, durationMs });

export function makeSchema(uploads, store, pushes) {
  const schema = buildSchema(readFileSync(new URL('schema.graphql', import.meta.url), 'utf8'));
  const { DateTime, JSON: Json } = schema.getTypeMap();
  // A string that is no instant is its item's error, so it becomes NaN here and is reported there.
  DateTime.parseValue = value => {
    if (typeof value !== 'string') throw new GraphQLError('DateTime: a string');
    return instant.test(value) ? Date.parse(value) : NaN;
  };
  DateTime.parseLiteral = node => DateTime.parseValue(node.value);
  DateTime.serialize = value => new Date(value).toISOString();
  Json.parseValue = value => {
    if (typeof value !== 'string') return value;
    try {
      return JSON.parse(value);
    } catch {
      throw new GraphQLError('JSON: a string that is no JSON text');
    }
  };

  const { Query, Mutation } = schema.getTypeMap();
  const query = Query.getFields();
  const mutation = Mutation.getFields();
  query.serverInfo.resolve = () => ({ version: 'peer', nodeId: 'peer', serverTimestamp: Date.now() });
  query.entity.resolve = (_, { domain, entityId }, { caller }) =>
    store.get(entityKey(caller.tenant, domain, caller.user, entityId)) ?? null;
  query.changes.resolve = (_, { domains, since, first }, { caller }) =>
    uploads.changes(caller, domains, since, first);
  mutation.registerDevice.resolve = (_, { device }, { caller }) => uploads.register(caller, device);
  mutation.acknowledge.resolve = (_, { deviceId, cursor }, { caller }) => uploads.acknowledge(caller, deviceId, cursor);
  schema.getType('Subscription').getFields().syncEvents.subscribe = (_, { deviceId, after }, { caller }) =>
    pushes.open(caller, deviceId, after);
  mutation.syncVoiceData.resolve = async (_, args, { caller }) => {
    const answer = await uploads.upload(caller, 'syncVoiceData', args.deviceId, args.idempotencyKey,
      [['VOICE', args.data, 'only']], args);
    return sectionOf(answer, 'only');
  };
  mutation.syncOperations.resolve = async (_, args, { caller }) => {
    const answer = await uploads.upload(caller, 'syncOperations', args.deviceId, args.idempotencyKey,
      [['OPERATIONS', args.operations, 'only']], args);
    return sectionOf(answer, 'only');
  };
  mutation.syncBatch.resolve = async (_, { batch }, { caller }) => {
    const sections = [];
    if (batch.voiceData) sections.push(['VOICE', batch.voiceData, 'voice']);
    if (batch.behavioralData) sections.push(['BEHAVIORAL', batch.behavioralData, 'behavioral']);
    if (batch.sessionData) sections.push(['SESSION', batch.sessionData, 'session']);
    if (batch.metricsData) sections.push(['METRICS', batch.metricsData, 'metrics']);
    if (batch.operations) sections.push(['OPERATIONS', batch.operations, 'operations']);
    const answer = await uploads.upload(caller, 'syncBatch', batch.deviceId, batch.idempotencyKey, sections, batch);
    return {
      success: answer.failed === 0,
      voiceSyncResult: sectionOf(answer, 'voice'),
      behavioralSyncResult: sectionOf(answer, 'behavioral'),
      sessionSyncResult: sectionOf(answer, 'session'),
      metricsSyncResult: sectionOf(answer, 'metrics'),
      operationsSyncResult: sectionOf(answer, 'operations'),
      overallMetrics: { totalItems: answer.total, syncedItems: answer.synced, failedItems: answer.failed,
        conflictsDetected: answer.conflicts, durationMs: answer.durationMs },
      warnings: [],
      serverTimestamp: answer.serverTimestamp,
      idempotencyKey: answer.idempotencyKey,
      replayed: answer.replayed,
    };
  };
  return schema;
}

function mentionsVariable(node) {
  let found = false;
  visit(node, { Variable() {
    found = true;
    return BREAK;
  } });
  return found;
}

// True when what is written of an event depends on variables. The root field's arguments only choose the events.
function dependsOnVariables(document) {
  return document.definitions.some(definition => definition.kind === Kind.FRAGMENT_DEFINITION
    ? mentionsVariable(definition)
    : definition.selectionSet.selections.some(one => one.kind !== Kind.FIELD ||
      (one.selectionSet && mentionsVariable(one.selectionSet)) || (one.directives ?? []).some(mentionsVariable)));
}

// The answer to an event is written once for all who asked with the same document.
function makeSubscribe(schema, document, run) {
  const sharable = !dependsOnVariables(document);
  const written = new WeakMap(); // event -> answer
  return async ({ contextValue, variableValues, operationName }) => {
    const source = await createSourceEventStream({ schema, document, contextValue, variableValues, operationName });
    if (source.errors) return source;
    source.write = event => {
      let answer = sharable ? written.get(event) : undefined;
      if (answer === undefined) {
        answer = run({ schema, document, rootValue: { syncEvents: event }, contextValue, variableValues, operationName });
        if (sharable) written.set(event, answer);
      }
      return answer;
    };
    return source;
  };
}

// Documents by their text, bounded. A prepared document is { document, run, subscribe } or { errors }.
export class Documents {
  constructor(schema, compiled) {
    this.schema = schema;
    this.compiled = compiled;
    this.known = new Map();
  }

  get(text) {
    let prepared = this.known.get(text);
    if (prepared === undefined) {
      prepared = this.prepare(text);
      if (this.known.size >= 1000) this.known.delete(this.known.keys().next().value);
      this.known.set(text, prepared);
    }
    return prepared;
  }

  prepare(text) {
    let document;
    try {
      document = parse(text, { maxTokens: 2000 });
    } catch (problem) {
      return { errors: [problem] };
    }
    const errors = validate(this.schema, document);
    if (errors.length > 0) return { errors };
    let run = execute;
    if (this.compiled) {
      const query = compileQuery(this.schema, document);
      if (isCompiledQuery(query)) run = args => query.query(args.rootValue, args.contextValue, args.variableValues);
    }
    const isSubscription = getOperationAST(document)?.operation === 'subscription';
    return { document, run, subscribe: isSubscription ? makeSubscribe(this.schema, document, run) : undefined };
  }
}
