import type { CommandGroup } from './command.ts';
import { groupDelete } from './group-delete.ts';
import { groupDescribe } from './group-describe.ts';
import { groupExport } from './group-export.ts';
import { groupImport } from './group-import.ts';
import { groupLag } from './group-lag.ts';
import { groupList } from './group-list.ts';
import { groupMembers } from './group-members.ts';
import { groupOffsets } from './group-offsets.ts';
import { groupSeek } from './group-seek.ts';

export const group: CommandGroup = {
  syntax: 'group',
  describe: 'Look into consumer groups and move their offsets',
  commands: [
    groupList,
    groupDescribe,
    groupMembers,
    groupOffsets,
    groupLag,
    groupSeek,
    groupExport,
    groupImport,
    groupDelete,
  ],
  examples: [
    { run: '$0 group lag billing', does: 'How far it is behind, in records and in time' },
    { run: '$0 group seek billing --to-earliest --dry-run', does: 'What reading all again would change' },
  ],
};
