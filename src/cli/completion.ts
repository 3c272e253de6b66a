import type { FallbackCompletionFunction } from 'yargs';
import type { Admin } from '../client/admin.ts';
import { brokerFlags } from './command.ts';
import { withAdmin } from './connect.ts';

/** A shell waits for this; a broker that is not at hand must not make it stall. */
const TIMEOUT = '500ms';

/** What may precede the name of a group. */
const TAKES_GROUP = /^group (describe|members|offsets|lag|seek|export|delete)( |$)/;

/** What may precede the name of a topic. */
const TAKES_TOPIC = /^(consume|produce|offsets|topic (describe|alter|add-partitions|trim|delete))$/;

/** Names of topics and groups where a command takes one, if the broker can be asked; else what yargs knows: commands and flags. */
export function completeNames(env: NodeJS.ProcessEnv): FallbackCompletionFunction {
  return async (current, argv, completeDefault, done) => {
    const words = (argv['_'] as (string | number)[]).map(String).filter((word) => word !== 'millrace');
    if (words.at(-1) === current) words.pop();
    const list = current.startsWith('-') ? null : listOf(words.join(' '));
    if (list === null) return completeDefault();
    const broker = String(argv['broker'] ?? env['MILLRACE_BROKER'] ?? brokerFlags.broker.default);
    try {
      const names = await withAdmin({ broker, timeout: TIMEOUT }, list);
      done(names.filter((name) => name.startsWith(current)));
    } catch {
      // There is no one to tell: anything printed here would land in the user's half-typed line.
      done([]);
    }
  };
}

/** What lists the names that may follow; null where none do. */
function listOf(words: string): ((admin: Admin) => Promise<string[]>) | null {
  if (TAKES_TOPIC.test(words)) return async (admin) => (await admin.listTopics()).map(({ name }) => name);
  if (TAKES_GROUP.test(words)) return async (admin) => (await admin.groups.list()).map(({ group }) => group);
  return null;
}
