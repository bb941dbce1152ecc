// graphql-js's answers, by kind of question. An answer is plain JSON that the C++ twin can give too.
import { readFileSync } from 'node:fs';
import { buildASTSchema, buildSchema, GraphQLError, parse, specifiedRules, validate, validateSchema } from 'graphql';
import { specifiedSDLRules } from 'graphql/validation/specifiedRules.js';
import { validateSDL } from 'graphql/validation/validate.js';
import { dump } from './dump.mjs';

const schemas = new Map();
export function schema(name) {
  if (!schemas.has(name))
    schemas.set(name, buildSchema(readFileSync(new URL(`../schemas/${name}.graphql`, import.meta.url), 'utf8')));
  return schemas.get(name);
}

const ruleName = (rule) => rule.name.replace(/Rule$/, '');
const described = (rule, error) => ({
  rule,
  message: error.message,
  locations: (error.locations ?? []).map(({ line, column }) => [line, column]),
});

// KnownArgumentNamesOnDirectives and its like are parts of the rules whose names they begin with.
const shortRuleName = (rule) => ruleName(rule).replace(/OnDirectives$/, '');

export const kinds = {
  parse({ document }) {
    try {
      return { tree: dump(parse(document)) };
    } catch (error) {
      return { error: described('Syntax', error) };
    }
  },

  validate({ schema: name, document }) {
    const parsed = parse(document);
    const errors = [];
    for (const rule of specifiedRules) {
      for (const error of validate(schema(name), parsed, [rule], { maxErrors: 100_000 }))
        errors.push(described(ruleName(rule), error));
    }
    return { errors };
  },

  schema({ document }) {
    const parsed = parse(document);
    const errors = [];
    for (const rule of specifiedSDLRules)
      for (const error of validateSDL(parsed, undefined, [rule])) errors.push(described(shortRuleName(rule), error));
    if (errors.length === 0)
      for (const error of validateSchema(buildASTSchema(parsed, { assumeValidSDL: true })))
        errors.push(described('TypeValidation', error));
    return { errors };
  },
};

// The answer, or { failed } when graphql-js itself could not give one.
export function answer(question) {
  try {
    return kinds[question.kind](question);
  } catch (error) {
    if (error instanceof GraphQLError || error instanceof Error) return { failed: error.message };
    throw error;
  }
}
