import { packageVersion } from '../client/version.ts';
import { type Command, type CommandGroup, commonFlags, type Flags } from './command.ts';
import { allFlagNames, commands, isGroup } from './commands.ts';
import { type ConfigurationFile, readConfigurationFile } from './configuration.ts';
import { exitCodeOf } from './exit-codes.ts';
import { failureText } from './failure.ts';
import { endWithReader, write } from './output.ts';
import { plainArguments } from './plain-arguments.ts';
import { UsageError } from './usage-error.ts';

/** Runs one command line and sets the process's exit code; a command that succeeds may have set one of its own. */
async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  endWithReader(process.stdout);
  try {
    if (argv[0] === '--version' || argv[0] === '-V') {
      await write(`${packageVersion}\n`);
      return;
    }
    const loaded = await loadNamed(argv);
    const file = readConfigurationFile(argv, env);
    if (file !== null) await checkNames(file, loaded);
    const command = loaded.get(argv[0] ?? '');
    const plain =
      command === undefined || isGroup(command) || Object.keys(command.positionals).length > 0
        ? null
        : plainArguments(argv.slice(1), command, env, file);
    if (plain !== null) {
      await (command as Command).run(plain as never);
      return;
    }
    const { parseCommandLine } = await import('./command-line.ts');
    await parseCommandLine(argv, { loaded, env, file });
  } catch (error) {
    process.stderr.write(failureText(error, isVerbose(argv, env)));
    process.exitCode = exitCodeOf(error);
  }
}

/** Looked up without the parser, which may be what failed. */
function isVerbose(argv: readonly string[], env: NodeJS.ProcessEnv): boolean {
  return argv.includes('--verbose') || argv.includes('-v') || /^(1|true)$/.test(env['MILLRACE_VERBOSE'] ?? '');
}

/** The commands that the arguments name; one that is only the value of a flag is loaded for nothing. */
async function loadNamed(argv: readonly string[]): Promise<Map<string, Command | CommandGroup>> {
  const names = Object.keys(commands).filter((name) => argv.includes(name));
  return new Map(await Promise.all(names.map(async (name) => [name, await commands[name]!.load()] as const)));
}

/** A key that is no command's flag is a mistake that would otherwise go unnoticed. @throws UsageError */
async function checkNames(file: ConfigurationFile, loaded: Map<string, Command | CommandGroup>): Promise<void> {
  const known = [...loaded.values()].flatMap((command) => (isGroup(command) ? command.commands : [command]));
  const sets: Flags[] = [commonFlags, ...known.map((command) => command.flags)];
  const unknown = Object.keys(file.values).filter((name) => !sets.some((flags) => name in flags));
  if (unknown.length === 0) return;
  // It may be meant for another command.
  const all = await allFlagNames();
  const wrong = unknown.find((name) => !all.has(name));
  if (wrong !== undefined) throw new UsageError(`${file.path}: no command has a flag "${wrong}"`);
}

await main(process.argv.slice(2), process.env);
