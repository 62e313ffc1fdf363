import * as z from "zod";
import type { Model } from "../../../customers/model.js";
import type { FactValue } from "../../../expression/expression.js";
import {
  type AppendedEvent,
  appendEvents,
  EVENTS_PER_CALL_MAX,
  type IncomingEvent,
} from "../../../operations/append-events.js";
import { validateEvent } from "../../../operations/validate-event.js";
import type { Ports } from "../../../ports/store.js";
import { type FieldError, Problem } from "../problem.js";
import { LARGE_BODY_MAX_BYTES, type Route, route } from "../route.js";
import { factValue, id, instant, strict } from "../schema.js";

const event = {
  id: id.optional().meta({ description: "Yours, and the idempotency key: the same id again changes nothing" }),
  name: id.meta({ description: "As model.yaml declares it" }),
  at: instant.optional().meta({ description: "When it happened; default: now. At most 5 minutes ahead" }),
  account: id.optional(),
  contact: id.optional(),
  payload: z.record(z.string().max(100), factValue, { error: "must be an object" }).default({}),
};
const single = strict(event);
const batch = strict({
  events: z
    .array(strict({ ...event, id: event.id.unwrap() }), { error: "must be a list of events" })
    .min(1, "must not be empty")
    .max(EVENTS_PER_CALL_MAX, `may have ${EVENTS_PER_CALL_MAX} events at most`),
});

const outcome = z.object({
  id: z.string(),
  status: z.enum(["accepted", "repeated", "unmatched", "refused"]),
  reason: z.string().optional(),
});

/** Appending events: one, with an idempotency key, or up to a thousand. */
export function eventRoutes(ports: Ports): Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/events",
      id: "appendEvents",
      summary: "Append an event, or up to 1,000",
      tag: "Events",
      scope: "events:write",
      params: {},
      headers: { "Idempotency-Key": "For a single event without an id: becomes its id" },
      body: z.union([single, batch]),
      formOf: (body) => (typeof body === "object" && body !== null && "events" in body ? batch : single),
      maxBytes: LARGE_BODY_MAX_BYTES,
      answers: {
        200: {
          about: "Nothing new: it was known; or the outcomes of a batch, in order",
          schema: z.union([outcome, z.object({ events: z.array(outcome) })]),
        },
        202: { about: "Kept", schema: outcome },
      },
      problems: [422],
      run: async ({ body, header }) => {
        const now = ports.clock.now();
        if (!("events" in body))
          return appendOne(ports, incoming({ ...body, id: idOf(body.id, header("Idempotency-Key")) }, now));
        return appendMany(
          ports,
          body.events.map((one) => incoming(one, now)),
        );
      },
    }),
  ];
}

async function appendOne(ports: Ports, event: IncomingEvent) {
  const [problems = []] = await problemsOf(ports, [event]);
  if (problems.length > 0)
    throw new Problem("not-acceptable-content", "the event can't be taken", { errors: problems });
  const [appended] = (await appendEvents(ports, [event], "http")) as [AppendedEvent];
  if (appended.status === "refused")
    throw new Problem("not-acceptable-content", appended.reason ?? "the event can't be taken");
  return { status: appended.status === "repeated" ? (200 as const) : (202 as const), body: appended };
}

/** Good ones in, bad ones named. */
async function appendMany(ports: Ports, events: readonly IncomingEvent[]) {
  const problems = await problemsOf(ports, events);
  const appended = await appendEvents(
    ports,
    events.filter((_, index) => problems[index]?.length === 0),
    "http",
  );
  let next = 0;
  const outcomes = events.map(({ id }, index) => {
    const found = problems[index] ?? [];
    if (found.length === 0) return appended[next++] as AppendedEvent;
    return {
      id,
      status: "refused" as const,
      reason: found.map(({ path, message }) => `${path}: ${message}`).join("; "),
    };
  });
  return { status: 200 as const, body: { events: outcomes } };
}

async function problemsOf(ports: Ports, events: readonly IncomingEvent[]): Promise<FieldError[][]> {
  const model = await ports.store.read((tx) => ports.store.playbooks.configuration<Model>(tx, "model"));
  return events.map((event) =>
    validateEvent(model, event, ports.clock).map(({ field, message }) => ({ path: field, message })),
  );
}

function idOf(given: string | undefined, key: string | undefined): string {
  if (given !== undefined && key !== undefined && given !== key)
    throw new Problem("bad-request", "the event's id and the Idempotency-Key differ", {
      errors: [{ path: "id", message: "give one of them, or the same twice" }],
    });
  const id = given ?? key;
  if (id === undefined || id === "" || id.length > 200)
    throw new Problem("bad-request", "an event needs an id, so that sending it twice is sending it once", {
      errors: [{ path: "id", message: "give it here or as the header Idempotency-Key, with 1 to 200 characters" }],
    });
  return id;
}

function incoming(
  { id, name, at, account, contact, payload }: z.output<typeof single> & { id?: string | undefined },
  now: number,
): IncomingEvent {
  return {
    id: id as string,
    name,
    at: at ?? now,
    payload: payload as Record<string, FactValue>,
    ...(account === undefined ? {} : { account }),
    ...(contact === undefined ? {} : { contact }),
  };
}
