/** A broker may cut a name that is longer. */
const NAME_CHARACTERS_QUOTED = 200;

/** What a broker said of `what`, a kind and a name such as `topic orders`; the name stands in it once. */
export function saidOf(what: string, said?: string | null): string {
  if (!said) return what;
  const name = what.slice(what.indexOf(' ') + 1);
  return isNamed(name, said) ? said : `${what}: ${said}`;
}

/** Whether it stands there as a name, in quotes or after a colon, and is not just a word of the sentence. */
function isNamed(name: string, said: string): boolean {
  const quoted = name.slice(0, NAME_CHARACTERS_QUOTED).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const end = name.length > NAME_CHARACTERS_QUOTED ? '' : '(?![A-Za-z0-9_-]|\\.[A-Za-z0-9_-])';
  return new RegExp(`(?:: |["'])${quoted}${end}`).test(said);
}
