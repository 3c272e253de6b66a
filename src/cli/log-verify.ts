import type { LogReport } from '../log-check.ts';
import type { Finding } from '../stored-proofs.ts';
import { defineCommand } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { logFlags, pathPositional, withLogs } from './log-files.ts';
import { faultOf, lineOf } from './log-findings.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';

export const logVerify = defineCommand({
  syntax: 'verify <path>',
  describe: 'Check all files: batches, offsets, indexes, journal, checkpoints; print a digest of the records',
  positionals: pathPositional,
  flags: logFlags,
  examples: [
    { run: '$0 log verify data', does: 'Every partition, and the ledgers' },
    { run: '$0 log verify data --topic orders --json', does: 'One topic, for a script' },
  ],
  notes:
    'The digest is XXH64 over offsets, timestamps, keys, values and headers: equal digests, equal records. What only the journal ' +
    'has counts as stored. Exits with 7 when something is damaged or may be lost, with 10 when nothing is worse than what a ' +
    'broker mends by itself (an end as a crash tears it, a wrong index), with 0 when all is sound. Bytes that the disk has changed in a torn end ' +
    'may have been acknowledged: nothing tells. Files of Apache Kafka are read too. Nothing is ever changed.',
  async run(args) {
    const { checkLog } = await import('../log-check.ts');
    const reports: LogReport[] = [];
    const about: { findings: readonly Finding[]; journal: object | null } = { findings: [], journal: null };
    await withLogs(args, async (folder, logs) => {
      for (const log of logs) reports.push(await checkLog(folder, log));
      Object.assign(about, { findings: folder.findings, journal: folder.journal });
    });
    const findings = [...about.findings, ...reports.flatMap((report) => report.findings)];
    await (args.json ? writeJson({ logs: reports.map(jsonOf), ...about }) : write(textOf(reports, findings)));
    const damage = findings.filter(({ kind }) => kind === 'damage');
    if (damage.length === 0) {
      if (findings.length > 0) process.exitCode = exitCodes.mendsItself;
      return;
    }
    throw faultOf(
      damage,
      reports.map(({ log }) => log),
    );
  },
});

function jsonOf({ log, ...report }: LogReport): object {
  const { label, kind, topic, partition, folder, segments, proofs } = log;
  const { segmentBase, position, durableNext, by } = proofs.proven ?? {};
  const proven = proofs.proven && { segmentBase, position, durableNext, by };
  return { label, kind, topic, partition, folder, segments: segments.length, proven, ...report };
}

function textOf(reports: readonly LogReport[], findings: readonly Finding[]): string {
  const headings = ['LOG', 'SEGMENTS', 'BATCHES', 'RECORDS', 'START', 'NEXT', 'BYTES', 'PROVEN', 'DIGEST', 'STATE'];
  const rows = reports.map((report) => [
    report.log.label,
    report.log.segments.length,
    report.batches,
    report.records,
    report.logStart,
    report.offsetNext,
    report.bytes,
    report.log.proofs.proven?.durableNext ?? null,
    report.digest,
    stateOf(report),
  ]);
  const lines = findings.map(lineOf);
  for (const { log, bytesInJournal, bytesDiffering, quarantine } of reports) {
    if (bytesInJournal > 0) lines.push(`journal: ${bytesInJournal} bytes of ${log.label} are in the journal alone\n`);
    if (bytesDiffering > 0) {
      lines.push(
        `journal: ${log.label} is other than the journal says (bytes: ${bytesDiffering}), by rot of the disk or a power cut; the next start mends it\n`,
      );
    }
    for (const { file, bytes } of quarantine) lines.push(`quarantine: ${file}: ${bytes} bytes\n`);
  }
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
