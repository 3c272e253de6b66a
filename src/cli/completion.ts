import type { FallbackCompletionFunction } from 'yargs';
import { brokerFlags } from './command.ts';
import { withAdmin } from './connect.ts';

/** A shell waits for this; a broker that is not at hand must not make it stall. */
const TIMEOUT = '500ms';

/** What may precede the name of a topic. */
const TAKES_TOPIC = /^(consume|produce|offsets|topic (describe|alter|add-partitions|trim|delete))$/;

/** Topic names where a command takes one, if the broker can be asked; else what yargs knows: commands and flags. */
export function completeTopics(env: NodeJS.ProcessEnv): FallbackCompletionFunction {
  return async (current, argv, completeDefault, done) => {
    const words = (argv['_'] as (string | number)[]).map(String).filter((word) => word !== 'millrace');
    if (words.at(-1) === current) words.pop();
    if (current.startsWith('-') || !TAKES_TOPIC.test(words.join(' '))) return completeDefault();
    const broker = String(argv['broker'] ?? env['MILLRACE_BROKER'] ?? brokerFlags.broker.default);
    try {
      const topics = await withAdmin({ broker, timeout: TIMEOUT }, (admin) => admin.listTopics());
      done(topics.map((topic) => topic.name).filter((name) => name.startsWith(current)));
    } catch {
      // There is no one to tell: anything printed here would land in the user's half-typed line.
      done([]);
    }
  };
}
