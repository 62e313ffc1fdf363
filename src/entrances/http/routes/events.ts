import * as z from "zod";
import type { Model } from "../../../customers/model.js";
import type { FactValue } from "../../../expression/expression.js";
import {
  type AppendedEvent,
  appendEvents,
  EVENTS_PER_CALL_MAX,
  type IncomingEvent,
} from "../../../operations/append-events.js";
import type { MailPorts } from "../../../operations/mail-came-back.js";
import { appendMailEvent, isMailEvent, mailEventProblems } from "../../../operations/mail-event.js";
import { type EventProblem, validateEvent } from "../../../operations/validate-event.js";
import { type FieldError, Problem } from "../problem.js";
import { LARGE_BODY_MAX_BYTES, type Route, route } from "../route.js";
import { errorsOf, factValue, id, instant, strict } from "../schema.js";

const event = {
  id: id.optional().meta({ description: "Yours, and the idempotency key: the same id again changes nothing" }),
  name: id.meta({ description: "As model.yaml declares it" }),
  at: instant.optional().meta({ description: "When it happened; default: now. At most 5 minutes ahead" }),
  account: id.optional(),
  contact: id.optional(),
  payload: z.record(z.string().max(100), factValue, { error: "must be an object" }).default({}),
};
const single = strict(event);
const ofBatch = strict({
  ...event,
  id: z.string({ error: "an event needs an id of 1 to 200 characters" }).pipe(id),
});
const upTo = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item, { error: "must be a list of events" })
    .min(1, "must not be empty")
    .max(EVENTS_PER_CALL_MAX, `may have ${EVENTS_PER_CALL_MAX} events at most`);
/** Each is only looked at by itself: a bad one is refused by itself. */
const batch = strict({ events: upTo(z.unknown()) });

const outcome = z.object({
  id: z.string().nullable().meta({ description: "null: it had none" }),
  status: z.enum(["accepted", "repeated", "conflict", "unmatched", "refused"]),
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
      documentedBody: z.union([single, strict({ events: upTo(ofBatch) })]),
      formOf: (body) => (typeof body === "object" && body !== null && "events" in body ? batch : single),
      maxBytes: LARGE_BODY_MAX_BYTES,
      answers: {
        200: {
          about: "Nothing new: it was known; or the outcomes of a batch, in order",
          schema: z.union([outcome, z.object({ events: z.array(outcome) })]),
        },
        202: { about: "Kept", schema: outcome },
      },
      problems: [409, 422],
      run: async ({ body, header }) => {
        const now = ports.clock.now();
        if (!("events" in body))
          return appendOne(ports, incoming({ ...body, id: idOf(body.id, header("Idempotency-Key")) }, now));
        return { status: 200, body: { events: await appendMany(ports, body.events, now) } };
      },
    }),
  ];
}

async function appendOne(ports: MailPorts, event: IncomingEvent) {
  const model = await modelOf(ports);
  const problems = problemsOf(ports, model, event);
  if (problems.length > 0) throw new Problem("not-acceptable-content", reasonOf(problems), { errors: problems });
  const appended = isMailEvent(event)
    ? await appendMailEvent(ports, event, "http")
    : ((await appendEvents(ports, [event], "http"))[0] as AppendedEvent);
  if (appended.status === "conflict")
    throw new Problem("conflict", appended.reason ?? "", {
      errors: [{ path: "id", message: "belongs to another event" }],
    });
  if (appended.status === "refused") {
    const about = /^(payload\.delivery): (.+)$/.exec(appended.reason ?? "");
    throw new Problem("not-acceptable-content", appended.reason ?? "the event can't be taken", {
      errors: about === null ? [] : [{ path: about[1] as string, message: about[2] as string }],
    });
  }
  return { status: appended.status === "repeated" ? (200 as const) : (202 as const), body: appended };
}

type Outcome = Omit<AppendedEvent, "id"> & { readonly id: string | null };

/** Good ones in, bad ones named; in order. What came of a mail of ours goes to the run that sent it. */
async function appendMany(ports: MailPorts, events: readonly unknown[], now: number): Promise<Outcome[]> {
  const model = await modelOf(ports);
  const outcomes = new Map<number, Outcome>();
  const good: IncomingEvent[] = [];
  const places: number[] = [];
  for (const [index, given] of events.entries()) {
    const checked = ofBatch.safeParse(given);
    if (!checked.success) {
      outcomes.set(index, refused(idIn(given), errorsOf(checked.error, "", "the event")));
      continue;
    }
    const event = incoming(checked.data, now);
    const problems = problemsOf(ports, model, event);
    if (problems.length > 0) outcomes.set(index, refused(event.id, problems));
    else if (isMailEvent(event)) outcomes.set(index, await appendMailEvent(ports, event, "http"));
    else places[good.push(event) - 1] = index;
  }
  const appended = good.length === 0 ? [] : await appendEvents(ports, good, "http");
  for (const [position, one] of appended.entries()) outcomes.set(places[position] as number, one);
  return events.map((_, index) => outcomes.get(index) as Outcome);
}

function modelOf({ store }: MailPorts): Promise<Model | undefined> {
  return store.read((tx) => store.playbooks.configuration<Model>(tx, "model"));
}

function problemsOf(ports: MailPorts, model: Model | undefined, event: IncomingEvent): FieldError[] {
  const problems: EventProblem[] = isMailEvent(event)
    ? mailEventProblems(ports.clock, event)
    : validateEvent(model, event, ports.clock);
  return problems.map(({ field, message }) => ({ path: field, message }));
}

function refused(id: string | null, errors: readonly FieldError[]): Outcome {
  return { id, status: "refused", reason: reasonOf(errors) };
}

function reasonOf(errors: readonly FieldError[]): string {
  return errors.map(({ path, message }) => `${path}: ${message}`).join("; ");
}

/** The id of an event that doesn't fit, so that its sender finds it again. */
function idIn(given: unknown): string | null {
  const found = typeof given === "object" && given !== null ? (given as { id?: unknown }).id : undefined;
  return typeof found === "string" && found.length <= 200 ? found : null;
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
    ...(at === undefined ? { isAtDefault: true } : {}),
    payload: payload as Record<string, FactValue>,
    ...(account === undefined ? {} : { account }),
    ...(contact === undefined ? {} : { contact }),
  };
}
