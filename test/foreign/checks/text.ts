import type { ForeignClient } from '../clients/foreign-client.ts';
import { consume } from '../consume.ts';
import { difference } from '../partition-digest.ts';
import { runProgram } from '../run-program.ts';
import { PARTITIONS, type Suite } from '../suite.ts';

/**
 * The long text goes in through each producer, into a topic of its own, and comes out the same through each reader:
 * each record once, each key in the partition that Kafka's default partitioner says, in order.
 */
export async function checkText(suite: Suite): Promise<void> {
  const { broker, topics, report, corpus } = suite;
  const readers = suite.clients.filter((client) => client.consume);
  for (const producer of suite.clients.filter((client) => client.produce)) {
    const name = `text/${producer.name}`;
    if (!report.wants(name)) continue;
    const topic = `text-${producer.name.replaceAll(/[^a-z-]/g, '')}`;
    await topics.create(topic, PARTITIONS);
    const written = await report.check(`${name} writes ${corpus.lines} lines`, async () => {
      const job = { bootstrap: broker.bootstrap, topic, compression: 'none' as const };
      await runProgram(producer.produce!(job), { input: corpus.file });
      const counts = (await topics.endsNext(topic, PARTITIONS)).join(' ');
      const expected = corpus.expected.counts.join(' ');
      if (counts !== expected) throw new Error(`records per partition: expected ${expected}, found ${counts}`);
    });
    if (written) await readBack(suite, name, topic, readers);
    await topics.delete(topic);
  }
}

/** Each of the readers gets the long text back from the topic. */
export async function readBack(
  suite: Suite,
  name: string,
  topic: string,
  readers: readonly ForeignClient[],
): Promise<void> {
  for (const reader of readers) {
    await suite.report.check(`${name} read by ${reader.name}`, async () => {
      const found = await consume(reader, suite.broker.bootstrap, topic, suite.corpus.expected.counts);
      const wrong = difference(suite.corpus.expected, found);
      if (wrong !== undefined) throw new Error(wrong);
    });
  }
}
