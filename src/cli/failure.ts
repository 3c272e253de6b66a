import { getSystemErrorMessage } from 'node:util';
import { Fault, faults } from '../base/faults.ts';
import { CommandFailed } from './command-failed.ts';
import { UsageError } from './usage-error.ts';

/** What the user is told: one line, and with `verbose` what led to it, one line each. Never a stack trace. */
export function failureText(error: unknown, verbose: boolean): string {
  let text = `millrace: ${oneLine(sentenceOf(error))}\n`;
  if (!verbose) return text;
  for (let cause = causeOf(error); cause !== undefined; cause = causeOf(cause)) {
    text += `  because: ${oneLine(messageOf(cause))}\n`;
  }
  return text;
}

function sentenceOf(error: unknown): string {
  if (error instanceof Fault) return saidOnce(error);
  if (error instanceof UsageError || error instanceof CommandFailed) return error.message;
  if (error instanceof Error && 'syscall' in error) return fileSentence(error as NodeJS.ErrnoException);
  return `a bug of Millrace: ${messageOf(error)}; please report it`;
}

/** What the operating system says of a file names it, and so the way out. */
function fileSentence(error: NodeJS.ErrnoException): string {
  if (error.errno === undefined || error.path === undefined) return error.message;
  return `cannot ${error.syscall} ${error.path}: ${getSystemErrorMessage(error.errno)}`;
}

/** A fault made of others repeats their sentence, here and there in the middle. */
function saidOnce({ fault, message }: Fault): string {
  const sentence = `${faults[fault].says}: `;
  return message.startsWith(sentence) ? sentence + message.slice(sentence.length).replaceAll(sentence, '') : message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ').trim();
}
