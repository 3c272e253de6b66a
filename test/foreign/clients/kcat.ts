import { spawnSync } from 'node:child_process';
import { compressions, type ForeignClient } from './foreign-client.ts';

export const kcat: ForeignClient = {
  name: 'kcat',
  compressions,
  prepare: async () => (spawnSync('kcat', ['-V']).status === 0 ? undefined : 'kcat is not installed'),
  produce: ({ bootstrap, topic, compression }) => ({
    file: 'kcat',
    args: [
      ...['-P', '-E', '-b', bootstrap, '-t', topic, '-K', '\\t', '-z', compression],
      ...['-X', 'enable.idempotence=true', '-X', 'topic.partitioner=murmur2_random'],
    ],
  }),
  consume: ({ bootstrap, topic }) => [
    {
      file: 'kcat',
      args: ['-C', '-b', bootstrap, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%p\\t%o\\t%k\\t%s\\n'],
    },
  ],
};
