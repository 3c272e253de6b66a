import type { Program } from '../../../tools/broker-process.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
export const compressions: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

export interface ProduceJob {
  bootstrap: string;
  topic: string;
  compression: Compression;
}

export interface ConsumeJob {
  bootstrap: string;
  topic: string;
  /** The offset after the last record, per partition. */
  endsNext: readonly number[];
}

/**
 * A Kafka client as a program, or several. The producer reads `key TAB value NL` lines, puts each key where Kafka's
 * default partitioner puts it, and ends well only when all are acknowledged by acks=all, each stored once; it goes on
 * through a restart of the broker. The consumer reads all partitions from the start, without a group, and writes
 * `partition TAB offset TAB key TAB value NL`; letters before a number are ignored.
 */
export interface ForeignClient {
  name: string;
  /** What the producer can compress with. */
  compressions: readonly Compression[];
  /** Makes it ready to run. @returns why it cannot be, when its toolchain is not there */
  prepare(workDir: string): Promise<string | undefined>;
  produce?(job: ProduceJob): Program;
  consume?(job: ConsumeJob): Program[];
}
