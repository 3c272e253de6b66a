import { isUtf8 } from 'node:buffer';
import { Packr } from 'msgpackr';
import { Fault } from '../base/faults.ts';
import { decodeMessagePack } from '../base/message-pack.ts';

/**
 * Turns values into bytes and back. Null never comes to a codec: a record without a key or a value (a tombstone) has null
 * on either side.
 */
export interface Codec<T> {
  /** @throws Fault invalidArgument for a value that the format cannot hold. */
  encode(value: T): Buffer;
  /** @throws Fault undecodableValue for bytes that are not of the format. */
  decode(bytes: Buffer): T;
  /** The format's media type, for those who label records with it. */
  readonly contentType?: string;
}

/** As they are. What is read is a view of the whole answer it came in: keep a copy (`Buffer.from`), not the view, of few bytes for long. */
export const bytes: Codec<Buffer> = {
  encode(value) {
    if (Buffer.isBuffer(value)) return value;
    // Callers without types pass other things; a Uint8Array is one that can be taken.
    const given: unknown = value;
    if (given instanceof Uint8Array) return Buffer.from(given.buffer, given.byteOffset, given.byteLength);
    throw new Fault('invalidArgument', {
      detail: `the bytes codec takes a Buffer or Uint8Array, not ${typeOf(given)}; name a codec: text, json() or messagePack()`,
    });
  },
  decode: (encoded) => encoded,
  contentType: 'application/octet-stream',
};

/** UTF-8. */
export const text: Codec<string> = {
  encode(value) {
    if (typeof value === 'string') return Buffer.from(value, 'utf8');
    throw new Fault('invalidArgument', { detail: `the text codec takes a string, not ${typeOf(value)}` });
  },
  decode(encoded) {
    if (!isUtf8(encoded)) throw new Fault('undecodableValue', { detail: 'as text, it is not UTF-8' });
    return encoded.toString('utf8');
  },
  contentType: 'text/plain; charset=utf-8',
};

const jsonCodec: Codec<unknown> = {
  encode(value) {
    // An undefined value, a function or a symbol have no JSON; stringify then returns undefined, whatever its type says.
    const encoded = attempt('JSON', value, () => JSON.stringify(value) as string | undefined);
    if (encoded === undefined) throw new Fault('invalidArgument', { detail: `${typeOf(value)} has no form in JSON` });
    return Buffer.from(encoded, 'utf8');
  },
  decode(encoded) {
    try {
      return JSON.parse(encoded.toString('utf8')) as unknown;
    } catch (cause) {
      throw new Fault('undecodableValue', { detail: `as JSON, ${(cause as Error).message}`, cause });
    }
  },
  contentType: 'application/json',
};

/** JSON; `T` is the caller's word for what is in it and is not checked. */
export function json<T = unknown>(): Codec<T> {
  return jsonCodec as Codec<T>;
}

// Without record extensions, so that every MessagePack library reads what is written here.
const packr = new Packr({ useRecords: false, mapsAsObjects: true });

const messagePackCodec: Codec<unknown> = {
  encode: (value) => attempt('MessagePack', value, () => packr.pack(value)),
  decode: decodeMessagePack,
  contentType: 'application/vnd.msgpack',
};

/**
 * MessagePack: JSON's values, and also Buffers, Dates, and bigints of up to 64 bits; smaller and faster than JSON. `T` is the
 * caller's word for what is in it and is not checked. A key `__proto__` is read as `__proto_`.
 */
export function messagePack<T = unknown>(): Codec<T> {
  return messagePackCodec as Codec<T>;
}

function attempt<R>(format: string, value: unknown, encode: () => R): R {
  try {
    return encode();
  } catch (cause) {
    throw new Fault('invalidArgument', {
      detail: `${typeOf(value)} cannot be written as ${format}, ${(cause as Error).message}`,
      cause,
    });
  }
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;
}
