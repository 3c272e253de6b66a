import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Ledger } from '../../src/ledger/ledger.ts';
import { contextIn, failureOf } from '../log/support.ts';
import { openBroker, tempFolder } from '../server/support.ts';

/* A start that is refused because of the broker's own records changes nothing of what it leaves. */

/** Names and contents of all that is in a folder, but for the lock. */
function contentsOf(folder: string): Map<string, string> {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const paths = files.map((file) => path.relative(folder, path.join(file.parentPath, file.name))).sort();
  return new Map(
    paths.filter((file) => file !== 'lock').map((file) => [file, fs.readFileSync(path.join(folder, file), 'latin1')]),
  );
}

/** Flips a byte in the middle of a file. */
function flip(file: string): void {
  const bytes = fs.readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  fs.writeFileSync(file, bytes);
}

async function stoppedFolder(): Promise<string> {
  const folder = tempFolder();
  const { broker } = await openBroker({ folder });
  for (const name of ['a', 'b']) {
    await broker.topics.create({ name, partitions: 2, replicationFactor: -1, settings: new Map() });
  }
  await broker.close();
  return folder;
}

const firstTopicOf = (folder: string): string => `topics/${fs.readdirSync(path.join(folder, 'topics'))[0]}`;

test.each(['a checkpoint of a topic', 'the checkpoint of the groups'])(
  'a start that is refused changes nothing, however often it is tried: %s',
  async (what) => {
    const folder = await stoppedFolder();
    const damaged =
      what === 'a checkpoint of a topic' ? `${firstTopicOf(folder)}/0/checkpoint` : 'ledger/groups/checkpoint';
    flip(path.join(folder, damaged));
    const before = contentsOf(folder);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const refused = await failureOf(openBroker({ folder }));
      expect(refused).toMatchObject({ fault: 'damagedMetadata' });
      expect(contentsOf(folder)).toEqual(before);
    }
    flip(path.join(folder, damaged));
    const { broker } = await openBroker({ folder });
    // It was stopped cleanly: no record can be gone that clients have seen.
    expect(broker.epoch).toBe(0);
    await broker.close();
  },
);

test.each(['cluster', 'groups'])(
  'a start that finds an event of the ledger damaged says it once, and notes nothing: %s',
  async (ledger) => {
    const folder = await stoppedFolder();
    if (ledger === 'groups') await appendEvent(folder, 'ledger/groups', { type: 'uptime', uptimeMs: 1 });
    const file = `ledger/${ledger}/00000000000000000000.log`;
    flip(path.join(folder, file));
    const before = contentsOf(folder);
    const told: string[] = [];
    const tell = (_: object, message: string): void => void told.push(message);
    const logger = { debug() {}, info: tell, warn: tell, error: tell };
    const refused = await failureOf(openBroker({ folder, logger }));
    expect(refused).toMatchObject({ fault: 'damagedMetadata', detail: expect.stringContaining(file) });
    expect([told, contentsOf(folder)]).toEqual([[], before]);
  },
);

/** Puts an event behind those that the broker wrote, with every checksum right. */
async function appendEvent(folder: string, ledgerFolder: string, event: object): Promise<void> {
  const anything = { check() {}, apply() {}, live: () => [] };
  const ledger = await Ledger.open<object>(ledgerFolder, contextIn(folder), anything, { mayBeNew: false });
  await ledger.append([event]);
  await ledger.close();
}

const id = 'oPdR3rsXQZ6kGq1vYb0w2A';
const topic = { type: 'topic', id, name: 'c', partitions: 1, replicationFactor: 1, settings: {} };

test.each([
  { ledger: 'cluster', event: { ...topic, id: '../../../outside' }, fault: 'damagedMetadata', told: 'its id' },
  { ledger: 'cluster', event: { ...topic, partitions: 2 ** 53 }, fault: 'damagedMetadata', told: 'its partitions' },
  { ledger: 'cluster', event: { ...topic, name: '../c' }, fault: 'damagedMetadata', told: 'its name' },
  { ledger: 'cluster', event: { ...topic, name: 'a' }, fault: 'damagedMetadata', told: 'there is a' },
  {
    ledger: 'cluster',
    event: { ...topic, settings: { 'segment.bytes': 'NaN' } },
    fault: 'damagedMetadata',
    told: 'its settings',
  },
  { ledger: 'cluster', event: { type: 'topicRenamed', id }, fault: 'folderTooNew', told: 'topicRenamed' },
  {
    ledger: 'groups',
    event: { type: 'offsets', group: 'g', topic: 'a', topicId: id },
    fault: 'damagedMetadata',
    told: 'its partitions',
  },
  { ledger: 'groups', event: { type: 'shareGroup', group: 'g' }, fault: 'folderTooNew', told: 'shareGroup' },
])('a start is refused that finds what no broker writes: $told', async ({ ledger, event, fault, told }) => {
  const folder = await stoppedFolder();
  await appendEvent(folder, `ledger/${ledger}`, event);
  const before = contentsOf(folder);
  const refused = await failureOf(openBroker({ folder }));
  expect(refused).toMatchObject({ fault, detail: expect.stringMatching(`ledger/${ledger}, event \\d+: .*${told}`) });
  expect(contentsOf(folder)).toEqual(before);
});
