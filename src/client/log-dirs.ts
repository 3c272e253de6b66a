import { type Fault, faultFromKafka } from '../base/faults.ts';
import type { DescribeLogDirsResult } from '../wire/messages.generated.ts';

export interface LogDirPartition {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: number;
}

/** A folder in which a broker keeps records. */
export interface LogDir {
  readonly broker: number;
  readonly path: string;
  /** Why the broker cannot use it; null when it can. */
  readonly fault: Fault | null;
  /** Of the file system; -1 where the broker does not say. */
  readonly totalBytes: number;
  readonly usableBytes: number;
  readonly partitions: readonly LogDirPartition[];
}

export function logDirOf(broker: number, result: DescribeLogDirsResult): LogDir {
  const { logDir: path, errorCode, totalBytes, usableBytes } = result;
  const partitions = result.topics.flatMap(({ name, partitions: ofTopic }) =>
    ofTopic.map(({ partitionIndex, partitionSize }) => ({
      topic: name,
      partition: partitionIndex,
      bytes: partitionSize,
    })),
  );
  return { broker, path, fault: faultFromKafka(errorCode, path), totalBytes, usableBytes, partitions };
}
