import * as z from "zod";
import { actOnTask, NOTE_MAX, type TaskAction } from "../../../operations/tasks/act-on-task.js";
import { allows } from "../../../operations/tokens.js";
import type { Task, TaskStatus } from "../../../ports/tasks.js";
import { parseDuration } from "../../../values/duration.js";
import { parseInstant } from "../../../values/instant.js";
import type { HttpPorts } from "../app.js";
import { clockAt, domainAt } from "../domain-at.js";
import { Problem } from "../problem.js";
import { type Asked, type Answer, actorOf, type Route, route } from "../route.js";
import { id, instant, pageSize, shown, shownInstant, strict } from "../schema.js";

const STATUSES = ["open", "done", "skipped", "cancelled"] as const satisfies readonly TaskStatus[];

const task = z.object({
  id: z.string(),
  run: z.string(),
  step: z.string(),
  account: z.string(),
  title: z.string(),
  text: z.string().nullable(),
  assignee: z.string().nullable(),
  queue: z.string().nullable(),
  coveredFor: z.string().nullable(),
  required: z.boolean(),
  status: z.enum(STATUSES),
  openedAt: shownInstant,
  dueAt: shownInstant,
  snoozedUntil: shownInstant.nullable(),
  snoozes: z.int(),
  snoozeLimit: z.int(),
  ask: z.enum(["outcome", "note"]).nullable(),
  outcomes: z.array(z.string()),
  escalated: z.int(),
  outcome: z.string().nullable(),
  note: z.string().nullable(),
  closedBy: z.string().nullable(),
  closedAt: shownInstant.nullable(),
  revision: z.int(),
});

/** What every deed on a task may bring along. */
const common = {
  by: id
    .optional()
    .meta({ description: "The colleague you speak for, whose rights then count; absent: the token's own" }),
  revision: z.int().positive().optional().meta({ description: "What they saw; another one now is a conflict" }),
  at: instant.optional().meta({ description: "Only with a time scale above 1" }),
};
const note = z.string({ error: "must be a text" }).max(NOTE_MAX, `must have ${NOTE_MAX} characters at most`);
const duration = z.string({ error: 'must be a duration such as "2 bd"' }).transform((text, context) => {
  const parsed = parseDuration(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: "custom", message: 'must be a duration such as "2 bd" or "4h"' });
  return z.NEVER;
});

const TASK_ID = { id: "The task's id" };

/** Reading tasks, and what people do with them. */
export function taskRoutes(ports: HttpPorts): Route[] {
  const { store, tasks } = ports;

  function deed<Shape extends z.ZodRawShape>(
    verb: TaskAction["kind"],
    summary: string,
    shape: Shape,
    actionOf: (body: Record<string, unknown>) => TaskAction,
    isBodyOptional = false,
  ): Route {
    return route({
      method: "POST",
      path: `/v1/tasks/:id/${verb}`,
      id: `${verb}Task`,
      summary,
      tag: "Tasks",
      scope: "tasks:write",
      params: TASK_ID,
      body: strict({ ...common, ...shape }) as z.ZodType,
      isBodyOptional,
      answers: { 200: { about: "The task as it is now", schema: task } },
      problems: [409, 422],
      run: (asked) => act(ports, asked as Asked<unknown, Record<string, unknown> | undefined>, actionOf),
    });
  }

  return [
    route({
      method: "GET",
      path: "/v1/tasks",
      id: "listTasks",
      summary: "Tasks, the earliest due first",
      tag: "Tasks",
      scope: "runs:read",
      params: {},
      query: strict({
        assignee: id.optional(),
        account: id.optional(),
        run: z.string().max(1000).optional(),
        queue: id.optional(),
        status: z.enum(STATUSES, { error: `must be one of ${STATUSES.join(", ")}` }).optional(),
        after: z
          .string()
          .transform((text, context) => {
            const [at = "", ...rest] = text.split("~");
            const dueAt = parseInstant(at);
            if (dueAt !== undefined && rest.length > 0) return { dueAt, id: rest.join("~") };
            context.addIssue({ code: "custom", message: "must be `next` of the page before" });
            return z.NEVER;
          })
          .optional()
          .meta({ description: "`next` of the page before" }),
        limit: pageSize.optional(),
      }),
      answers: { 200: { about: "A page", schema: z.object({ tasks: z.array(task), next: z.string().nullable() }) } },
      run: async ({ query: { assignee, account, run, queue, status, after, limit = 50 } }) => {
        const page = await store.read((tx) =>
          tasks.list(tx, {
            assigneeId: assignee,
            accountId: account,
            runId: run,
            queue,
            status: status === undefined ? undefined : [status],
            after,
            limit,
          }),
        );
        const last = page.at(-1);
        const next = page.length === limit && last !== undefined ? `${shown(last.dueAt)}~${last.id}` : null;
        return { status: 200, body: { tasks: page.map(taskBody), next } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/tasks/:id",
      id: "readTask",
      summary: "One task",
      tag: "Tasks",
      scope: "runs:read",
      params: TASK_ID,
      answers: { 200: { about: "The task", schema: task } },
      run: async ({ params }) => {
        const found = await store.read((tx) => tasks.read(tx, params.id as string));
        if (found === undefined) throw new Problem("not-found", `there is no task "${params.id}"`);
        return { status: 200, body: taskBody(found) };
      },
    }),
    deed(
      "complete",
      "Complete a task",
      { outcome: id.optional(), note: note.optional() },
      ({ outcome, note }) => ({
        kind: "complete",
        ...(outcome === undefined ? {} : { outcome: outcome as string }),
        ...(note === undefined ? {} : { note: note as string }),
      }),
      true,
    ),
    deed("snooze", "Put a task off", { for: duration }, (body) => ({
      kind: "snooze",
      for: body.for as z.output<typeof duration>,
    })),
    deed("reassign", "Give a task to a colleague", { to: id }, ({ to }) => ({ kind: "reassign", to: to as string })),
    deed("skip", "Skip a task, with a reason", { reason: note }, ({ reason }) => ({
      kind: "skip",
      reason: reason as string,
    })),
    deed("note", "Add a note to a task", { note }, (body) => ({ kind: "note", note: body.note as string })),
  ];
}

async function act(
  ports: HttpPorts,
  { params, body = {}, principal }: Asked<unknown, Record<string, unknown> | undefined>,
  actionOf: (body: Record<string, unknown>) => TaskAction,
): Promise<Answer> {
  const { by, revision, at } = body as { by?: string; revision?: number; at?: number };
  const when = domainAt(ports.clock, at);
  const dated = at === undefined ? ports : { ...ports, clock: clockAt(ports.clock, when) };
  const action = actionOf(body);
  const request = {
    task: params.id as string,
    actor: { id: by ?? `token:${principal.name}`, isAdmin: by === undefined || allows(principal, "admin") },
    action,
    ...(revision === undefined ? {} : { revision }),
  };
  const answer = await actOnTask(dated, request, (tx, task) =>
    ports.audit.record(tx, {
      at: when,
      actor: actorOf(principal, by),
      action: `task.${action.kind}`,
      subject: task.id,
      detail: { revision: task.revision },
    }),
  );
  if (answer.kind === "stale")
    throw new Problem("conflict", `the task has changed: it is at revision ${answer.task.revision} now`, {
      errors: [{ path: "revision", message: `is ${answer.task.revision} now` }],
    });
  if (answer.kind === "refused") {
    const { reason, message } = answer;
    if (reason === "not_found") throw new Problem("not-found", message);
    if (reason === "not_yours") throw new Problem("forbidden", message);
    if (reason === "closed" || reason === "snooze_limit") throw new Problem("conflict", message);
    throw new Problem("not-acceptable-content", message, { errors: [{ path: FIELD_OF[reason], message }] });
  }
  return { status: 200, body: taskBody(answer.task) };
}

const FIELD_OF = {
  outcome_needed: "outcome",
  outcome_unknown: "outcome",
  note_needed: "note",
  snooze_option: "for",
  unknown_person: "to",
} as const;

function taskBody(row: Task): z.input<typeof task> {
  return {
    id: row.id,
    run: row.runId,
    step: row.step,
    account: row.accountId,
    title: row.title,
    text: row.text,
    assignee: row.assigneeId,
    queue: row.queue,
    coveredFor: row.coveredForId,
    required: row.required,
    status: row.status,
    openedAt: shown(row.openedAt),
    dueAt: shown(row.dueAt),
    snoozedUntil: shown(row.snoozedUntil),
    snoozes: row.snoozes,
    snoozeLimit: row.snoozeLimit,
    ask: row.ask,
    outcomes: [...row.outcomes],
    escalated: row.escalated,
    outcome: row.outcome,
    note: row.note,
    closedBy: row.closedBy,
    closedAt: shown(row.closedAt),
    revision: row.revision,
  };
}
