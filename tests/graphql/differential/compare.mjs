// node compare.mjs BINARY [--seed N] [--mutations N] [--only KIND] [--show N]
//
// Exit code 0: every answer agrees; 1: some differ, and are shown; 77: graphql-js is not installed (npm ci).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const [binary, ...rest] = process.argv.slice(2);
const options = { seed: 20211027, mutations: 400, only: '', show: 20 };
for (let i = 0; i < rest.length; i += 2) {
  const name = rest[i].slice(2);
  options[name] = typeof options[name] === 'number' ? Number(rest[i + 1]) : rest[i + 1];
}

let oracle, source;
try {
  oracle = await import('./oracle.mjs');
  source = await import('./cases.mjs');
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.log(`skipped: ${error.message} (run "npm ci" in ${here})`);
  process.exit(77);
}

// ── the differences that are meant ──

// Errors that graphql-js 16 does not report and that we do, as October 2021 wants or as safety does.
const oursAlone = new Set([
  'KnownOperationTypes', // an operation of a kind that the schema has no root for
  'DefaultValues', // a default value, or the argument of a directive in a schema, that does not fit its type
  'TypeSystemDefinitions', // an operation inside of a schema
]);

function normalized(answer) {
  if (!answer.errors) return answer;
  let errors = answer.errors.filter((error) => !oursAlone.has(error.rule));
  // Other rules are for executable documents; we do not ask them once a definition cannot be executed.
  if (errors.some((error) => error.rule === 'ExecutableDefinitions'))
    errors = errors.filter((error) => error.rule === 'ExecutableDefinitions');
  return { errors: errors.map((error) => JSON.stringify(error)).sort() };
}

// Cases whose answers may differ, with the reason.
function exempt(question, expected, actual) {
  if (expected.failed) return 'graphql-js threw';
  // A later draft than October 2021, which graphql-js 16 knows.
  if (/oneOf/i.test(question.document)) return 'oneOf';
  // Nor does it refuse types that take a built-in name, or defaults that do not fit: it drops both without a word.
  const rules = new Set(actual.errors?.map((error) => error.rule));
  if (question.kind === 'schema' && (rules.has('BuiltInTypes') || rules.has('DefaultValues'))) return 'dropped definitions';
  // October 2021, 5.3.2 SameResponseShape holds for __typename too; graphql-js does not look at meta fields there.
  if (question.kind === 'validate' && /__typename|__schema|__type/.test(question.document) && onlyOverlapsMore(expected, actual))
    return 'meta fields that cannot be merged';
  return undefined;
}

function onlyOverlapsMore(expected, actual) {
  const split = (answer) => {
    const overlap = (error) => JSON.parse(error).rule === 'OverlappingFieldsCanBeMerged';
    const { errors } = normalized(answer);
    return { overlaps: errors.filter(overlap), others: errors.filter((error) => !overlap(error)) };
  };
  const theirs = split(expected);
  const ours = split(actual);
  return JSON.stringify(theirs.others) === JSON.stringify(ours.others) && ours.overlaps.length >= theirs.overlaps.length;
}

// ── the run ──

const questions = [...source.cases(options)].filter((question) => !options.only || question.kind === options.only);
const folder = mkdtempSync(join(tmpdir(), 'graphql-differential-'));
let lines;
try {
  const path = join(folder, 'questions.json');
  writeFileSync(path, JSON.stringify(questions));
  const run = spawnSync(binary, [path, join(here, '../schemas')], { maxBuffer: 1 << 30, encoding: 'utf8' });
  if (run.status !== 0) {
    console.log(`${binary} ended with ${run.status ?? run.signal}:\n${run.stderr}`);
    process.exit(1);
  }
  lines = run.stdout.trimEnd().split('\n');
} finally {
  rmSync(folder, { recursive: true });
}
if (lines.length !== questions.length) {
  console.log(`${questions.length} questions, but ${lines.length} answers`);
  process.exit(1);
}

const counts = {};
let different = 0;
questions.forEach((question, i) => {
  const expected = oracle.answer(question);
  const actual = JSON.parse(lines[i]);
  const count = (counts[question.kind] ??= { asked: 0, refused: 0, exempt: {} });
  ++count.asked;
  if (expected.error || expected.errors?.length) ++count.refused;
  const wanted = JSON.stringify(normalized(expected));
  const given = JSON.stringify(normalized(actual));
  if (wanted === given) return;
  const reason = exempt(question, expected, actual);
  if (reason) {
    count.exempt[reason] = (count.exempt[reason] ?? 0) + 1;
    return;
  }
  if (++different > options.show) return;
  const { document, ...where } = question;
  console.log(`── ${JSON.stringify(where)}\n${document}\n   graphql-js: ${wanted}\n   ours:       ${given}`);
});
const documents = new Set(questions.map((question) => question.document)).size;
console.log(`${questions.length} questions about ${documents} documents (seed ${options.seed}): ${JSON.stringify(counts)}; ${different} differ`);
if (documents < 1000 && !options.only) {
  console.log('fewer than 1,000 documents: the corpus has been cut');
  process.exit(1);
}
process.exit(different === 0 ? 0 : 1);
