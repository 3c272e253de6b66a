import { LineSplitter } from '../lines.ts';

export interface KeyedLine {
  key: Buffer;
  value: Buffer;
}

const BATCH_LINES = 5_000;
/** Far below the 1 MB that a broker takes in one batch, since all may go to one partition. */
const BATCH_BYTES = 400_000;

/** The `key TAB value NL` lines of standard input, in batches to send at once. */
export async function* keyedBatches(): AsyncGenerator<KeyedLine[]> {
  let batch: KeyedLine[] = [];
  let bytes = 0;
  const full: KeyedLine[][] = [];
  const splitter = new LineSplitter((line) => {
    const own = Buffer.from(line);
    const tab = own.indexOf(9);
    batch.push({ key: own.subarray(0, tab), value: own.subarray(tab + 1, -1) });
    bytes += own.length;
    if (batch.length === BATCH_LINES || bytes > BATCH_BYTES) {
      full.push(batch);
      batch = [];
      bytes = 0;
    }
  });
  for await (const chunk of process.stdin) {
    splitter.push(chunk);
    yield* full.splice(0);
  }
  splitter.end();
  if (batch.length > 0) yield batch;
}
