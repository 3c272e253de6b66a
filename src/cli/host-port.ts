import { UsageError } from './usage-error.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, `[IPV6]:PORT` or `:PORT`, whose host is then `''`. `flag` is for the message. @throws UsageError */
export function parseHostPort(text: string, flag: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
  throw new UsageError(`${flag}: "${text}" is no address; write HOST:PORT, for example 127.0.0.1:9092 or [::1]:9092`);
}
