// The record domains: written once, never edited. One function checks an item, one makes its row.
const day = 86_400_000;

export class ItemError extends Error {
  constructor(code, message, field) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

function fail(field, message) {
  throw new ItemError('VALIDATION_ERROR', message, field);
}
export function checkId(value, field) {
  if (value.length === 0) fail(field, 'must not be empty');
  if (Buffer.byteLength(value) > 128) fail(field, 'must be at most 128 bytes');
}
export function checkInstant(value, field, now) {
  if (Number.isNaN(value)) fail(field, 'is no instant');
  if (value > now + day) fail(field, 'is more than 24 h ahead of the server');
}
function checkScore(value, field) {
  if (value != null && !(value >= 0 && value <= 1)) fail(field, 'must be between 0 and 1');
}
function checkCount(value, field) {
  if (value != null && value < 0) fail(field, 'must not be negative');
}

export const records = {
  VOICE: {
    id: item => item.verificationId,
    check(item, now) {
      checkId(item.verificationId, 'verificationId');
      checkInstant(item.timestamp, 'timestamp', now);
      checkScore(item.confidenceScore, 'confidenceScore');
      checkScore(item.qualityScore, 'qualityScore');
      checkCount(item.processingTimeMs, 'processingTimeMs');
    },
  },
  BEHAVIORAL: {
    id: item => item.sessionId,
    check(item) {
      checkId(item.sessionId, 'sessionId');
      checkCount(item.durationMs, 'durationMs');
      checkCount(item.userInteractions, 'userInteractions');
      checkCount(item.screenChanges, 'screenChanges');
    },
  },
  SESSION: {
    id: item => item.sessionId,
    check(item, now) {
      checkId(item.sessionId, 'sessionId');
      checkInstant(item.startTime, 'startTime', now);
      if (item.endTime != null) {
        checkInstant(item.endTime, 'endTime', now);
        if (item.endTime < item.startTime) fail('endTime', 'must not be before startTime');
      }
      checkCount(item.durationMs, 'durationMs');
    },
  },
  METRICS: {
    id: (item, device) => `${item.metricType}@${item.timestamp}@${device}`,
    check(item, now) {
      checkId(item.metricType, 'metricType');
      checkInstant(item.timestamp, 'timestamp', now);
    },
  },
};

// A session may be completed: a field that was null gets a value. Returns the completed item, or null.
export function completeSession(stored, item) {
  const merged = { ...stored };
  for (const [name, value] of Object.entries(item)) {
    if (stored[name] == null) merged[name] = value;
    else if (value != null && JSON.stringify(stored[name]) !== JSON.stringify(value)) return null;
  }
  return merged;
}
