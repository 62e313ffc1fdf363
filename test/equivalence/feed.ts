import { setTimeout as sleep } from "node:timers/promises";
import type { DeskMessage, Json } from "../../src/local/desk-workspace.js";
import type { MailboxMessage } from "../../src/local/mailbox-messages.js";
import { unsubscribe } from "../../src/operations/unsubscribe.js";
import type { Given, GivenEntity, Reaction, Scenario, Scripted } from "../../src/simulation/records.js";
import { addDuration } from "../../src/values/add-duration.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { formatInstant, type Instant } from "../../src/values/instant.js";
import type { PreparedSystem } from "../support/whole-system.js";

/** Scenarios' people and systems of record, as the real system meets them: over HTTP, answering mails and Slack messages. */
export class Feed {
  readonly problems: string[] = [];
  readonly #byAccount = new Map<string, Scenario>();
  #system: PreparedSystem | undefined;

  constructor(readonly scenarios: readonly Scenario[]) {
    for (const scenario of scenarios) {
      for (const { id } of accountsOf(scenario)) this.#byAccount.set(id, scenario);
    }
  }

  /** The customers as they are when it begins, as of long before. */
  async give(system: PreparedSystem, since: Instant): Promise<void> {
    this.#system = system;
    for (const { given } of this.scenarios) await this.#upsert(given, since);
  }

  /** From now on it is another one: the same data, another clock. */
  meet(system: PreparedSystem): void {
    this.#system = system;
  }

  /** All that systems of record will tell, ahead of its instants: the store keeps it until they come. */
  async tell(): Promise<void> {
    await Promise.all(
      this.scenarios.map(async ({ script }) => {
        const items = [...script].sort((a, b) => a.at - b.at);
        for (const item of items) await this.#post(item).catch((error: unknown) => this.#problem(error));
      }),
    );
  }

  /** What somebody begins by hand, when its instant comes. */
  async enrol(signal: AbortSignal): Promise<void> {
    const { wired } = this.#mine();
    const items = this.scenarios.flatMap((scenario) => scenario.enrolments ?? []).sort((a, b) => a.at - b.at);
    for (const item of items) {
      await sleep(wired.clock.realMsUntil(item.at), undefined, { signal });
      await this.#enrol(item).catch((error: unknown) => this.#problem(error));
    }
  }

  /** For the mailbox: who gets a mail reacts before the server has its answer. */
  async onMessage(message: MailboxMessage): Promise<void> {
    const { wired, call } = this.#mine();
    const id = message.deliveryId;
    if (id === undefined || message.arrival > 1) return;
    const row = await wired.store.read((tx) => wired.ledger.readById(tx, id));
    const scenario = this.#byAccount.get(row?.accountId ?? "");
    if (row?.runId == null || row.sentAt === null || scenario === undefined) return;
    for (const [i, reaction] of scenario.reactions.entries()) {
      if (reaction.to !== "email" || (reaction.step !== "*" && reaction.step !== row.step)) continue;
      const at = after(row.sentAt, reaction);
      const event = {
        id: `reaction/${i}/${row.id}`,
        at: formatInstant(at),
        account: row.accountId,
        contact: row.contactId ?? undefined,
      };
      const { do: what } = reaction;
      try {
        if (what.kind === "reply")
          await call("POST", "/v1/events", { ...event, name: "email.replied", payload: { delivery: row.id } });
        else if (what.kind === "bounce")
          await call("POST", "/v1/events", {
            ...event,
            name: "email.bounced",
            payload: { delivery: row.id, permanent: true },
          });
        else if (what.kind === "event") {
          const run = await wired.store.read((tx) => wired.store.runs.get(tx, row.runId as string));
          const about = { ...(run?.contractId === undefined ? {} : { contract_id: run.contractId }) };
          await call("POST", "/v1/events", { ...event, name: what.name, payload: { ...about, ...what.payload } });
        } else if (what.kind === "unsubscribe") await this.#unsubscribe(message, at);
      } catch (error) {
        this.#problem(error);
      }
    }
  }

  /** For the desk: whose task it is acts before the post is answered. */
  async onPost(message: DeskMessage): Promise<void> {
    const { wired, call } = this.#mine();
    const id = taskIn(message.blocks);
    if (id === undefined) return;
    const task = await wired.store.read((tx) => wired.tasks.read(tx, id));
    const scenario = this.#byAccount.get(task?.accountId ?? "");
    if (task?.status !== "open" || scenario === undefined) return;
    const reaction = scenario.reactions.find(
      (one) => one.to === "task" && (one.step === "*" || one.step === task.step),
    );
    if (reaction === undefined) return;
    const at = formatInstant(after(task.openedAt, reaction));
    const { do: what } = reaction;
    // Nobody's yet: then it is not said who did it.
    const by = task.assigneeId === null ? {} : { by: task.assigneeId };
    const path = `/v1/tasks/${encodeURIComponent(id)}`;
    try {
      if (what.kind === "complete")
        await call("POST", `${path}/complete`, {
          at,
          ...by,
          ...(what.outcome === undefined ? {} : { outcome: what.outcome }),
          ...(what.note === undefined ? {} : { note: what.note }),
        });
      else if (what.kind === "skip") await call("POST", `${path}/skip`, { at, ...by, reason: what.reason });
    } catch (error) {
      // An outcome that the task doesn't have is refused, and the simulator's people are refused as well.
      if (!isRefusal(error)) this.#problem(error);
    }
  }

  async #post(item: Scripted): Promise<void> {
    if (item.kind === "upsert") return this.#upsert(item.rows, item.at);
    const { runId } = item as { runId?: string };
    if (runId !== undefined) return this.#toRun(item, runId);
    await this.#mine().call("POST", "/v1/events", {
      id: item.id,
      name: item.name,
      at: formatInstant(item.at),
      account: item.accountId,
      ...(item.contactId === undefined ? {} : { contact: item.contactId }),
      payload: { ...(item.contractId === undefined ? {} : { contract_id: item.contractId }), ...item.payload },
    });
  }

  /** What only Waypost itself says, to a run: an operator's hold, at an instant of the script's. */
  async #toRun(item: Extract<Scripted, { kind: "event" }>, runId: string): Promise<void> {
    const { wired } = this.#mine();
    const { id, name, at, accountId, payload } = item;
    await wired.store.transaction(async (tx) => {
      await wired.store.lockAccounts(tx, [accountId]);
      await wired.store.events.append(tx, [{ id, name, at, accountId, runId, payload, source: "test" }], at);
    });
  }

  async #upsert(rows: Given, at: Instant): Promise<void> {
    const { users, absences, accounts, contacts, contracts, samples, tickets, surveyAnswers } = rows;
    const entities = (list: readonly GivenEntity[] | undefined) =>
      list?.map((row) => ({ ...row, ...(row.at === undefined ? {} : { at: formatInstant(row.at) }) }));
    const report = await this.#mine().call<{ refused: unknown[] }>("POST", "/v1/customers", {
      at: formatInstant(at),
      // A template may offer their calendar; the simulator renders nothing.
      users: users?.map((user) => ({ bookingUrl: `https://book.example/${user.id}`, ...user })),
      absences: absences?.map((one) => ({ ...one, fromAt: formatInstant(one.fromAt), toAt: formatInstant(one.toAt) })),
      accounts: entities(accounts),
      contacts: entities(contacts),
      contracts: entities(contracts),
      samples: samples?.map((one) => ({ ...one, at: formatInstant(one.at) })),
      tickets: tickets?.map((one) => ({
        ...one,
        openedAt: formatInstant(one.openedAt),
        ...(one.closedAt === undefined ? {} : { closedAt: formatInstant(one.closedAt) }),
      })),
      surveyAnswers: surveyAnswers?.map((one) => ({ ...one, at: formatInstant(one.at) })),
    });
    if (report.refused.length > 0)
      this.#problem(new Error(`rows refused: ${JSON.stringify(report.refused.slice(0, 3))}`));
  }

  async #enrol(one: NonNullable<Scenario["enrolments"]>[number]): Promise<void> {
    try {
      await this.#mine().call("POST", "/v1/enrolments", {
        playbook: one.playbook,
        account: one.accountId,
        ...(one.contactId === undefined ? {} : { contact: one.contactId }),
        ...(one.inputs === undefined ? {} : { inputs: one.inputs }),
        at: formatInstant(one.at),
      });
    } catch (error) {
      // A refusal is an answer: the simulation must have come to the same.
      if (!isRefusal(error)) throw error;
    }
  }

  /** The page has no clock to be told another time; behind it is this operation. */
  async #unsubscribe(message: MailboxMessage, at: Instant): Promise<void> {
    const { wired } = this.#mine();
    const token = /\/unsubscribe\/([^/?]+)/.exec(message.unsubscribeUrl ?? "")?.[1];
    if (token === undefined) return;
    await unsubscribe(
      { ...wired, clock: { ...wired.clock, now: () => at } },
      { token: decodeURIComponent(token), all: false },
    );
  }

  #mine(): PreparedSystem {
    if (this.#system === undefined) throw new Error("give() comes first");
    return this.#system;
  }

  #problem(error: unknown): void {
    this.problems.push(error instanceof Error ? error.message : String(error));
  }
}

function after(at: Instant, reaction: Reaction): Instant {
  return addDuration(at, reaction.after, "UTC", STANDARD_CALENDAR);
}

function accountsOf(scenario: Scenario): readonly GivenEntity[] {
  return [
    ...(scenario.given.accounts ?? []),
    ...scenario.script.flatMap((item) => (item.kind === "upsert" ? (item.rows.accounts ?? []) : [])),
  ];
}

/** The task that a message's buttons are about. */
function taskIn(blocks: readonly Json[]): string | undefined {
  for (const block of blocks) {
    const text = typeof block["block_id"] === "string" ? block["block_id"] : "";
    const found = /"task":"([^"]+)"/.exec(text) ?? /"task\\?":\\?"([^"\\]+)/.exec(JSON.stringify(block));
    if (found) return found[1];
  }
  return undefined;
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && /: (404|409|422) /.test(error.message);
}
