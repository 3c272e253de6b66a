import type { Logger } from '../base/logger.ts';
import type { Admin } from '../client/admin.ts';
import type { Millrace } from '../client/millrace.ts';
import { parseDurationMs } from './duration.ts';
import { parseHostPort } from './host-port.ts';
import { note } from './output.ts';

/** What brokerFlags (command.ts) say. */
export interface BrokerChoice {
  readonly broker: string;
  readonly timeout: string;
}

/** Runs `use` with a client of the broker that the flags name, and closes it afterwards. @throws Fault connectionFailed and others. */
export async function withBroker<R>(
  { broker, timeout }: BrokerChoice,
  use: (client: Millrace) => Promise<R>,
): Promise<R> {
  const client = await connect(broker, timeout);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** A client of a broker, to be closed. `flag` is for the message. @throws UsageError, Fault connectionFailed and others. */
export async function connect(broker: string, timeout: string, flag = '--broker'): Promise<Millrace> {
  const seeds = broker.split(',').map((one) => addressOf(one.trim(), flag));
  const timeoutMs = parseDurationMs(timeout, '--timeout');
  // Not before it is needed: help and usage errors do without the SDK.
  const { Millrace } = await import('../client/millrace.ts');
  const timeouts = { connectTimeoutMs: timeoutMs, callTimeoutMs: timeoutMs };
  return Millrace.connect(seeds, { clientId: 'millrace-cli', ...timeouts, logger: warningsForPeople });
}

/** What would else be a command that hangs without a word. */
const warningsForPeople: Logger = { debug() {}, info() {}, warn: tellPeople, error: tellPeople };

function tellPeople(facts: { err?: unknown }, message: string): void {
  const why = facts.err instanceof Error ? `: ${facts.err.message}` : '';
  note(`millrace: ${message}${why}`);
}

export function withAdmin<R>(choice: BrokerChoice, use: (admin: Admin) => Promise<R>): Promise<R> {
  return withBroker(choice, (client) => use(client.admin));
}

/** As it is, with Kafka's port where none is given. @throws UsageError */
function addressOf(text: string, flag: string): string {
  const withPort = /^[^:]+$|^\[[^\]]*\]$/.test(text) ? `${text}:9092` : text;
  const { host, port } = parseHostPort(withPort, flag);
  const name = host === '' ? '127.0.0.1' : host;
  return name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`;
}
