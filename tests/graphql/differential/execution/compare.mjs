// node compare.mjs BINARY FIXTURE [--seed N] [--questions N] [--show N]
//
// Runs random operations with random variables, valid and not, on graphql-js and on our engine over the same data, and
// compares accept or refuse, the coerced values (the field `echo` says what it got), data, and errors with their
// messages, paths and locations. The schema is the one in FIXTURE (tests/graphql/execution_fixture.hpp).
//
// Exit code 0: all agree; 1: some differ, and are shown; 77: graphql-js is not installed (npm ci in the folder above).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let js, inspect;
try {
  js = await import('graphql');
  ({ inspect } = await import('graphql/jsutils/inspect.js'));
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.log(`skipped: ${error.message} (run "npm ci" in tests/graphql/differential)`);
  process.exit(77);
}
const { buildSchema, execute, getNamedType, GraphQLError, isEnumType, isInputObjectType, isLeafType, isListType,
  isNonNullType, isAbstractType, parse, validate, valueFromASTUntyped, getIntrospectionQuery, buildClientSchema,
  lexicographicSortSchema, printSchema } = js;

const [binary, fixture, ...rest] = process.argv.slice(2);
const options = { seed: 20211028, questions: 4000, show: 10 };
for (let i = 0; i < rest.length; i += 2) options[rest[i].slice(2)] = Number(rest[i + 1]);

// ── the same schema, scalars and data ──

const source = readFileSync(fixture, 'utf8');
const schema = buildSchema(source.slice(source.indexOf('R"(') + 3, source.indexOf(')"', source.indexOf('R"('))));
const typeOf = (name) => schema.getType(name);

const depth = (is) => (is !== null && typeof is === 'object' ? 1 + Math.max(0, ...Object.values(is).map(depth)) : 0);
function jsonValue(is) {
  if (typeof is === 'string' && /^[ \t\r\n]*[[{]/.test(is)) {
    try {
      is = JSON.parse(is);
    } catch { /* a string that only looks like JSON stays one */ }
  }
  if (depth(is) > 32) throw new GraphQLError('Expected type "JSON". It is nested deeper than 32.');
  return is;
}
Object.assign(typeOf('JSON'), {
  parseValue: jsonValue,
  parseLiteral: (node, variables) => jsonValue(valueFromASTUntyped(node, variables)),
});
Object.assign(typeOf('DateTime'), {
  parseValue(is) {
    if (typeof is !== 'string') throw new GraphQLError(`DateTime cannot represent a non string value: ${inspect(is)}`);
    return is;
  },
  parseLiteral(node) {
    if (node.kind !== 'StringValue') throw new GraphQLError('DateTime cannot represent a non string value.');
    return node.value;
  },
});

// A coerced value as shown() of the fixture prints it.
function shown(type, is) {
  if (isNonNullType(type)) type = type.ofType;
  if (is === null) return 'null';
  if (isListType(type)) return `[${is.map((item) => shown(type.ofType, item)).join(' ')}]`;
  if (isInputObjectType(type))
    return `{${Object.values(type.getFields()).flatMap((field, i) =>
      is[field.name] === undefined ? [] : [`${i}:${shown(field.type, is[field.name])}`]).join(' ')}}`;
  if (isEnumType(type)) return `#${type.getValues().findIndex((each) => each.name === is)}`;
  switch (type.name) {
    case 'Float': return `${is}f`;
    case 'JSON': return `json ${JSON.stringify(is)}`;
    case 'Int': case 'Boolean': return String(is);
    default: return `'${is}'`;
  }
}

function boatOf(fields) {
  const boat = {
    __typename: 'Boat', id: 'b1', name: 'Erna', owner: null, paint: 'RED', length: 7.5, afloat: true,
    launched: '2025-09-28T12:00:00.123Z', log: { miles: [1, 2.5, 'x'] },
    parts: [{ name: 'hull', weight: 900 }, { name: 'keel', weight: null }],
    crew: ['Ann', null, 'Bo'], tender: null, mast: null, tonnage: 3, ...fields,
  };
  boat.ownerOrFail = boat.owner;
  boat.hands = boat.crew;
  boat.tenderOrFail = boat.tender;
  boat.greeting = ({ to, times }) => `${boat.name} greets ${to}. `.repeat(Math.min(3, Math.max(0, times ?? 1)));
  return boat;
}

function world() {
  const tender = boatOf({ id: 'b2', name: 'Tönder "2"', tonnage: 2147483648, log: null, crew: [], paint: 'BLUE', length: 1e21 });
  const boat = boatOf({ tender, owner: 'Ada', tonnage: -7, mast: { name: 'mast', weight: -1 } });
  const buoy = { __typename: 'Buoy', id: 'y1', depth: null };
  let total = 0;
  const refuse = (message) => { throw new GraphQLError(message); };
  const echo = schema.getQueryType().getFields().echo.args;
  return {
    boat: ({ id }) => (id == null || id === 'b1' ? boat : null),
    boatOrFail: boat,
    boats: [boat],
    things: [boat, buoy],
    floating: ({ which }) => ({ boat, buoy })[which] ?? null,
    number: 42,
    sum: ({ a, b }) => a + (b ?? 0),
    echo: (args) => echo.flatMap((arg, i) => (args[arg.name] === undefined ? [] : [`${i}=${shown(arg.type, args[arg.name])}`])).join('; '),
    fail: () => refuse('no such boat'),
    failHard: () => refuse(isMutation ? 'no leader' : 'gone'),
    failSoft: () => refuse('no leader'),
    later: 7,
    add: ({ by }) => (total += by),
    addLater: ({ by }) => (total += by),
  };
}
let isMutation = false;

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

const anything = () => one([null, true, false, 0, 1, -1, 1.5, 2147483647, 2147483648, -2147483648, 1e3, 123456789012, 'a', '', '1', 'RED',
  'true', 'é😀', '{"a":[1]}', '[1,', ' [1] ', [], [1], [null], [[1]], ['a', 2], {}, { a: 1 }, { id: 'x' }, { id: 1, unknown: 2 }]);

// JSON for an input type; now and then something that does not fit.
function json(type, level = 0) {
  if (chance(4)) return anything();
  if (isNonNullType(type)) return json(type.ofType, level);
  if (chance(6)) return null;
  if (isListType(type)) return chance(15) ? json(type.ofType, level + 1) : Array.from({ length: pick(4) }, () => json(type.ofType, level + 1));
  if (isEnumType(type)) return one(type.getValues()).name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type) ? !chance(5) : chance(40));
    if (chance(30)) fields.reverse();
    return Object.fromEntries(fields.map((field) => [field.name, json(field.type, level + 1)]));
  }
  switch (type.name) {
    case 'Int': return one([0, 1, -5, 2147483647, -2147483648, 100]);
    case 'Float': return one([0, 1, -2.5, 0.1, 12345.5]);
    case 'Boolean': return chance(50);
    case 'ID': return one(['b1', 'x', 7, 123456789012]);
    case 'JSON': return one([1, 'text', '{"a": [1, {"b": null}]}', { a: [1.5, 'x', null, true], b: {} }, [[]], '[oops', -0.5]);
    default: return one(['boat', 'buoy', 'x', '', 'quote " \\ \n é 😀', '2025-01-01T00:00:00Z']);
  }
}

const nameOnly = /^[_A-Za-z][_0-9A-Za-z]*$/;
// A literal for an input type, from the JSON for it; variables stand for some of its parts.
function literal(type, is, variables) {
  if (chance(12)) {
    const name = `v${variables.size}`;
    let declared = String(type);
    let fallback;
    if (isNonNullType(type) && chance(30)) {
      declared = String(type.ofType);
      fallback = literalOf(type, json(type));
    } else if (chance(20)) {
      fallback = literalOf(type, json(type));
    }
    variables.set(name, { declared, fallback, type });
    return `$${name}`;
  }
  return literalOf(type, is, variables);
}
function literalOf(type, is, variables = new Map()) {
  const part = variables.size < 20 && variables.open !== false ? (of, value) => literal(of, value, variables) : (of, value) => literalOf(of, value);
  if (type && isNonNullType(type)) type = type.ofType;
  if (is === null || is === undefined) return 'null';
  if (Array.isArray(is)) return `[${is.map((item) => part(type && isListType(type) ? type.ofType : undefined ?? typeOf('JSON'), item)).join(', ')}]`;
  if (type && isListType(type)) return part(type.ofType, is);
  if (typeof is === 'object')
    return `{${Object.entries(is).filter(([name]) => nameOnly.test(name)).map(([name, member]) => {
      const field = type && isInputObjectType(type) ? type.getFields()[name] : undefined;
      return `${name}: ${field ? part(field.type, member) : literalOf(undefined, member)}`;
    }).join(', ')}}`;
  if (typeof is === 'string') return type && isEnumType(type) && nameOnly.test(is) ? is : JSON.stringify(is);
  return String(is).replace('e+', 'e');
}

function argumentsOf(field, variables) {
  const given = field.args.filter((arg) => (isNonNullType(arg.type) && arg.defaultValue === undefined) || chance(45));
  if (given.length === 0) return '';
  return `(${given.map((arg) => {
    if (chance(50)) {
      const name = `v${variables.size}`;
      const declared = isNonNullType(arg.type) && arg.defaultValue !== undefined && chance(50) ? String(arg.type.ofType) : String(arg.type);
      const fallback = chance(20) ? literalOf(arg.type, json(arg.type)) : undefined;
      variables.set(name, { declared, fallback, type: arg.type });
      return `${arg.name}: $${name}`;
    }
    return `${arg.name}: ${literalOf(arg.type, json(arg.type), variables)}`;
  }).join(', ')})`;
}

function directives(variables) {
  if (!chance(12)) return '';
  const which = one(['skip', 'include']);
  if (chance(40)) return ` @${which}(if: ${chance(50)})`;
  const known = [...variables].filter(([, each]) => each.condition);
  if (known.length > 0 && chance(60)) return ` @${which}(if: $${one(known)[0]})`;
  const name = `v${variables.size}`;
  variables.set(name, { declared: chance(70) ? 'Boolean!' : 'Boolean', type: typeOf('Boolean'), condition: true });
  if (variables.get(name).declared === 'Boolean') variables.get(name).fallback = String(chance(50));
  return ` @${which}(if: $${name})`;
}

function selection(type, level, state) {
  const parts = [];
  const fields = type.getFields ? Object.values(type.getFields()) : [];
  const count = 1 + pick(5);
  for (let i = 0; i < count; ++i) {
    if (chance(10)) {
      parts.push(chance(50) ? '__typename' : 'kind: __typename');
    } else if (isAbstractType(type) && chance(60)) {
      const to = one(schema.getPossibleTypes(type));
      parts.push(`... on ${to.name}${directives(state.variables)} ${selection(to, level + 1, state)}`);
    } else if (chance(10) && level < 4) {
      const name = `F${state.fragments.length}`;
      state.fragments.push('');
      state.fragments[Number(name.slice(1))] = `fragment ${name} on ${type.name} ${selection(type, level + 1, state)}`;
      parts.push(`...${name}${directives(state.variables)}`);
      if (chance(20)) parts.push(`...${name}`);
    } else if (chance(8)) {
      parts.push(`...${directives(state.variables)} ${selection(type, level + 1, state)}`);
    } else if (fields.length > 0) {
      const field = one(fields);
      if (!isLeafType(getNamedType(field.type)) && level > 4) continue;
      const args = argumentsOf(field, state.variables);
      // One alias always means one field with one list of arguments, so that everything can be merged.
      let alias = '';
      if (args !== '') {
        if (!state.aliases.has(field.name + args)) state.aliases.set(field.name + args, `a${state.aliases.size}: `);
        alias = state.aliases.get(field.name + args);
      } else if (chance(15)) {
        alias = `my_${field.name}: `;
      }
      const below = isLeafType(getNamedType(field.type)) ? '' : ` ${selection(getNamedType(field.type), level + 1, state)}`;
      parts.push(`${alias}${field.name}${args}${directives(state.variables)}${below}`);
    }
  }
  if (parts.length === 0) parts.push('__typename');
  return `{ ${parts.join(chance(10) ? '\n  ' : ' ')} }`;
}

function question() {
  const state = { variables: new Map(), fragments: [], aliases: new Map() };
  const mutation = chance(15);
  const body = selection(mutation ? schema.getMutationType() : schema.getQueryType(), 0, state);
  const declared = [...state.variables].map(([name, { declared: type, fallback }]) => `$${name}: ${type}${fallback === undefined ? '' : ` = ${fallback}`}`);
  const given = {};
  for (const [name, { type, condition }] of state.variables)
    if (!chance(condition ? 8 : 15)) given[name] = condition && !chance(3) ? chance(50) : json(type);
  const query = `${mutation ? 'mutation' : 'query'} Q${declared.length ? `(${declared.join(', ')})` : ''} ${body}\n${state.fragments.join('\n')}`;
  return { query, variables: JSON.stringify(given), mutation };
}

// What tools ask: the schema that they build of the answer must print like ours.
const introspection = getIntrospectionQuery({ specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true });
const printed = (answer) => printSchema(lexicographicSortSchema(buildClientSchema(answer.data)));

const questions = [];
let invalid = 0;
while (questions.length < options.questions) {
  const asked = question();
  let document;
  try {
    document = parse(asked.query);
  } catch {
    continue;
  }
  if (validate(schema, document).length > 0) {
    ++invalid; // validation has its own comparison; what is left here is coercion and execution
    continue;
  }
  questions.push({ ...asked, document });
}

// ── answers ──

function expected({ document, variables, mutation }) {
  isMutation = mutation;
  return JSON.parse(JSON.stringify(execute({ schema, document, rootValue: world(), variableValues: JSON.parse(variables) })));
}

const exponent = (text) => text.replace(/(\d)e([+-])0+(\d)/g, '$1e$2$3').replace(/(\d)e\+?(\d)/g, '$1e+$2');
// What both must agree upon.
function normalized(answer, request) {
  const errors = (answer.errors ?? []).map(({ message, path, locations }) => {
    // We show at most about 100 bytes of a value, and name the variable of a null condition.
    const shortened = message.replace(/got invalid value [^]*?( at "[^"]*")?; /, (whole, at) => (Buffer.byteLength(whole) > 100 ? `got …${at ?? ''}; ` : whole))
      .replace(/(must not be null): "\$\w+"\.$/, '$1.').slice(0, 300);
    return JSON.stringify({ message: exponent(shortened), path, locations: request ? undefined : locations });
  });
  return { data: exponent(JSON.stringify(answer.data) ?? 'none'), errors: errors.sort() };
}

const folder = mkdtempSync(join(tmpdir(), 'graphql-execution-'));
try {
  const file = join(folder, 'questions.json');
  writeFileSync(file, JSON.stringify([...questions.map(({ query, variables }) => ({ query, variables })), { query: introspection }]));
  const ran = spawnSync(binary, [file], { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] });
  if (ran.status !== 0) {
    console.log(`${binary} failed: ${ran.signal ?? ran.status}\n${ran.stderr}`);
    process.exit(1);
  }
  const lines = ran.stdout.split('\n');
  let differences = 0;
  let refused = 0;
  let withErrors = 0;
  questions.forEach((asked, i) => {
    const theirs = expected(asked);
    const ours = JSON.parse(lines[i]);
    // A null for @skip's or @include's argument: graphql-js finds it while executing, if it gets there, we before.
    const nullCondition = [...(theirs.errors ?? []), ...(ours.errors ?? [])].some(({ message }) => message.startsWith('Argument "if"'));
    const request = !('data' in theirs) || nullCondition;
    if (request) ++refused;
    else if (theirs.errors) ++withErrors;
    const a = normalized(theirs, request);
    const b = normalized(ours, request);
    const agree = nullCondition ? !('data' in ours) : a.data === b.data && JSON.stringify(a.errors) === JSON.stringify(b.errors);
    if (agree) return;
    if (++differences > options.show) return;
    console.log(`── ${i}\n${asked.query}\n${asked.variables}\ngraphql-js ${JSON.stringify(theirs)}\nours       ${lines[i]}\n`);
  });
  const told = printed(JSON.parse(lines[questions.length]));
  const wanted = printed(js.graphqlSync({ schema, source: introspection }));
  if (told !== wanted) {
    ++differences;
    console.log(`── introspection\ngraphql-js\n${wanted}\nours\n${told}\n`);
  }
  console.log(`${questions.length} operations (${invalid} invalid ones left out): ${refused} refused for their variables, ` +
    `${withErrors} with errors in fields, ${differences} differences`);
  if (refused < questions.length / 50 || withErrors < questions.length / 50) {
    console.log('the generator no longer makes what this test is for');
    process.exit(1);
  }
  process.exitCode = differences === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
