import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { compressions, type ForeignClient } from './foreign-client.ts';

/** The interpreter that has confluent-kafka, when it is not the one on the path. */
export const python = process.env['FOREIGN_PYTHON'] ?? 'python3';
const script = join(import.meta.dirname, '../programs/python/client.py');

export const confluentKafka: ForeignClient = {
  name: 'confluent-kafka',
  compressions,
  async prepare() {
    if (spawnSync(python, ['--version']).status !== 0) return `${python} is not installed`;
    if (spawnSync(python, ['-c', 'import confluent_kafka']).status !== 0) return `${python} has no confluent-kafka`;
    return undefined;
  },
  produce: ({ bootstrap, topic, compression }) => ({
    file: python,
    args: [script, 'produce', bootstrap, topic, compression],
  }),
  consume: ({ bootstrap, topic, endsNext }) => [
    { file: python, args: [script, 'consume', bootstrap, topic, endsNext.join(',')] },
  ],
};
