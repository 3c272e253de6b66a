import { decode } from 'msgpackr';
import { Fault } from './faults.ts';

/** Deeper than any sane document, far from the end of the stack. */
const DEPTH_MAX = 200;
/** Extension types that are decoded: undefined as notepack and msgpackr write it, and MessagePack's own timestamp. */
const EXTENSIONS = [0, -1];

/**
 * One MessagePack value, of bytes that nobody vouches for. A key `__proto__` is read as `__proto_`.
 * @throws Fault undecodableValue
 */
export function decodeMessagePack(bytes: Buffer): unknown {
  checkMessagePack(bytes);
  try {
    return decode(bytes);
  } catch (cause) {
    throw new Fault('undecodableValue', { detail: `as MessagePack, ${(cause as Error).message}`, cause });
  }
}

/**
 * Walks over one MessagePack value without decoding it, and refuses what a decoder could be hurt by: counts of elements and
 * lengths that the bytes cannot hold (a decoder allocates by them), deep nesting, extensions, bytes after the value.
 * @throws Fault undecodableValue.
 */
export function checkMessagePack(bytes: Buffer): void {
  // Values still to come at each open level; the walk ends when the outermost has none left.
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const remaining = open[open.length - 1]!;
    if (remaining === 0) {
      open.pop();
      continue;
    }
    open[open.length - 1] = remaining - 1;
    if (at >= bytes.length) throw bad(`the bytes end at ${at} inside a value`);
    const size = sizeAt(bytes, at);
    at += size.bytes;
    if (at + size.children > bytes.length) throw bad(`a length or count before byte ${at} exceeds the bytes there are`);
    if (size.children > 0) open.push(size.children);
    if (open.length > DEPTH_MAX) throw bad(`values are nested more than ${DEPTH_MAX} deep`);
  }
  if (at !== bytes.length) throw bad(`${bytes.length - at} bytes follow the value`);
}

interface Size {
  /** Of the value without those inside it. */
  bytes: number;
  /** Values inside it. */
  children: number;
}

const leaf = (bytes: number): Size => ({ bytes, children: 0 });

/** By the first byte, as the MessagePack specification lists them. */
function sizeAt(bytes: Buffer, at: number): Size {
  const type = bytes[at]!;
  if (type < 0x80 || type >= 0xe0) return leaf(1);
  if (type < 0x90) return { bytes: 1, children: 2 * (type & 0x0f) };
  if (type < 0xa0) return { bytes: 1, children: type & 0x0f };
  if (type < 0xc0) return leaf(1 + (type & 0x1f));
  if (type >= 0xd4 && type <= 0xd8) return extension(bytes, at + 1, 2 + 2 ** (type - 0xd4));
  const fixed = fixedBytes[type];
  if (fixed !== undefined) return leaf(fixed);
  const [lengthBytes, kind] = counted[type] ?? [0, 'none'];
  if (kind === 'none') throw bad(`byte ${at} is 0x${type.toString(16)}, which starts no value`);
  if (at + 1 + lengthBytes > bytes.length) throw bad(`the bytes end at ${at} inside a value`);
  const count = bytes.readUIntBE(at + 1, lengthBytes);
  if (kind === 'bytes') return leaf(1 + lengthBytes + count);
  if (kind === 'extension') return extension(bytes, at + 1 + lengthBytes, 2 + lengthBytes + count);
  return { bytes: 1 + lengthBytes, children: kind === 'map' ? 2 * count : count };
}

function extension(bytes: Buffer, typeAt: number, size: number): Size {
  const type = typeAt < bytes.length ? bytes.readInt8(typeAt) : 0;
  if (!EXTENSIONS.includes(type)) throw bad(`extension type ${type} is not read`);
  return leaf(size);
}

/** nil, false, true, then floats and integers of 4, 8, 1, 2, 4, 8, 1, 2, 4 and 8 bytes. */
const fixedBytes: Record<number, number> = {
  192: 1,
  194: 1,
  195: 1,
  202: 5,
  203: 9,
  204: 2,
  205: 3,
  206: 5,
  207: 9,
  208: 2,
  209: 3,
  210: 5,
  211: 9,
};

/** Those with a length or a count: how many bytes that takes, and of what it is. */
const counted: Record<number, [lengthBytes: number, kind: 'bytes' | 'extension' | 'array' | 'map']> = {
  196: [1, 'bytes'],
  197: [2, 'bytes'],
  198: [4, 'bytes'],
  199: [1, 'extension'],
  200: [2, 'extension'],
  201: [4, 'extension'],
  217: [1, 'bytes'],
  218: [2, 'bytes'],
  219: [4, 'bytes'],
  220: [2, 'array'],
  221: [4, 'array'],
  222: [2, 'map'],
  223: [4, 'map'],
};

function bad(detail: string): Fault {
  return new Fault('undecodableValue', { detail: `as MessagePack, ${detail}` });
}
