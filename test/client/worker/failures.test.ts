import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '../../../src/base/faults.ts';
import type { Random } from '../../../src/base/random.ts';
import { type Failure, readRetry, withFailure, withoutFailure } from '../../../src/client/worker/failure-headers.ts';
import { DoNotRetry, RetryAfter, retryDelayMs, retryPolicy } from '../../../src/client/worker/retry-policy.ts';
import { traceHeaders, traceOf } from '../../../src/client/worker/trace-context.ts';
import type { RecordHeader } from '../../../src/record/records.ts';

/** Always the same draw: 0 is the lowest, 1 the highest. */
const drawing = (share: number): Random => ({
  bytes: (size) => Buffer.alloc(size),
  below: (endNext) => Math.floor(share * (endNext - 1)),
});
const header = (key: string, value: string | null): RecordHeader => ({
  key,
  value: value === null ? null : Buffer.from(value),
});

test('waits grow by the factor up to the longest, and jitter stays within its part', () => {
  const policy = retryPolicy({ attempts: 8, minMs: 100, factor: 3, maxMs: 2000, jitter: 0 });
  const waits = [1, 2, 3, 4, 5, 6, 7, 8].map((attempt) => retryDelayMs(policy, new Error('x'), attempt, drawing(1)));
  expect(waits).toEqual([100, 300, 900, 2000, 2000, 2000, 2000, null]);
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (jitter, share) => {
        const delayMs = retryDelayMs(retryPolicy({ minMs: 100, jitter }), new Error('x'), 1, drawing(share))!;
        expect(delayMs).toBeGreaterThanOrEqual(100 * (1 - jitter) - 1e-9);
        expect(delayMs).toBeLessThanOrEqual(100 * (1 + jitter) + 1e-9);
      },
    ),
  );
  expect(retryDelayMs(retryPolicy({ minMs: 100, jitter: 0.5 }), 'x', 1, drawing(0))).toBe(50);
  expect(retryDelayMs(retryPolicy({ minMs: 100, jitter: 0.5 }), 'x', 1, drawing(1))).toBe(150);
});

test('an error can say that it is not worth another attempt, or when that is due', () => {
  const policy = retryPolicy({ attempts: 3, retryIf: (error) => !(error instanceof TypeError) });
  expect(retryDelayMs(policy, new DoNotRetry('bad order'), 1, drawing(0))).toBeNull();
  expect(retryDelayMs(policy, new TypeError('a bug'), 1, drawing(0))).toBeNull();
  expect(retryDelayMs(policy, new Fault('undecodableValue'), 1, drawing(0))).toBeNull();
  expect(retryDelayMs(policy, new RetryAfter(7777), 1, drawing(0))).toBe(7777);
  expect(retryDelayMs(policy, new RetryAfter(7777), 3, drawing(0))).toBeNull();
  expect(retryDelayMs(retryPolicy({ attempts: Number.POSITIVE_INFINITY }), new Error('x'), 1e6, drawing(1))).toBe(
    36_000,
  );
});

test('a retry policy that cannot be meant is refused', () => {
  for (const options of [
    { attempts: 0 },
    { attempts: 1.5 },
    { minMs: -1 },
    { maxMs: 1 },
    { factor: 0.5 },
    { jitter: 2 },
  ]) {
    expect(() => retryPolicy(options)).toThrow(/retry\./);
  }
});

const failure: Failure = {
  group: 'billing',
  origin: { topic: 'orders', partition: 3, offset: 1234, timestampMs: 1_700_000_000_000 },
  attempts: 2,
  error: new RangeError('too many'),
  failedAtMs: 1_700_000_005_000,
  retryAtMs: 1_700_000_006_000.5,
};

test('a failed record keeps its own headers byte for byte, and its failure can be read back and taken off', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.option(fc.uint8Array())), { maxLength: 5 }), (own) => {
      const headers = own.map(([key, value]) => ({ key, value: value === null ? null : Buffer.from(value) }));
      const failed = withFailure(headers, failure);
      expect(failed.slice(0, headers.length)).toEqual(headers);
      expect(withoutFailure(failed)).toEqual(headers);
      expect(readRetry(failed, 'billing')).toEqual({
        origin: failure.origin,
        attempts: 2,
        retryAtMs: 1_700_000_006_001,
      });
      // A second failure does not pile up on the first.
      expect(withFailure(failed, failure)).toEqual(failed);
    }),
  );
});

test('the cause is told, cut to a size, and less of it when there is no room', () => {
  const text = (name: string, headers: readonly RecordHeader[]): string | undefined =>
    headers.find(({ key }) => key === name)?.value?.toString();
  const error = new RangeError('m'.repeat(5000));
  const whole = withFailure([], { ...failure, error });
  expect(text('millrace-error-class', whole)).toBe('RangeError');
  expect(text('millrace-error-message', whole)).toHaveLength(1000);
  expect(text('millrace-error-stack', whole)).toContain('RangeError: mmm');
  expect(text('millrace-error-stack', withFailure([], { ...failure, error }, 'message'))).toBeUndefined();
  expect(text('millrace-error-message', withFailure([], { ...failure, error }, 'class'))).toBeUndefined();
  // Of an error that only says what is to be done, the one it is about.
  const wrapped = withFailure([], { ...failure, error: new DoNotRetry('no', { cause: new SyntaxError('line 3') }) });
  expect(text('millrace-error-class', wrapped)).toBe('SyntaxError');
  expect(text('millrace-error-message', withFailure([], { ...failure, error: 'a word' }))).toBe('a word');
});

test('what another group, or another program, stored in a retry topic is a record like any other', () => {
  const failed = withFailure([], failure);
  expect(readRetry(failed, 'shipping')).toBeNull();
  expect(readRetry([], 'billing')).toBeNull();
  for (const { key } of failed.filter(({ key }) => !key.includes('error') && !key.includes('failed-at'))) {
    expect(
      readRetry(
        failed.filter((other) => other.key !== key),
        'billing',
      ),
      key,
    ).toBeNull();
  }
});

test('a trace is read as the specification has it, and passed on as it came', () => {
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const trace = traceOf([header('traceparent', parent), header('tracestate', 'vendor=1')]);
  expect(trace).toMatchObject({
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    parentId: '00f067aa0ba902b7',
    sampled: true,
  });
  expect(traceHeaders(trace, { tenant: 'a' })).toEqual({ tenant: 'a', traceparent: parent, tracestate: 'vendor=1' });
  expect(traceHeaders(null, { tenant: 'a' })).toEqual({ tenant: 'a' });
  expect(traceHeaders(traceOf([header('traceparent', parent)]))).toEqual({ traceparent: parent });
  // A later version may add to it.
  expect(traceOf([header('traceparent', `01${parent.slice(2)}-more`)])?.sampled).toBe(true);
  for (const bad of [
    null,
    '',
    `ff${parent.slice(2)}`,
    `${parent}-more`,
    parent.toUpperCase(),
    parent.replace(/4bf9.*4736/, '0'.repeat(32)),
    parent.replace('00f067aa0ba902b7', '0'.repeat(16)),
  ]) {
    expect(traceOf([header('traceparent', bad)]), String(bad)).toBeNull();
  }
});
