// The questions: the corpus, mutations of its valid documents, and documents composed at random.
import { readFileSync } from 'node:fs';
import {
  getNamedType, isCompositeType, isEnumType, isInputObjectType, isListType, isNonNullType, Lexer, parse, Source,
} from 'graphql';
import { schema } from './oracle.mjs';

const read = (name) => JSON.parse(readFileSync(new URL(`../corpus/${name}.json`, import.meta.url), 'utf8'));

const executable = new Set(['OperationDefinition', 'FragmentDefinition']);

// What can be asked of a text: always how it parses; then, by what it holds, whether it is valid.
function* questions(document, origin, schemas) {
  yield { kind: 'parse', origin, document };
  let parsed;
  try {
    parsed = parse(document);
  } catch {
    return;
  }
  if (parsed.definitions.some((node) => executable.has(node.kind)))
    for (const schema of schemas) yield { kind: 'validate', origin, schema, document };
  else yield { kind: 'schema', origin, document };
}

// ── mutations ──

// mulberry32: small, seeded, the same everywhere.
function random(seed) {
  return (bound) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

function tokensOf(document) {
  const lexer = new Lexer(new Source(document));
  const tokens = [];
  for (let token = lexer.advance(); token.kind !== '<EOF>'; token = lexer.advance())
    tokens.push({ kind: token.kind, text: document.slice(token.start, token.end) });
  return tokens;
}

const separators = [' ', ' ', ' ', '\n', '\n  ', ', ', '\r\n', '\t', ' # comment\n', '\ufeff '];
const literals = ['1', '-7', '0', '3.5', '1e9', '"text"', '"\\u00e9\\n"', '"""\n  block\n    more\n"""', 'true', 'false', 'null', 'RED', '[]', '[1, "2"]', '{}', '{a: 1}', '$v', '99999999999'];
const punctuators = ['{', '}', '(', ')', '[', ']', ':', '!', '$', '@', '...', '=', '|', '&'];
const fragments = [' @skip(if: true)', ' @include(if: $v)', ' ...f', ' ... on Dog { name }', ' ... { __typename }', ' @unknown', ' __typename', ' x: __typename', ' (a: 1)', ' @onField', ' @tag(name: "x")'];

function mutate(tokens, names, pick) {
  const result = tokens.map((token) => ({ ...token }));
  const namesAt = result.flatMap((token, i) => (token.kind === 'Name' ? [i] : []));
  const literalsAt = result.flatMap((token, i) => (/^(Int|Float|String|BlockString)$/.test(token.kind) ? [i] : []));
  const at = pick(result.length);
  switch (pick(12)) {
    case 0: result.splice(at, 1); break;
    case 1: result.splice(at, 0, { ...result[at] }); break;
    case 2: [result[at], result[pick(result.length)]] = [result[pick(result.length)], result[at]]; break;
    case 3: result.splice(at, 0, { kind: '', text: punctuators[pick(punctuators.length)] }); break;
    case 4: result.splice(at + 1, 0, { kind: '', text: fragments[pick(fragments.length)] }); break;
    case 5: {
      const length = 1 + pick(8);
      result.splice(at, 0, ...result.slice(at, at + length).map((token) => ({ ...token })));
      break;
    }
    case 6:
      if (literalsAt.length) result[literalsAt[pick(literalsAt.length)]].text = literals[pick(literals.length)];
      break;
    case 7: {
      const i = namesAt[pick(namesAt.length)];
      const text = result[i].text;
      const j = pick(text.length);
      result[i].text = text.length > 1 && pick(2) ? text.slice(0, j) + text.slice(j + 1) : text + 's';
      if (!/^[_A-Za-z]/.test(result[i].text)) result[i].text = text;
      break;
    }
    default: result[namesAt[pick(namesAt.length)]].text = names[pick(names.length)];
  }
  return result;
}

const joined = (tokens, pick) =>
  tokens.map((token, i) => (i === 0 ? '' : separators[pick(separators.length)]) + token.text).join('');

function* mutations(documents, schema, count, seed) {
  const pick = random(seed);
  const seeds = documents.map(tokensOf);
  const names = [...new Set(seeds.flat().filter((token) => token.kind === 'Name').map((token) => token.text))];
  for (let i = 0; i < count; ++i) {
    const at = pick(seeds.length);
    let tokens = seeds[at];
    for (let steps = 1 + pick(3); steps > 0; --steps) tokens = mutate(tokens, names, pick);
    yield* questions(joined(tokens, pick), `${schema ?? 'schema'} ${at}, mutation ${i} of seed ${seed}`, schema ? [schema] : []);
  }
}

// ── compositions: whole documents made at random from the schema, with fragments, cycles, clashes and variables ──

function compose(schema, pick) {
  const one = (items) => items[pick(items.length)];
  const types = Object.values(schema.getTypeMap()).filter((type) => isCompositeType(type) && !type.name.startsWith('__'));
  const fragmentNames = ['A', 'B', 'C', 'D', 'E'].slice(0, pick(6));
  const variables = ['x', 'y', 'z'].slice(0, pick(4));
  const variableTypes = ['Int', 'Int!', 'String', '[String]', 'Boolean!', 'ComplexInput', '[[Int!]!]', 'FurColor', 'Dog', 'ID = 4', 'Int = 3', 'Int = null'];

  const literal = (type, depth) => {
    if (pick(12) === 0 && variables.length) return `$${one(variables)}`;
    if (pick(25) === 0) return one(['1', '"s"', 'true', 'null', '[1]', '{a: 1}', 'TAN', '$w']);
    if (isNonNullType(type)) return literal(type.ofType, depth);
    if (isListType(type))
      return pick(3) ? `[${Array.from({ length: pick(3) }, () => literal(type.ofType, depth)).join(', ')}]` : literal(type.ofType, depth);
    if (isEnumType(type)) return one(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type) || pick(5) === 0);
      return depth > 3 ? '{}' : `{${fields.map((field) => `${field.name}: ${literal(field.type, depth + 1)}`).join(', ')}}`;
    }
    return { Int: '1', Float: '1.5', Boolean: one(['true', 'false']), String: one(['"a"', '"b"']), ID: '7' }[type.name] ?? '{k: [1]}';
  };

  const selections = (type, depth) => {
    const items = [];
    for (let i = 1 + pick(4); i > 0; --i) {
      const choice = pick(10);
      if (choice === 0 && fragmentNames.length) {
        items.push(`...${one(fragmentNames)}`);
      } else if (choice === 1 && depth < 6) {
        const condition = one(types);
        const on = pick(3) ? ` on ${condition.name}` : '';
        items.push(`...${on} { ${selections(on ? condition : type, depth + 1)} }`);
      } else {
        const fields = type && 'getFields' in type ? Object.values(type.getFields()) : [];
        const field = fields.length && pick(15) ? one(fields) : undefined;
        const alias = pick(4) ? '' : `${one(['p', 'q', 'name'])}: `;
        if (!field) {
          items.push(alias + one(['__typename', '__typename', 'unknown', 'name', 'scalar']));
          continue;
        }
        const given = field.args.filter((argument) => isNonNullType(argument.type) || pick(3) === 0);
        const list = given.map((argument) => `${argument.name}: ${literal(argument.type, 0)}`).join(', ');
        const inner = getNamedType(field.type);
        const inside = isCompositeType(inner) && depth < 7 ? ` { ${selections(inner, depth + 1)} }` : '';
        const directive = pick(12) ? '' : one([' @skip(if: true)', ' @include(if: $x)', ' @onField', ' @everywhere', ' @tag(name: "t")']);
        items.push(`${alias}${field.name}${list && `(${list})`}${directive}${inside}`);
      }
    }
    return items.join(' ');
  };

  const definitions = [];
  for (let i = 1 + (pick(5) === 0); i > 0; --i) {
    const kind = one(['query', 'query', 'query', 'mutation', 'subscription']);
    const root = { query: schema.getQueryType(), mutation: schema.getMutationType(), subscription: schema.getSubscriptionType() }[kind];
    const list = variables.filter(() => pick(6)).map((name) => `$${name}: ${one(variableTypes)}`).join(', ');
    definitions.push(`${kind} ${i > 1 || pick(3) ? one(['P', 'Q']) : ''} ${list && `(${list})`} { ${selections(root, 0)} }`);
  }
  for (const name of fragmentNames) {
    const type = one(types);
    definitions.push(`fragment ${name} on ${type.name} { ${selections(type, 2)} }`);
  }
  return definitions.join('\n');
}

function* compositions(name, count, seed) {
  const pick = random(seed);
  for (let i = 0; i < count; ++i)
    yield* questions(compose(schema(name), pick), `${name}, composition ${i} of seed ${seed}`, [name]);
}

export function* cases({ seed, mutations: count }) {
  for (const [file, documents] of Object.entries(read('graphql-js').documents))
    for (const document of documents) yield* questions(document, file, ['pets', 'mooring']);
  for (const [group, documents] of Object.entries(read('invalid')))
    for (const document of documents) yield* questions(document, `invalid ${group}`, ['pets']);
  const pets = read('pets');
  const mooring = read('mooring');
  const schemas = read('schemas');
  for (const document of pets) yield* questions(document, 'pets', ['pets', 'mooring']);
  for (const document of mooring) yield* questions(document, 'mooring', ['mooring', 'pets']);
  for (const document of schemas) yield* questions(document, 'schemas', []);
  for (const name of ['pets', 'mooring'])
    yield* questions(readFileSync(new URL(`../schemas/${name}.graphql`, import.meta.url), 'utf8'), name, []);
  yield* mutations(pets, 'pets', count, seed);
  yield* mutations(mooring, 'mooring', count, seed + 1);
  yield* mutations(schemas, null, count, seed + 2);
  yield* compositions('pets', count, seed + 3);
  yield* compositions('mooring', count, seed + 4);
}
