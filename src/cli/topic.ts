import type { CommandGroup } from './command.ts';
import { topicAddPartitions } from './topic-add-partitions.ts';
import { topicAlter } from './topic-alter.ts';
import { topicCreate } from './topic-create.ts';
import { topicDelete } from './topic-delete.ts';
import { topicDescribe } from './topic-describe.ts';
import { topicList } from './topic-list.ts';
import { topicTrim } from './topic-trim.ts';

export const topic: CommandGroup = {
  syntax: 'topic',
  describe: 'Make, show, change and delete topics',
  commands: [topicCreate, topicList, topicDescribe, topicAlter, topicAddPartitions, topicTrim, topicDelete],
  examples: [
    { run: '$0 topic create orders --partitions 3', does: 'A topic of three partitions' },
    { run: '$0 topic describe orders', does: 'Its partitions, offsets, bytes and settings' },
  ],
};
