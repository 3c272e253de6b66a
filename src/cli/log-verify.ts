import { Fault } from '../base/faults.ts';
import type { LogReport } from '../log-check.ts';
import { defineCommand } from './command.ts';
import { logFlags, pathPositional, withLogs } from './log-files.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';

export const logVerify = defineCommand({
  syntax: 'verify <path>',
  describe: 'Check all files: batches, offsets, indexes, checkpoints; print a digest of the records',
  positionals: pathPositional,
  flags: logFlags,
  examples: [
    { run: '$0 log verify data', does: 'Every partition, and the ledgers' },
    { run: '$0 log verify data --topic orders --json', does: 'One topic, for a script' },
  ],
  notes:
    'The digest is XXH64 over offsets, timestamps, keys, values and headers: equal digests, equal records. Exits with 7 when\n' +
    'anything but a torn end is found. Files of Apache Kafka are read too. Nothing is ever changed.',
  async run(args) {
    const { checkLog } = await import('../log-check.ts');
    const reports: LogReport[] = [];
    await withLogs(args, async (folder, logs) => {
      for (const log of logs) reports.push(await checkLog(folder, log));
    });
    await (args.json ? writeJson({ logs: reports.map(jsonOf) }) : write(textOf(reports)));
    const findings = reports.flatMap((report) => report.findings);
    const wrong = findings.filter(({ kind }) => kind !== 'torn');
    if (wrong.length === 0) return;
    const places = reports.filter((report) => report.findings.some(({ kind }) => kind !== 'torn'));
    throw new Fault('corruptBatch', {
      detail: `${wrong.length} findings in ${places.map(({ log }) => log.label).join(', ')}; restore what is lost from a copy`,
    });
  },
});

function jsonOf({ log, ...report }: LogReport): object {
  const { label, kind, topic, partition, folder, segments } = log;
  return { label, kind, topic, partition, folder, segments: segments.length, ...report };
}

function textOf(reports: readonly LogReport[]): string {
  const headings = ['LOG', 'SEGMENTS', 'BATCHES', 'RECORDS', 'START', 'NEXT', 'BYTES', 'DIGEST', 'STATE'];
  const rows = reports.map((report) => [
    report.log.label,
    report.log.segments.length,
    report.batches,
    report.records,
    report.logStart,
    report.offsetNext,
    report.bytes,
    report.digest,
    stateOf(report),
  ]);
  const findings = reports.flatMap((report) => report.findings);
  const lines = findings.map(({ kind, file, position, what }) => {
    const at = position === null ? '' : ` at byte ${position}`;
    return `${kind}: ${file}${at}: ${what}\n`;
  });
  return `${table(headings, rows)}${lines.length > 0 ? '\n' : ''}${lines.join('')}`;
}

function stateOf({ findings }: LogReport): string {
  const worst = (['damage', 'cache', 'torn'] as const).find((kind) =>
    findings.some((finding) => finding.kind === kind),
  );
  return worst === undefined
    ? 'sound'
    : worst === 'damage'
      ? 'DAMAGED'
      : worst === 'cache'
        ? 'INDEX WRONG'
        : 'torn end';
}
