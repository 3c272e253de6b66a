import { decode, encode } from 'msgpackr';
import { type Mutation, mutated } from './mutations.ts';

/*
 * Changes of what bytes say, rather than of the bytes: values are replaced by others of the wrong kind or size, fields go or come,
 * elements are repeated, and the whole is encoded again. What lies behind a checksum is only ever reached so.
 */

/** How a content lies in bytes. */
interface Codec {
  decode(bytes: Buffer): unknown;
  encode(content: unknown): Buffer;
}

export const messagePackCodec: Codec = { decode, encode };

export const jsonCodec: Codec = {
  decode: (bytes) => JSON.parse(bytes.toString('utf8')),
  encode: (content) =>
    Buffer.from(JSON.stringify(content, (_, value) => (typeof value === 'bigint' ? Number(value) : value)) ?? 'null'),
};

/** What a field may hold that it should not. */
const odd: readonly unknown[] = [
  ...[null, undefined, true, false, {}, [], [[]], [null], Buffer.alloc(0), Buffer.from('bytes'), new Date(0)],
  ...[0, -0, 1, -1, -2, -3, 0.5, 255, 32_768, 65_536, 10_000, 100_001, Number.NaN, Infinity, -Infinity, 1e300, 5e-324],
  ...[
    2 ** 30,
    2 ** 30 + 1,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32,
    2 ** 52,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    2n ** 63n,
  ],
  ...['', 'x', '0', '-1', 'true', '.', '..', '/', '../../../../tmp', 'a/b', 'C:\\', '\0', '\ud800', 'ü'.repeat(300)],
  ...[
    'x'.repeat(300),
    '9'.repeat(400),
    '__proto__',
    'constructor',
    'toString',
    'AAAAAAAAAAAAAAAAAAAAAA',
    '1e999',
    'NaN',
  ],
];

/** Where a value lies in what holds it. */
interface Place {
  readonly holder: Record<string | number, unknown>;
  readonly key: string | number;
}

const BYTE_MUTATION_EVERY = 6;
const KINDS = 6;
const U16 = 0x10000;

export function contentMutated(codec: Codec, seed: Buffer, changes: readonly Mutation[], other: Buffer): Buffer {
  const held = { content: codec.decode(seed) };
  const ofBytes: Mutation[] = [];
  for (const change of changes) {
    if (change[2] % BYTE_MUTATION_EVERY === 0) ofBytes.push(change);
    else applyTo(codec, held, change, other);
  }
  return mutated(codec.encode(held.content), ofBytes, other);
}

function applyTo(codec: Codec, held: { content: unknown }, [kind, at, value]: Mutation, other: Buffer): void {
  const { holder, key } = oneOf(placesIn(held), at);
  if (key === '__proto__') return;
  const copyFrom = (content: unknown): unknown => {
    const from = oneOf(placesIn({ content }), (value * 7919) % U16);
    return codec.decode(codec.encode(from.holder[from.key]));
  };
  switch (kind % KINDS) {
    case 0:
      if (Array.isArray(holder)) holder.splice(key as number, 1);
      else if (holder !== held) delete holder[key];
      return;
    case 1:
      holder[key] = copyFrom(held.content);
      return;
    case 2:
      holder[key] = copyFrom(codec.decode(other));
      return;
    case 3: {
      // Once more: an element behind itself, a field under another name.
      const again = codec.decode(codec.encode(holder[key]));
      if (Array.isArray(holder)) holder.splice(key as number, 0, again);
      else if (holder !== held) {
        // By definition: `__proto__` is a field like others then.
        const field = { value: again, enumerable: true, configurable: true, writable: true };
        Object.defineProperty(holder, String(oneOf(odd, value)), field);
      }
      return;
    }
    case 4:
      holder[key] = near(holder[key], value);
      return;
    default:
      holder[key] = oneOf(odd, value);
  }
}

/** A value that is little different. */
function near(value: unknown, by: number): unknown {
  if (typeof value === 'number') return [value + 1, value - 1, -value, value * 2, value / 2, value + 2 ** 31][by % 6];
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') {
    return [value.slice(1), `${value}x`, `../${value}`, `${value}/..`, value.toUpperCase(), value + value][by % 6];
  }
  if (Array.isArray(value)) return value.toReversed();
  return value;
}

function placesIn(holder: object): Place[] {
  const places: Place[] = [];
  const visit = (inner: object): void => {
    for (const key of Array.isArray(inner) ? inner.keys() : Object.keys(inner)) {
      const value = (inner as Place['holder'])[key];
      places.push({ holder: inner as Place['holder'], key });
      if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) visit(value);
    }
  };
  visit(holder);
  return places;
}

function oneOf<T>(all: readonly T[], at: number): T {
  return all[Math.floor((at / U16) * all.length)]!;
}
