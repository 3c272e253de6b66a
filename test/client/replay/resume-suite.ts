import { expect, test } from 'vitest';
import { bytes } from '../../../src/client/codecs.ts';
import type { ReplayOptions } from '../../../src/client/replay/replay-options.ts';
import type { Millrace } from '../../../src/millrace.ts';
import { newTopic } from '../targets.ts';
import { contentOf, fill, KEPT, MemoryCheckpoint } from './replayed-topics.ts';

const RUNS_MAX = 200;

/** What a replay does that is interrupted. */
export function resumeSuite(client: () => Millrace): void {
  /** Runs until it comes to its end; each run is ended by `interrupt`, or else only by what it is given. */
  const runThrough = async (options: ReplayOptions, interrupt: (run: number) => AbortSignal | undefined) => {
    for (let run = 1; run <= RUNS_MAX; run++) {
      const signal = interrupt(run);
      const result = await client()
        .replay({ ...options, ...(signal && { signal }) })
        .catch((error: Error) => {
          if (/interrupted|killed/.test(error.message)) return null;
          throw error;
        });
      if (result !== null) return { result, runs: run };
    }
    throw new Error('it never came to its end');
  };

  test('ended by a signal again and again, it stores every record once', async () => {
    const topic = await fill(client(), 'stopped', { records: 20_000, partitions: 4 });
    const target = newTopic('stopped-again');
    const checkpoint = new MemoryCheckpoint();
    let left = 0;
    let abort = new AbortController();
    const { runs, result } = await runThrough(
      {
        topic,
        checkpoint,
        // Called for each record, and says yes to all: the place to interrupt.
        filter: () => {
          if (--left === 0) abort.abort(new Error('interrupted'));
          return true;
        },
        target: { topic: target, create: true },
      },
      (run) => {
        left = run * 1500;
        abort = new AbortController();
        return abort.signal;
      },
    );
    expect(runs).toBeGreaterThan(3);
    expect(result.records).toBe(20_000);
    expect(await contentOf(client(), target)).toEqual(await contentOf(client(), topic));
  });

  for (const partition of ['same', 'murmur2'] as const) {
    test(`ended without notice after any checkpoint, partitions by ${partition}, it stores every record once`, async () => {
      const topic = await fill(client(), 'killed', { records: 20_000, partitions: 3 });
      const target = newTopic('killed-again');
      await client().admin.createTopic({ name: target, partitions: 3, settings: KEPT });
      const checkpoint = new MemoryCheckpoint();
      const { runs, result } = await runThrough(
        { topic, checkpoint, checkpointIntervalMs: 1, target: { topic: target, partition } },
        (run) => {
          checkpoint.savesLeft = run === 1 ? 1 : run < 8 ? 2 : Number.POSITIVE_INFINITY;
          return undefined;
        },
      );
      expect(runs).toBeGreaterThan(2);
      // The last run that was ended had stored what it could not note down.
      expect(result.foundInTarget).toBeGreaterThan(0);
      const reference = newTopic('never-killed');
      await client().admin.createTopic({ name: reference, partitions: 3, settings: KEPT });
      await client().replay({ topic, target: { topic: reference, partition } });
      expect(await contentOf(client(), target)).toEqual(await contentOf(client(), reference));
    });
  }

  test('other writers to the target are in nobody’s way', async () => {
    const topic = await fill(client(), 'shared', { records: 10_000, partitions: 2 });
    const target = newTopic('shared-target');
    await client().admin.createTopic({ name: target, partitions: 2, settings: KEPT });
    const checkpoint = new MemoryCheckpoint();
    await using producer = client().producer({ value: bytes });
    let stranger = 0;
    const write = async (): Promise<void> => {
      const headers = { stranger: String(stranger) };
      await Promise.all(
        [0, 1].map((partition) => producer.send({ topic: target, partition, value: Buffer.from('x'), headers })),
      );
      stranger++;
    };
    const { runs } = await runThrough(
      {
        topic,
        checkpoint: {
          load: () => checkpoint.load(),
          async save(text) {
            await write();
            await checkpoint.save(text);
          },
        },
        checkpointIntervalMs: 1,
        target: { topic: target },
      },
      (run) => {
        checkpoint.savesLeft = run < 6 ? 2 : Number.POSITIVE_INFINITY;
        return undefined;
      },
    );
    expect(runs).toBeGreaterThan(1);
    expect(stranger).toBeGreaterThan(1);
    const all = await contentOf(client(), topic, () => true);
    expect(await contentOf(client(), target, (record) => record.header('stranger') === null)).toEqual(all);
  });

  test('a target that stamps records itself is gone on with as well', async () => {
    const topic = await fill(client(), 'stamped', { records: 6000, partitions: 2 });
    const target = newTopic('stamped-again');
    const settings = { ...KEPT, 'message.timestamp.type': 'LogAppendTime' };
    await client().admin.createTopic({ name: target, partitions: 2, settings });
    const checkpoint = new MemoryCheckpoint();
    const { result } = await runThrough(
      { topic, checkpoint, checkpointIntervalMs: 1, target: { topic: target } },
      (run) => {
        checkpoint.savesLeft = run < 4 ? 2 : Number.POSITIVE_INFINITY;
        return undefined;
      },
    );
    expect(result.records).toBe(6000);
    expect((await contentOf(client(), target)).counts).toEqual([3000, 3000]);
  });

  test('a target whose beginning was deleted is gone on with, as long as something of the replay is left', async () => {
    const { options, checkpoint, target } = await interrupted();
    // As a run leaves it that is killed right after its first checkpoint.
    const state = JSON.parse(checkpoint.text!);
    for (const one of state.source) one.next = 0;
    Object.assign(state, { turn: { partition: null, endNext: null }, records: 0, bytes: 0 });
    for (const one of state.target.partitions) Object.assign(one, { records: 0, acknowledged: 0, offset: 0 });
    checkpoint.text = JSON.stringify(state);
    await client().admin.trim(target, new Map([[0, 500]]));
    const begun = checkpoint.text;
    expect((await client().replay(options)).foundInTarget).toBeGreaterThanOrEqual(900);
    expect((await client().admin.offsets(target, 'latest')).get(0)?.offset).toBe(2000);
    await client().admin.trim(target, new Map([[0, 'latest']]));
    checkpoint.text = begun;
    await expect(client().replay(options)).rejects.toMatchObject({ fault: 'replayDiverged' });
  });

  test('two runs at once from one checkpoint store every record once', async () => {
    const topic = await fill(client(), 'twice', { records: 6000, partitions: 2 });
    const target = newTopic('twice-again');
    await client().admin.createTopic({ name: target, partitions: 2, settings: KEPT });
    const [first, second] = [new MemoryCheckpoint(), new MemoryCheckpoint()];
    const options: ReplayOptions = { topic, target: { topic: target } };
    first.savesLeft = 1;
    await expect(client().replay({ ...options, checkpoint: first })).rejects.toThrow('killed');
    first.savesLeft = Number.POSITIVE_INFINITY;
    second.text = first.text;
    const both = [first, second].map((checkpoint) => client().replay({ ...options, checkpoint }));
    for (const outcome of await Promise.allSettled(both)) {
      // One may be told again and again that the other was there first, and give up.
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ fault: 'replayDiverged' });
    }
    await client().replay({ ...options, checkpoint: second });
    expect(await contentOf(client(), target)).toEqual(await contentOf(client(), topic));
  });

  test('a replay that came to its end does nothing more', async () => {
    const topic = await fill(client(), 'ended', { records: 500, partitions: 2 });
    const options = { topic, checkpoint: new MemoryCheckpoint(), target: { topic: newTopic('ended'), create: true } };
    const first = await client().replay(options);
    expect(await client().replay(options)).toEqual({ ...first, foundInTarget: 0 });
    expect((await contentOf(client(), options.target.topic)).counts).toEqual([250, 250]);
  });

  /** A checkpoint of a replay that was ended in the middle, with its options. */
  const interrupted = async (): Promise<{ options: ReplayOptions; checkpoint: MemoryCheckpoint; target: string }> => {
    const topic = await fill(client(), 'middle', { records: 2000, partitions: 1 });
    const target = newTopic('middle-again');
    const checkpoint = new MemoryCheckpoint();
    const abort = new AbortController();
    const options: ReplayOptions = { topic, checkpoint, target: { topic: target, create: true } };
    let left = 1000;
    const filter = (): boolean => {
      if (--left === 0) abort.abort(new Error('interrupted'));
      return true;
    };
    await expect(client().replay({ ...options, filter, signal: abort.signal })).rejects.toThrow('interrupted');
    return { options: { ...options, filter: () => true }, checkpoint, target };
  };

  test('a checkpoint of other arguments, or of none, is refused, and nothing is sent', async () => {
    const { options, checkpoint, target } = await interrupted();
    const before = await contentOf(client(), target);
    for (const other of [{ limit: 5 }, { from: { offset: 1 } }, { target: () => {} }, { pace: 1 }]) {
      const refused = client().replay({ ...options, ...other });
      await expect(refused).rejects.toMatchObject({ fault: 'replayCheckpointMismatch' });
    }
    const saved = checkpoint.text!;
    for (const text of ['', '{', '{}', saved.slice(0, -20)]) {
      checkpoint.text = text;
      await expect(client().replay(options)).rejects.toMatchObject({ fault: 'damagedCheckpoint' });
    }
    expect(await contentOf(client(), target)).toEqual(before);
  });

  test('a source that lost the range meanwhile is told of', async () => {
    const { options } = await interrupted();
    await client().admin.trim(options.topic, new Map([[0, 1500]]));
    await expect(client().replay(options)).rejects.toMatchObject({ fault: 'replayRangeLost' });
  });

  test('a source or a target that was made again is told of', async () => {
    for (const end of ['source', 'target'] as const) {
      const { options, target } = await interrupted();
      const name = end === 'source' ? options.topic : target;
      await client().admin.deleteTopic(name);
      await client().admin.createTopic({ name, partitions: 1, settings: KEPT });
      await expect(client().replay(options)).rejects.toMatchObject({ fault: 'replayDiverged' });
    }
  });
}
