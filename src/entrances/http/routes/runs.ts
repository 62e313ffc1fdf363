import { randomUUID } from "node:crypto";
import * as z from "zod";
import type { FactValue } from "../../../expression/expression.js";
import { enrol } from "../../../operations/enrol.js";
import { operateRun } from "../../../operations/operate-run.js";
import { listRuns, readRun } from "../../../operations/read-runs.js";
import type { RunRow, RunStatus } from "../../../ports/runs.js";
import type { OperatorVerb } from "../../../ports/workflows.js";
import { Problem } from "../problem.js";
import { actorOf, type Route, route } from "../route.js";
import { factValue, id, instant, pageSize, shown, shownInstant, strict } from "../schema.js";
import type { HttpPorts } from "../app.js";
import { domainAt } from "../domain-at.js";

const STATUSES = ["starting", "running", "held", "parked", "exiting", "ended"] as const satisfies readonly RunStatus[];
const VERBS = ["pause", "resume", "retry", "skip", "stop"] as const satisfies readonly OperatorVerb[];

const run = z.object({
  id: z.string(),
  playbook: z.string(),
  account: z.string(),
  contact: z.string().nullable(),
  contract: z.string().nullable(),
  key: z.string(),
  status: z.enum(STATUSES),
  outcome: z.string().nullable(),
  position: z.array(z.string()),
  startedAt: shownInstant,
  endedAt: shownInstant.nullable(),
  parked: z.object({ step: z.string(), reason: z.string(), at: shownInstant }).nullable(),
  inputs: z.record(z.string(), factValue),
  priority: z.int(),
});

const entry = z.object({
  seq: z.int(),
  at: shownInstant,
  kind: z.string(),
  step: z.string().nullable(),
  key: z.string().nullable(),
  detail: z.record(z.string(), factValue),
  facts: z
    .record(z.string(), factValue)
    .meta({ description: "What the decision was made from; instants as epoch milliseconds" }),
});

/** Behind every `seq` that a column can hold: no timeline is read. */
const BEHIND_ALL = 2_147_483_647;

const RUN_ID = { id: "The run's id, percent-encoded: run%2FPLAYBOOK%2F…" };

/** Reading runs, operating them, and making new ones. */
export function runRoutes(ports: HttpPorts): Route[] {
  const { store } = ports;
  const found = async (id: string, afterSeq?: number) => {
    const detail = await readRun(store, id, afterSeq);
    if (detail === undefined) throw new Problem("not-found", `there is no run "${id}"`);
    return detail;
  };
  return [
    route({
      method: "GET",
      path: "/v1/runs",
      id: "listRuns",
      summary: "Runs, newest start first",
      tag: "Runs",
      scope: "runs:read",
      params: {},
      query: strict({
        playbook: id.optional(),
        account: id.optional(),
        status: z
          .string()
          .transform((text, context) => {
            const names = text.split(",");
            const unknown = names.find((name) => !(STATUSES as readonly string[]).includes(name));
            if (unknown === undefined) return names as RunStatus[];
            context.addIssue({
              code: "custom",
              message: `"${unknown}" is no status; there are ${STATUSES.join(", ")}`,
            });
            return z.NEVER;
          })
          .optional()
          .meta({ description: `One or more of ${STATUSES.join(",")}` }),
        outcome: id.optional(),
        after: z.string().max(1000).optional().meta({ description: "`next` of the page before" }),
        limit: pageSize.optional(),
      }),
      answers: { 200: { about: "A page", schema: z.object({ runs: z.array(run), next: z.string().nullable() }) } },
      run: async ({ query: { account, ...filter } }) => {
        const page = await listRuns(store, { ...filter, accountId: account });
        return { status: 200, body: { runs: page.runs.map(runBody), next: page.next ?? null } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/runs/:id",
      id: "readRun",
      summary: "One run",
      tag: "Runs",
      scope: "runs:read",
      params: RUN_ID,
      answers: { 200: { about: "The run", schema: run.extend({ title: z.string(), version: z.int().nullable() }) } },
      run: async ({ params }) => {
        const detail = await found(params.id as string, BEHIND_ALL);
        return { status: 200, body: { ...runBody(detail.run), title: detail.title, version: detail.version ?? null } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/runs/:id/timeline",
      id: "readTimeline",
      summary: "What happened in a run, when, why, and from which facts",
      tag: "Runs",
      scope: "runs:read",
      params: RUN_ID,
      query: strict({
        after: z
          .string()
          .regex(/^\d{1,9}$/, "must be a whole number")
          .transform(Number)
          .optional()
          .meta({ description: "Only entries behind this `seq`" }),
      }),
      answers: { 200: { about: "Entries in order", schema: z.object({ run: z.string(), entries: z.array(entry) }) } },
      run: async ({ params, query }) => {
        const { run, timeline } = await found(params.id as string, query.after);
        return {
          status: 200,
          body: {
            run: run.id,
            entries: timeline.map(({ seq, at, kind, step = null, key = null, detail = {}, facts = {} }) => ({
              seq,
              at: shown(at),
              kind,
              step,
              key,
              detail,
              facts,
            })),
          },
        };
      },
    }),
    ...VERBS.map((verb) =>
      route({
        method: "POST",
        path: `/v1/runs/:id/${verb}`,
        id: `${verb}Run`,
        summary: SUMMARIES[verb],
        tag: "Runs",
        scope: "runs:write",
        params: RUN_ID,
        body: strict({
          by: id.optional().meta({ description: "The person you speak for: shown in timeline and audit" }),
        }),
        isBodyOptional: true,
        answers: {
          202: { about: "The run has taken it on", schema: z.object({ run: z.string(), did: z.enum(VERBS) }) },
        },
        problems: [409],
        run: async ({ params, body, principal }) => {
          const runId = params.id as string;
          const operated = await operateRun(ports, runId, verb, actorOf(principal, body?.by));
          if (operated.kind === "unknown") throw new Problem("not-found", `there is no run "${runId}"`);
          if (operated.kind === "refused") throw new Problem("conflict", operated.reason);
          return { status: 202, body: { run: runId, did: verb } };
        },
      }),
    ),
    route({
      method: "POST",
      path: "/v1/enrolments",
      id: "enrol",
      summary: "Begin a playbook for an account or a contact",
      tag: "Runs",
      scope: "runs:write",
      params: {},
      headers: { "Idempotency-Key": "The same key enrols once" },
      body: strict({
        playbook: id,
        account: id,
        contact: id.optional(),
        contract: id.optional(),
        inputs: z.record(z.string().max(100), factValue).optional(),
        by: id.optional(),
        at: instant.optional().meta({ description: "Only with a time scale above 1" }),
      }),
      answers: {
        200: {
          about: "The key's run is live and was told",
          schema: z.object({ kind: z.literal("triggered_again"), run: z.string() }),
        },
        201: {
          about: "Enrolled, or was enrolled under this Idempotency-Key before",
          schema: z.object({ kind: z.literal("enrolled"), run: z.string() }),
        },
      },
      problems: [404, 409, 422],
      run: async ({ body, principal, header }) => {
        const at = domainAt(ports.clock, body.at);
        const key = header("Idempotency-Key");
        if (key !== undefined && (key === "" || key.length > 200))
          throw new Problem("bad-request", "the Idempotency-Key has 1 to 200 characters");
        const actor = actorOf(principal, body.by);
        const outcome = await store.transaction(async (tx) => {
          const { account, contact, contract } = await store.customers.locate(tx, {
            account: [body.account],
            contact: body.contact === undefined ? [] : [body.contact],
            contract: body.contract === undefined ? [] : [body.contract],
          });
          if (!account.has(body.account)) throw new Problem("not-found", `there is no account "${body.account}"`);
          for (const [kind, named, places] of [
            ["contact", body.contact, contact],
            ["contract", body.contract, contract],
          ] as const) {
            if (named !== undefined && places.get(named)?.accountId !== body.account)
              throw new Problem("not-found", `account "${body.account}" has no ${kind} "${named}"`);
          }
          const outcome = await enrol(
            store,
            tx,
            {
              playbook: body.playbook,
              accountId: body.account,
              contactId: body.contact,
              contractId: body.contract,
              at,
              cause: `http/${key ?? randomUUID()}`,
              inputs: (body.inputs ?? {}) as Record<string, FactValue>,
              source: "http",
            },
            ports.clock.now(),
          );
          if (outcome.kind !== "refused")
            await ports.audit.record(tx, {
              at,
              actor,
              action: "run.enrol",
              subject: outcome.run,
              detail: { kind: outcome.kind },
            });
          return outcome;
        });
        if (outcome.kind !== "refused") return { status: outcome.kind === "enrolled" ? 201 : 200, body: outcome };
        const { reason, message } = outcome;
        const problem =
          reason === "unknown_playbook" ? "not-found" : reason === "again" ? "conflict" : "not-acceptable-content";
        throw new Problem(problem, message, { errors: [{ path: FIELD_OF[reason] ?? "playbook", message }] });
      },
    }),
  ];
}

const FIELD_OF: Readonly<Record<string, string>> = {
  no_subject: "contact",
  inputs: "inputs",
  no_key: "account",
  condition: "account",
};

const SUMMARIES: Readonly<Record<OperatorVerb, string>> = {
  pause: "Hold a run until it is resumed",
  resume: "Let a paused run go on",
  retry: "Try the failed step of a run that needs attention again",
  skip: "Go on behind the failed step of a run that needs attention",
  stop: "End a run; its on_exit steps are done",
};

function runBody(row: RunRow) {
  return {
    id: row.id,
    playbook: row.playbook,
    account: row.accountId,
    contact: row.contactId ?? null,
    contract: row.contractId ?? null,
    key: row.key,
    status: row.status,
    outcome: row.outcome ?? null,
    position: row.position,
    startedAt: shown(row.startedAt),
    endedAt: shown(row.endedAt ?? null),
    parked:
      row.parked === undefined ? null : { step: row.parked.key, reason: row.parked.reason, at: shown(row.parked.at) },
    inputs: row.inputs,
    priority: row.priority,
  };
}
