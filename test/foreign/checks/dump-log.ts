import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { javaProgram } from '../../../tools/kafka.ts';
import { compressions } from '../clients/foreign-client.ts';
import { outputOf } from '../run-program.ts';
import type { Suite } from '../suite.ts';
import { compressionTopic } from './compression.ts';

const dump = (...args: string[]): Promise<string> =>
  outputOf(javaProgram('org.apache.kafka.tools.DumpLogSegments', args));

/** Kafka's own dump tool on the files of the stopped broker: the topics that the compression checks filled. */
export async function checkDumpLog(suite: Suite, topicIds: ReadonlyMap<string, string>): Promise<void> {
  for (const compression of compressions) {
    const name = `compression/${compression} dumped`;
    const topic = compressionTopic(compression);
    const id = topicIds.get(topic);
    if (id === undefined || !suite.report.wants(name)) continue;
    if (!suite.java) {
      suite.report.skip(name, "Kafka's classes cannot be run");
      continue;
    }
    await suite.report.check(`${name} by kafka-dump-log`, () =>
      dumpPartition(suite.broker.dataDir, [`${topic}-0`, ...folderNames(id)], compression),
    );
  }
}

/** How a topic's id may be written in the name of a folder. */
function folderNames(hexId: string): string[] {
  const dashed = hexId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return [hexId, dashed, Buffer.from(hexId, 'hex').toString('base64url')].map((name) => join(name, '0'));
}

/** @param folders what the partition's folder may be called: Kafka goes by the name, Millrace by the id */
async function dumpPartition(dataDir: string, folders: readonly string[], compression: string): Promise<string> {
  const files = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((file) =>
    folders.some((folder) => dirname(file).endsWith(folder)),
  );
  const log = files.find((file) => basename(file) === `${'0'.repeat(20)}.log`);
  if (log === undefined) throw new Error(`no log file in ${folders.join(' or ')} under ${dataDir}`);
  const text = await dump('--deep-iteration', '--print-data-log', '--files', join(dataDir, log));
  const batches = text.match(/^baseOffset: /gm)?.length ?? 0;
  const records = text.match(/^\| offset: /gm)?.length ?? 0;
  const codecs = [...new Set([...text.matchAll(/ compresscodec: (\S+)/g)].map((match) => match[1]))];
  // Most clients leave a batch as it is when compression would make it longer.
  const others = codecs.filter((codec) => codec !== compression && codec !== 'none');
  if (!codecs.includes(compression) || others.length > 0)
    throw new Error(`batches are compressed with ${codecs.join()}`);
  if (batches === 0 || records === 0)
    throw new Error(`${batches} batches, ${records} records:\n${text.slice(0, 1_000)}`);
  if (/invalid|mismatch/i.test(text.replaceAll(/^\|.*$/gm, ''))) throw new Error('the tool found damage');
  for (const index of files.filter((file) => /\.(time)?index$/.test(file))) {
    const path = join(dataDir, index);
    if (/mismatch/i.test(await dump('--files', path))) throw new Error(`${path} does not agree with the log`);
    if (/\.index$/.test(path)) expectSane(await dump('--index-sanity-check', '--files', path));
  }
  return `${batches} batches, ${records} records`;
}

function expectSane(text: string): void {
  if (!text.includes('passed sanity check.')) throw new Error(text);
}
