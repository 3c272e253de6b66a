import yargs, { type Argv } from 'yargs';
import { packageVersion } from '../client/version.ts';
import { detachValues } from './attached-values.ts';
import { type Command, type CommandGroup, commonFlags, type Example, type Flags } from './command.ts';
import { commands, isGroup } from './commands.ts';
import { completeNames } from './completion.ts';
import { type ConfigurationFile, configuredValues } from './configuration.ts';
import { exitCodes } from './exit-codes.ts';
import { UsageError } from './usage-error.ts';

export interface Surroundings {
  /** The commands that the arguments name, by name. */
  readonly loaded: ReadonlyMap<string, Command | CommandGroup>;
  readonly env: NodeJS.ProcessEnv;
  readonly file: ConfigurationFile | null;
}

/** Help is no wider than this, so that its lines can be read. */
const HELP_COLUMNS_MAX = 110;
/** What the scripts of `millrace completion` call. */
const COMPLETE = '--get-yargs-completions';
const COMMON_GROUP = 'For every command:';

/** Parses the arguments and runs the command they name. @throws UsageError and what the command throws */
export async function parseCommandLine(argv: readonly string[], surroundings: Surroundings): Promise<void> {
  const line = new CommandLine(surroundings, argv.includes(COMPLETE));
  const parser = line.parser(argv);
  if (argv.length > 0) {
    await parser.parseAsync();
    return;
  }
  parser.showHelp('error');
  process.exitCode = exitCodes.usage;
}

class CommandLine {
  readonly #surroundings: Surroundings;
  /** Half-typed lines are neither run nor complained about. */
  readonly #completing: boolean;
  /** The command that the arguments name, as far as it is known, for messages. */
  #named = 'millrace';

  constructor(surroundings: Surroundings, completing: boolean) {
    this.#surroundings = surroundings;
    this.#completing = completing;
  }

  parser(argv: readonly string[]): Argv {
    const { loaded, env } = this.#surroundings;
    const singles = [...loaded.values()].flatMap((command) => (isGroup(command) ? command.commands : [command]));
    const flags: Flags = Object.assign({}, ...singles.map((command) => command.flags));
    const detached = detachValues(argv, flags);
    const parser = this.#configured(yargs(this.#completing ? detached : withNamesMarked(detached)))
      .usage('millrace: a durable log and message broker that speaks the Kafka protocol\n\nUsage: $0 <command>')
      .epilogue(
        'Run millrace COMMAND --help for its flags and examples. Flags can also be given as environment ' +
          'variables (MILLRACE_LOG_LEVEL for --log-level) or in a JSON file (--config).\n\n' +
          'Exit codes: 0 done, 1 other failure, 2 usage, 3 broker not reached, 4 refused, 5 data folder not usable, ' +
          '6 address not usable, 7 damage found, 8 the broker stopped itself, 9 a command failed, 10 torn end, ' +
          '130 Ctrl-C, 143 SIGTERM.',
      )
      .completion('completion', 'Print a completion script for your shell', completeNames(env))
      .demandCommand(1, 'no command is given');
    for (const [name, { describe }] of Object.entries(commands)) {
      const command = loaded.get(name);
      if (command === undefined) parser.command(name, describe);
      else if (isGroup(command)) this.#addGroup(parser, command);
      else this.#addCommand(parser, command, 'millrace');
    }
    return parser;
  }

  #configured(parser: Argv): Argv {
    return parser
      .scriptName('millrace')
      .version(packageVersion)
      .help()
      .alias('help', 'h')
      .alias('version', 'V')
      .group(['help', 'version'], COMMON_GROUP)
      .detectLocale(false)
      .strict()
      .recommendCommands()
      .wrap(Math.min(HELP_COLUMNS_MAX, process.stdout.columns ?? HELP_COLUMNS_MAX))
      .exitProcess(false)
      .parserConfiguration({ 'greedy-arrays': false, 'dot-notation': false, 'parse-positional-numbers': false })
      .fail((message, error) => {
        if (this.#completing) return;
        // yargs speaks for itself in `message` or an error of its own, and hands on what a command threw.
        if (error && error.name !== 'YError') throw error;
        const said = unmarked(message ?? error?.message ?? '');
        throw new UsageError(`${explained(said, this.#named)}; see ${plain(this.#named)} --help`);
      });
  }

  #addGroup(parser: Argv, group: CommandGroup): void {
    parser.command(group.syntax, group.describe, (nested) => {
      this.#named = `millrace ${group.syntax}`;
      for (const command of group.commands) this.#addCommand(nested, command, this.#named);
      addExamples(nested, group.examples);
      return nested.demandCommand(1, `${this.#named} needs to know what to do`);
    });
  }

  #addCommand(parser: Argv, command: Command, parent: string): void {
    const { env, file } = this.#surroundings;
    const flags: Flags = { ...commonFlags, ...command.flags };
    const commonNames = Object.keys(commonFlags).filter((name) => !(name in command.flags));
    parser.command(
      command.syntax,
      command.describe,
      (one) => {
        this.#named = `${parent} ${command.syntax}`;
        for (const [name, positional] of Object.entries(command.positionals)) one.positional(name, positional);
        addExamples(one, command.examples);
        if (command.notes !== undefined) one.epilogue(command.notes);
        return one
          .options(flags)
          .group(Object.keys(command.flags), 'Flags:')
          .group(commonNames, COMMON_GROUP)
          .config(configuredValues(flags, env, file));
      },
      async (args) => {
        if (this.#completing) return;
        checkValues(flags, args);
        const names = Object.keys(command.positionals).map((name) => [name, plainNames(args[name])]);
        await command.run({ ...args, ...Object.fromEntries(names) } as never);
      },
    );
  }
}

/** Stands in no argument: the operating system ends one with it. */
const MARK = '\0';

/** What follows `--` is names, whatever it looks like. yargs would hand it to no command, so it is marked and not set apart. */
function withNamesMarked(argv: readonly string[]): string[] {
  const endOfFlags = argv.indexOf('--');
  if (endOfFlags < 0) return [...argv];
  return [...argv.slice(0, endOfFlags), ...argv.slice(endOfFlags + 1).map((name) => MARK + name)];
}

function unmarked(text: string): string {
  return text.replaceAll(MARK, '');
}

function plainNames(value: unknown): unknown {
  if (typeof value === 'string') return unmarked(value);
  return Array.isArray(value) ? value.map(plainNames) : value;
}

function addExamples(parser: Argv, examples: readonly Example[]): void {
  for (const { run, does } of examples) parser.example(run, does);
}

/** A command without its arguments. */
function plain(syntax: string): string {
  return syntax.replace(/ [<[].*$/, '');
}

/** What yargs says, in words that say what to write. */
function explained(message: string, named: string): string {
  const similar = /^Did you mean (.*)\?$/.exec(message)?.[1];
  if (similar !== undefined) return `no such command; did you mean ${similar}`;
  if (message.startsWith('Not enough non-option arguments')) return `an argument is missing: ${named}`;
  const flag = /^Not enough arguments following: (.*)$/.exec(message)?.[1];
  if (flag !== undefined) return `${flag.length === 1 ? '-' : '--'}${flag} needs a value`;
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1];
  if (unknown !== undefined) return unknownArguments(unknown.split(', '));
  return `${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** A flag with a dash in its name is told twice: as it was written, and as yargs has it for programs. */
function unknownArguments(names: readonly string[]): string {
  const inPrograms = names.map((name) => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));
  const written = names.filter((name) => !inPrograms.some((other, i) => other === name && names[i] !== name));
  return `unknown ${written.length === 1 ? 'argument' : 'arguments'}: ${written.join(', ')}`;
}

/** What yargs lets pass: a number that is none, and a flag given twice that can only have one value. @throws UsageError */
function checkValues(flags: Flags, args: Readonly<Record<string, unknown>>): void {
  for (const [name, flag] of Object.entries(flags)) {
    const value = args[name];
    if (Array.isArray(value) && flag.array !== true) throw new UsageError(`--${name} is given more than once`);
    const values = Array.isArray(value) ? value : [value];
    if (values.some((one) => typeof one === 'string' && one.startsWith(MARK))) {
      throw new UsageError(`--${name} needs a value`);
    }
    if (values.some((one) => Number.isNaN(one))) throw new UsageError(`--${name} must be a number`);
  }
}
