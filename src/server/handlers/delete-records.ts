import { deleteRecords as deleteBefore } from '../../broker/offsets.ts';
import { answerOr, handler } from '../handler.ts';

export const deleteRecords = handler('DeleteRecords', [0, 2], async (request, { broker }) => ({
  topics: await Promise.all(
    request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map(({ partitionIndex, offset }) =>
          answerOr(
            async () => {
              const lowWatermark = await deleteBefore(broker.topics.get(name), partitionIndex, offset);
              return { partitionIndex, lowWatermark, errorCode: 0 };
            },
            (fault) => ({ partitionIndex, lowWatermark: -1, errorCode: fault.code }),
          ),
        ),
      ),
    })),
  ),
}));
