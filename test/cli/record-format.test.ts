import { expect, test } from 'vitest';
import { ByteWriter } from '../../src/cli/byte-writer.ts';
import { jsonEnvelope } from '../../src/cli/json-envelope.ts';
import { delimitedFormat, type PrintedRecord, parseFormat } from '../../src/cli/record-format.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

const full: PrintedRecord = {
  topic: 'orders',
  partition: 3,
  offset: 42,
  timestampMs: 1_700_000_000_123,
  keyBytes: Buffer.from('k'),
  valueBytes: Buffer.from([0xff, 0x00, 0x0a]),
  headers: [
    { key: 'a', value: Buffer.from('1') },
    { key: 'b', value: null },
  ],
};
const empty: PrintedRecord = { ...full, keyBytes: null, valueBytes: null, headers: [] };

function printed(format: string, record: PrintedRecord, printNull = false): Buffer {
  const out = new ByteWriter(4);
  parseFormat(format, printNull)(record, out);
  return out.take();
}

test('each token of a format stands for what kcat prints for it', () => {
  expect(printed('%t [%p] %o %T %k(%K) (%S) %h %%', full).toString()).toBe(
    'orders [3] 42 1700000000123 k(1) (3) a=1,b=NULL %',
  );
  expect(printed('%s', full)).toEqual(Buffer.from([0xff, 0x00, 0x0a]));
  expect(printed('%R', full)).toEqual(Buffer.from([0, 0, 0, 3]));
});

test('lengths of null are -1, and null itself is nothing unless it is asked for', () => {
  expect(printed('%k|%K|%s|%S|%h', empty).toString()).toBe('|-1||-1|');
  expect(printed('%k|%s', empty, true).toString()).toBe('NULL|NULL');
  expect(printed('%R', empty)).toEqual(Buffer.from([0xff, 0xff, 0xff, 0xff]));
});

test('escapes become bytes, and other text is UTF-8', () => {
  expect(printed('\\n\\t\\r\\x00\\xff\\\\ü', full)).toEqual(
    Buffer.concat([Buffer.from([0x0a, 0x09, 0x0d, 0x00, 0xff, 0x5c]), Buffer.from('ü')]),
  );
});

test('a token or escape that means nothing is refused', () => {
  for (const format of ['%x', '100%', '\\q', '\\x1', '\\'])
    expect(() => parseFormat(format, false)).toThrow(UsageError);
});

test('a token inside a value is not a token', () => {
  const sly = { ...full, valueBytes: Buffer.from('%k\\n') };
  expect(printed('%s', sly).toString()).toBe('%k\\n');
});

test('without a format the value is printed, after the key if that is asked for', () => {
  const out = new ByteWriter(4);
  delimitedFormat(Buffer.from('\n'), null, false)(full, out);
  delimitedFormat(Buffer.from(';'), Buffer.from('='), false)(full, out);
  delimitedFormat(Buffer.from('\n'), Buffer.from(':'), true)(empty, out);
  expect(out.take()).toEqual(Buffer.from('\xff\x00\n\nk=\xff\x00\n;NULL:NULL\n', 'latin1'));
});

test('the JSON envelope has the fields of kcat, and says where bytes are no text', () => {
  const facts = { broker: 7, timestampType: 'LogAppendTime' } as const;
  expect(JSON.parse(jsonEnvelope(full, facts))).toEqual({
    topic: 'orders',
    partition: 3,
    offset: 42,
    tstype: 'logappend',
    ts: 1_700_000_000_123,
    broker: 7,
    headers: ['a', '1', 'b', null],
    key: 'k',
    payload: { base64: '/wAK' },
  });
  expect(JSON.parse(jsonEnvelope({ ...empty, timestampMs: -1 }, facts))).toEqual({
    topic: 'orders',
    partition: 3,
    offset: 42,
    broker: 7,
    key: null,
    payload: null,
  });
});
