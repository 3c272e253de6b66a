/** A command of the user's that was given records did not end well; the message says how. */
export class CommandFailed extends Error {
  override name = 'CommandFailed';
}
