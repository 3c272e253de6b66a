import { createInterface } from 'node:readline/promises';
import { UsageError } from './usage-error.ts';

export const yesFlag = {
  yes: { alias: 'y', type: 'boolean', default: false, describe: 'Do not ask before data is destroyed' },
} as const;

/** Asks at a terminal before something is destroyed; a script is taken at its word. @throws UsageError when the answer is not yes */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes || !process.stdin.isTTY) return;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('nothing was changed');
  } finally {
    prompt.close();
  }
}
