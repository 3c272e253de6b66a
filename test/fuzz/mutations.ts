import fc from 'fast-check';

/** One change of an input: what is done, where as a 65,536th of it, and with what. Numbers, so that a failing one shrinks. */
export type Mutation = readonly [kind: number, place: number, value: number];

const KINDS = 9;
const U16 = 0xffff;

/** One to four changes. */
export const mutations: fc.Arbitrary<Mutation[]> = fc.array(fc.tuple(fc.nat(KINDS - 1), fc.nat(U16), fc.nat(U16)), {
  minLength: 1,
  maxLength: 4,
});

/** What lengths and counts have at their edges: as one, two, four and eight bytes, and as varints. */
const edges: readonly Buffer[] = [
  ...['00', '01', '7f', '80', 'ff', '0000', '0001', '7fff', '8000', 'ffff', 'fffe'],
  ...['00000000', '00000001', '7fffffff', '80000000', 'ffffffff', 'fffffffe', '0fffffff', '00ffffff', '40000000'],
  ...[
    'ffffffff0f',
    'ffffffff1f',
    '808080807f',
    '8080808080808080807f',
    'ffffffffffffffffff01',
    '80808008',
    'feffffff0f',
  ],
  ...['7fffffffffffffff', '8000000000000000', 'ffffffffffffffff', '001fffffffffffff', '0020000000000000'],
].map((hex) => Buffer.from(hex, 'hex'));

/** Most bytes that mutations let an input grow to: what is linear in small inputs is linear in large ones. */
const GROWN_BYTES_MAX = 64 * 1024;

/** `other` is a second valid input, for splices. */
export function mutated(seed: Buffer, changes: readonly Mutation[], other: Buffer): Buffer {
  let bytes = Buffer.from(seed);
  for (const change of changes) bytes = Buffer.from(mutate(bytes, change, other));
  return bytes;
}

function mutate(bytes: Buffer, [kind, place, value]: Mutation, other: Buffer): Buffer {
  const at = Math.floor((place / (U16 + 1)) * bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (kind) {
    case 0:
      return over(bytes, at, Buffer.from([(bytes[at] ?? 0) ^ (1 << (value % 8))]));
    case 1:
      return over(bytes, at, Buffer.from([value]));
    case 2:
      return before;
    case 3:
      return Buffer.concat([before, after.subarray(1 + (value % 16))]);
    case 4:
      return Buffer.concat([before, Buffer.alloc(1 + (value % 40), value >> 8), after]);
    case 5:
      // A part many times over: nesting, and more elements than were counted.
      return repeated(before, after, 1 + (value % 8), 1 + (value >> 8));
    case 6:
      return Buffer.concat([before, other.subarray(Math.floor((value / (U16 + 1)) * other.length))]);
    case 7:
      return over(bytes, at, edges[value % edges.length]!);
    default:
      return Buffer.concat([before, edges[value % edges.length]!, after]);
  }
}

function over(bytes: Buffer, at: number, put: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + put.length)]);
}

function repeated(before: Buffer, after: Buffer, partBytes: number, times: number): Buffer {
  const part = after.subarray(0, partBytes);
  const fits = Math.max(1, Math.floor((GROWN_BYTES_MAX - before.length - after.length) / Math.max(part.length, 1)));
  return Buffer.concat([before, ...Array<Buffer>(Math.min(times, fits)).fill(part), after]);
}
