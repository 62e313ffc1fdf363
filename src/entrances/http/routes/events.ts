import * as z from "zod";
import type { Model } from "../../../customers/model.js";
import type { FactValue } from "../../../expression/expression.js";
import {
  type AppendedEvent,
  appendEvents,
  EVENTS_PER_CALL_MAX,
  type IncomingEvent,
} from "../../../operations/append-events.js";
import { type MailPorts, mailCameBack } from "../../../operations/mail-came-back.js";
import { AHEAD_MAX_MS, validateEvent } from "../../../operations/validate-event.js";
import { SYSTEM_EVENTS } from "../../../engine/event.js";
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
export function eventRoutes(ports: MailPorts): Route[] {
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
        const outcomes = await appendMany(
          ports,
          body.events.map((one) => incoming(one, now)),
        );
        return { status: 200, body: { events: outcomes.map(({ errors, ...outcome }) => outcome) } };
      },
    }),
  ];
}

async function appendOne(ports: MailPorts, event: IncomingEvent) {
  const [outcome] = (await appendMany(ports, [event])) as [Outcome];
  const { errors, ...shown } = outcome;
  if (outcome.status === "refused")
    throw new Problem("not-acceptable-content", outcome.reason ?? "the event can't be taken", { errors: errors ?? [] });
  return { status: outcome.status === "repeated" ? (200 as const) : (202 as const), body: shown };
}

type Outcome = AppendedEvent & { readonly errors?: readonly FieldError[] };

/** Good ones in, bad ones named; in order. What came of a mail of ours goes to the run that sent it. */
async function appendMany(ports: MailPorts, events: readonly IncomingEvent[]): Promise<Outcome[]> {
  const model = await ports.store.read((tx) => ports.store.playbooks.configuration<Model>(tx, "model"));
  const outcomes = new Map<number, Outcome>();
  const good: IncomingEvent[] = [];
  const places: number[] = [];
  for (const [index, event] of events.entries()) {
    const problems = isMailEvent(event) ? mailProblems(ports, event) : eventProblems(ports, model, event);
    if (problems.length > 0) outcomes.set(index, refused(event.id, problems));
    else if (isMailEvent(event)) outcomes.set(index, await appendMailEvent(ports, event));
    else places[good.push(event) - 1] = index;
  }
  const appended = good.length === 0 ? [] : await appendEvents(ports, good, "http");
  for (const [position, one] of appended.entries()) outcomes.set(places[position] as number, one);
  return events.map((_, index) => outcomes.get(index) as Outcome);
}

function eventProblems(ports: MailPorts, model: Model | undefined, event: IncomingEvent): FieldError[] {
  return validateEvent(model, event, ports.clock).map(({ field, message }) => ({ path: field, message }));
}

function refused(id: string, errors: readonly FieldError[]): Outcome {
  return { id, status: "refused", reason: errors.map(({ path, message }) => `${path}: ${message}`).join("; "), errors };
}

/** Waypost's own names, which the outside may use for one thing: to tell what came of a mail. */
function isMailEvent({ name }: IncomingEvent): boolean {
  return name === SYSTEM_EVENTS.emailReplied || name === SYSTEM_EVENTS.emailBounced;
}

function mailProblems({ clock }: MailPorts, { at, name, payload }: IncomingEvent): FieldError[] {
  const problems: FieldError[] = [];
  const fields = name === SYSTEM_EVENTS.emailBounced ? ["delivery", "permanent"] : ["delivery"];
  if (clock.scale === 1 && at > clock.now() + AHEAD_MAX_MS)
    problems.push({ path: "at", message: "is more than 5 minutes in the future" });
  if (typeof payload.delivery !== "string")
    problems.push({ path: "payload.delivery", message: "must be the delivery's id, or the mail's Message-ID" });
  if (payload.permanent !== undefined && typeof payload.permanent !== "boolean")
    problems.push({ path: "payload.permanent", message: "must be true or false" });
  for (const field of Object.keys(payload)) {
    if (!fields.includes(field))
      problems.push({ path: `payload.${field}`, message: `is not known; known are ${fields.join(", ")}` });
  }
  return problems;
}

async function appendMailEvent(ports: MailPorts, { id, name, at, payload }: IncomingEvent): Promise<Outcome> {
  const status = await mailCameBack(ports, {
    id,
    kind: name === SYSTEM_EVENTS.emailReplied ? "reply" : "bounce",
    delivery: payload.delivery as string,
    isPermanent: payload.permanent === true,
    at,
    source: "http",
  });
  if (status !== "unknown") return { id, status };
  return refused(id, [{ path: "payload.delivery", message: "no mail of a run has this id" }]);
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
