import { type DescribedSegments, describeSegments as segmentsOf } from '../../broker/segments.ts';
import { readingHandler, readOr } from '../handler.ts';

const nothing: DescribedSegments = { folder: '', segments: [], damaged: [], place: null };

/** Millrace's own: the files behind the offsets of a running broker. */
export const describeSegments = readingHandler('DescribeSegments', [0, 0], async (request, { broker }) => {
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map(({ partitionIndex, offset }) =>
        readOr(
          broker,
          async () => {
            const log = broker.topics.get(name).partition(partitionIndex);
            return { partitionIndex, errorCode: 0, ...(await segmentsOf(log, offset)) };
          },
          (fault) => ({ partitionIndex, errorCode: fault.code, errorMessage: fault.message, ...nothing }),
        ),
      ),
    ),
  }));
  return { topics: await Promise.all(topics) };
});
