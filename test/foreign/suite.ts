import type { Broker } from './broker.ts';
import type { ForeignClient } from './clients/foreign-client.ts';
import type { Corpus } from './corpus.ts';
import type { Report } from './report.ts';
import type { Topics } from './topics.ts';

/** What a group of checks works with. */
export interface Suite {
  broker: Broker;
  topics: Topics;
  report: Report;
  /** The clients that are there. */
  clients: readonly ForeignClient[];
  /** A folder of the run, removed at its end. */
  workDir: string;
  /** The long text, made for `PARTITIONS` partitions. */
  corpus: Corpus;
  /** Whether Kafka's classes can be run. */
  java: boolean;
}

export const PARTITIONS = 4;
