import { Fault } from '../../base/faults.ts';
import { checkGroupId } from '../group-requests.ts';
import { answerOr, handler } from '../handler.ts';

export const offsetDelete = handler('OffsetDelete', [0, 0], ({ groupId, topics }, { broker }) =>
  answerOr(
    async () => {
      checkGroupId(groupId);
      const wanted = topics.map(({ name, partitions }) => ({
        topic: name,
        partitions: partitions.map(({ partitionIndex }) => partitionIndex),
      }));
      const refusals = await broker.groups.removeOffsets(groupId, wanted);
      const unknown = new Fault('unknownPartition');
      return {
        errorCode: 0,
        topics: wanted.map(({ topic, partitions }, i) => ({
          name: topic,
          partitions: partitions.map((partitionIndex) => {
            const exists = broker.topics.find(topic)?.partitions[partitionIndex] !== undefined;
            return { partitionIndex, errorCode: exists ? (refusals[i]?.code ?? 0) : unknown.code };
          }),
        })),
      };
    },
    (fault) => ({ errorCode: fault.code }),
  ),
);
