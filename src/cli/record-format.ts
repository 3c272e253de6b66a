import type { RecordHeader } from '../record/records.ts';
import type { ByteWriter } from './byte-writer.ts';
import { parseEscapes } from './escapes.ts';
import { UsageError } from './usage-error.ts';

/** A record as it was read. */
export interface PrintedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly keyBytes: Buffer | null;
  readonly valueBytes: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

export type RecordPrinter = (record: PrintedRecord, out: ByteWriter) => void;

const NULL = Buffer.from('NULL');
const NOTHING = Buffer.alloc(0);
const COMMA = Buffer.from(',');
const EQUALS = Buffer.from('=');

/**
 * A format as kcat's -f: %t topic, %p partition, %o offset, %T timestamp in ms, %k key, %K its bytes, %s value, %S its bytes,
 * %R the same as a big-endian int32, %h headers as name=value with commas, %% a percent sign; escapes as in escapes.ts. Lengths of null are -1.
 * @throws UsageError
 */
export function parseFormat(format: string, printNull: boolean): RecordPrinter {
  const pieces: RecordPrinter[] = [];
  const tokens = tokenPrinters(printNull ? NULL : NOTHING);
  for (const [part] of format.matchAll(/%(?:.|$)|[^%]+/gs)) {
    if (!part.startsWith('%') || part === '%%') {
      pieces.push(literal(part === '%%' ? Buffer.from('%') : parseEscapes(part, '--format')));
      continue;
    }
    const piece = tokens[part];
    if (piece === undefined)
      throw new UsageError(`--format: "${part}" means nothing; there are %t %p %o %T %k %K %s %S %R %h %%`);
    pieces.push(piece);
  }
  return sequence(pieces);
}

/** What is printed without a format: the value, after the key if a delimiter is given for it. */
export function delimitedFormat(delimiter: Buffer, keyDelimiter: Buffer | null, printNull: boolean): RecordPrinter {
  const tokens = tokenPrinters(printNull ? NULL : NOTHING);
  const key = keyDelimiter === null ? [] : [tokens['%k']!, literal(keyDelimiter)];
  return sequence([...key, tokens['%s']!, literal(delimiter)]);
}

function tokenPrinters(forNull: Buffer): Readonly<Record<string, RecordPrinter>> {
  return {
    '%t': ({ topic }, out) => out.text(topic),
    '%p': ({ partition }, out) => out.text(String(partition)),
    '%o': ({ offset }, out) => out.text(String(offset)),
    '%T': ({ timestampMs }, out) => out.text(String(timestampMs)),
    '%k': ({ keyBytes }, out) => out.bytes(keyBytes ?? forNull),
    '%K': ({ keyBytes }, out) => out.text(String(keyBytes?.length ?? -1)),
    '%s': ({ valueBytes }, out) => out.bytes(valueBytes ?? forNull),
    '%S': ({ valueBytes }, out) => out.text(String(valueBytes?.length ?? -1)),
    '%R': ({ valueBytes }, out) => out.int32(valueBytes?.length ?? -1),
    '%h': ({ headers }, out) => writeHeaders(headers, out),
  };
}

function writeHeaders(headers: readonly RecordHeader[], out: ByteWriter): void {
  headers.forEach(({ key, value }, index) => {
    if (index > 0) out.bytes(COMMA);
    out.text(key);
    out.bytes(EQUALS);
    // As kcat does, whether or not nulls are shown elsewhere.
    out.bytes(value ?? NULL);
  });
}

function literal(bytes: Buffer): RecordPrinter {
  return (_, out) => out.bytes(bytes);
}

function sequence(pieces: readonly RecordPrinter[]): RecordPrinter {
  const [first, second] = pieces;
  // The default, value and line feed, is the one that must be fast.
  if (pieces.length === 2) {
    return (record, out) => {
      first!(record, out);
      second!(record, out);
    };
  }
  return (record, out) => {
    for (const piece of pieces) piece(record, out);
  };
}
