import * as z from "zod";
import type { ExplainedOverride } from "../../../customers/explain-health.js";
import { explainHealth } from "../../../operations/explain-health.js";
import { overrideHealth, removeHealthOverride } from "../../../operations/override-health.js";
import type { AuditEntry } from "../../../ports/audit.js";
import type { Tx } from "../../../ports/transactions.js";
import type { HttpPorts } from "../app.js";
import { Problem } from "../problem.js";
import { actorOf, type Route, route } from "../route.js";
import { id, instant, shown, shownInstant, strict } from "../schema.js";

const BANDS = ["green", "yellow", "red"] as const;
const shownHealth = z.object({ account: z.string(), score: z.number().nullable(), status: z.string() });

const health = shownHealth.extend({
  modelStatus: z.string(),
  coverage: z.number(),
  profile: z.string(),
  since: shownInstant,
  override: z
    .object({ status: z.string(), reason: z.string(), author: z.string(), at: shownInstant, until: shownInstant })
    .nullable(),
  trend: z.record(z.string(), z.string().nullable()),
  measures: z.array(z.looseObject({ title: z.string() })),
  text: z.string().meta({ description: "The whole explanation, for people" }),
});

const ACCOUNT_ID = { id: "The account's id" };

/** An account's health, why it is so, and a person's word over it. */
export function accountRoutes(ports: HttpPorts): Route[] {
  const { store, healthPorts } = ports;
  return [
    route({
      method: "GET",
      path: "/v1/accounts/:id/health",
      id: "readHealth",
      summary: "An account's health and the explanation of it",
      tag: "Health",
      scope: "runs:read",
      params: ACCOUNT_ID,
      answers: { 200: { about: "The health as shown now", schema: health } },
      run: async ({ params }) => {
        const account = params.id as string;
        const explained = await explainHealth(healthPorts, account);
        if (explained === undefined) {
          const isKnown = (await store.read((tx) => store.customers.accounts(tx, [account]))).length > 0;
          throw new Problem(
            "not-found",
            isKnown ? `the health of account "${account}" has never been measured` : `there is no account "${account}"`,
          );
        }
        const { explanation, text } = explained;
        const { score, status, modelStatus, coverage, profile, at, override, trend, measures } = explanation;
        return {
          status: 200,
          body: {
            account,
            score,
            status,
            modelStatus,
            coverage,
            profile,
            since: shown(at),
            override: override === undefined ? null : overrideBody(override),
            trend,
            measures,
            text,
          },
        };
      },
    }),
    route({
      method: "PUT",
      path: "/v1/accounts/:id/health/override",
      id: "overrideHealth",
      summary: "Show another status until an instant, with a reason",
      tag: "Health",
      scope: "tasks:write",
      params: ACCOUNT_ID,
      body: strict({
        status: z.enum(BANDS, { error: `must be one of ${BANDS.join(", ")}` }),
        reason: z.string({ error: "must be a text" }).max(2000, "must have 2,000 characters at most"),
        until: instant,
        by: id.optional(),
      }),
      answers: { 200: { about: "What is shown now", schema: shownHealth } },
      problems: [422],
      run: async ({ params, body, principal }) => {
        const accountId = params.id as string;
        const { status, reason, until } = body;
        const author = body.by ?? `token:${principal.name}`;
        const detail = { status, reason, until: shown(until) };
        const outcome = await overrideHealth(healthPorts, { accountId, status, reason, until, author }, (tx) =>
          record(tx, "health.override", accountId, actorOf(principal, body.by), detail),
        );
        if (!outcome.ok) throw overrideProblem(accountId, outcome.problem);
        return {
          status: 200,
          body: { account: accountId, score: outcome.health.score, status: outcome.health.status },
        };
      },
    }),
    route({
      method: "DELETE",
      path: "/v1/accounts/:id/health/override",
      id: "removeHealthOverride",
      summary: "Let the model's word count again",
      tag: "Health",
      scope: "tasks:write",
      params: ACCOUNT_ID,
      answers: { 200: { about: "What is shown now", schema: shownHealth } },
      run: async ({ params, principal }) => {
        const accountId = params.id as string;
        const outcome = await removeHealthOverride(healthPorts, accountId, (tx) =>
          record(tx, "health.override_removed", accountId, actorOf(principal)),
        );
        if (!outcome.ok) throw overrideProblem(accountId, outcome.problem);
        return {
          status: 200,
          body: { account: accountId, score: outcome.health.score, status: outcome.health.status },
        };
      },
    }),
  ];

  function record(
    tx: Tx,
    action: string,
    subject: string,
    actor: string,
    detail?: AuditEntry["detail"],
  ): Promise<void> {
    const entry = { at: ports.clock.now(), actor, action, subject };
    return ports.audit.record(tx, detail === undefined ? entry : { ...entry, detail });
  }
}

function overrideBody({ status, reason, author, at, until }: ExplainedOverride) {
  return { status, reason, author, at: shown(at), until: shown(until) };
}

function overrideProblem(
  account: string,
  problem: "no_account" | "no_reason" | "until_is_past" | "not_overridden",
): Problem {
  switch (problem) {
    case "no_account":
      return new Problem("not-found", `there is no account "${account}"`);
    case "not_overridden":
      return new Problem("not-found", `the health of account "${account}" is not overridden`);
    case "no_reason":
      return new Problem("not-acceptable-content", "an override needs a reason", {
        errors: [{ path: "reason", message: "must not be empty" }],
      });
    case "until_is_past":
      return new Problem("not-acceptable-content", "the override would be over already", {
        errors: [{ path: "until", message: "must be in the future" }],
      });
  }
}
