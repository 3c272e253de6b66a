import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/* The options of the commands that run a proof. One that is wrong ends the command at once, in a line and with the exit code 2. */

/** Ends the command for what it was called with. */
export function refuse(says: string): never {
  console.error(says);
  process.exit(2);
}

/** The values of a command's options, by their names. */
export function optionsOf<const T extends ParseArgsOptionsConfig>(options: T) {
  const args = withNegatives(process.argv.slice(2));
  const known = Object.keys(options).map((name) => `--${name}`);
  if (args.includes('--help')) {
    console.log(`options: ${known.join(', ')}`);
    process.exit(0);
  }
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')) throw error;
    return refuse(`${(error as Error).message}. There are ${known.join(', ')}`);
  }
}

/** A number below zero after an option's name is its value, and not an option that nobody knows. */
function withNegatives(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    if (/^-\d/.test(arg) && /^--[^=]+$/.test(joined.at(-1) ?? '')) joined.push(`${joined.pop()}=${arg}`);
    else joined.push(arg);
  }
  return joined;
}

/** A count that an option gives. */
export function countOf(name: string, text: string, least = 1): number {
  const number = Number(text);
  if (text === '' || !Number.isSafeInteger(number) || number < least)
    refuse(`--${name} is ${JSON.stringify(text)}, not a number from ${least} on`);
  return number;
}

/** Which numbers belong to the part of a run that an option of I/N gives, from 1/N to N/N. */
export function shardOf(text: string): (number: number) => boolean {
  const [shard, shards, ...more] = text.split('/').map((part) => countOf('shard', part)) as [number, number?];
  if (shards === undefined || more.length > 0 || shard > shards) refuse(`--shard ${text} is not 1/N to N/N`);
  return (number) => number % shards === shard - 1;
}
