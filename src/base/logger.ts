/** What the broker and the SDK log through: the part of pino's interface that is used, so that a host can pass its own. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

const ignore = (): void => {};

/** Says nothing: the default of an embedded broker and of the SDK. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
