import { join } from 'node:path';
import type { Program } from '../../../tools/broker-process.ts';
import { kcat } from '../clients/kcat.ts';
import { millraceSdk } from '../clients/millrace-clients.ts';
import { consume } from '../consume.ts';
import { writeCorpus } from '../corpus.ts';
import { difference, type TopicDigest } from '../partition-digest.ts';
import { runProgram } from '../run-program.ts';
import { PARTITIONS, type Suite } from '../suite.ts';

const NAME = 'partitioner/crc32: our SDK puts each key where librdkafka does by default';
const LINES = 20_000;

/** Kafka's own partitioner is checked with every long text; this is the other that is widely used. */
export async function checkPartitioner(suite: Suite): Promise<void> {
  if (!suite.report.wants(NAME)) return;
  if (!suite.clients.includes(kcat)) return suite.report.skip(NAME, 'kcat is not installed');
  const { bootstrap } = suite.broker;
  const { file } = writeCorpus(join(suite.workDir, 'partitioner.txt'), LINES, PARTITIONS);

  async function written(topic: string, program: Program): Promise<TopicDigest> {
    await suite.topics.create(topic, PARTITIONS);
    await runProgram(program, { input: file });
    const found = await consume(millraceSdk, bootstrap, topic, await suite.topics.endsNext(topic, PARTITIONS));
    await suite.topics.delete(topic);
    return found;
  }

  await suite.report.check(NAME, async () => {
    const sdk = join(import.meta.dirname, '../programs/sdk-produce.ts');
    const theirs = { file: 'kcat', args: ['-P', '-b', bootstrap, '-t', 'crc32-kcat', '-K', '\\t'] };
    const ours = { file: process.execPath, args: [sdk, bootstrap, 'crc32-sdk', 'crc32'] };
    const expected = await written('crc32-kcat', theirs);
    const wrong = difference(expected, await written('crc32-sdk', ours));
    if (wrong !== undefined) throw new Error(wrong);
    return `${expected.counts.join(' ')} records`;
  });
}
