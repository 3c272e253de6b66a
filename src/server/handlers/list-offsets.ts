import { Fault } from '../../base/faults.ts';
import { checkLeaderEpoch, listOffset, special } from '../../broker/offsets.ts';
import { readingHandler, readOr } from '../handler.ts';

/** The first version whose answers carry the leader epoch. */
const LEADER_EPOCH_FROM = 4;

/** The versions from which the younger special values are served: a client that sends them in an older one is confused. */
const versionsOfSpecial = new Map([
  [special.maxTimestamp, 7],
  [special.earliestLocal, 8],
  [special.latestTiered, 9],
  [special.earliestPendingUpload, 11],
]);

export const listOffsets = readingHandler('ListOffsets', [1, 11], async (request, { broker, version }) => ({
  topics: await Promise.all(
    request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map(({ partitionIndex, currentLeaderEpoch, timestamp }) =>
          readOr(
            broker,
            async () => {
              const log = broker.topics.get(name).partition(partitionIndex);
              checkLeaderEpoch(log, currentLeaderEpoch);
              if ((versionsOfSpecial.get(timestamp) ?? 0) > version) {
                throw new Fault('unsupportedVersion', { detail: `time ${timestamp} in version ${version}` });
              }
              const { offset, timestampMs, leaderEpoch } = await listOffset(log, timestamp);
              const epoch = version >= LEADER_EPOCH_FROM ? { leaderEpoch } : {};
              return { partitionIndex, errorCode: 0, timestamp: timestampMs, offset, ...epoch };
            },
            (fault) => ({ partitionIndex, errorCode: fault.code, timestamp: -1, offset: -1 }),
          ),
        ),
      ),
    })),
  ),
}));
