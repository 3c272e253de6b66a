/*
 * What a worker's concurrency is worth when handlers wait for something else:
 *   node bench/worker.ts [--broker millrace|kafka] [--records 20000] [--handler-ms 10] [--concurrency 100] [--partitions 8]
 * Records of many keys over the partitions; first one handler at a time, over fewer records, then so many. A run before, which
 * warms up, is not counted. Nothing else may run on the machine meanwhile.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { json } from '../src/client/codecs.ts';
import { Millrace } from '../src/millrace.ts';
import { freePort } from '../tools/broker-process.ts';
import { startKafka } from '../tools/kafka.ts';

const { values } = parseArgs({
  options: {
    broker: { type: 'string', default: 'millrace' },
    records: { type: 'string', default: '20000' },
    'handler-ms': { type: 'string', default: '10' },
    concurrency: { type: 'string', default: '100' },
    partitions: { type: 'string', default: '8' },
  },
});
const records = Number(values.records);
const handlerMs = Number(values['handler-ms']);
const concurrency = Number(values.concurrency);
const partitions = Number(values.partitions);
const KEYS = 10_000;

interface Bench {
  millrace: Millrace;
  stop: () => Promise<void>;
}

async function open(): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-worker-'));
  const remove = (): void => rmSync(folder, { recursive: true });
  if (values.broker === 'kafka') {
    const port = await freePort(2);
    const kafka = await startKafka(folder, port);
    const millrace = await Millrace.connect(`127.0.0.1:${port}`, { connectTimeoutMs: 60_000 });
    return {
      millrace,
      stop: () =>
        millrace
          .close()
          .then(() => kafka.stop())
          .then(remove),
    };
  }
  const millrace = await Millrace.open(folder);
  return { millrace, stop: () => millrace.close().then(remove) };
}

/** Records per second, from the first one begun to the last one done. */
async function rate(millrace: Millrace, count: number, atOnce: number): Promise<number> {
  const topic = `worked-${atOnce}-${count}-${Math.random().toString(36).slice(2)}`;
  await millrace.admin.createTopic({ name: topic, partitions });
  await using producer = millrace.producer({ value: json<number>() });
  const made = Array.from({ length: count }, (_, value) => ({ topic, key: `key ${value % KEYS}`, value }));
  await producer.sendMany(made);
  let begunMs = 0;
  let endMs = 0;
  let done = 0;
  await new Promise<void>((resolve) => {
    const options = { group: topic, concurrency: atOnce, value: json<number>() };
    const worker = millrace.worker<string, number>(topic, options, async () => {
      if (begunMs === 0) begunMs = performance.now();
      await new Promise((wake) => setTimeout(wake, handlerMs));
      if (++done < count) return;
      endMs = performance.now();
      void worker.close().then(resolve);
    });
  });
  return (count / (endMs - begunMs)) * 1000;
}

const { millrace, stop } = await open();
await rate(millrace, Math.min(records, 2000), concurrency);
const single = await rate(millrace, Math.ceil(records / 50), 1);
const many = await rate(millrace, records, concurrency);
await stop();
const shown = (perSecond: number): string => Math.round(perSecond).toLocaleString('en');
console.log(`${values.broker}, ${partitions} partitions, handlers of ${handlerMs} ms`);
console.log(`concurrency 1:   ${shown(single)} records/s`);
console.log(`concurrency ${concurrency}: ${shown(many)} records/s, ${(many / single).toFixed(1)} times as many`);
