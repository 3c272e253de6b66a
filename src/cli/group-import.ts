import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { brokerFlags, defineCommand } from './command.ts';
import { yesFlag } from './confirm.ts';
import { withAdmin } from './connect.ts';
import { type FileOffset, parseOffsets } from './offset-file.ts';
import { carryOut, planMoves, refuseActive } from './offset-moves.ts';
import { UsageError } from './usage-error.ts';

export const groupImport = defineCommand({
  syntax: 'import [file]',
  describe: 'Set the offsets of groups to what a file says',
  positionals: { file: { type: 'string', describe: 'What group export printed [default: standard input]' } },
  flags: {
    ...brokerFlags,
    group: { type: 'string', requiresArg: true, describe: 'The group to set, whatever group the file names' },
    'dry-run': { type: 'boolean', default: false, describe: 'Only show what would change' },
    ...yesFlag,
  },
  examples: [
    { run: '$0 group import billing.json --dry-run', does: 'Show what would change' },
    { run: '$0 group import billing.csv --group billing', does: 'Lines of TOPIC,PARTITION,OFFSET name no group' },
  ],
  notes:
    'Reads JSON, from which epochs and metadata come back too, and the lines of kafka-consumer-groups.\n' +
    'Shows what changes, then asks at a terminal. A group with members is refused.',
  async run(args) {
    const name = args.file ?? 'standard input';
    const content = args.file === undefined ? await text(process.stdin) : await readFile(args.file, 'utf8');
    const groups = offsetsByGroup(parseOffsets(content, name), args.group, name);
    await withAdmin(args, async (admin) => {
      await refuseActive(admin, [...groups.keys()]);
      const plans = [];
      for (const [group, offsets] of groups) plans.push(await planMoves(admin, group, offsets));
      await carryOut(admin, plans, args);
    });
  },
});

/** @throws UsageError where it is not clear which group an offset is for */
function offsetsByGroup(
  offsets: readonly FileOffset[],
  into: string | undefined,
  file: string,
): Map<string, FileOffset[]> {
  const groups = new Map<string, FileOffset[]>();
  const named = new Set(offsets.map(({ group }) => group));
  if (into !== undefined && named.size > 1) throw new UsageError(`${file} names several groups; --group can take one`);
  for (const one of offsets) {
    const group = into ?? one.group;
    if (group === null) throw new UsageError(`${file} does not name its group; say it with --group`);
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  return groups;
}
