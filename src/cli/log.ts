import type { CommandGroup } from './command.ts';
import { logDump } from './log-dump.ts';
import { logIndex } from './log-index.ts';
import { logVerify } from './log-verify.ts';

export const log: CommandGroup = {
  syntax: 'log',
  describe: 'Look into the files of a stopped broker',
  commands: [logDump, logVerify, logIndex],
  examples: [
    { run: '$0 log verify data', does: 'Check everything in a data folder' },
    { run: '$0 log dump data --topic orders --partition 0 --records', does: 'What a partition holds' },
  ],
};
