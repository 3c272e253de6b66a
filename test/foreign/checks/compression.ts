import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compressions } from '../clients/foreign-client.ts';
import { consume } from '../consume.ts';
import { writeCorpus } from '../corpus.ts';
import { LineSplitter } from '../lines.ts';
import { difference, type TopicDigest, TopicHash } from '../partition-digest.ts';
import { runProgram } from '../run-program.ts';
import type { Suite } from '../suite.ts';

const LINES = 3_000;

/** The topic of one partition that holds what every client compressed with the codec; the Java tools dump it later. */
export function compressionTopic(compression: string): string {
  return `compression-${compression}`;
}

/**
 * Every producer that can appends the same lines to one topic per codec; every reader reads all of them back.
 * @returns the ids of the topics, which stay
 */
export async function checkCompression(suite: Suite): Promise<Map<string, string>> {
  const { broker, topics, report } = suite;
  const { bootstrap } = broker;
  const corpus = writeCorpus(join(suite.workDir, 'compression.txt'), LINES, 1);
  const topicIds = new Map<string, string>();
  for (const compression of compressions) {
    const topic = compressionTopic(compression);
    if (!report.wants(`compression/${compression}`)) continue;
    await topics.create(topic, 1);
    topicIds.set(topic, await topics.id(topic));
    let stored = 0;
    for (const producer of suite.clients) {
      if (!producer.produce || !producer.compressions.includes(compression)) continue;
      const program = producer.produce({ bootstrap, topic, compression });
      await report.check(`compression/${compression} written by ${producer.name}`, async () => {
        await runProgram(program, { input: corpus.file });
        const [endNext] = await topics.endsNext(topic, 1);
        if (endNext !== (stored + 1) * LINES) throw new Error(`the partition ends at ${endNext}`);
        stored += 1;
      });
    }
    const expected = repeated(corpus.file, stored);
    for (const reader of suite.clients.filter((client) => client.consume)) {
      await report.check(`compression/${compression} read by ${reader.name}`, async () => {
        const wrong = difference(expected, await consume(reader, bootstrap, topic, expected.counts));
        if (wrong !== undefined) throw new Error(wrong);
      });
    }
  }
  return topicIds;
}

function repeated(file: string, times: number): TopicDigest {
  const hash = new TopicHash(1);
  const text = readFileSync(file);
  for (let pass = 0; pass < times; pass += 1) new LineSplitter((line) => hash.add(0, line)).push(text);
  return hash.end();
}
