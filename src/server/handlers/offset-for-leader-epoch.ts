import { checkLeaderEpoch, epochEnd } from '../../broker/offsets.ts';
import { readingHandler, readOr } from '../handler.ts';

export const offsetForLeaderEpoch = readingHandler('OffsetForLeaderEpoch', [2, 4], async (request, { broker }) => ({
  topics: await Promise.all(
    request.topics.map(async ({ topic, partitions }) => ({
      topic,
      partitions: await Promise.all(
        partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) =>
          readOr(
            broker,
            () => {
              const log = broker.topics.get(topic).partition(partition);
              checkLeaderEpoch(log, currentLeaderEpoch);
              const end = epochEnd(log, leaderEpoch, log.marks.highWatermark);
              return { partition, errorCode: 0, leaderEpoch: end?.epoch ?? -1, endOffset: end?.endOffset ?? -1 };
            },
            (fault) => ({ partition, errorCode: fault.code, leaderEpoch: -1, endOffset: -1 }),
          ),
        ),
      ),
    })),
  ),
}));
