import fc from 'fast-check';
import { Packr, unpack } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { checkMessagePack } from '../../src/base/message-pack.ts';
import { bytes, json, messagePack, text } from '../../src/client/codecs.ts';

const faultOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof Fault) return error.fault;
    throw error;
  }
  return 'none';
};

// What both formats can hold: no -0, which JSON lacks, and no key that would set a prototype.
const document = fc.jsonValue({ noUnicodeString: false }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const withoutProto = document.filter((value) => !JSON.stringify(value).includes('__proto__'));

describe('what is encoded is decoded as it was', () => {
  test('by JSON', () => {
    fc.assert(
      fc.property(document, (value) => {
        expect(json().decode(json().encode(value))).toEqual(value);
      }),
    );
  });

  test('by MessagePack', () => {
    const codec = messagePack();
    fc.assert(
      fc.property(withoutProto, (value) => {
        expect(codec.decode(codec.encode(value))).toEqual(value);
      }),
    );
  });

  test('by MessagePack: also bytes, dates, large integers and undefined', () => {
    const codec = messagePack<object>();
    const value = {
      bytes: Buffer.from([1, 2]),
      date: new Date(1_700_000_000_123),
      large: 2n ** 63n - 1n,
      gap: [undefined],
    };
    expect(codec.decode(codec.encode(value))).toEqual(value);
  });

  test('by text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        expect(text.decode(text.encode(value))).toBe(value);
      }),
    );
  });

  test('by bytes, which also take a Uint8Array', () => {
    expect(bytes.encode(new Uint8Array([1, 2]) as Buffer)).toEqual(Buffer.from([1, 2]));
  });
});

describe('what a format cannot hold is refused with invalidArgument', () => {
  test.each([
    ['bytes of a string', () => bytes.encode('x' as never)],
    ['text of a number', () => text.encode(7 as never)],
    ['JSON of undefined', () => json().encode(undefined)],
    ['JSON of a circle', () => json().encode(circle())],
    ['JSON of a bigint', () => json().encode(7n)],
    ['MessagePack of a bigint over 64 bits', () => messagePack().encode(2n ** 70n)],
  ])('%s', (_what, encode) => {
    expect(faultOf(encode)).toBe('invalidArgument');
  });
});

describe('what is not of the format is undecodable', () => {
  test.each([
    ['text that is not UTF-8', () => text.decode(Buffer.from([0xc3, 0x28]))],
    ['JSON cut off', () => json().decode(Buffer.from('{"a":'))],
    ['no MessagePack at all', () => messagePack().decode(Buffer.alloc(0))],
    ['MessagePack cut off', () => messagePack().decode(Buffer.from([0x92, 1]))],
    ['two MessagePack values', () => messagePack().decode(Buffer.from([1, 2]))],
    ['a byte that starts no MessagePack value', () => messagePack().decode(Buffer.from([0xc1]))],
    ['a MessagePack extension of another library', () => messagePack().decode(Buffer.from([0xd4, 42, 0]))],
  ])('%s', (_what, decode) => {
    expect(faultOf(decode)).toBe('undecodableValue');
  });

  // A decoder allocates by these counts: 5 bytes must not make it allocate 32 GB, nor 1,000 of them nest without end.
  test.each([
    ['an array of 2^32 - 1', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a map of 2^32 - 1', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['a string of 2^32 - 1', [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['arrays of 65,535, nested 20,000 deep', Array.from({ length: 20_000 }, () => [0xdc, 0xff, 0xff]).flat()],
    ['arrays of one, nested 100,000 deep', Array.from({ length: 100_000 }, () => 0x91)],
  ])('a MessagePack value that claims more than it has: %s', (_what, encoded) => {
    expect(faultOf(() => messagePack().decode(Buffer.from(encoded)))).toBe('undecodableValue');
  });
});

test('a MessagePack key __proto__ sets no prototype', () => {
  // { "__proto__": { "admin": true } }
  const encoded = Buffer.concat([
    Buffer.from([0x81, 0xa9]),
    Buffer.from('__proto__'),
    new Packr({ useRecords: false }).pack({ admin: true }),
  ]);
  const decoded = messagePack<{ admin?: boolean }>().decode(encoded);
  expect(decoded.admin).toBeUndefined();
  expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
});

test('the check of MessagePack never crashes, and what passes it is decoded or refused by the decoder', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (random) => {
      const encoded = Buffer.from(random);
      if (faultOf(() => checkMessagePack(encoded)) === 'none') {
        expect(['none', 'undecodableValue']).toContain(faultOf(() => messagePack().decode(encoded)));
      }
    }),
    { numRuns: 5_000 },
  );
});

test('what the check refuses is nothing that the library wrote', () => {
  fc.assert(
    fc.property(withoutProto, (value) => {
      const encoded = new Packr({ useRecords: false }).pack(value);
      checkMessagePack(encoded);
      expect(unpack(encoded)).toEqual(value);
    }),
  );
});

function circle(): object {
  const value: { self?: object } = {};
  value.self = value;
  return value;
}
