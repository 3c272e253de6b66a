import path from 'node:path';
import { Fault } from '../base/faults.ts';
import type { Repair, RepairedLog } from '../log-repair.ts';
import type { StoppedFolder, StoredLog } from '../stopped-folder.ts';
import type { Finding } from '../stored-proofs.ts';
import { defineCommand } from './command.ts';
import { logFlags, pathPositional, withLogs } from './log-files.ts';
import { faultOf, lineOf } from './log-findings.ts';
import { write, writeJson } from './output.ts';
import { table, visible } from './table.ts';
import { UsageError } from './usage-error.ts';

export const logRepair = defineCommand({
  syntax: 'repair <path>',
  describe: 'Do to the files what the next start would do, note all damage, build wrong indexes again',
  positionals: pathPositional,
  flags: {
    ...logFlags,
    'dry-run': { type: 'boolean', default: false, describe: 'Only tell what would be done' },
  },
  examples: [
    { run: '$0 log repair data --dry-run', does: 'What would be done, exactly' },
    { run: '$0 log repair data --topic orders', does: 'One topic' },
  ],
  notes:
    'What is cut off is kept in quarantine/. Damaged records are left as they are and noted there, so that readers are led past ' +
    'them where the topic has millrace.rot=skip; none can be mended. A log with a file that the disk cannot read is left alone. Nothing is done when the broker’s own records are damaged.\n' +
    'Exits with 0 when nothing was found damaged or lost but a torn end, with 7 when something is or may be, with 5 when the folder was left alone.',
  async run(args) {
    const { findingsOf, repair } = await import('../log-repair.ts');
    const dryRun = args['dry-run'];
    let done: Repair | null = null;
    const lost: Finding[] = [];
    const leftAlone: StoredLog[] = [];
    const run = async (folder: StoppedFolder, logs: readonly StoredLog[]): Promise<void> => {
      const { root, isLocked } = folder;
      if (root === null) throw new UsageError(`${args.path} is not in a data folder of Millrace`);
      if (logs.some(({ isWhole }) => !isWhole)) throw new UsageError('name a folder; a file alone cannot be repaired');
      if (!isLocked && !dryRun) throw new Fault('readOnlyDisk', { detail: root });
      if (folder.refusal !== null) throw folder.refusal;
      // By the same rules as verify, and first: a log that has lost files looks whole when it goes on without them.
      lost.push(...(await damageOf(folder, logs, leftAlone)));
      const readable = logs.filter((log) => !leftAlone.includes(log));
      const areAllLogs = path.resolve(args.path) === root && readable.length === folder.logs.length;
      done = await repair(root, readable, { dryRun, nowMs: Date.now(), areAllLogs });
    };
    // What it cannot find out is why it refuses.
    await withLogs(args, run, { warns: false });
    const { journal, logs, changes } = done!;
    const damaged = logs.flatMap(findingsOf);
    lost.push(...damaged.filter((place) => !lost.some((one) => isSame(one, place))));
    await (args.json
      ? writeJson({
          dryRun,
          journal,
          logs: logs.map(jsonOf),
          changes,
          findings: lost,
          leftAlone: leftAlone.map(({ label }) => label),
        })
      : write(textOf(done!, { lost, damaged, dryRun, leftAlone })));
    if (lost.length > 0) throw faultOf(lost, [...leftAlone, ...logs.map(({ log }) => log)]);
  },
});

function isSame(one: Finding, other: Finding): boolean {
  return one.file === other.file && one.position === other.position;
}

/** `unreadable`: takes the logs of which not all can be known. */
async function damageOf(
  folder: StoppedFolder,
  logs: readonly StoredLog[],
  unreadable: StoredLog[],
): Promise<Finding[]> {
  const { checkLog } = await import('../log-check.ts');
  const findings = [...folder.findings];
  for (const log of logs) {
    const ofLog = (await checkLog(folder, log)).findings;
    if (ofLog.some(({ isUnreadable }) => isUnreadable)) unreadable.push(log);
    findings.push(...ofLog);
  }
  return findings.filter(({ kind }) => kind === 'damage');
}

function jsonOf({ log, ...repaired }: RepairedLog): object {
  const { label, kind, topic, partition, folder } = log;
  return { label, kind, topic, partition, folder, ...repaired };
}

/** What is told, the worst of it first: damaged records, torn ends, what a broker mends by itself. */
const WORST_FIRST = ['error', 'warn', 'info'] as const;

function textOf(
  { journal, logs, changes }: Repair,
  {
    lost,
    damaged,
    dryRun,
    leftAlone,
  }: { lost: readonly Finding[]; damaged: readonly Finding[]; dryRun: boolean; leftAlone: readonly StoredLog[] },
): string {
  const told = [{ label: 'journal', told: journal }, ...logs.map(({ log, told }) => ({ label: log.label, told }))];
  const places = logs.flatMap(({ log, damaged }) =>
    damaged.map(
      ({ position, bytes, firstOffset, nextOffset, what }) =>
        `${log.label}: offsets ${firstOffset} to ${nextOffset - 1} are ${bytes === 0 ? 'missing' : `damaged, ${bytes} bytes`} at ${position}: ${visible(what)}\n`,
    ),
  );
  const lines = WORST_FIRST.map((worth) =>
    told.flatMap(({ label, told: ofOne }) =>
      ofOne
        .filter(({ level }) => level === worth)
        .map(({ message, facts }) => `${label}: ${message} ${visible(JSON.stringify(facts))}\n`),
    ),
  );
  const said = new Set(told.flatMap((ofOne) => ofOne.told.map(({ message }) => message)));
  const unsaid = lost.filter((one) => !said.has(one.what) && !damaged.some((place) => isSame(place, one)));
  const alone = leftAlone.map(({ label }) => `${label}: nothing is done to it, since a file of it cannot be read\n`);
  const text = [...places, ...unsaid.map(lineOf), ...alone, ...lines.flat()].join('');
  if (changes.length === 0) return `${text}nothing is to be done\n`;
  const rows = changes.map(({ kind, path, from, bytesBefore, bytesAfter }) => [
    dryRun ? `to be ${kind}` : kind,
    bytesBefore,
    bytesAfter,
    from === null ? path : `${path} (from ${from})`,
  ]);
  // What a broker says of it is said when it is done.
  const intro = dryRun && text !== '' ? 'nothing was done; what a repair would say:\n' : '';
  return `${intro}${text}${text === '' ? '' : '\n'}${table(['FILE IS', 'BYTES BEFORE', 'AFTER', 'PATH'], rows)}`;
}
