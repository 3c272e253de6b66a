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

/** One JSON object per line, for machines. */
export async function jsonLogger(level: LogLevel): Promise<Logger> {
  const { pino } = await import('pino');
  const logger: Logger = pino({ level });
  return logger;
}
