import { styleText } from 'node:util';
import type { Logger } from '../base/logger.ts';
import { visible } from './table.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

export type LogLevel = (typeof logLevels)[number];

/** One line per event, for people: time, level, message, facts. */
export function textLogger(level: LogLevel): Logger {
  const colours = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const;
  const log = (at: LogLevel, facts: object, message: string): void => {
    if (logLevels.indexOf(at) < logLevels.indexOf(level)) return;
    const label = styleText(colours[at], at.padEnd(5), { stream: process.stdout });
    process.stdout.write(`${new Date().toISOString()} ${label} ${message}${factsText(facts)}\n`);
  };
  return {
    debug: (facts, message) => log('debug', facts, message),
    info: (facts, message) => log('info', facts, message),
    warn: (facts, message) => log('warn', facts, message),
    error: (facts, message) => log('error', facts, message),
  };
}

function factsText(facts: object): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${factText(value)}`)
    .join('');
}

function factText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return visible(/^[^\s"=]+$/.test(text) || typeof value === 'object' ? text : JSON.stringify(text));
}

/**
 * One JSON object per line, for machines, by pino. Loading pino takes 20 ms that a start need not wait for: until `load`, or
 * the first warning, lines are kept, and then handed on in order.
 */
export class JsonLogger implements Logger {
  readonly #level: LogLevel;
  #kept: [level: LogLevel, facts: object, message: string][] = [];
  #pino: Logger | null = null;
  #loading: Promise<void> | null = null;

  constructor(level: LogLevel) {
    this.#level = level;
  }

  load(): Promise<void> {
    this.#loading ??= import('pino').then(({ pino }) => {
      // At once, not by a thread: the last line before a process ends is the one that says why.
      const logger: Logger = pino({ level: this.#level }, pino.destination({ dest: 1, sync: true }));
      for (const [level, facts, message] of this.#kept.splice(0)) logger[level](facts, message);
      this.#pino = logger;
    });
    return this.#loading;
  }

  debug(facts: object, message: string): void {
    this.#log('debug', facts, message);
  }

  info(facts: object, message: string): void {
    this.#log('info', facts, message);
  }

  warn(facts: object, message: string): void {
    this.#log('warn', facts, message);
  }

  error(facts: object, message: string): void {
    this.#log('error', facts, message);
  }

  #log(level: LogLevel, facts: object, message: string): void {
    if (this.#pino !== null) {
      this.#pino[level](facts, message);
      return;
    }
    if (logLevels.indexOf(level) < logLevels.indexOf(this.#level)) return;
    this.#kept.push([level, facts, message]);
    if (level === 'warn' || level === 'error') void this.load();
  }
}
