import type { Command, CommandGroup } from './command.ts';

interface Entry {
  readonly describe: string;
  /** A command's file is loaded when it is named, so that the others cost nothing. */
  readonly load: () => Promise<Command | CommandGroup>;
}

/** Every command, in the order of the help. */
export const commands: Readonly<Record<string, Entry>> = {
  serve: {
    describe: 'Run a broker',
    load: async () => (await import('./serve.ts')).serve,
  },
  topic: {
    describe: 'Make, show, change and delete topics',
    load: async () => (await import('./topic.ts')).topic,
  },
  produce: {
    describe: 'Send lines from standard input or a file to a topic',
    load: async () => (await import('./produce.ts')).produce,
  },
  consume: {
    describe: "Print a topic's records",
    load: async () => (await import('./consume.ts')).consume,
  },
  offsets: {
    describe: "Show where a topic's partitions begin and end, stood at a time, or lie in the files",
    load: async () => (await import('./offsets.ts')).offsets,
  },
  group: {
    describe: 'Look into consumer groups and move their offsets',
    load: async () => (await import('./group.ts')).group,
  },
  replay: {
    describe: 'Send a range of records once more: to another topic, another broker, a command, or standard output',
    load: async () => (await import('./replay.ts')).replay,
  },
  log: {
    describe: 'Look into the files of a stopped broker, and repair them',
    load: async () => (await import('./log.ts')).log,
  },
};

export function isGroup(command: Command | CommandGroup): command is CommandGroup {
  return 'commands' in command;
}

/** The names of all flags of all commands. */
export async function allFlagNames(): Promise<Set<string>> {
  const loaded = await Promise.all(Object.values(commands).map((entry) => entry.load()));
  const single = loaded.flatMap((command) => (isGroup(command) ? command.commands : [command]));
  return new Set(single.flatMap((command) => Object.keys(command.flags)));
}
