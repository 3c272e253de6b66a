import { existsSync, readFileSync } from 'node:fs';
import type { Options } from 'yargs';
import type { Flags } from './command.ts';
import { UsageError } from './usage-error.ts';

/** Read, when it is there and no other is named, from the folder in which the command runs. */
const DEFAULT_FILE = 'millrace.config.json';

/** What a configuration file says, flag names to values, and where it says it. */
export interface ConfigurationFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** The file that the arguments or the environment name, else the default one; null when there is none. @throws UsageError */
export function readConfigurationFile(argv: readonly string[], env: NodeJS.ProcessEnv): ConfigurationFile | null {
  const named = configArgument(argv) ?? env['MILLRACE_CONFIG'];
  if (named === undefined && !existsSync(DEFAULT_FILE)) return null;
  const path = named ?? DEFAULT_FILE;
  let values: unknown;
  try {
    values = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`the configuration file ${path} cannot be read: ${(error as Error).message}`);
  }
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) {
    return { path, values: values as Record<string, unknown> };
  }
  throw new UsageError(`the configuration file ${path} must hold a JSON object whose keys are flag names`);
}

function configArgument(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((argument) => argument === '--config' || argument.startsWith('--config='));
  if (index < 0) return undefined;
  return argv[index] === '--config' ? argv[index + 1] : argv[index]!.slice('--config='.length);
}

/** Values of the flags that the environment (MILLRACE_LOG_LEVEL for --log-level) or the file sets; the environment wins. @throws UsageError */
export function configuredValues(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  file: ConfigurationFile | null,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const variable = `MILLRACE_${name.toUpperCase().replaceAll('-', '_')}`;
    const text = env[variable];
    const inFile = file?.values[name];
    if (text !== undefined && text !== '') values[name] = configuredValue(flag, text, variable);
    else if (inFile !== undefined) values[name] = configuredValue(flag, inFile, `${file!.path}, "${name}"`);
  }
  return values;
}

function configuredValue(flag: Options, given: unknown, where: string): unknown {
  const several = flag.array === true;
  if (!several) return scalarOf(flag, given, where);
  const items = Array.isArray(given) ? given : typeof given === 'string' ? given.split(',') : [given];
  return items.map((item) => scalarOf(flag, typeof item === 'string' ? item.trim() : item, where));
}

const booleans: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

function scalarOf(flag: Options, given: unknown, where: string): unknown {
  const text = String(given);
  const expected = flag.type ?? 'string';
  if (typeof given === 'object')
    throw new UsageError(`${where}: expected a ${expected}, found ${JSON.stringify(given)}`);
  if (expected === 'boolean') {
    const value = booleans[text];
    if (value !== undefined) return value;
  } else if (expected === 'number') {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value)) return value;
  } else {
    return text;
  }
  throw new UsageError(`${where}: expected a ${expected}, found "${text}"`);
}
