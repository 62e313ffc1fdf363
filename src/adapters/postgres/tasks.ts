import { and, asc, eq, inArray, sql } from "drizzle-orm";
import type { Task, Tasks } from "../../ports/tasks.js";
import { TASKS_PAGE_MAX } from "../../ports/tasks.js";
import { inside, instantParam } from "./database.js";
import { tasks } from "./schema.js";

/** Tasks on Postgres. */
export function postgresTasks(): Tasks {
  return {
    async open(tx, task) {
      const row = { ...task, outcomes: [...task.outcomes], escalate: [...task.escalate] };
      return (await inside(tx).insert(tasks).values(row).onConflictDoNothing().returning({ id: tasks.id })).length > 0;
    },
    async read(tx, id) {
      return taskOf((await inside(tx).select().from(tasks).where(eq(tasks.id, id)))[0]);
    },
    async ofEffect(tx, effectKey) {
      return taskOf((await inside(tx).select().from(tasks).where(eq(tasks.effectKey, effectKey)))[0]);
    },
    async change(tx, id, revision, patch) {
      const [row] = await inside(tx)
        .update(tasks)
        .set({ ...patch, revision: revision + 1 })
        .where(and(eq(tasks.id, id), eq(tasks.revision, revision)))
        .returning();
      return taskOf(row);
    },
    async list(tx, { assigneeId, coveredForId, accountId, runId, queue, status, limit, after }) {
      const rows = await inside(tx)
        .select()
        .from(tasks)
        .where(
          and(
            assigneeId === undefined ? undefined : eq(tasks.assigneeId, assigneeId),
            coveredForId === undefined ? undefined : eq(tasks.coveredForId, coveredForId),
            accountId === undefined ? undefined : eq(tasks.accountId, accountId),
            runId === undefined ? undefined : eq(tasks.runId, runId),
            queue === undefined ? undefined : eq(tasks.queue, queue),
            status === undefined ? undefined : inArray(tasks.status, [...status]),
            after && sql`(${tasks.dueAt}, ${tasks.id}) > (${instantParam(after.dueAt)}, ${after.id})`,
          ),
        )
        .orderBy(asc(tasks.dueAt), asc(tasks.id))
        .limit(Math.min(limit ?? TASKS_PAGE_MAX, TASKS_PAGE_MAX));
      return rows.flatMap((row) => taskOf(row) ?? []);
    },
  };
}

/** The columns of JSON have the types that `open` wrote. */
function taskOf(row: typeof tasks.$inferSelect | undefined): Task | undefined {
  return row && { ...row, for: row.for as Task["for"], escalate: row.escalate as Task["escalate"] };
}
