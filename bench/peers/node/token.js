// HS256 tokens over the raw bytes of DATA/jwt.secret, which the first start creates.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function loadSecret(directory) {
  const file = join(directory, 'jwt.secret');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32), { mode: 0o600 });
  return readFileSync(file);
}

// The caller, or null when the token does not hold.
export function verifyToken(secret, authorization) {
  if (typeof authorization !== 'string') return null;
  const parts = authorization.replace(/^Bearer /, '').split('.');
  if (parts.length !== 3) return null;
  const expected = createHmac('sha256', secret).update(`${parts[0]}.${parts[1]}`).digest();
  const given = Buffer.from(parts[2], 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  try {
    const header = JSON.parse(Buffer.from(parts[0], 'base64url'));
    const claims = JSON.parse(Buffer.from(parts[1], 'base64url'));
    if (header.alg !== 'HS256' || typeof claims.sub !== 'string' || typeof claims.tenant !== 'string') return null;
    if (typeof claims.exp !== 'number' || claims.exp * 1000 < Date.now()) return null;
    return { tenant: claims.tenant, user: claims.sub, device: claims.device };
  } catch {
    return null;
  }
}
