import type { Disk } from '../../src/disk/disk.ts';
import { Journal } from '../../src/log/journal.ts';
import { JournalReplay } from '../../src/log/journal-replay.ts';
import type { LogSettings } from '../../src/log/log-settings.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { type Gate, hookedDisk } from './hooked-disk.ts';
import { batchOf, contextOn, openLog, readAll, settle, type TestContext } from './opened-log.ts';

/** Small enough that some rounds fill a file. */
export const SMALL_JOURNAL = { firstFileBytes: 32 * 1024, fileBytes: 48 * 1024, filesMax: 3, earlyRoundLogs: 2 };

export interface Opened {
  readonly context: TestContext;
  readonly logs: readonly PartitionLog[];
  readonly journal: Journal;
  readonly replay: JournalReplay;
}

/**
 * As a broker opens its logs: what the journal holds first, and the journal anew when all have taken their part. If it is
 * not `used`, each log's file is synced by itself.
 */
export async function openJournaled(
  disk: Disk,
  folders: readonly string[],
  settings: Partial<LogSettings> = {},
  { used = true, epoch = 1 } = {},
): Promise<Opened> {
  const plain = contextOn(disk, 1 << 16);
  const replay = await JournalReplay.read(disk, plain.logger);
  const context: TestContext = {
    ...plain,
    replay,
    onFatal(error) {
      journal.abort();
      plain.onFatal(error);
    },
  };
  const journal = new Journal(context, replay, SMALL_JOURNAL);
  const logs: PartitionLog[] = [];
  for (const folder of folders) logs.push(await openLog(context, settings, epoch, folder));
  journal.start(replay);
  await journal.settled();
  if (used) context.syncer.useJournal(journal);
  return { context, logs, journal, replay };
}

/** Makes the journal's first file, which a broker that writes little does without. */
export async function warm({ context, logs, journal }: Opened): Promise<void> {
  await appendGroup({ context, logs }, 'warm');
  await journal.settled();
}

/** A clean stop. */
export async function closeAll({ logs, journal }: Opened): Promise<void> {
  for (const log of logs) await log.close();
  await journal.close(true);
}

/** A disk on which the journal's files are opened through a gate. */
export function withGatedJournal(disk: Disk, gate: Gate): Disk {
  return hookedDisk(disk, async ({ name, path }, proceed) => {
    if (name === 'open' && isJournal(path)) await gate.pass();
    return proceed();
  });
}

/** Lets the time go by after which the segment files have what the journal has. */
export async function file({ context }: Opened): Promise<void> {
  context.clock.advance(100);
  await settle();
}

export async function appendGroup({ context, logs }: Pick<Opened, 'context' | 'logs'>, tag: string): Promise<void> {
  const group = logs.map((log) => ({ log, batch: batchOf({ tag }) }));
  await context.syncer.append(group, 'visible').settled;
}

export const isJournal = (path: string): boolean => /^journal\/\d/.test(path);
export const tagsOf = async ({ logs }: Opened): Promise<string[]> =>
  Promise.all(logs.map(async (log) => (await readAll(log)).toString('latin1')));
