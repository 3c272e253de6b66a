import type { Flags } from './command.ts';

/**
 * Rewrites `-oend`, `-k:` and `-c5`, values attached to one-letter flags as kcat's users write them, to the long form; yargs
 * itself takes the letters after a flag for more flags. And joins `--from -2h` to `--from=-2h`, which yargs would take for flags.
 */
export function detachValues(argv: readonly string[], flags: Flags): string[] {
  const names = namesByLetter(flags);
  const endOfFlags = argv.indexOf('--');
  const detached = argv.map((argument, index) => {
    const [, letter = '', value = ''] = /^-([a-zA-Z])(.+)$/s.exec(argument) ?? [];
    const name = names.get(letter);
    if (name === undefined || (endOfFlags >= 0 && index > endOfFlags)) return argument;
    // `-c=5` is as good as `-c5`, but `-k=` names a delimiter.
    return `--${name}=${value.length > 1 && value.startsWith('=') ? value.slice(1) : value}`;
  });
  return joined(detached, flags);
}

/** A value that begins like a negative number, with the long flag before it. */
function joined(argv: readonly string[], flags: Flags): string[] {
  const endOfFlags = argv.indexOf('--');
  const takesValue = (argument: string | undefined): boolean => {
    const flag = argument?.startsWith('--') ? flags[argument.slice(2)] : undefined;
    return flag !== undefined && flag.type !== 'boolean';
  };
  const result: string[] = [];
  for (const [index, argument] of argv.entries()) {
    const isValue = /^-\d/.test(argument) && (endOfFlags < 0 || index < endOfFlags) && takesValue(argv[index - 1]);
    if (isValue) result.push(`${result.pop()}=${argument}`);
    else result.push(argument);
  }
  return result;
}

/** Of the flags that take a value. */
function namesByLetter(flags: Flags): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, { type, alias = [] }] of Object.entries(flags)) {
    if (type === 'boolean') continue;
    for (const letter of typeof alias === 'string' ? [alias] : alias) names.set(letter, name);
  }
  return names;
}
