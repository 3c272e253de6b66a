import { readingHandler } from '../handler.ts';

export const describeLogDirs = readingHandler('DescribeLogDirs', [1, 4], async (request, { broker }) => {
  const { freeBytes, totalBytes } = await broker.disk.space();
  const wanted = request.topics;
  const topics = Array.from(broker.topics).flatMap((topic) => {
    const asked = wanted?.filter((wish) => wish.topic === topic.name).flatMap(({ partitions }) => partitions);
    const partitions = topic.partitions
      .map((log, partitionIndex) => ({
        partitionIndex,
        partitionSize: log.sizeBytes,
        offsetLag: 0,
        isFutureKey: false,
      }))
      .filter(({ partitionIndex }) => asked === undefined || asked.includes(partitionIndex));
    return partitions.length === 0 ? [] : [{ name: topic.name, partitions }];
  });
  return { results: [{ errorCode: 0, logDir: 'topics', topics, totalBytes, usableBytes: freeBytes }] };
});
