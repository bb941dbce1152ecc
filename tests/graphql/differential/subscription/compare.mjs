// node compare.mjs BINARY FIXTURE [--seed N] [--questions N] [--show N]
//
// Begins random subscriptions with random variables on graphql-js (`subscribe`) and on our engine, gives both the same
// events, and compares accept or refuse, and every event's data and errors with their messages, paths and locations.
// Each document is asked twice more: with other arguments of the root field alone, which must not change the shape of
// the events, and with other variables. The binary itself sees to it that equal shapes mean equal answers.
//
// Exit code 0: all agree; 1: some differ, and are shown; 77: graphql-js is not installed (npm ci in the folder above).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let js;
try {
  js = await import('graphql');
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.log(`skipped: ${error.message} (run "npm ci" in tests/graphql/differential)`);
  process.exit(77);
}
const { buildSchema, getNamedType, isAbstractType, isLeafType, parse, subscribe, validate } = js;

const [binary, fixture, ...rest] = process.argv.slice(2);
const options = { seed: 20211029, questions: 1200, show: 10 };
for (let i = 0; i < rest.length; i += 2) options[rest[i].slice(2)] = Number(rest[i + 1]);

const source = readFileSync(fixture, 'utf8');
const schema = buildSchema(source.slice(source.indexOf('R"(') + 3, source.indexOf(')"', source.indexOf('R"('))));

// ── the events, the same for all; of fields without a value for some ──

const ship = (fields) => ({ __typename: 'Ship', id: 's1', name: 'Erna', cargo: ['salt', 'tea é "😀"'], flag: 'PIRATE', ...fields });
const storm = (fields) => ({ __typename: 'Storm', id: 't1', force: 9, near: null, ...fields });
const sightings = [ship(), storm(), ship({ id: 's2', name: null, cargo: [], flag: null }), storm({ id: 't2', force: -1, near: ship() }),
  storm({ near: ship({ name: null }) }), null];
const events = sightings.map((seen, i) => ({ seen, ticks: i * 1000 - 1 }));

const hails = (is) => is && { ...is, near: hails(is.near), hail: ({ words, times }) => `${words ?? ''} ${is.id}! `.repeat(Math.max(0, times)) };
const world = () => {
  const all = (name, value) => async function* all() {
    for (const each of events) yield { [name]: value(each) };
  };
  return { seen: all('seen', (e) => hails(e.seen)), sightings: all('sightings', (e) => hails(e.seen)), ticks: all('ticks', (e) => e.ticks) };
};

// ── questions ──

function random(seed) { // mulberry32
  return (bound) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}
const pick = random(options.seed);
const one = (all) => all[pick(all.length)];
const chance = (percent) => pick(100) < percent;

const kinds = {
  'Boolean!': () => chance(50),
  Boolean: () => chance(50),
  String: () => one(['ahoy', '', 'é "😀" \\ \n', null, 'a text that is longer than the strings that live inside']),
  Int: () => one([0, 1, 2, null]),
  'Int!': () => one([0, 1, 2, 3]),
  'ID!': () => one(['x', 7, '😀']),
  Area: () => one([null, { north: 1.5 }, { north: -2, tags: ['a', 'b'] }]),
  'Float!': () => one([0, 1.5, -3]),
  '[String!]': () => one([null, [], ['a'], 'single']),
};

class composer {
  variables = new Map(); // name → { type, fallback, root }
  fragments = [];

  variable(type, root = false) {
    const known = [...this.variables].filter(([, each]) => each.type === type && each.root === root);
    if (known.length > 0 && chance(50)) return `$${one(known)[0]}`;
    const name = `v${this.variables.size}`;
    this.variables.set(name, { type, root, fallback: type === 'Boolean' || (type === 'Int' && !root) || (!type.endsWith('!') && chance(30)) ? kinds[type] : undefined });
    return `$${name}`;
  }
  directive() {
    if (!chance(20)) return '';
    const value = chance(30) ? String(chance(60)) : this.variable(one(['Boolean', 'Boolean!']));
    return ` @${one(['skip', 'include'])}(if: ${value})`;
  }
  field(type, level) {
    const field = one(Object.values(type.getFields()));
    let text = field.name;
    if (field.name === 'hail') {
      // One alias, one list of arguments.
      const times = chance(60) ? this.variable(one(['Int', 'Int!'])) : String(pick(3));
      const words = chance(30) ? '' : `words: ${chance(60) ? this.variable('String') : JSON.stringify(kinds.String() ?? 'x')}, `;
      text = `h${this.aliases = (this.aliases ?? 0) + 1}: hail(${words}times: ${times})`;
    } else if (chance(20)) {
      text = `my_${field.name}: ${field.name}`;
    }
    const named = getNamedType(field.type);
    return text + this.directive() + (isLeafType(named) ? '' : ` ${this.selection(named, level + 1)}`);
  }
  selection(type, level) {
    const parts = [];
    for (let count = 1 + pick(4); count > 0; --count) {
      if (chance(12)) parts.push(one(['__typename', 'kind: __typename']));
      else if (isAbstractType(type) && chance(70)) {
        const to = one(schema.getPossibleTypes(type));
        parts.push(`... on ${to.name}${this.directive()} ${this.selection(to, level + 1)}`);
      } else if (level < 4 && chance(15)) {
        const name = `F${this.fragments.length}`;
        this.fragments.push('');
        this.fragments[Number(name.slice(1))] = `fragment ${name} on ${type.name} ${this.selection(type, level + 1)}`;
        parts.push(`...${name}${this.directive()}`);
      } else if (level < 4 && chance(10)) {
        parts.push(`...${this.directive()} ${this.selection(type, level + 1)}`);
      } else if (type.getFields) {
        parts.push(this.field(type, level));
      }
    }
    if (parts.length === 0) parts.push('__typename');
    return `{ ${parts.join(chance(10) ? '\n  ' : ' ')} }`;
  }
  root() {
    this.name = one(['seen', 'seen', 'seen', 'sightings', 'sightings', 'ticks']);
    const alias = chance(30) ? 'it: ' : '';
    if (this.name === 'ticks') return `{ ${alias}ticks${chance(60) ? `(every: ${this.variable('Int', true)})` : ''} }`;
    const below = this.selection(getNamedType(schema.getSubscriptionType().getFields()[this.name].type), 0);
    if (this.name === 'sightings') return `{ ${alias}sightings ${below} }`;
    const area = one(['', ', area: {north: 1}', () => `, area: ${this.variable('Area', true)}`, () => `, area: {north: ${this.variable('Float!', true)}}`]);
    return `{ ${alias}seen(from: ${this.variable('ID!', true)}${typeof area === 'string' ? area : area()}) ${below} }`;
  }
  document() {
    const body = this.root();
    const literal = (is) => (is === null ? 'null' : Array.isArray(is) ? `[${is.map(literal)}]` : typeof is === 'object'
      ? `{${Object.entries(is).map(([k, v]) => `${k}: ${literal(v)}`)}}` : JSON.stringify(is));
    const declared = [...this.variables].map(([name, { type, fallback }]) => {
      // A condition is never null, and a place for Int! takes an Int with a default: that may be null in a request only.
      let is = fallback?.();
      if (is === null && type === 'Int') is = 1;
      return `$${name}: ${type}${is === undefined ? '' : ` = ${literal(is)}`}`;
    });
    return `subscription S${declared.length ? `(${declared.join(', ')})` : ''} ${body}\n${this.fragments.join('\n')}`;
  }
  // Values for all variables, or, with those of before, for the root field's alone.
  values(before) {
    const out = {};
    for (const [name, { type, root, fallback }] of this.variables) {
      if (before && !root) {
        if (name in before) out[name] = before[name];
      } else if (chance(3) && !type.startsWith('Boolean')) {
        out[name] = one([[1], { x: 1 }, 1.5, 'x', true]); // mostly refused
      } else if (fallback === undefined ? !type.endsWith('!') && chance(20) : chance(40)) {
        continue;
      } else {
        out[name] = kinds[type]();
      }
    }
    return out;
  }
}

const questions = [];
let invalid = 0;
while (questions.length < options.questions) {
  const asks = new composer();
  const query = asks.document();
  const document = parse(query);
  if (validate(schema, document).length > 0) {
    ++invalid; // validation has its own comparison
    continue;
  }
  const first = asks.values();
  for (const [variant, variables] of [['first', first], ['root', asks.values(first)], ['other', asks.values()]])
    questions.push({ query, document, variant, field: asks.name, variables: JSON.stringify(variables) });
}

// ── answers ──

async function expected({ document, variables }) {
  const answer = await subscribe({ schema, document, rootValue: world(), variableValues: JSON.parse(variables) });
  if ('errors' in answer) return { refusal: JSON.parse(JSON.stringify(answer)) };
  const bodies = [];
  for await (const each of answer) bodies.push(JSON.parse(JSON.stringify(each)));
  return { bodies };
}
const errorsOf = (answer, located) => (answer.errors ?? []).map(({ message, path, locations }) =>
  JSON.stringify({ message, path, locations: located ? locations : undefined })).sort();
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const folder = mkdtempSync(join(tmpdir(), 'graphql-subscription-'));
try {
  const file = join(folder, 'questions.json');
  writeFileSync(file, JSON.stringify({ events, questions: questions.map(({ query, variables, field }) => ({ query, variables, field })) }));
  const ran = spawnSync(binary, [file], { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] });
  if (ran.status !== 0) {
    console.log(`${binary} failed: ${ran.signal ?? ran.status}\n${ran.stderr}`);
    process.exit(1);
  }
  const lines = ran.stdout.split('\n');
  let differences = 0;
  let refused = 0;
  let bodies = 0;
  let withErrors = 0;
  let shared = 0;
  let first;
  for (const [i, asked] of questions.entries()) {
    const theirs = await expected(asked);
    const ours = JSON.parse(lines[i]);
    let agree = ('refusal' in theirs) === ('refusal' in ours);
    if (agree && 'refusal' in theirs) {
      ++refused;
      agree = !('data' in ours.refusal) && same(errorsOf(theirs.refusal, false), errorsOf(ours.refusal, false));
    } else if (agree) {
      bodies += theirs.bodies.length;
      agree = theirs.bodies.length === ours.bodies.length && theirs.bodies.every((body, n) => {
        if (body.errors) ++withErrors;
        return JSON.stringify(body.data) === JSON.stringify(ours.bodies[n].data) && same(errorsOf(body, true), errorsOf(ours.bodies[n], true));
      });
    }
    if (asked.variant === 'first') first = ours;
    if (agree && asked.variant === 'root' && first.shape && ours.shape) {
      agree = first.shape === ours.shape;
      ++shared;
    }
    if (agree) continue;
    if (++differences > options.show) continue;
    console.log(`── ${i} (${asked.variant})\n${asked.query}\n${asked.variables}\ngraphql-js ${JSON.stringify(theirs)}\nours       ${lines[i]}\n`);
  }
  console.log(`${questions.length} subscriptions (${invalid} invalid documents left out): ${refused} refused, ${bodies} events, ` +
    `${withErrors} of them with errors, ${shared} pairs of one shape, ${differences} differences`);
  if (refused < questions.length / 50 || withErrors < bodies / 50 || shared < questions.length / 6) {
    console.log('the generator no longer makes what this test is for');
    process.exit(1);
  }
  process.exitCode = differences === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
