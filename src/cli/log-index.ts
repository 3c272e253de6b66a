import { Fault } from '../base/faults.ts';
import type { IndexCheck, IndexEntry } from '../index-check.ts';
import { defineCommand } from './command.ts';
import { logFlags, partitionsFirst, pathPositional, withLogs } from './log-files.ts';
import { write, writeJson } from './output.ts';
import { table, visible } from './table.ts';
import { UnreadableFiles } from './unreadable-files.ts';

export const logIndex = defineCommand({
  syntax: 'index <path>',
  describe: 'Show the entries of the index files, and whether the log agrees',
  positionals: pathPositional,
  flags: {
    ...logFlags,
    wrong: { type: 'boolean', default: false, describe: 'Only entries that the log does not agree with' },
  },
  examples: [{ run: '$0 log index data --topic orders -p 0', does: 'The .index and .timeindex files of a partition' }],
  notes:
    'Exits with 7 when an index is wrong. A broker finds that out too, and builds the index again. Exits with 5 when the disk cannot ' +
    'read a log file: of its entries, those up to that place are shown, then the files after it.',
  async run(args) {
    const { IndexCheck } = await import('../index-check.ts');
    const unreadable = new UnreadableFiles();
    let wrong = 0;
    await withLogs(args, async (folder, logs) => {
      const all = partitionsFirst(logs).flatMap((log) => log.segments.map((segment) => ({ log, segment })));
      for (const { log, segment } of all) {
        const check = await IndexCheck.of(folder.disk, segment);
        for await (const { batch, position } of unreadable.piecesOf(folder, log, segment)) {
          if (batch !== null) check.note(batch, position);
        }
        const why = unreadable.why(segment);
        // Of what was not read nothing is known.
        if (why === null) check.end();
        wrong += check.entries.filter((entry) => entry.wrong !== null).length;
        wrong += check.files.filter((file) => file.unusable !== null).length;
        const entries = check.entries.filter((entry) => !args.wrong || entry.wrong !== null);
        await (args.json
          ? printJson(check, segment.logPath, entries, why)
          : write(textOf(check, segment.logPath, entries, why)));
      }
    });
    unreadable.throwIfAny();
    if (wrong > 0)
      throw new Fault('damagedFiles', { detail: `${wrong} index entries or files do not agree with the log` });
  },
});

/** `why` the log cannot be read, if it cannot: the entries are those up to there. */
async function printJson(
  check: IndexCheck,
  log: string,
  entries: readonly IndexEntry[],
  why: string | null,
): Promise<void> {
  await writeJson({ log, files: check.files, entries, ...(why !== null && { unreadable: why }) });
}

function textOf(check: IndexCheck, log: string, entries: readonly IndexEntry[], why: string | null): string {
  let text = `${log}\n`;
  if (why !== null) text += `  ${visible(why)}\n`;
  if (check.files.length === 0) text += '  no index files; a broker makes them when it needs them\n';
  for (const { path, entries: count, unusable } of check.files)
    text += `  ${path}: ${unusable ?? `${count} entries`}\n`;
  if (entries.length === 0) return `${text}\n`;
  const rows = entries.map(({ kind, entry, offset, position, timestampMs, wrong }) => [
    kind,
    entry,
    offset,
    position,
    timestampMs === null ? null : new Date(timestampMs).toISOString(),
    wrong ?? 'agrees',
  ]);
  return `${text}${table(['BY', 'ENTRY', 'OFFSET', 'BYTE', 'TIME', 'LOG'], rows)}\n`;
}
