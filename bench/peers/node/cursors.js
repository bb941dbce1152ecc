// A position in a tenant's feed as clients keep it.
import { GraphQLError } from 'graphql';

export const encodeCursor = (tenant, position) => Buffer.from(`${tenant}\n${position}`).toString('base64url');

export function decodeCursor(tenant, cursor, argument) {
  const [of, at] = Buffer.from(cursor, 'base64url').toString().split('\n');
  if (of !== tenant || !/^\d+$/.test(at))
    throw new GraphQLError(`${argument}: not a cursor`, { extensions: { code: 'BAD_USER_INPUT' } });
  return Number(at);
}
