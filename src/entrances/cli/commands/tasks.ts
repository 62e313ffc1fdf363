import { type Command, Option } from "commander";
import type { Task, TaskStatus } from "../../../ports/tasks.js";
import { formatInstant } from "../../../values/instant.js";
import { outputOf, table } from "../answer.js";
import { wholeNumber } from "../arguments.js";
import { withInstallation } from "../session.js";

const STATUSES: readonly TaskStatus[] = ["open", "done", "skipped", "cancelled"];

/** `waypost tasks`: what is to be done, the earliest due first. */
export function registerTasks(program: Command): void {
  program
    .command("tasks")
    .description("list tasks, the earliest due first")
    .option("--assignee <user>")
    .option("--queue <name>", "a pool, or unassigned")
    .option("--account <id>")
    .option("--run <id>")
    .addOption(new Option("--status <status...>").choices(STATUSES).default(["open"]))
    .option("--limit <n>", "at most 500", wholeNumber(1, 500), 50)
    .option("--json", "one object: { tasks }")
    .action(
      async (options: {
        assignee?: string;
        queue?: string;
        account?: string;
        run?: string;
        status: TaskStatus[];
        limit: number;
        json?: boolean;
      }) => {
        const { tasks, now } = await withInstallation(async ({ store, tasks, clock }) => ({
          tasks: await store.read((tx) =>
            tasks.list(tx, {
              assigneeId: options.assignee,
              queue: options.queue,
              accountId: options.account,
              runId: options.run,
              status: options.status,
              limit: options.limit,
            }),
          ),
          now: clock.now(),
        }));
        const text =
          tasks.length === 0
            ? "No tasks."
            : table(
                ["TASK", "DUE", "WHO", "ACCOUNT", "WHAT"],
                tasks.map((task) => [
                  task.id,
                  due(task, now),
                  task.assigneeId ?? `(${task.queue ?? "unassigned"})`,
                  task.accountId,
                  task.status === "open" ? task.title : `${task.title} (${task.status})`,
                ]),
              );
        const json = tasks.map(({ openedAt, dueAt, snoozedUntil, closedAt, ...task }) => ({
          ...task,
          openedAt: formatInstant(openedAt),
          dueAt: formatInstant(dueAt),
          snoozedUntil: snoozedUntil === null ? null : formatInstant(snoozedUntil),
          closedAt: closedAt === null ? null : formatInstant(closedAt),
        }));
        outputOf(options.json === true).answer({ tasks: json }, text);
      },
    );
}

function due({ status, dueAt, snoozedUntil }: Task, now: number): string {
  if (status !== "open") return formatInstant(dueAt);
  if (snoozedUntil !== null && snoozedUntil > now)
    return `${formatInstant(dueAt)} snoozed until ${formatInstant(snoozedUntil)}`;
  return `${formatInstant(dueAt)}${dueAt < now ? " overdue" : ""}`;
}
