import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { detachValues } from '../../src/cli/attached-values.ts';
import type { Flags } from '../../src/cli/command.ts';
import { configuredValues } from '../../src/cli/configuration.ts';
import { parseDurationMs, parseMomentMs } from '../../src/cli/duration.ts';
import { parseHostPort } from '../../src/cli/host-port.ts';
import { parsePairs } from '../../src/cli/key-value.ts';
import { parsePlaces } from '../../src/cli/read-places.ts';
import { table } from '../../src/cli/table.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

test('durations have a unit', () => {
  const texts = {
    '0': 0,
    '250ms': 250,
    '1.5s': 1500,
    '10m': 600_000,
    '2h': 7_200_000,
    '7d': 604_800_000,
    '1w': 604_800_000,
  };
  for (const [text, ms] of Object.entries(texts)) expect(parseDurationMs(text, '--x')).toBe(ms);
  for (const text of ['', '1y', '-1s', 's', '1 s', '1e3', '9'.repeat(30)]) {
    expect(() => parseDurationMs(text, '--x')).toThrow(UsageError);
  }
  // Some would mean seconds, some milliseconds.
  expect(() => parseDurationMs('5', '--x')).toThrow(new UsageError('--x: "5" has no unit; write 5s or 5ms'));
});

test('moments are milliseconds, ISO 8601, or so long ago', () => {
  const nowMs = Date.UTC(2026, 4, 2);
  expect(parseMomentMs('1700000000000', nowMs, '--x')).toBe(1_700_000_000_000);
  expect(parseMomentMs('2026-05-01T12:00:00Z', nowMs, '--x')).toBe(Date.UTC(2026, 4, 1, 12));
  expect(parseMomentMs('2026-05-01', nowMs, '--x')).toBe(Date.UTC(2026, 4, 1));
  expect(parseMomentMs('-1d', nowMs, '--x')).toBe(Date.UTC(2026, 4, 1));
  for (const text of ['', 'yesterday', '5/1/2026', '2026-13-01', '-1y', '-5', '1h']) {
    expect(() => parseMomentMs(text, nowMs, '--x')).toThrow(UsageError);
  }
});

test('addresses have a host, also an IPv6 one, and a port', () => {
  expect(parseHostPort('localhost:9092', '--x')).toEqual({ host: 'localhost', port: 9092 });
  expect(parseHostPort('[::1]:0', '--x')).toEqual({ host: '::1', port: 0 });
  expect(parseHostPort(':9092', '--x')).toEqual({ host: '', port: 9092 });
  for (const text of ['', 'host', 'host:', 'host:x', '::1:9092', 'host:70000', 'a b:1', '[::1]']) {
    expect(() => parseHostPort(text, '--x')).toThrow(UsageError);
  }
});

test('pairs are cut at the first equals sign', () => {
  expect(parsePairs(['a=1', 'b=', 'c=x=y'], '--x')).toEqual([
    ['a', '1'],
    ['b', ''],
    ['c', 'x=y'],
  ]);
  for (const text of ['a', '=1', '']) expect(() => parsePairs([text], '--x')).toThrow(UsageError);
});

test("places are kcat's: one to start at and one to stop before", () => {
  expect(parsePlaces([])).toEqual({ start: 'earliest', stop: null });
  expect(parsePlaces(['beginning']).start).toBe('earliest');
  expect(parsePlaces(['end']).start).toBe('latest');
  expect(parsePlaces(['17']).start).toEqual({ offset: 17 });
  expect(parsePlaces(['-5']).start).toEqual({ back: 5 });
  expect(parsePlaces(['e@2000', 's@1000'])).toEqual({ start: { time: 1000 }, stop: { time: 2000 } });
  for (const texts of [['stored'], ['1.5'], ['s@x'], ['1', '2'], ['e@1', 'e@2'], ['']]) {
    expect(() => parsePlaces(texts)).toThrow(UsageError);
  }
});

test('a value attached to a one-letter flag is that flag’s, whatever it looks like', () => {
  const flags: Flags = {
    'key-delimiter': { alias: ['k', 'K'], type: 'string' },
    offset: { alias: 'o', type: 'string', array: true },
    count: { alias: 'c', type: 'number' },
    quiet: { alias: 'q', type: 'boolean' },
  };
  const cases: Record<string, string> = {
    '-k:': '--key-delimiter=:',
    '-K\\t': '--key-delimiter=\\t',
    '-k=': '--key-delimiter==',
    '-o-5': '--offset=-5',
    '-oend': '--offset=end',
    '-c5': '--count=5',
    '-c=5': '--count=5',
    '-qe': '-qe',
    '-o': '-o',
    '--offset': '--offset',
    '-x5': '-x5',
  };
  for (const [given, detached] of Object.entries(cases)) expect(detachValues([given], flags)).toEqual([detached]);
  expect(detachValues(['--offset', '-2h', '-e'], flags)).toEqual(['--offset=-2h', '-e']);
  expect(detachValues(['--', '-k:'], flags)).toEqual(['--', '-k:']);
});

describe('configuration', () => {
  const flags: Flags = {
    data: { type: 'string' },
    listen: { type: 'string', array: true },
    count: { type: 'number' },
    'log-level': { choices: ['info', 'debug'] },
    quiet: { type: 'boolean' },
  };
  const file = (values: Record<string, unknown>) => ({ path: 'millrace.config.json', values });

  test('the environment goes before the file, and each is of the type of its flag', () => {
    const env = {
      MILLRACE_DATA: '/env',
      MILLRACE_LISTEN: 'a:1, b:2',
      MILLRACE_COUNT: '3',
      MILLRACE_LOG_LEVEL: 'debug',
      MILLRACE_QUIET: '1',
    };
    expect(configuredValues(flags, env, file({ data: '/file' }))).toEqual({
      data: '/env',
      listen: ['a:1', 'b:2'],
      count: 3,
      'log-level': 'debug',
      quiet: true,
    });
    expect(configuredValues(flags, {}, file({ data: '/file', listen: ['a:1'], count: 4, quiet: false }))).toEqual({
      data: '/file',
      listen: ['a:1'],
      count: 4,
      quiet: false,
    });
  });

  test('a value of another type is refused, and the place of the mistake named', () => {
    expect(() => configuredValues(flags, { MILLRACE_COUNT: 'many' }, null)).toThrow(/MILLRACE_COUNT.*number.*"many"/);
    expect(() => configuredValues(flags, {}, file({ quiet: 'perhaps' }))).toThrow(/millrace\.config\.json, "quiet"/);
    expect(() => configuredValues(flags, {}, file({ data: { a: 1 } }))).toThrow(UsageError);
  });
});

test('tables align, with numbers to the right', () => {
  expect(
    table(
      ['NAME', 'COUNT'],
      [
        ['a', 5],
        ['longer', 12345],
        ['none', null],
      ],
    ),
  ).toBe('NAME    COUNT\na           5\nlonger  12345\nnone        -\n');
});

test('what strangers stored cannot move the cursor', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(300)), (codes) => {
      const text = String.fromCharCode(...codes);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      expect(table(['A'], [[text]]).replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    }),
  );
});
