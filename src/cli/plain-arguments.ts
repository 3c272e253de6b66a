import type { Options } from 'yargs';
import { type Command, commonFlags, type Flags } from './command.ts';
import { type ConfigurationFile, configuredValues } from './configuration.ts';

type Value = string | number | boolean;

/**
 * The values of a command that takes flags only, given in the plainest way: `--name value`, `--name=value`, `--name` for true.
 * Null for anything else, right or wrong: that is yargs's to read or to explain. It is here because loading yargs takes half
 * of the time in which a broker is to answer.
 */
export function plainArguments(
  argv: readonly string[],
  command: Command,
  env: NodeJS.ProcessEnv,
  file: ConfigurationFile | null,
): Record<string, unknown> | null {
  const flags: Flags = { ...commonFlags, ...command.flags };
  const given = new Map<string, Value[]>();
  for (let index = 0; index < argv.length; index++) {
    const [, name = '', attached] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argv[index]!) ?? [];
    const flag = Object.hasOwn(flags, name) ? flags[name]! : null;
    if (flag === null) return null;
    const text = attached ?? (flag.type === 'boolean' ? 'true' : argv[++index]);
    const value =
      text === undefined || (attached === undefined && text.startsWith('-')) ? null : plainValue(flag, text);
    if (value === null) return null;
    given.set(name, [...(given.get(name) ?? []), value]);
  }
  const configured = configuredValues(flags, env, file);
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const several = given.get(name);
    if (several !== undefined && several.length > 1 && flag.array !== true) return null;
    const value = (flag.array === true ? several : several?.[0]) ?? configured[name] ?? flag.default;
    if (!isAllowed(flag, value)) return null;
    values[name] = value;
    values[name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())] = value;
  }
  return values;
}

function plainValue(flag: Options, text: string): Value | null {
  if (flag.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : null;
  if (flag.type !== 'number') return text;
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : null;
}

function isAllowed(flag: Options, value: unknown): boolean {
  if (value === undefined) return flag.demandOption === undefined;
  const choices: readonly unknown[] | undefined = flag.choices;
  return choices === undefined || choices.includes(value);
}
