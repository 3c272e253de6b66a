import { join } from 'node:path';
import { millraceProgram } from '../../../tools/millrace.ts';
import { compressions, type ForeignClient } from './foreign-client.ts';

/** Our own command line, which must do no worse than the others. */
export const millraceCli: ForeignClient = {
  name: 'millrace',
  compressions,
  prepare: async () => undefined,
  produce: ({ bootstrap, topic, compression }) =>
    millraceProgram('produce', topic, '-b', bootstrap, '-K', '\\t', '-z', compression),
  consume: ({ bootstrap, topic }) => [
    millraceProgram('consume', topic, '-b', bootstrap, '-o', 'beginning', '-e', '-q', '-f', '%p\\t%o\\t%k\\t%s\\n'),
  ],
};

const sdkConsume = join(import.meta.dirname, '../programs/sdk-consume.ts');

export const millraceSdk: ForeignClient = {
  name: 'millrace-sdk',
  compressions,
  prepare: async () => undefined,
  consume: ({ bootstrap, topic }) => [{ file: process.execPath, args: [sdkConsume, bootstrap, topic] }],
};
