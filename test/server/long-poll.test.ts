import { describe, expect, test } from 'vitest';
import { ManualClock } from '../log/support.ts';
import { batch, makeTopic, produceOf, type RawClient, startBroker, until } from './support.ts';

/** A topic of three partitions, a client that fetches and one that produces. Time goes on only when it is told to. */
async function place() {
  const clock = new ManualClock();
  const target = await startBroker({ clock });
  const [reader, writer] = [await target.client(), await target.client()];
  await makeTopic(writer, 't', 3, { 'message.timestamp.after.max.ms': '9223372036854775807' });
  const write = async (index: number, bytes = 10): Promise<void> => {
    await writer.request('Produce', 9, produceOf('t', batch(['x'.repeat(bytes)]), -1, index));
  };
  const quiet = clock.timers;
  return { clock, reader, writer, write, quiet, ...target };
}

/** Posts a fetch of all three partitions from their starts. */
function poll(client: RawClient, wish: { minBytes?: number; maxWaitMs?: number; bytesMax?: number } = {}): number {
  const { minBytes = 1, maxWaitMs = 10_000, bytesMax = 1 << 20 } = wish;
  const partitions = [0, 1, 2].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: bytesMax }));
  return client.post('Fetch', 12, { maxWaitMs, minBytes, maxBytes: 1 << 20, topics: [{ topic: 't', partitions }] });
}

async function bytesIn(client: RawClient, correlationId: number): Promise<number[]> {
  const { responses } = client.decode('Fetch', 12, await client.answerTo(correlationId));
  return responses[0]!.partitions.map(({ records }) => Buffer.concat(records ?? []).length);
}

/** The broker has taken in what was posted: the fetch has set its timer. */
async function waiting(clock: ManualClock, quiet: number): Promise<void> {
  await until(() => clock.timers > quiet);
}

describe('a fetch that finds too little', () => {
  test('waits for the first record, in whichever of its partitions', async () => {
    for (const index of [0, 1, 2]) {
      const { reader, write, clock, quiet } = await place();
      const fetched = poll(reader);
      await waiting(clock, quiet);
      expect(reader.answers).toEqual([]);
      await write(index);
      const sizes = await bytesIn(reader, fetched);
      expect(sizes.map((bytes) => bytes > 0)).toEqual([0, 1, 2].map((i) => i === index));
    }
  });

  test('is answered with nothing at its deadline, and not before', async () => {
    const { reader, writer, clock, quiet } = await place();
    const fetched = poll(reader, { maxWaitMs: 500 });
    await waiting(clock, quiet);
    clock.advance(499);
    await writer.request('ApiVersions', 0, {});
    expect(reader.answers).toEqual([]);
    clock.advance(1);
    expect(await bytesIn(reader, fetched)).toEqual([0, 0, 0]);
  });

  test('is answered at its deadline with the little that there is', async () => {
    const { reader, write, clock, quiet } = await place();
    await write(1);
    const fetched = poll(reader, { minBytes: 100_000 });
    await waiting(clock, quiet);
    clock.advance(10_000);
    expect((await bytesIn(reader, fetched))[1]).toBeGreaterThan(70);
  });

  test('waits until all its partitions together have minBytes', async () => {
    const { reader, write, clock, quiet } = await place();
    const fetched = poll(reader, { minBytes: 1500 });
    await waiting(clock, quiet);
    await write(0, 600);
    await write(1, 600);
    expect(reader.answers).toEqual([]);
    await write(2, 600);
    expect((await bytesIn(reader, fetched)).every((bytes) => bytes > 600)).toBe(true);
  });

  test('waits no longer than a minute, whatever it asks', async () => {
    const { reader, clock, quiet } = await place();
    const fetched = poll(reader, { maxWaitMs: 0x7fffffff });
    await waiting(clock, quiet);
    clock.advance(60_000);
    expect(await bytesIn(reader, fetched)).toEqual([0, 0, 0]);
  });

  test('is answered at once when it asks for nothing, or for a partition that cannot be read', async () => {
    const { reader } = await place();
    expect(await bytesIn(reader, poll(reader, { minBytes: 0 }))).toEqual([0, 0, 0]);
    const partitions = [0, 7].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1000 }));
    const answer = await reader.request('Fetch', 12, {
      maxWaitMs: 60_000,
      minBytes: 1,
      topics: [{ topic: 't', partitions }],
    });
    expect(answer.responses[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([0, 3]);
  });

  test('is answered when a topic of it is deleted', async () => {
    const { reader, writer, clock, quiet } = await place();
    const fetched = poll(reader);
    await waiting(clock, quiet);
    await writer.request('DeleteTopics', 6, { topics: [{ name: 't' }] });
    const { responses } = reader.decode('Fetch', 12, await reader.answerTo(fetched));
    expect(responses[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([3, 3, 3]);
  });

  test('leaves nothing behind when its client goes', async () => {
    const { client, clock, quiet, server } = await place();
    const readers = await Promise.all(Array.from({ length: 10 }, () => client()));
    for (const reader of readers) for (let i = 0; i < 3; i += 1) poll(reader);
    // Each waits for the first of its fetches, and is watched for idleness.
    await until(() => clock.timers >= quiet + 20);
    for (const reader of readers) await reader.end();
    await until(() => server.connections === 2 && clock.timers <= quiet);
  });

  test('is answered in a session with what is new alone', async () => {
    const { reader, write, clock, quiet } = await place();
    const partitions = [0, 1, 2].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1000 }));
    const first = await reader.request('Fetch', 12, {
      maxWaitMs: 0,
      minBytes: 1,
      sessionEpoch: 0,
      topics: [{ topic: 't', partitions }],
    });
    const { sessionId } = first;
    const next = reader.post('Fetch', 12, { maxWaitMs: 10_000, minBytes: 1, sessionId, sessionEpoch: 1 });
    await waiting(clock, quiet);
    await write(2);
    const { responses } = reader.decode('Fetch', 12, await reader.answerTo(next));
    expect(responses[0]!.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([2]);
  });
});

describe('partitions share what a fetch may hold', () => {
  test('in a session, who was served comes last the next time', async () => {
    const { reader, write } = await place();
    for (const index of [0, 1, 2]) for (let i = 0; i < 3; i += 1) await write(index, 400);
    const partitions = [0, 1, 2].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 100 }));
    let request = { sessionId: 0, sessionEpoch: 0, topics: [{ topic: 't', partitions }] };
    const served: number[][] = [];
    for (let epoch = 1; epoch <= 4; epoch += 1) {
      const answer = await reader.request('Fetch', 12, { maxWaitMs: 0, minBytes: 1, maxBytes: 100, ...request });
      const parts = answer.responses.flatMap((topic) => topic.partitions);
      served.push(parts.filter(({ records }) => (records?.length ?? 0) > 0).map((part) => part.partitionIndex));
      request = { sessionId: answer.sessionId, sessionEpoch: epoch, topics: [] };
    }
    expect(served).toEqual([[0], [1], [2], [0]]);
  });
});
