import { expect, test } from 'vitest';
import { Millrace } from '../../src/millrace.ts';
import { failureOf } from '../log/support.ts';
import { atEnd, tempFolder } from '../server/support.ts';

/*
 * To a broker in the same process messages go as they are. What no request over TCP could carry is refused there too, before it is
 * done: stored, it would keep the broker from its next start.
 */

interface Case {
  readonly what: string;
  readonly act: (millrace: Millrace) => Promise<unknown>;
}

/** Consumes a record, with options that no TypeScript program need have. */
async function consume(millrace: Millrace, options: object): Promise<void> {
  const consumer = millrace.consumer({ group: 'g', topics: 'orders', ...options });
  try {
    for await (const _ of consumer) return;
  } finally {
    await consumer.close().catch(() => {});
  }
}

const cases: readonly Case[] = [
  {
    what: 'half a millisecond of a session',
    act: (one) => consume(one, { protocol: 'classic', sessionTimeoutMs: 45000.5 }),
  },
  { what: 'a third of a millisecond of a rebalance', act: (one) => consume(one, { rebalanceTimeoutMs: 100_000 / 3 }) },
  { what: 'a number for an instance', act: (one) => consume(one, { protocol: 'classic', instanceId: 7 }) },
  {
    what: 'a number for an instance of the new protocol',
    act: (one) => consume(one, { protocol: 'consumer', instanceId: 7 }),
  },
  { what: 'a number for a group', act: (one) => consume(one, { protocol: 'consumer', group: 7 }) },
  { what: 'a number for a topic', act: (one) => consume(one, { protocol: 'consumer', topics: ['orders', 7] }) },
  {
    what: 'half a leader epoch',
    act: (one) => one.admin.groups.setOffsets('g', [{ topic: 'orders', partition: 0, offset: 1, leaderEpoch: 0.5 }]),
  },
  {
    what: 'a number for metadata',
    act: (one) =>
      one.admin.groups.setOffsets('g', [
        { topic: 'orders', partition: 0, offset: 1, metadata: 7 as unknown as string },
      ]),
  },
];

test.each(cases.map((one) => [one.what, one] as const))(
  '%s is refused, and the next start finds all well',
  async (_, { act }) => {
    const folder = tempFolder();
    const millrace = await Millrace.open(folder);
    await millrace.admin.createTopic({ name: 'orders' });
    const producer = millrace.producer();
    await producer.send({ topic: 'orders', value: 'x' });
    expect(await failureOf(act(millrace))).toMatchObject({ fault: 'invalidArgument' });
    await producer.send({ topic: 'orders', value: 'y' });
    await millrace.close();
    const again = await Millrace.open(folder);
    atEnd(() => again.close());
    expect((await again.admin.offsets('orders', 'latest')).get(0)).toMatchObject({ offset: 2 });
  },
);
