import { batchBytes, batchesIn } from '../../../src/record/batch.ts';
import type { Draft } from '../../../src/wire/codec.ts';
import type { Messages } from '../../../src/wire/messages.generated.ts';
import { batch } from '../support.ts';
import { CLOSED, type Place, type Scenario, type Side } from './scenario.ts';

const STRANGE_ID = 'Zm9vYmFyZm9vYmFyZm9vYg';
const SAFE_MAX = Number.MAX_SAFE_INTEGER;
const START_MS = 1_700_000_000_000;

type FetchRequest = Draft<Messages['Fetch']['request']>;

/** A topic of two partitions; the first holds ten batches of two records, one second apart. */
async function filled(side: Side, topic: string): Promise<string> {
  // They are old: neither broker may come and delete them.
  const id = await side.topic(topic, 2, { 'retention.ms': '-1' });
  for (let i = 0; i < 10; i += 1) {
    const records = batch([`a${i}`.padEnd(50), `b${i}`], { timestampMs: START_MS + i * 1000 });
    await side.ask('Produce', 9, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [{ name: topic, partitionData: [{ index: 0, records: [records] }] }],
    });
  }
  return id;
}

interface Part {
  readonly partition?: number;
  readonly offset?: number;
  readonly bytes?: number;
  readonly epoch?: number;
  readonly lastEpoch?: number;
}

function topicOf(version: number, name: string, id: string, parts: readonly Part[]) {
  const partitions = parts.map(({ partition = 0, offset = 0, bytes = 1 << 20, epoch = -1, lastEpoch = -1 }) => ({
    partition,
    fetchOffset: offset,
    partitionMaxBytes: bytes,
    ...(version < 9 ? {} : { currentLeaderEpoch: epoch }),
    ...(version < 12 ? {} : { lastFetchedEpoch: lastEpoch }),
  }));
  return version < 13 ? { topic: name, partitions } : { topicId: id, partitions };
}

function shapeOf(answer: Messages['Fetch']['response'] | null): unknown {
  if (answer === null) return CLOSED;
  // Neither the order of what is answered means anything, nor the watermarks beside an error, which Kafka tells in some cases.
  const parts = answer.responses.flatMap(({ partitions }) =>
    partitions.map((part) => {
      const { partitionIndex, errorCode, highWatermark, lastStableOffset, logStartOffset, divergingEpoch } = part;
      if (errorCode !== 0) return `${partitionIndex} error ${errorCode}`;
      const marks = `marks ${logStartOffset} ${highWatermark} ${lastStableOffset}`;
      const diverging = `diverging ${divergingEpoch.epoch} ${divergingEpoch.endOffset}`;
      return `${partitionIndex} ${marks} ${diverging} bytes ${wholeBytes(Buffer.concat(part.records ?? []))}`;
    }),
  );
  return { errorCode: answer.errorCode, inSession: answer.sessionId !== 0, parts: parts.sort() };
}

/** Kafka fills its answer up with a part of the next batch, which readers pass over. */
function wholeBytes(records: Buffer): number {
  let bytes = 0;
  for (const at of batchesIn(records)) bytes = at + batchBytes(records, at);
  return bytes;
}

async function fetch(side: Side, version: number, request: FetchRequest): Promise<unknown> {
  return shapeOf(await side.ask('Fetch', version, { maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 20, ...request }));
}

/** What a fetch of a filled topic is answered with. */
const parts: Record<string, { parts: readonly Part[]; versions?: readonly number[]; request?: FetchRequest }> = {
  'from the start': { parts: [{}, { partition: 1 }] },
  'from inside a batch': { parts: [{ offset: 5 }] },
  'from the end': { parts: [{ offset: 20 }] },
  'from beyond the end': { parts: [{ offset: 21 }, {}] },
  'from below zero': { parts: [{ offset: -1 }] },
  'from the largest offset': { parts: [{ offset: SAFE_MAX }] },
  'from the smallest offset': { parts: [{ offset: -SAFE_MAX }] },
  'a partition that is not there': { parts: [{ partition: 7 }, {}] },
  'a partition below zero': { parts: [{ partition: -1 }] },
  'a partition twice': { parts: [{ offset: 3 }, { offset: 5 }] },
  'with room for one batch and a half': { parts: [{ bytes: 250 }] },
  'with less room than a batch': { parts: [{ bytes: 10 }] },
  'with no room': { parts: [{ bytes: 0 }] },
  'with less than no room': { parts: [{ bytes: -5 }] },
  'with room for less than a batch in all': { parts: [{}, { partition: 1 }], request: { maxBytes: 10 } },
  'with no room in all': { parts: [{}], request: { maxBytes: 0 } },
  'with little room from inside': { parts: [{ offset: 7, bytes: 10 }] },
  'at the current epoch': { parts: [{ epoch: 0 }], versions: [9, 12, 16] },
  'at an epoch to come': { parts: [{ epoch: 5 }], versions: [9, 12, 16] },
  'after the last fetched epoch': { parts: [{ lastEpoch: 0 }], versions: [12, 16] },
  'after an epoch to come': { parts: [{ lastEpoch: 3 }], versions: [12, 16] },
  'beyond the end after the last fetched epoch': { parts: [{ lastEpoch: 0, offset: 25 }], versions: [12, 16] },
  'read committed': { parts: [{}], request: { isolationLevel: 1 } },
  'nothing comes within maxWait': { parts: [{ offset: 20 }], request: { maxWaitMs: 20, minBytes: 1 } },
  'a negative wait': { parts: [{ offset: 20 }], request: { maxWaitMs: -1, minBytes: 1 } },
  'negative minBytes': { parts: [{ offset: 20 }], request: { maxWaitMs: 20, minBytes: -1 } },
};

const fetches: Scenario[] = Object.entries(parts).map(([says, wish]) => ({
  api: 'Fetch',
  says,
  ...(says === 'with less than no room' ? { differs: 'Kafka fails with an unknown error' } : {}),
  versions: wish.versions ?? [4, 7, 12, 16],
  run: async (side, { topic, version }) => {
    const id = await filled(side, topic);
    return fetch(side, version, { ...wish.request, topics: [topicOf(version, topic, id, wish.parts)] });
  },
}));

/** A fetch session, told step by step. */
function session(
  says: string,
  steps: (side: Side, place: Place & { id: string }, ask: SessionAsk) => Promise<void>,
  versions: readonly number[] = [7, 12, 16],
): Scenario {
  return {
    api: 'Fetch',
    says: `session: ${says}`,
    versions,
    run: async (side, place) => {
      const id = await filled(side, place.topic);
      const shapes: unknown[] = [];
      let sessionId = 0;
      const ask: SessionAsk = async (request, version = place.version) => {
        const answer = await side.ask('Fetch', version, {
          maxWaitMs: 0,
          minBytes: 0,
          maxBytes: 1 << 20,
          sessionId,
          ...request,
        });
        if (answer !== null && answer.sessionId !== 0) sessionId = answer.sessionId;
        shapes.push(shapeOf(answer));
      };
      await steps(side, { ...place, id }, ask);
      return shapes;
    },
  };
}

type SessionAsk = (request: FetchRequest, version?: number) => Promise<void>;

const sessions: Scenario[] = [
  session('goes on, and tells only what changed', async (side, { topic, id, version }, ask) => {
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{ offset: 20 }, { partition: 1 }])] });
    await ask({ sessionEpoch: 1 });
    await ask({ sessionEpoch: 2, topics: [topicOf(version, topic, id, [{ offset: 18 }])] });
    await ask({ sessionEpoch: 3, topics: [topicOf(version, topic, id, [{ offset: 20 }])] });
    await side.ask('DeleteRecords', 2, {
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset: 4 }] }],
      timeoutMs: 1000,
    });
    await ask({ sessionEpoch: 4 });
    await ask({ sessionEpoch: 5 });
  }),
  session('an epoch that is not its turn', async (_side, { topic, id, version }, ask) => {
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{}])] });
    await ask({ sessionEpoch: 2 });
    await ask({ sessionEpoch: 1 });
    await ask({ sessionEpoch: 1 });
  }),
  session('one that nobody keeps', async (_side, _place, ask) => {
    await ask({ sessionId: 4711, sessionEpoch: 1 });
    await ask({ sessionId: 0, sessionEpoch: 1 });
    await ask({ sessionId: 4711, sessionEpoch: -1 });
  }),
  session('ended by its client', async (_side, { topic, id, version }, ask) => {
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{}])] });
    await ask({ sessionEpoch: -1, topics: [topicOf(version, topic, id, [{ offset: 4 }])] });
    await ask({ sessionEpoch: 1 });
  }),
  session('begun again', async (_side, { topic, id, version }, ask) => {
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{}])] });
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{ offset: 4 }])] });
    await ask({ sessionEpoch: 1 });
  }),
  session('forgets partitions', async (_side, { topic, id, version }, ask) => {
    const forget = (...partitions: number[]) => [version < 13 ? { topic, partitions } : { topicId: id, partitions }];
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{}, { partition: 1 }])] });
    await ask({ sessionEpoch: 1, forgottenTopicsData: forget(0) });
    await ask({
      sessionEpoch: 2,
      topics: [topicOf(version, topic, id, [{ offset: 12 }])],
      forgottenTopicsData: forget(9),
    });
    await ask({ sessionEpoch: 3, forgottenTopicsData: forget(0, 1) });
    await ask({ sessionEpoch: 4 });
  }),
  session('of nothing', async (_side, { topic, id, version }, ask) => {
    await ask({ sessionEpoch: 0 });
    await ask({ sessionEpoch: 1, topics: [topicOf(version, topic, id, [{}])] });
  }),
  session('with faults', async (_side, { topic, id, version }, ask) => {
    await ask({ sessionEpoch: 0, topics: [topicOf(version, topic, id, [{ partition: 9 }, { offset: 99 }])] });
    await ask({ sessionEpoch: 1 });
    await ask({ sessionEpoch: 2, topics: [topicOf(version, topic, id, [{ offset: 20 }])] });
    await ask({ sessionEpoch: 3 });
  }),
  session(
    'begun with names, gone on with ids',
    async (_side, { topic, id }, ask) => {
      await ask({ sessionEpoch: 0, topics: [topicOf(12, topic, id, [{}])] }, 12);
      await ask({ sessionEpoch: 1 }, 13);
      await ask({ sessionEpoch: 1 }, 12);
    },
    [13],
  ),
];

const otherFetches: Scenario[] = [
  {
    api: 'Fetch',
    says: 'unknown and illegal topics',
    run: async (side, { topic, version }) => {
      const id = await filled(side, topic);
      const topics = [
        topicOf(version, 'no-such', STRANGE_ID, [{}]),
        topicOf(version, topic, id, [{ offset: 18 }]),
        topicOf(version, version < 13 ? '../x' : 'y', version < 13 ? id : 'AAAAAAAAAAAAAAAAAAAAAA', [{}]),
      ];
      return fetch(side, version, { topics });
    },
  },
  {
    api: 'Fetch',
    says: 'nothing',
    run: async (side, { version }) => fetch(side, version, {}),
  },
];

const time = (side: Side, version: number, topic: string, timestamps: readonly number[], epoch?: number) =>
  Promise.all(
    timestamps.map(async (timestamp) => {
      const wish = { partitionIndex: 0, timestamp, ...(epoch === undefined ? {} : { currentLeaderEpoch: epoch }) };
      const answer = await side.ask('ListOffsets', version, {
        replicaId: -1,
        topics: [{ name: topic, partitions: [wish] }],
      });
      if (answer === null) return CLOSED;
      const { errorCode, timestamp: foundMs, offset, leaderEpoch } = answer.topics[0]!.partitions[0]!;
      return [timestamp, errorCode, offset, foundMs, leaderEpoch];
    }),
  );

const offsets: Scenario[] = [
  {
    api: 'ListOffsets',
    says: 'ends, times and special values',
    run: async (side, { topic, version }) => {
      await filled(side, topic);
      const times = [0, 1, START_MS, START_MS + 1, START_MS + 9000, START_MS + 9001, SAFE_MAX];
      return time(side, version, topic, [-1, -2, -3, -4, -5, -6, -7, -1000, -SAFE_MAX, ...times]);
    },
  },
  {
    api: 'ListOffsets',
    says: 'of an empty partition',
    versions: [1, 4, 8, 11],
    run: async (side, { topic, version }) => {
      await side.topic(topic);
      return time(side, version, topic, [-1, -2, -3, -4, -5, 0, START_MS]);
    },
  },
  {
    api: 'ListOffsets',
    says: 'of a partition of which the start, or all, was deleted',
    versions: [1, 4, 8, 11],
    run: async (side, { topic, version }) => {
      await filled(side, topic);
      const found: unknown[] = [];
      for (const offset of [5, -1]) {
        await side.ask('DeleteRecords', 2, {
          topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }],
          timeoutMs: 1000,
        });
        found.push(await time(side, version, topic, [-1, -2, -4, 0, START_MS + 9001]));
      }
      return found;
    },
  },
  {
    api: 'ListOffsets',
    says: 'with epochs',
    versions: [4, 11],
    run: async (side, { topic, version }) => {
      await filled(side, topic);
      return [
        await time(side, version, topic, [-1], 0),
        await time(side, version, topic, [-1], 7),
        await time(side, version, topic, [-1], -2),
      ];
    },
  },
  {
    api: 'ListOffsets',
    says: 'unknown topics and partitions',
    run: async (side, { topic, version }) => {
      await filled(side, topic);
      const at = (name: string, ...indexes: number[]) => ({
        name,
        partitions: indexes.map((partitionIndex) => ({ partitionIndex, timestamp: -1 })),
      });
      const answer = await side.ask('ListOffsets', version, {
        replicaId: -1,
        topics: [at('no-such', 0), at(topic, 0, 7, -1), at('../x', 0), at('', 0)],
      });
      if (answer === null) return CLOSED;
      return answer.topics
        .map(({ partitions }) => partitions.map((part) => `${part.errorCode} ${part.offset}`).sort())
        .sort();
    },
  },
  {
    api: 'OffsetForLeaderEpoch',
    says: 'known, unknown and impossible epochs',
    run: async (side, { topic, version }) => {
      await filled(side, topic);
      const ask = (partition: number, leaderEpoch: number, currentLeaderEpoch = -1) => ({
        partition,
        leaderEpoch,
        currentLeaderEpoch,
      });
      const answer = await side.ask('OffsetForLeaderEpoch', version, {
        ...(version < 3 ? {} : { replicaId: -1 }),
        topics: [
          { topic, partitions: [ask(0, 0), ask(1, 0), ask(7, 0)] },
          { topic: 'no-such', partitions: [ask(0, 0)] },
        ],
      });
      const one = async (leaderEpoch: number, currentLeaderEpoch: number): Promise<unknown> => {
        const found = await side.ask('OffsetForLeaderEpoch', version, {
          ...(version < 3 ? {} : { replicaId: -1 }),
          topics: [{ topic, partitions: [ask(0, leaderEpoch, currentLeaderEpoch)] }],
        });
        return found?.topics.map(({ partitions }) => partitions) ?? CLOSED;
      };
      return [
        answer?.topics.map(({ partitions }) => partitions) ?? CLOSED,
        await one(5, -1),
        await one(-1, -1),
        await one(-7, -1),
        await one(0, 0),
        await one(0, 9),
      ];
    },
  },
  {
    api: 'DeleteRecords',
    says: 'offsets in and out of range',
    run: async (side, { topic, version }) => {
      await filled(side, topic);
      const answers: unknown[] = [];
      for (const offset of [0, 5, 3, 21, -2, -SAFE_MAX, SAFE_MAX, 20, -1]) {
        const answer = await side.ask('DeleteRecords', version, {
          topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }],
          timeoutMs: 1000,
        });
        answers.push(answer?.topics.map(({ partitions }) => partitions) ?? CLOSED);
      }
      return answers;
    },
  },
  {
    api: 'DeleteRecords',
    says: 'unknown topics, and one that is compacted',
    run: async (side, { topic, version }) => {
      await side.topic(topic, 1, { 'cleanup.policy': 'compact' });
      const at = (name: string, partitionIndex: number) => ({ name, partitions: [{ partitionIndex, offset: 0 }] });
      const answers: unknown[] = [];
      for (const wish of [at(topic, 0), at(topic, 7), at('no-such', 0), at('../x', 0)]) {
        const answer = await side.ask('DeleteRecords', version, { topics: [wish], timeoutMs: 1000 });
        answers.push(answer?.topics.map(({ partitions }) => partitions) ?? CLOSED);
      }
      return answers;
    },
  },
];

export const readScenarios: readonly Scenario[] = [...fetches, ...sessions, ...otherFetches, ...offsets];
