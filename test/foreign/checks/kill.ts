import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ForeignClient } from '../clients/foreign-client.ts';
import { runProgram, writeTo } from '../run-program.ts';
import { PARTITIONS, type Suite } from '../suite.ts';
import { readBack } from './text.ts';

/** The broker is killed when these parts of the text have been handed to the producer, which is then at full speed. */
const KILL_AT = [0.25, 0.5, 0.75];
const DOWN_MS = 500;

/** Takes half a minute for a million lines: here it only reads what its own producer wrote. */
const slow = (reader: ForeignClient): boolean => reader.name === 'java-console';

/**
 * The broker is killed while a producer is at work and starts again on the same files; the producer goes on by its own
 * retries. Whatever it was told is stored is there, once and in order.
 */
export async function checkKill(suite: Suite): Promise<void> {
  const readers = suite.clients.filter((client) => client.consume);
  for (const producer of suite.clients.filter((client) => client.produce)) {
    const name = `kill/${producer.name}`;
    if (!suite.report.wants(name)) continue;
    const topic = `kill-${producer.name.replaceAll(/[^a-z-]/g, '')}`;
    await suite.topics.create(topic, PARTITIONS);
    const written = await suite.report.check(`${name} writes through kills of the broker`, () =>
      writeThroughKill(suite, producer, topic),
    );
    if (written)
      await readBack(
        suite,
        name,
        topic,
        readers.filter((reader) => !slow(reader) || reader === producer),
      );
    await suite.topics.delete(topic);
  }
}

async function writeThroughKill(suite: Suite, producer: ForeignClient, topic: string): Promise<string> {
  const { broker, topics, corpus } = suite;
  const killAtBytes = KILL_AT.map((part) => part * corpus.bytes);
  const storedAtKills: number[] = [];
  await runProgram(producer.produce!({ bootstrap: broker.bootstrap, topic, compression: 'none' }), {
    input: async (stdin) => {
      let fedBytes = 0;
      for await (const chunk of createReadStream(corpus.file)) {
        await writeTo(stdin, chunk as Buffer);
        fedBytes += (chunk as Buffer).length;
        if (fedBytes < (killAtBytes[storedAtKills.length] ?? Number.POSITIVE_INFINITY)) continue;
        await broker.kill();
        await sleep(DOWN_MS);
        await broker.restart();
        storedAtKills.push(sum(await topics.endsNext(topic, PARTITIONS)));
      }
    },
  });
  const counts = (await topics.endsNext(topic, PARTITIONS)).join(' ');
  const expected = corpus.expected.counts.join(' ');
  if (counts !== expected) throw new Error(`records per partition: expected ${expected}, found ${counts}`);
  if (storedAtKills.at(-1) === 0) throw new Error('no kill came while records were being stored');
  return `killed at ${storedAtKills.join(', ')} of ${corpus.lines} records`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
