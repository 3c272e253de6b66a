/*
 * A worker to be killed:  node killed-worker.ts ADDRESS TOPIC GROUP FILE
 * What it does is written to FILE, which survives it, one line each:
 *   life                              it began
 *   begin PARTITION OFFSET KEY VALUE  a record's first attempt here
 *   end PARTITION OFFSET KEY VALUE    it was worked
 *   commit PARTITION OFFSET METADATA  the broker has acknowledged a commit
 */
import { openSync, writeSync } from 'node:fs';
import { json } from '../../../src/client/codecs.ts';
import { Millrace } from '../../../src/millrace.ts';

const [address = '', topic = '', group = '', file = ''] = process.argv.slice(2);
const HANDLER_MS_MAX = 20;
const FAILS = 0.05;

const log = openSync(file, 'a');
// At once and not in a buffer of this process: what was written is there however the process ends.
const write = (line: string): void => void writeSync(log, `${line}\n`);

write('life');
const millrace = await Millrace.connect(address, { retryBackoff: { firstMs: 20, maxMs: 200 } });
const worker = millrace.worker<string, number>(
  topic,
  {
    group,
    // A static member of a classic group takes its own place again at once, where another one waits for the session timeout.
    protocol: 'classic',
    instanceId: 'the-one',
    concurrency: 50,
    commitIntervalMs: 0,
    value: json<number>(),
    retry: { attempts: Number.POSITIVE_INFINITY, minMs: 1, maxMs: 10 },
    hooks: {
      onCommit({ offsets, error }) {
        if (error !== null) return;
        for (const { partition, offset, metadata } of offsets) write(`commit ${partition} ${offset} ${metadata}`);
      },
    },
  },
  async ({ partition, offset, key, value }, { attempt }) => {
    if (attempt === 1) write(`begin ${partition} ${offset} ${key} ${value}`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * HANDLER_MS_MAX));
    if (Math.random() < FAILS) throw new Error('this time it fails');
    write(`end ${partition} ${offset} ${key} ${value}`);
  },
);
process.once('SIGTERM', () => void millrace.close());
await worker.done;
