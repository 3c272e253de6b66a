import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { unsyncedDisk } from '../log/hooked-disk.ts';
import { openBroker, tempFolder } from '../server/support.ts';

/*
 * What the broker knows of itself: millrace.json and the cluster's ledger. Where they are damaged or gone, a start either
 * refuses or finds all as it was; it deletes nothing, and never takes "I cannot read it" for "there is none".
 */

let sound: string;

beforeAll(async () => {
  sound = fs.mkdtempSync(path.join(tempFolder(), 'sound-'));
  const { broker } = await openBroker({ folder: sound });
  for (const name of ['a', 'b', 'c']) {
    const settings = new Map([['retention.ms', '86400000']]);
    await broker.topics.create({ name, partitions: 2, replicationFactor: -1, settings });
  }
  await broker.topics.delete('b');
  await broker.changeSettings(new Map([['log.retention.bytes', '77']]));
  await broker.close();
  soundFacts = await factsOf(copy());
});

let soundFacts: string;

function copy(): string {
  const folder = tempFolder();
  fs.cpSync(sound, folder, { recursive: true });
  return folder;
}

/** What a broker on the folder knows, or the fault that it refuses it with. */
async function factsOf(folder: string): Promise<string> {
  let broker: Awaited<ReturnType<typeof openBroker>>['broker'];
  try {
    ({ broker } = await openBroker({ folder, disk: unsyncedDisk(realDisk(folder)) }));
  } catch (error) {
    if (error instanceof Fault) return `refused: ${error.fault}`;
    throw error;
  }
  const { identity, topics, epoch } = broker;
  const facts = {
    identity,
    epoch,
    settings: broker.topics.find('a')?.setting('retention.bytes'),
    topics: Array.from(topics, ({ name, id, partitions, record }) => [
      name,
      id,
      partitions.length,
      record.settings,
    ]).sort(),
  };
  await broker.close();
  return JSON.stringify(facts);
}

/** The names and contents of all files that hold what users stored. */
function stored(folder: string): string {
  const files = fs.readdirSync(path.join(folder, 'topics'), { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.name.endsWith('.log'))
    .map((file) => path.join(file.parentPath, file.name))
    .map((file) => `${path.relative(folder, file)} ${fs.statSync(file).size}`)
    .sort()
    .join('\n');
}

async function afterDamage(damage: (folder: string) => void): Promise<string> {
  const folder = copy();
  damage(folder);
  const found = await factsOf(folder);
  expect(stored(folder)).toBe(stored(sound));
  fs.rmSync(folder, { recursive: true });
  return found;
}

const isSafe = (found: string): boolean =>
  found === soundFacts || /^refused: (damaged|folderToo|corrupt|invalidB)/.test(found);

const metadataFiles = (): string[] => {
  const inLedger = fs.readdirSync(path.join(sound, 'ledger/cluster')).map((name) => `ledger/cluster/${name}`);
  return ['millrace.json', ...inLedger].filter((name) => fs.statSync(path.join(sound, name)).isFile());
};

describe('damaged metadata is refused or harmless', () => {
  test.each([0x01, 0x80])('with any byte flipped by %i', async (bits) => {
    for (const file of metadataFiles()) {
      const bytes = fs.readFileSync(path.join(sound, file));
      for (let at = bits % 7; at < bytes.length; at += file === 'millrace.json' ? 1 : 7) {
        const found = await afterDamage((folder) => {
          const changed = Buffer.from(bytes);
          changed[at]! ^= bits;
          fs.writeFileSync(path.join(folder, file), changed);
        });
        if (!isSafe(found)) throw new Error(`${file}, byte ${at} of ${bytes.length}: ${found}`);
      }
    }
  });

  test('cut short anywhere', async () => {
    for (const file of metadataFiles()) {
      const bytes = fs.readFileSync(path.join(sound, file));
      for (let length = 0; length < bytes.length; length += 11) {
        const found = await afterDamage((folder) => fs.truncateSync(path.join(folder, file), length));
        if (!isSafe(found)) throw new Error(`${file} of ${length} bytes: ${found}`);
      }
    }
  });
});

describe('lost metadata is noticed where data is', () => {
  test.each(['millrace.json', 'ledger', 'ledger/cluster'])('%s', async (name) => {
    expect(await afterDamage((folder) => fs.rmSync(path.join(folder, name), { recursive: true }))).toBe(
      'refused: damagedMetadata',
    );
  });

  test('the files of the ledger, and its checkpoint', async () => {
    const logs = metadataFiles().filter((name) => name.endsWith('.log'));
    const lose = (names: readonly string[]) => (folder: string) => {
      for (const name of names) fs.rmSync(path.join(folder, name));
    };
    expect(await afterDamage(lose(logs))).toBe('refused: damagedMetadata');
    expect(await afterDamage(lose([...logs, 'ledger/cluster/checkpoint']))).toBe('refused: damagedMetadata');
  });

  test('the identity with the ledger: none is made up, and the broker is who it was when both are back', async () => {
    const folder = copy();
    const lost = ['millrace.json', 'ledger'];
    for (const name of lost) fs.rmSync(path.join(folder, name), { recursive: true });
    const before = fs.readdirSync(folder, { recursive: true });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(await factsOf(folder)).toBe('refused: damagedMetadata');
      expect(fs.readdirSync(folder, { recursive: true })).toEqual(before);
    }
    for (const name of lost) fs.cpSync(path.join(sound, name), path.join(folder, name), { recursive: true });
    expect(await factsOf(folder)).toBe(soundFacts);
  });

  test('all but the journal', async () => {
    for (const name of ['1', 'proofs', 'reserve']) {
      const folder = tempFolder();
      fs.mkdirSync(path.join(folder, 'journal'));
      fs.writeFileSync(path.join(folder, 'journal', name), '');
      expect(await factsOf(folder)).toBe('refused: damagedMetadata');
      expect(fs.readdirSync(folder).sort()).toEqual(['journal', 'lock']);
    }
  });

  test('a folder that holds nothing yet is a new one, also when its identity was written already', async () => {
    const folder = tempFolder();
    fs.copyFileSync(path.join(sound, 'millrace.json'), path.join(folder, 'millrace.json'));
    expect(JSON.parse(await factsOf(folder))).toMatchObject({ topics: [], epoch: 0 });
  });
});

describe("a folder whose `ledger` is somebody else's", () => {
  const foreign: Record<string, (ledger: string) => void> = {
    'a file': (ledger) => fs.writeFileSync(ledger, 'accounts'),
    'a folder': (ledger) => {
      fs.mkdirSync(ledger);
      fs.writeFileSync(path.join(ledger, '2025.txt'), 'accounts');
    },
  };
  const places = Object.entries(foreign);

  test.each(places)('is refused as such, and not made a broker’s: %s', async (_, make) => {
    const folder = tempFolder();
    make(path.join(folder, 'ledger'));
    expect(await factsOf(folder)).toBe('refused: foreignFolder');
    expect(fs.readdirSync(folder)).toEqual(['ledger']);
  });

  test.each(places)('is damaged where anything may be a broker’s: %s', async (_, make) => {
    for (const ours of ['topics', 'journal']) {
      const folder = tempFolder();
      make(path.join(folder, 'ledger'));
      fs.mkdirSync(path.join(folder, ours));
      expect([ours, await factsOf(folder)]).toEqual([ours, 'refused: damagedMetadata']);
    }
  });

  test('is damaged where a name in it is that of a ledger', async () => {
    for (const name of ['cluster', 'groups']) {
      const folder = tempFolder();
      foreign['a folder']!(path.join(folder, 'ledger'));
      fs.mkdirSync(path.join(folder, 'ledger', name));
      expect([name, await factsOf(folder)]).toEqual([name, 'refused: damagedMetadata']);
    }
  });
});

test.each(['topics', 'journal'])(
  'a folder whose `%s` is somebody else’s is refused, and left as it is',
  async (name) => {
    const folder = tempFolder();
    fs.mkdirSync(path.join(folder, name));
    fs.writeFileSync(path.join(folder, name, 'monday.txt'), 'to discuss');
    expect(await factsOf(folder)).toBe('refused: foreignFolder');
    expect(fs.readdirSync(folder, { recursive: true })).toEqual([name, `${name}/monday.txt`]);
    // Of an empty one nobody loses anything.
    fs.rmSync(path.join(folder, name, 'monday.txt'));
    expect(JSON.parse(await factsOf(folder))).toMatchObject({ topics: [], epoch: 0 });
  },
);
