import type { Command } from "commander";
import { formatInstant } from "../../../values/instant.js";
import { outputOf, table } from "../answer.js";
import { wholeNumber } from "../arguments.js";
import { withInstallation } from "../session.js";

/** `waypost unmatched`: events that wait for an account, contact or contract that is not known yet. */
export function registerUnmatched(program: Command): void {
  program
    .command("unmatched")
    .description("list events that wait for an account, contact or contract that is not known yet, oldest first")
    .option("--limit <n>", "at most 500", wholeNumber(1, 500), 50)
    .option("--json", "{ count, events }")
    .action(async (options: { limit: number; json?: boolean }) => {
      const { count, events } = await withInstallation(({ store }) =>
        store.read((tx) => store.events.unmatched(tx, options.limit)),
      );
      const rows = events.map(({ id, name, at, source, names }) => ({
        id,
        name,
        at: formatInstant(at),
        source,
        names,
      }));
      const named = (names: Readonly<Record<string, string | undefined>>) =>
        Object.entries(names)
          .map(([kind, id]) => `${kind} ${id}`)
          .join(", ");
      const text =
        count === 0
          ? "Every event found its account."
          : table(
              ["EVENT", "NAME", "AT", "FROM", "WAITS FOR"],
              rows.map((row) => [row.id, row.name, row.at, row.source, named(row.names)]),
            ) + (count > rows.length ? `\n\n${count} in all.` : "");
      outputOf(options.json === true).answer({ count, events: rows }, text);
    });
}
