import type { CommandGroup } from './command.ts';
import { logDump } from './log-dump.ts';
import { logIndex } from './log-index.ts';
import { logRepair } from './log-repair.ts';
import { logVerify } from './log-verify.ts';

export const log: CommandGroup = {
  syntax: 'log',
  describe: 'Look into the files of a stopped broker, and repair them',
  commands: [logDump, logVerify, logIndex, logRepair],
  examples: [
    { run: '$0 log verify data', does: 'Check everything in a data folder' },
    { run: '$0 log repair data --dry-run', does: 'What the next start would do to the files' },
    { run: '$0 log dump data --topic orders --partition 0 --records', does: 'What a partition holds' },
  ],
};
