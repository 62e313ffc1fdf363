import { SYSTEM_EVENTS } from "../engine/event.js";
import type { Clock } from "../ports/clock.js";
import type { Tx } from "../ports/transactions.js";
import type { AppendedEvent, IncomingEvent } from "./append-events.js";
import { conflictOf } from "./conflict.js";
import { type MailPorts, mailCameBack } from "./mail-came-back.js";
import { AHEAD_MAX_MS, type EventProblem } from "./validate-event.js";

/** Waypost's own names, which the outside may use for one thing: to tell what came of a mail. */
export function isMailEvent({ name }: Pick<IncomingEvent, "name">): boolean {
  return name === SYSTEM_EVENTS.emailReplied || name === SYSTEM_EVENTS.emailBounced;
}

/** All that is wrong with such an event; empty: `appendMailEvent` may have it. */
export function mailEventProblems(clock: Clock, { at, name, payload }: IncomingEvent): EventProblem[] {
  const problems: EventProblem[] = [];
  const fields = name === SYSTEM_EVENTS.emailBounced ? ["delivery", "permanent"] : ["delivery"];
  if (clock.scale === 1 && at > clock.now() + AHEAD_MAX_MS)
    problems.push({ field: "at", message: "is more than 5 minutes in the future" });
  if (typeof payload.delivery !== "string")
    problems.push({ field: "payload.delivery", message: "must be the delivery's id, or the mail's Message-ID" });
  if (payload.permanent !== undefined && typeof payload.permanent !== "boolean")
    problems.push({ field: "payload.permanent", message: "must be true or false" });
  for (const field of Object.keys(payload)) {
    if (!fields.includes(field))
      problems.push({ field: `payload.${field}`, message: `is not known; known are ${fields.join(", ")}` });
  }
  return problems;
}

/** Tells the run that sent the mail; `refused` where no mail of a run has the id. `alongside`: in the same transaction, if it is taken. */
export async function appendMailEvent(
  ports: MailPorts,
  { id, name, at, payload }: IncomingEvent,
  source: string,
  alongside?: (tx: Tx) => Promise<void>,
): Promise<AppendedEvent> {
  const status = await mailCameBack(
    ports,
    {
      id,
      kind: name === SYSTEM_EVENTS.emailReplied ? "reply" : "bounce",
      delivery: payload.delivery as string,
      isPermanent: payload.permanent === true,
      at,
      source,
    },
    alongside,
  );
  if (status === "unknown") return { id, status: "refused", reason: "payload.delivery: no mail of a run has this id" };
  return status === "conflict" ? conflictOf(id) : { id, status };
}
