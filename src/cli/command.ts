import type { ArgumentsCamelCase, InferredOptionTypes, Options, PositionalOptions } from 'yargs';

export type Flags = Readonly<Record<string, Options>>;
export type Positionals = Readonly<Record<string, PositionalOptions>>;

/** Flags that every command takes. */
export const commonFlags = {
  json: { type: 'boolean', default: false, describe: 'Print JSON for machines' },
  verbose: { alias: 'v', type: 'boolean', default: false, describe: 'After a failure, say what led to it' },
  config: {
    type: 'string',
    requiresArg: true,
    describe: 'A JSON file whose keys are flag names [default: millrace.config.json, if it is there]',
  },
} as const satisfies Flags;

/** Flags of the commands that talk to a broker. */
export const brokerFlags = {
  broker: {
    alias: 'b',
    type: 'string',
    requiresArg: true,
    default: '127.0.0.1:9092',
    describe: 'Where to ask first: HOST:PORT, or several with commas; Millrace or Apache Kafka',
  },
  timeout: {
    type: 'string',
    requiresArg: true,
    default: '10s',
    describe: 'How long the broker may take to answer: 500ms, 10s, 1m',
  },
} as const satisfies Flags;

/** Of the commands on a topic. */
export const partitionFlag = {
  partition: {
    alias: 'p',
    type: 'number',
    array: true,
    requiresArg: true,
    describe: 'Only this partition; repeatable [default: all]',
  },
} as const satisfies Flags;

export interface Example {
  readonly run: string;
  readonly does: string;
}

/** What yargs makes of the flags. */
export type Values<F extends Flags | Positionals> = ArgumentsCamelCase<InferredOptionTypes<F>>;

interface CommandSpec<P extends Positionals, F extends Flags> {
  /** As yargs writes it: the name, `<required>` and `[optional]` positionals. */
  readonly syntax: string;
  readonly describe: string;
  readonly positionals: P;
  readonly flags: F;
  readonly examples: readonly Example[];
  /** Printed below the flags, and wrapped there: a line break only stands between sentences that are lines of their own. */
  readonly notes?: string;
  run(args: Values<P> & Values<F> & Values<typeof commonFlags>): Promise<void>;
}

/** A command that does something; its flags are data, so that help, completion and configuration read the same. */
export interface Command extends Omit<CommandSpec<Positionals, Flags>, 'run'> {
  readonly run: (args: never) => Promise<void>;
}

/** A command that only holds others. */
export interface CommandGroup {
  readonly syntax: string;
  readonly describe: string;
  readonly commands: readonly Command[];
  readonly examples: readonly Example[];
}

export function defineCommand<const P extends Positionals, const F extends Flags>(spec: CommandSpec<P, F>): Command {
  return spec;
}
