import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import type { Model } from "../../../customers/model.js";
import { appendEventsWithin, type IncomingEvent } from "../../../operations/append-events.js";
import { appendMailEvent, isMailEvent, mailEventProblems } from "../../../operations/mail-event.js";
import { validateEvent } from "../../../operations/validate-event.js";
import type { Tx } from "../../../ports/transactions.js";
import { AnswerNo, outputOf, UsageFault } from "../answer.js";
import { collect, instantArgument, readPairs } from "../arguments.js";
import { actor, withInstallation } from "../session.js";

interface EventOptions {
  readonly account?: string;
  readonly contact?: string;
  readonly set: readonly string[];
  readonly at?: number;
  readonly id?: string;
  readonly json?: boolean;
}

/** `waypost event NAME`: something that happened, as the HTTP API would take it. */
export function registerEvent(program: Command): void {
  program
    .command("event")
    .description("append an event: something that happened to an account, a contact or a contract")
    .argument("<name>", "declared in model.yaml, e.g. meeting.booked")
    .option("--account <id>")
    .option("--contact <id>")
    .option("--set <field=value>", "a payload field; repeatable (--set kind=kickoff)", collect, [])
    .option("--at <instant>", "when it happened; default now", instantArgument)
    .option("--id <key>", "idempotency key: the same again changes nothing")
    .option("--json", "{ id, status }")
    .action(async (name: string, options: EventOptions) => {
      const answer = await withInstallation(async (wired) => {
        const event: IncomingEvent = {
          id: options.id ?? `cli/${randomUUID()}`,
          name,
          at: options.at ?? wired.clock.now(),
          ...(options.at === undefined ? { isAtDefault: true } : {}),
          account: options.account,
          contact: options.contact,
          payload: readPairs(options.set, "--set"),
        };
        const model = await wired.store.read((tx) => wired.store.playbooks.configuration<Model>(tx, "model"));
        const problems = isMailEvent(event)
          ? mailEventProblems(wired.clock, event)
          : validateEvent(model, event, wired.clock);
        if (problems.length > 0)
          throw new UsageFault(problems.map(({ field, message }) => `${field}: ${message}`).join("\n"));
        const { store, clock, audit } = wired;
        const record = (tx: Tx, status: string) =>
          audit.record(tx, {
            at: clock.now(),
            actor: actor(),
            action: "event.append",
            subject: event.id,
            detail: { name, account: event.account ?? null, status },
          });
        if (isMailEvent(event)) return appendMailEvent(wired, event, "cli", (tx) => record(tx, "accepted"));
        return store.transaction(async (tx) => {
          const [appended] = await appendEventsWithin(store, tx, [event], "cli", clock.now());
          if (appended?.status === "accepted" || appended?.status === "unmatched") await record(tx, appended.status);
          return appended;
        });
      });
      if (answer === undefined || answer.status === "refused" || answer.status === "conflict") {
        throw new AnswerNo(`Not taken: ${answer?.reason ?? "unknown"}.`, { ok: false, ...answer });
      }
      outputOf(options.json === true).answer({ ok: true, ...answer }, SAID[answer.status](answer.id));
    });
}

const SAID: Readonly<Record<"accepted" | "repeated" | "unmatched", (id: string) => string>> = {
  accepted: (id) => `Accepted: ${id}`,
  repeated: (id) => `Known already, nothing was done: ${id}`,
  unmatched: (id) => `Kept until what it names is imported: ${id}`,
};
