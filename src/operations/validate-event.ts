import type { FieldType, Model } from "../customers/model.js";
import { nearest } from "../playbook/nearest.js";
import { isCalendarDate } from "../values/calendar-date.js";
import { formatInstant, type Instant, parseInstant } from "../values/instant.js";
import type { IncomingEvent } from "./append-events.js";

/** One thing that is wrong with an event, for who sends it. */
export interface EventProblem {
  /** `name`, `at`, `payload.FIELD`, … */
  readonly field: string;
  readonly message: string;
}

/** How far ahead of the clock an event may be, at `scale` 1: senders' clocks differ. */
export const AHEAD_MAX_MS = 5 * 60_000;

/** The longest id of an event. */
export const EVENT_ID_LENGTH_MAX = 200;

/** The longest text in a payload, in UTF-16 units. */
export const PAYLOAD_TEXT_LENGTH_MAX = 4000;

/** All that is wrong with an event by the model; empty: it may be appended. `model` is undefined before the first publication. */
export function validateEvent(
  model: Model | undefined,
  event: IncomingEvent,
  clock: { readonly scale: number; now(): Instant },
): EventProblem[] {
  const problems: EventProblem[] = [];
  const say = (field: string, message: string) => problems.push({ field, message });
  if (event.id === "" || event.id.length > EVENT_ID_LENGTH_MAX) {
    say("id", `the id must have 1 to ${EVENT_ID_LENGTH_MAX} characters`);
  }
  if (clock.scale === 1 && event.at > clock.now() + AHEAD_MAX_MS) {
    say("at", `${formatInstant(event.at)} is more than 5 minutes in the future`);
  }
  if (model === undefined) {
    say("name", "nothing is published yet, so no event is declared; run `waypost publish` first");
    return problems;
  }
  const type = Object.hasOwn(model.events, event.name) ? model.events[event.name] : undefined;
  if (type === undefined) {
    const posted = Object.entries(model.events).filter(([, { system }]) => !system);
    const like = nearest(
      event.name,
      posted.map(([name]) => name),
    );
    say(
      "name",
      `no event "${event.name}" is declared in model.yaml${like === undefined ? "" : `; did you mean "${like}"?`}`,
    );
    return problems;
  }
  if (type.system) say("name", `"${event.name}" is Waypost's own event; it can't be sent`);
  const { contact_id: contactId, contract_id: contractId } = event.payload;
  if (type.subject === "contact" && event.contact === undefined && !isId(contactId)) {
    say("contact", `"${event.name}" is about a contact: name it in "contact" or payload "contact_id"`);
  } else if (type.subject === "contract" && !isId(contractId)) {
    say("payload.contract_id", `"${event.name}" is about a contract: name it in payload "contract_id"`);
  } else if (type.subject === "account" && event.account === undefined && event.contact === undefined) {
    say("account", `"${event.name}" is about an account: name it in "account"`);
  }
  for (const [field, value] of Object.entries(event.payload)) {
    const declared = Object.hasOwn(type.payload, field) ? type.payload[field] : undefined;
    // What it is about may be named in the payload whether or not the event declares it.
    if (declared === undefined && (field === "contact_id" || field === "contract_id")) {
      if (!isId(value)) say(`payload.${field}`, `"${field}" must be a string`);
    } else if (declared === undefined) {
      const like = nearest(field, Object.keys(type.payload));
      say(
        `payload.${field}`,
        `"${event.name}" has no field "${field}"${like === undefined ? "" : `; did you mean "${like}"?`}`,
      );
    } else {
      const problem = valueProblem(declared, value);
      if (problem !== undefined) say(`payload.${field}`, `"${field}" ${problem}`);
    }
  }
  return problems;
}

/** Why the value isn't one of the type, or undefined. */
export function valueProblem(type: FieldType, value: unknown): string | undefined {
  switch (type) {
    case "string":
      if (typeof value !== "string") return "must be a string";
      return value.length > PAYLOAD_TEXT_LENGTH_MAX
        ? `is longer than ${PAYLOAD_TEXT_LENGTH_MAX} characters`
        : undefined;
    case "number":
      return typeof value === "number" && Number.isFinite(value) ? undefined : "must be a number";
    case "boolean":
      return typeof value === "boolean" ? undefined : "must be true or false";
    case "date":
      if (typeof value === "string" && (isCalendarDate(value) || parseInstant(value) !== undefined)) return undefined;
      return 'must be a date such as "2026-03-02"';
    case "datetime":
      return typeof value === "string" && parseInstant(value) !== undefined
        ? undefined
        : 'must be an instant such as "2026-03-02T09:00:00Z"';
  }
}

function isId(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
