/**
 * What can reach a run. The machine takes events in the order of their `at`; at one instant an event beats a timer.
 */
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { Outcome } from "./command.js";

/** A thing that happened, as the store keeps it and as a signal or a `perform` answer carries it to a run. */
export interface RunEvent {
  /** Unique; a run drops what it has already seen. */
  readonly id: string;
  /** `meeting.booked`, or a system event: see `SYSTEM_EVENTS`. */
  readonly name: string;
  /** When it happened (domain time). */
  readonly at: Instant;
  /** What `event.FIELD` reads. Flat: no personal data but ids belongs here. */
  readonly payload: Readonly<Record<string, FactValue>>;
  /** Fact paths that changed with it: wakes the conditions that mention them. */
  readonly changed?: readonly string[];
}

/** Names that only Waypost itself appends. Payload fields are given behind each. */
export const SYSTEM_EVENTS = {
  /** An operator or a playbook's `pauses` holds the run. `{ hold }`: the hold's name. */
  held: "run.held",
  /** `{ hold }` */
  released: "run.released",
  /** A further trigger for a live key. Payload: the new inputs, `input.NAME`. */
  triggeredAgain: "run.triggered_again",
  /** A parked run shall try its failed step again. */
  retry: "run.retry",
  /** A parked run shall go on behind its failed step. */
  skip: "run.skip",
  /** An operator ends the run. `{ outcome, by }` */
  stop: "run.stop",
  /** A run has ended; the one whose `play` started it always hears of it. `{ run, playbook, outcome }` */
  runEnded: "run.ended",
  /** `{ task, run, key, step, outcome, completed_by, note, status }`; status: done | skipped | cancelled */
  taskClosed: "task.closed",
  /** `{ delivery, run, key, step }` */
  emailReplied: "email.replied",
  /** `{ delivery, run, key, step, permanent }` */
  emailBounced: "email.bounced",
  /** A kill switch that kept mail of the run back was turned off: it is asked about anew. `{ switch }` */
  emailReleased: "email.released",
  /** `{ contact, category }` */
  emailUnsubscribed: "email.unsubscribed",
  /** `{ delivery, run, key, step, action }` */
  slackClicked: "slack.clicked",
  /** Facts of the subject changed by import, a step or the sweep. `changed` tells which. */
  factsChanged: "facts.changed",
  /** `{ from, to, cause }`; cause: data | first | model | override | expiry */
  healthChanged: "health.changed",
  /** `{ milestone }` */
  milestoneReached: "milestone.reached",
  /** `{ segment }` */
  segmentEntered: "segment.entered",
  /** `{ segment }` */
  segmentLeft: "segment.left",
  /** A `before` or `every` trigger fell due for the account. `{ playbook, trigger }`: its index in `enroll.when`. */
  triggerDue: "enrol.due",
} as const;

/** What drives `advance`. */
export type MachineEvent =
  /** First event of a run; never twice. */
  | { readonly kind: "start"; readonly at: Instant }
  /** Put into the inbox and handled in its turn. */
  | { readonly kind: "event"; readonly event: RunEvent }
  /** The clock has reached `at`: due timers fire, due inbox events are handled, in order. */
  | { readonly kind: "tick"; readonly at: Instant }
  /** What became of one command, by its key. */
  | { readonly kind: "performed"; readonly key: string; readonly outcome: Outcome }
  /** What the run had to tell is in the store: a stretch is over. */
  | { readonly kind: "written" };
