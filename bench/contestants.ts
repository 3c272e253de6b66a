import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerProcess } from '../tools/broker-process.ts';
import { fetchKafka, startKafka } from '../tools/kafka.ts';
import { builtMain, startMillrace } from '../tools/millrace.ts';

export interface Contestant {
  name: string;
  what: string;
  /** Why it cannot take part, or undefined. */
  missing(): string | undefined;
  /** Whether it keeps topics until they are deleted, by a request it serves. */
  keepsTopics: boolean;
  /** Starts it on the files in `dir`, which it makes when they are not there. */
  start(dir: string, port: number): Promise<BrokerProcess>;
}

function bare(script: string): Contestant['start'] {
  const file = join(import.meta.dirname, script);
  return (dir, port) => {
    mkdirSync(dir, { recursive: true });
    const args = [file, String(port), join(dir, 'data')];
    return BrokerProcess.start({ file: process.execPath, args }, port, join(dir, 'out.log'));
  };
}

export const contestants: readonly Contestant[] = [
  {
    name: 'millrace',
    what: 'as built, its defaults: synced before it is visible',
    keepsTopics: true,
    missing: () => (existsSync(builtMain) ? undefined : 'Millrace is not built: npm run build'),
    start: startMillrace,
  },
  {
    name: 'kafka',
    what: 'Apache Kafka 4.3.1, its defaults (never syncs), heap of 1 GB',
    keepsTopics: true,
    missing: fetchKafka,
    start: startKafka,
  },
  {
    name: 'bare',
    what: 'a bare Node broker that checks CRCs, writes and syncs: the floor',
    keepsTopics: false,
    missing: () => undefined,
    start: bare('bare-broker.ts'),
  },
  {
    name: 'discarding',
    what: 'the same, keeping nothing: what the Java client itself can do',
    keepsTopics: false,
    missing: () => undefined,
    start: bare('discarding-broker.ts'),
  },
];
