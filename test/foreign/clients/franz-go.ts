import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { compressions, type ForeignClient } from './foreign-client.ts';

let binary = '';

/** Where it was built to. */
export function franzGoBinary(): string {
  return binary;
}

export const franzGo: ForeignClient = {
  name: 'franz-go',
  compressions,
  async prepare(workDir) {
    if (spawnSync('go', ['version']).status !== 0) return 'go is not installed';
    binary = join(workDir, 'franz-go');
    const sources = join(import.meta.dirname, '../programs/go');
    const build = spawnSync('go', ['build', '-o', binary, '.'], { cwd: sources, encoding: 'utf8' });
    if (build.status !== 0) throw new Error(`go build: ${build.stderr}`);
    return undefined;
  },
  produce: ({ bootstrap, topic, compression }) => ({ file: binary, args: ['produce', bootstrap, topic, compression] }),
  consume: ({ bootstrap, topic, endsNext }) => [
    { file: binary, args: ['consume', bootstrap, topic, endsNext.join(',')] },
  ],
};
