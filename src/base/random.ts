import { randomBytes } from 'node:crypto';

/** Randomness, handed in so that a simulation can seed it. */
export interface Random {
  bytes(size: number): Buffer;
  /** A uniform integer in [0, endNext). */
  below(endNext: number): number;
}

export const systemRandom: Random = {
  bytes: (size) => randomBytes(size),
  below: (endNext) => Math.floor(Math.random() * endNext),
};

/** A 16-byte id in Kafka's text form: 22 characters of base64url. */
export type Uuid = string;

/** Kafka's "no id": 16 zero bytes. */
export const ZERO_UUID: Uuid = 'AAAAAAAAAAAAAAAAAAAAAA';

/** A random (version 4) id. None starts with '-', so that it can be a command-line argument and a folder's name. */
export function randomUuid(random: Random): Uuid {
  for (;;) {
    const bytes = random.bytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const text = bytes.toString('base64url');
    if (!text.startsWith('-')) return text;
  }
}
