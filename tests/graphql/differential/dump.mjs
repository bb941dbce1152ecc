// A syntax tree as one line of text with the location of every node; dump.cpp writes the same.
import { getLocation } from 'graphql';

const text = (value) => `${Buffer.byteLength(value)}:${value}`;

export function dump(document) {
  const source = document.loc.source;
  const at = (node) => {
    const { line, column } = getLocation(source, node.loc.start);
    return `@${line}:${column}`;
  };
  const many = (nodes, one) => (nodes ?? []).map(one).join(' ');
  const name = (node) => (node ? node.value + at(node) : '-');
  const value = (node) => {
    switch (node.kind) {
      case 'Variable': return `$${node.name.value}${at(node)}`;
      case 'IntValue': return `i${node.value}${at(node)}`;
      case 'FloatValue': return `f${node.value}${at(node)}`;
      case 'StringValue': return `${node.block ? 'b' : 's'}${text(node.value)}${at(node)}`;
      case 'BooleanValue': return `${node.value}${at(node)}`;
      case 'NullValue': return `null${at(node)}`;
      case 'EnumValue': return `e${node.value}${at(node)}`;
      case 'ListValue': return `[${many(node.values, value)}]${at(node)}`;
      case 'ObjectValue': return `{${many(node.fields, (f) => `${name(f.name)}=${value(f.value)}`)}}${at(node)}`;
    }
  };
  const type = (node) => {
    switch (node.kind) {
      case 'NamedType': return node.name.value + at(node);
      case 'ListType': return `[${type(node.type)}]${at(node)}`;
      case 'NonNullType': return `${type(node.type)}!`;
    }
  };
  const args = (nodes) => `(${many(nodes, (a) => `${name(a.name)}=${value(a.value)}`)})`;
  const directives = (nodes) => `<${many(nodes, (d) => `${name(d.name)}${args(d.arguments)}${at(d)}`)}>`;
  const selection = (node) => {
    switch (node.kind) {
      case 'Field':
        return `field ${name(node.alias)} ${name(node.name)}${args(node.arguments)}${directives(node.directives)}${selections(node.selectionSet)}${at(node)}`;
      case 'FragmentSpread': return `spread ${name(node.name)}${directives(node.directives)}${at(node)}`;
      case 'InlineFragment':
        return `inline ${name(node.typeCondition?.name)}${directives(node.directives)}${selections(node.selectionSet)}${at(node)}`;
    }
  };
  const selections = (node) => (node ? `{${many(node.selections, selection)}}${at(node)}` : '');
  const variable = (node) =>
    `${name(node.variable.name)}:${type(node.type)}=${node.defaultValue ? value(node.defaultValue) : '-'}${directives(node.directives)}${at(node)}`;
  const description = (node) => (node.description ? `"${text(node.description.value)}` : '-');
  const input = (node) =>
    `${description(node)} ${name(node.name)}:${type(node.type)}=${node.defaultValue ? value(node.defaultValue) : '-'}${directives(node.directives)}${at(node)}`;
  const field = (node) =>
    `${description(node)} ${name(node.name)}(${many(node.arguments, input)}):${type(node.type)}${directives(node.directives)}${at(node)}`;
  const enumValue = (node) => `${description(node)} ${name(node.name)}${directives(node.directives)}${at(node)}`;
  const named = (node) => name(node.name);
  const typeDefinition = (kind, extension) => (node) =>
    `${kind}${extension ? '+' : ''} ${description(node)} ${name(node.name)} &(${many(node.interfaces, named)})${directives(node.directives)}` +
    `{${kind === 'input' ? many(node.fields, input) : many(node.fields, field)}}|(${many(node.types, named)})=(${many(node.values, enumValue)})${at(node)}`;
  const schema = (extension) => (node) =>
    `schema${extension ? '+' : ''} ${description(node)}${directives(node.directives)}{${many(node.operationTypes, (o) => `${o.operation}:${name(o.type.name)}${at(o)}`)}}${at(node)}`;
  const definitions = {
    OperationDefinition: (node) =>
      `${node.operation} ${name(node.name)}(${many(node.variableDefinitions, variable)})${directives(node.directives)}${selections(node.selectionSet)}${at(node)}`,
    FragmentDefinition: (node) =>
      `fragment ${name(node.name)} ${name(node.typeCondition.name)}${directives(node.directives)}${selections(node.selectionSet)}${at(node)}`,
    SchemaDefinition: schema(false),
    SchemaExtension: schema(true),
    DirectiveDefinition: (node) =>
      `directive ${description(node)} ${name(node.name)}(${many(node.arguments, input)})${node.repeatable ? '*' : ''}|(${many(node.locations, name)})${at(node)}`,
  };
  for (const [kind, word] of Object.entries({ Scalar: 'scalar', Object: 'type', Interface: 'interface', Union: 'union', Enum: 'enum', InputObject: 'input' })) {
    definitions[`${kind}TypeDefinition`] = typeDefinition(word, false);
    definitions[`${kind}TypeExtension`] = typeDefinition(word, true);
  }
  return document.definitions.map((node) => definitions[node.kind](node)).join('\n');
}
