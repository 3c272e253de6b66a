import { expect, test } from 'vitest';
import { Fault } from '../../../src/base/faults.ts';
import { bytes, text } from '../../../src/client/codecs.ts';
import { murmur2 } from '../../../src/client/murmur2.ts';
import type { ReplayOptions } from '../../../src/client/replay/replay-options.ts';
import type { Millrace } from '../../../src/millrace.ts';
import { newTopic } from '../targets.ts';
import { contentOf, FIRST_MS, fill, KEPT, MemoryCheckpoint } from './replayed-topics.ts';

/** What a replay does in one go. */
export function replaySuite(client: () => Millrace): void {
  /** The numbers of the records that a handler is given, as `partition:offset`. */
  const given = async (options: Omit<ReplayOptions<string, Buffer>, 'target'>): Promise<string[]> => {
    const places: string[] = [];
    await client().replay<string, Buffer>({
      ...options,
      target: ({ partition, offset }) => void places.push(`${partition}:${offset}`),
    });
    return places;
  };
  const places = (partition: number, start: number, end: number): string[] =>
    Array.from({ length: end - start }, (_, index) => `${partition}:${start + index}`);
  const sorted = (texts: readonly string[]): string[] => [...texts].sort();

  test('every record is in the other topic as it was: key, value, headers, timestamp, partition, order', async () => {
    const topic = await fill(client(), 'whole', { records: 5000, partitions: 3 });
    const target = newTopic('whole-again');
    const result = await client().replay({ topic, target: { topic: target, create: true } });
    expect(await contentOf(client(), target)).toEqual(await contentOf(client(), topic));
    expect(result).toMatchObject({ records: 5000, filtered: 0, offsetsDone: 5000, offsetsTotal: 5000 });
    // Compressed otherwise, and with batches taken apart, it is the same.
    const zipped = newTopic('whole-zipped');
    await client().replay({ topic, pace: 1e9, target: { topic: zipped, create: true, compression: 'gzip' } });
    expect(await contentOf(client(), zipped)).toEqual(await contentOf(client(), topic));
  });

  test('a topic that is made is like the source', async () => {
    const topic = await fill(client(), 'alike', { records: 10, partitions: 3 });
    await client().admin.alterSettings({ topic }, { set: { 'max.message.bytes': 123_456 } });
    const target = newTopic('alike-again');
    // In a cluster the setting may take a moment to be heard of.
    await expect
      .poll(async () => (await client().admin.settings({ topic }, ['max.message.bytes']))[0]?.value)
      .toBe('123456');
    await client().replay({ topic, target: { topic: target, create: true } });
    const settings = await client().admin.settings({ topic: target });
    const set = settings.filter(({ source }) => source === 'topic').map(({ name, value }) => `${name}=${value}`);
    expect(set.sort()).toEqual(['max.message.bytes=123456', 'retention.ms=-1']);
  });

  test('a range begins and ends at offsets, times, ages and counts, for all partitions or for each', async () => {
    const topic = await fill(client(), 'ranges', { records: 200, partitions: 2, compressions: ['none'] });
    const first = [...places(0, 10, 20), ...places(1, 10, 20)];
    expect(sorted(await given({ topic, from: { offset: 10 }, to: { offset: 20 } }))).toEqual(first);
    const byMap = { from: new Map([[1, { offset: 95 }]]), to: new Map([[1, { offset: 1000 }]]) };
    expect(await given({ topic, ...byMap })).toEqual(places(1, 95, 100));
    expect(await given({ topic, partitions: [0], from: { last: 3 } })).toEqual(places(0, 97, 100));
    const agoMs = Date.now() - (FIRST_MS + 150 * 1000);
    const young = await given({ topic, partitions: [1], from: { ago: agoMs } });
    const byTime = await given({ topic, partitions: [1], from: { time: FIRST_MS + 150 * 1000 } });
    expect(young.length).toBeGreaterThanOrEqual(byTime.length);
    expect(young.at(-1)).toBe(byTime.at(-1));
    expect(await given({ topic, from: 'latest' })).toEqual([]);
    expect(await given({ topic, from: { offset: 5 }, to: { offset: 5 } })).toEqual([]);
    await client().admin.trim(topic, new Map([[0, 50]]));
    await expect(given({ topic, partitions: [0], from: { offset: 49 } })).rejects.toMatchObject({
      fault: 'replayRangeLost',
    });
  });

  test('a filter leaves out what is not asked for, and a limit ends it', async () => {
    const topic = await fill(client(), 'filters', { records: 600, partitions: 1, compressions: ['lz4'] });
    const keys = async (
      filter: ReplayOptions<string, Buffer>['filter'],
      limit?: number,
    ): Promise<Set<string | null>> => {
      const found: (string | null)[] = [];
      const result = await client().replay<string, Buffer>({
        topic,
        key: text,
        target: ({ key }) => void found.push(key),
        ...(filter && { filter }),
        ...(limit !== undefined && { limit }),
      });
      expect(result.records).toBe(found.length);
      return new Set(found);
    };
    expect(await keys({ key: 'key-3' })).toEqual(new Set(['key-3']));
    expect([...(await keys({ keyLike: 'key-?' }))].sort()).toEqual(Array.from({ length: 10 }, (_, n) => `key-${n}`));
    expect((await keys(({ key }) => key === null)).size).toBe(1);
    const even = await given({ topic, filter: { headers: { parity: 'e*n' } } });
    expect(even).toEqual(Array.from({ length: 100 }, (_, index) => `0:${index * 6}`));
    expect(await given({ topic, limit: 7 })).toEqual(places(0, 0, 7));
    const target = newTopic('limited');
    await client().replay({ topic, limit: 100, filter: { keyLike: 'key-*' }, target: { topic: target, create: true } });
    expect((await contentOf(client(), target)).counts).toEqual([100]);
  });

  test('records go to other partitions by a map, by the key, or by what a function says', async () => {
    const topic = await fill(client(), 'remapped', { records: 900, partitions: 3 });
    const into = async (
      partition: NonNullable<Exclude<ReplayOptions['target'], (r: never) => unknown>['partition']>,
    ) => {
      const target = newTopic('remapped-into');
      await client().admin.createTopic({ name: target, partitions: 5, settings: KEPT });
      await client().replay({ topic, target: { topic: target, partition } });
      return target;
    };
    const mapped = await into(new Map([0, 1, 2].map((from) => [from, 4 - from])));
    expect((await contentOf(client(), mapped)).counts).toEqual([0, 0, 300, 300, 300]);
    const byKey = await into('murmur2');
    for await (const { partition, keyBytes } of client().reader({
      topic: byKey,
      to: 'end',
      key: bytes,
      value: bytes,
    })) {
      if (keyBytes !== null) expect(partition).toBe((murmur2(keyBytes) & 0x7fffffff) % 5);
      else expect(partition).toBeLessThan(3);
    }
    const chosen = await into(({ timestampMs }) => (timestampMs < FIRST_MS ? 0 : 1));
    expect((await contentOf(client(), chosen)).counts.slice(2)).toEqual([0, 0, 0]);
    const narrow = newTopic('narrow');
    await client().admin.createTopic({ name: narrow, partitions: 2, settings: KEPT });
    await expect(client().replay({ topic, target: { topic: narrow } })).rejects.toMatchObject({
      fault: 'invalidArgument',
    });
  });

  test('at the recorded pace records of all partitions come in the order of their timestamps', async () => {
    const topic = await fill(client(), 'paced', { records: 300, partitions: 3, compressions: ['zstd'] });
    const times: number[] = [];
    await client().replay({
      topic,
      from: { offset: 6 },
      pace: 1e7,
      filter: ({ timestampMs }) => timestampMs >= FIRST_MS,
      target: ({ timestampMs }) => void times.push(timestampMs),
    });
    // Record n is of second n; those whose time goes back come when their partition has come to them.
    const forward = times.filter((timeMs) => ((timeMs - FIRST_MS) / 1000) % 17 !== 0);
    expect(forward.length).toBeGreaterThan(100);
    expect(forward).toEqual([...forward].sort((a, b) => a - b));
  });

  test('a rate and a pace hold records back, and an abort ends the waiting', async () => {
    const topic = await fill(client(), 'held', { records: 100, partitions: 1, compressions: ['none'] });
    const startMs = performance.now();
    await client().replay({ topic, limit: 21, recordsPerSecond: 100, target: () => {} });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(190);
    const abort = new AbortController();
    const seen: number[] = [];
    const replaying = client().replay({
      topic,
      from: { offset: 1 },
      // The second record is a second later, so an hour.
      pace: 1 / 3600,
      signal: abort.signal,
      target: ({ offset }) => {
        seen.push(offset);
        setTimeout(() => abort.abort(new Error('enough')), 50);
      },
    });
    await expect(replaying).rejects.toThrow('enough');
    expect(seen).toEqual([1]);
  });

  test('a topic is not replayed into itself unless that is allowed', async () => {
    const topic = await fill(client(), 'itself', { records: 100, partitions: 2 });
    const refused = client().replay({ topic, target: { topic } });
    await expect(refused).rejects.toMatchObject({ fault: 'replayIntoItself' });
    await client().replay({ topic, target: { topic, intoItself: true } });
    expect((await contentOf(client(), topic)).counts).toEqual([100, 100]);
  });

  test('a plan says what would be replayed, and changes nothing', async () => {
    const topic = await fill(client(), 'planned', { records: 100, partitions: 2 });
    const target = newTopic('never-made');
    const plan = await client().planReplay({
      topic,
      from: new Map([[1, { offset: 20 }]]),
      target: { topic: target, create: true },
    });
    expect(plan).toEqual({
      resumes: false,
      partitions: [{ partition: 1, fromOffset: 20, toOffset: 50, recordsMax: 30, bytes: null }],
    });
    const whole = await client().planReplay({ topic, target: () => {} });
    expect(whole.partitions.map(({ bytes: onDisk }) => (onDisk ?? 0) > 500)).toEqual([true, true]);
    await expect(client().admin.describeTopic(target)).rejects.toMatchObject({ fault: 'unknownTopic' });
    const missing = client().planReplay({ topic, target: { topic: target } });
    await expect(missing).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('a handler is given one record at a time, and its failure ends the replay there', async () => {
    const topic = await fill(client(), 'handled', { records: 50, partitions: 1 });
    const checkpoint = new MemoryCheckpoint();
    let busy = 0;
    const seen: number[] = [];
    const handled = async (failAt: number): Promise<unknown> =>
      client().replay({
        topic,
        checkpoint,
        target: async ({ offset }) => {
          expect(++busy).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          busy--;
          if (offset === failAt) throw new Error('no more');
          seen.push(offset);
        },
      });
    await expect(handled(30)).rejects.toThrow('no more');
    await handled(-1);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  test('a range from beyond the end is refused, and with a checkpoint nothing is marked done', async () => {
    const topic = await fill(client(), 'beyond', { records: 10, partitions: 2 });
    const checkpoint = new MemoryCheckpoint();
    const beyond = { topic, target: () => {}, checkpoint };
    for (const from of [{ offset: 1e9 }, new Map([[1, { offset: 6 }]])]) {
      await expect(client().replay({ ...beyond, from })).rejects.toMatchObject({ fault: 'offsetOutOfRange' });
      await expect(client().planReplay({ ...beyond, from })).rejects.toMatchObject({ fault: 'offsetOutOfRange' });
    }
    expect(await checkpoint.load()).toBeNull();
    // The end itself is a place: what is there now may be all there is.
    const atEnd = await client().replay({ ...beyond, from: { offset: 5 } });
    expect(atEnd).toMatchObject({ records: 0, offsetsTotal: 0 });
  });

  test('a range that ends before it begins is refused', async () => {
    const topic = await fill(client(), 'backwards', { records: 10, partitions: 1 });
    const backwards: Pick<ReplayOptions, 'from' | 'to'>[] = [
      { from: { offset: 3 }, to: { offset: 1 } },
      { from: new Map([[0, { offset: 3 }]]), to: { offset: 2 } },
      { from: { time: FIRST_MS + 1 }, to: { time: FIRST_MS } },
      { from: { ago: 1000 }, to: { ago: 2000 } },
    ];
    for (const range of backwards) {
      const refused = client().replay({ topic, target: () => {}, ...range });
      await expect(refused).rejects.toMatchObject({ fault: 'invalidArgument' });
    }
  });

  test('what cannot be asked for is refused by name', async () => {
    const topic = await fill(client(), 'refused', { records: 10, partitions: 1 });
    const wrong: Partial<ReplayOptions>[] = [
      { limit: -1 },
      { recordsPerSecond: 0 },
      { pace: -2 },
      { pace: 1, recordsPerSecond: 1 },
      { from: { offset: -1 } },
      { filter: { key: 'a', keyLike: 'b' } },
      { target: { topic: 'x', partition: 'roundRobin' as never } },
    ];
    for (const options of wrong) {
      const refused = await client()
        .replay({ topic, target: () => {}, ...options })
        .catch((error) => error);
      expect([options, refused instanceof Fault && refused.fault]).toEqual([options, 'invalidArgument']);
    }
    const nowhere = client().replay({ topic: 'nowhere', target: () => {} });
    await expect(nowhere).rejects.toMatchObject({ fault: 'unknownTopic' });
  });
}
