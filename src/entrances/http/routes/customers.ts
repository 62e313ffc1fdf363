import * as z from "zod";
import { upsertCustomers } from "../../../operations/upsert-customers.js";
import type { Audit } from "../../../ports/audit.js";
import type { CustomerBatch, CustomerKind } from "../../../ports/customers.js";
import type { Ports } from "../../../ports/store.js";
import { actorOf, LARGE_BODY_MAX_BYTES, type Route, route } from "../route.js";
import { errorsOf, id, instant, strict } from "../schema.js";

/** Rows of one kind in one call at most. */
export const ROWS_PER_KIND_MAX = 1000;

const text = z.string({ error: "must be a text" }).max(4000, "must have 4,000 characters at most");
const cleared = <T extends z.ZodType>(schema: T) => schema.nullable().optional();
const fields = z
  .record(
    z.string().max(100),
    z.union([text, z.number(), z.boolean(), z.null()], { error: "must be a text, a number, true, false or null" }),
    {
      error: "must be an object: field → value",
    },
  )
  .default({});
const entity = { id, accountId: id.optional(), fields, at: instant.optional() };

/** What a row of each kind has. Left out: what is known stays; null: it is cleared. */
const ROWS = {
  users: strict({
    id,
    name: text.optional(),
    email: text.optional(),
    title: cleared(text),
    slackUserId: cleared(text),
    timezone: cleared(text),
    locale: cleared(text),
    calendar: cleared(text),
    managerId: cleared(id),
    bookingUrl: cleared(text),
    pools: cleared(z.array(id).max(50)),
    isActive: z.boolean().optional(),
  }),
  absences: strict({ id, userId: id, fromAt: instant, toAt: instant, coverId: cleared(id) }),
  accounts: strict({ ...entity, roles: z.record(z.string().max(100), id.nullable()).optional() }),
  contacts: strict(entity),
  contracts: strict(entity),
  samples: strict({
    id,
    accountId: id,
    name: id,
    at: instant,
    value: z.number({ error: "must be a number" }),
    user: id.optional(),
  }),
  tickets: strict({
    id,
    accountId: id,
    openedAt: instant.optional(),
    closedAt: cleared(instant),
    priority: cleared(text),
    satisfaction: cleared(z.number()),
  }),
  surveyAnswers: strict({
    id,
    accountId: id,
    contactId: id.optional(),
    survey: z.enum(["nps", "csat", "ces", "csm_view"], { error: "must be one of nps, csat, ces, csm_view" }),
    score: z.number({ error: "must be a number" }),
    comment: text.optional(),
    at: instant,
  }),
  goals: strict({ id, accountId: id, title: text, status: text, at: instant }),
} as const satisfies Record<CustomerKind, z.ZodType>;

const KINDS = Object.keys(ROWS) as CustomerKind[];

/** Rows are only looked at one by one: a bad one is refused by itself. */
const anyRows = z
  .array(z.unknown(), { error: "must be a list of rows" })
  .max(ROWS_PER_KIND_MAX, `may have ${ROWS_PER_KIND_MAX} rows at most`)
  .optional();
const loose = strict({
  at: instant.optional().meta({ description: "Since when it is so, for rows that don't say; default: now" }),
  ...(Object.fromEntries(KINDS.map((kind) => [kind, anyRows])) as Record<CustomerKind, typeof anyRows>),
});

/** The same with its rows spelt out, for the document. */
const documented = strict({
  at: instant.optional(),
  ...Object.fromEntries(KINDS.map((kind) => [kind, z.array(ROWS[kind]).max(ROWS_PER_KIND_MAX).optional()])),
});

const named = z.array(z.object({ kind: z.string(), index: z.int(), reason: z.string(), field: z.string().optional() }));
const report = z.object({
  changed: z.record(z.string(), z.int()),
  refused: named,
  warnings: named.meta({ description: "Rows that are in, and name a colleague or calendar that nobody knows" }),
  matchedEvents: z.int(),
});

/** Customers as their systems of record know them. */
export function customerRoutes(ports: Ports & { readonly audit: Audit }): Route[] {
  return (["PUT", "POST"] as const).map((method) =>
    route({
      method,
      path: "/v1/customers",
      id: method === "PUT" ? "putCustomers" : "postCustomers",
      summary: "Upsert users, absences, accounts, contacts, contracts, samples, tickets, survey answers and goals",
      tag: "Customers",
      scope: "customers:write",
      params: {},
      body: loose,
      documentedBody: documented,
      maxBytes: LARGE_BODY_MAX_BYTES,
      answers: { 200: { about: "Good rows are in; bad ones are named by their index", schema: report } },
      run: async ({ body, principal }) => {
        const { at, ...rows } = body;
        const { batch, refused, indexOf } = sorted(rows);
        const outcome = await upsertCustomers(ports, batch, {
          source: "http",
          ...(at === undefined ? {} : { at }),
          alongside: (tx, changed) =>
            ports.audit.record(tx, {
              at: ports.clock.now(),
              actor: actorOf(principal),
              action: "customers.upsert",
              subject: "customers",
              detail: countsOf(changed),
            }),
        });
        return {
          status: 200,
          body: {
            changed: outcome.changed,
            refused: [...refused, ...outcome.refused.map((row) => ({ ...row, index: indexOf(row.kind, row.index) }))],
            warnings: outcome.warnings.map((row) => ({ ...row, index: indexOf(row.kind, row.index) })),
            matchedEvents: outcome.matchedEvents,
          },
        };
      },
    }),
  );
}

/** What changed, by kind, without the kinds of which nothing did. */
function countsOf(changed: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(changed).filter(([, count]) => count > 0));
}

type Refused = { kind: CustomerKind; index: number; reason: string };

function sorted(rows: Partial<Record<CustomerKind, unknown[] | undefined>>) {
  const refused: Refused[] = [];
  const batch: Partial<Record<CustomerKind, unknown[]>> = {};
  const indices: Partial<Record<CustomerKind, number[]>> = {};
  for (const kind of KINDS) {
    const good: unknown[] = [];
    const places: number[] = [];
    for (const [index, row] of (rows[kind] ?? []).entries()) {
      const checked = ROWS[kind].safeParse(row);
      if (checked.success) {
        good.push(checked.data);
        places.push(index);
      } else {
        const reason = errorsOf(checked.error).map(({ path, message }) =>
          path === "body" ? message : `${path} ${message}`,
        );
        refused.push({ kind, index, reason: reason.join("; ") });
      }
    }
    if (good.length > 0) batch[kind] = good;
    indices[kind] = places;
  }
  return {
    batch: batch as CustomerBatch,
    refused,
    indexOf: (kind: CustomerKind, index: number) => indices[kind]?.[index] ?? index,
  };
}
