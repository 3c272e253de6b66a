import type { ForeignClient } from './clients/foreign-client.ts';
import { LineSplitter } from './lines.ts';
import { type TopicDigest, TopicHash } from './partition-digest.ts';
import { runProgram } from './run-program.ts';

const TAB = 9;
const ZERO = 48;
const NINE = 57;

/** The decimal digits of `line` in [from, end), whatever stands between them. */
function numberIn(line: Buffer, from: number, end: number): number {
  let number = 0;
  for (let at = from; at < end; at += 1) {
    const byte = line[at]!;
    if (byte >= ZERO && byte <= NINE) number = number * 10 + byte - ZERO;
  }
  return number;
}

/**
 * Reads a whole topic with a client.
 * @throws Error when a partition's offsets do not run from 0 without a gap, which also finds a record read twice
 */
export async function consume(
  client: ForeignClient,
  bootstrap: string,
  topic: string,
  endsNext: readonly number[],
): Promise<TopicDigest> {
  const hash = new TopicHash(endsNext.length);
  let disorder: string | undefined;
  const runs = client.consume!({ bootstrap, topic, endsNext }).map(async (program) => {
    const splitter = new LineSplitter((line) => {
      const firstTab = line.indexOf(TAB);
      const secondTab = line.indexOf(TAB, firstTab + 1);
      const partition = numberIn(line, 0, firstTab);
      const offset = numberIn(line, firstTab, secondTab);
      const expected = hash.count(partition);
      if (offset !== expected) disorder ??= `partition ${partition}: offset ${offset} came where ${expected} should`;
      hash.add(partition, line.subarray(secondTab + 1));
    });
    await runProgram(program, { output: (chunk) => splitter.push(chunk) });
    splitter.end();
  });
  await Promise.all(runs);
  if (disorder !== undefined) throw new Error(disorder);
  return hash.end();
}
