// The schema with its resolvers, and documents that are parsed, validated and compiled once.
import { readFileSync } from 'node:fs';
import { buildSchema, execute, GraphQLError, parse, validate } from 'graphql';
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

export function makeSchema(uploads, store) {
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

// Documents by their text, bounded. A prepared document is { document, run } or { errors }.
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
    if (this.compiled) {
      const query = compileQuery(this.schema, document);
      if (isCompiledQuery(query))
        return { document, run: args => query.query(args.rootValue, args.contextValue, args.variableValues) };
    }
    return { document, run: execute };
  }
}
