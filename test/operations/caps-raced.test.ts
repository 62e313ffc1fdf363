import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Outcome } from "../../src/engine/command.js";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import { randomFrom, seedOr } from "../hostile/random.js";
import { type FenceStand, openFenceStand } from "./support/fence-stand.js";
import { DAY, email, HOUR, performOn, POLICY, T0 } from "./support/stage.js";

const SEED = seedOr(5);
const CONTACTS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 30);
/** Of them each is due one mail, at the same instant. */
const RUNS_EACH = 8;
const CAP = POLICY.email.cap.messages;

let stand: FenceStand;
beforeAll(async () => {
  stand = await openFenceStand({ claimers: 4 });
});
afterAll(() => stand.close());

test(`${CONTACTS} contacts, each due ${RUNS_EACH} mails at one instant from as many runs (seed ${SEED}): each gets as many as the cap lets through, however the claims interleave`, async () => {
  const { stage, mailbox, claimers } = stand;
  const random = randomFrom(SEED);
  const numbers = Array.from({ length: CONTACTS }, (_, n) => n);
  const accounts = numbers.map((n) => ({
    id: `a-${n}`,
    fields: { name: `a-${n}`, timezone: "Europe/Warsaw", csm: "ann" },
  }));
  const contacts = numbers.map((n) => ({
    id: `c-${n}`,
    accountId: `a-${n}`,
    fields: { name: `c-${n}`, first_name: "C", email: addressOf(n), role: "champion", is_active: true },
  }));
  await stage.write((tx) =>
    stage.store.customers.upsert(tx, { accounts, contacts }, { at: T0 - 50 * DAY, source: "test" }),
  );
  const due: { run: string; n: number }[] = [];
  for (const n of numbers) {
    for (let k = 0; k < RUNS_EACH; k++) {
      due.push({ run: `run/capped/${n}/${k}`, n });
      await stage.run({ id: `run/capped/${n}/${k}`, accountId: `a-${n}`, contactId: `c-${n}` });
    }
    // What is on the wire for long, or whose answer is lost, keeps its place; what is refused for now or for good gives it up.
    const trouble = random.below(4);
    const to = addressOf(n);
    if (trouble === 0) mailbox.misbehave({ kind: "reply", at: "recipient", reply: "451 4.7.1 Later", to, times: 2 });
    if (trouble === 1) mailbox.misbehave({ kind: "delay", at: "body", delayMs: random.below(400), to, times: 3 });
    if (trouble === 2) mailbox.misbehave({ kind: "drop", at: "body", kept: random.chance(0.5), to, times: 1 });
    if (trouble === 3) mailbox.misbehave({ kind: "reply", at: "body", reply: "554 5.6.0 Not this one", to, times: 1 });
  }
  const outcomes = new Map<string, Outcome>();
  const claimAll = async (runs: readonly string[], asOf: number) => {
    const queue = [...runs];
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const ports = claimers[index % claimers.length] as PerformPorts;
        for (let run = queue.shift(); run !== undefined; run = queue.shift())
          outcomes.set(run, await outcomeOf(ports, run, asOf));
      }),
    );
  };
  // In a random order within a window, so that the runs of one contact meet.
  const order = due.map(({ run, n }) => ({ run, place: n + random.next() * 4 })).sort((a, b) => a.place - b.place);
  await claimAll(
    order.map(({ run }) => run),
    T0,
  );
  const atOnce = arrivals(mailbox);
  // A place that a refused mail gave up is taken by whoever is first when they look again.
  stage.clock.moveTo(T0 + HOUR);
  const lookAgain = [...outcomes].filter(([, outcome]) => outcome.kind === "deferred" && outcome.until === T0 + HOUR);
  await claimAll(
    lookAgain.map(([run]) => run),
    T0 + HOUR,
  );

  const arrived = arrivals(mailbox);
  const messages = sum(arrived);
  const capped = [...outcomes.values()].filter((outcome) => outcome.kind === "deferred" && outcome.reason === "capped");
  const refused = [...outcomes.values()].filter(
    (outcome) => outcome.kind === "emailed" && outcome.deliveries.every(({ result }) => result === "rejected"),
  );
  console.log(
    `caps, seed ${SEED}: ${due.length} mails due, ${sum(atOnce)} arrived at once, ${messages} in all, ${capped.length} capped, ${refused.length} refused for good; ` +
      `contacts over the cap of ${CAP}: ${arrived.filter((one) => one > CAP).length}, under it: ${arrived.filter((one) => one < CAP).length}`,
  );
  expect(arrived).toEqual(numbers.map(() => CAP));
  expect(refused.length).toBeGreaterThan(0);
  expect(capped.length).toBe(due.length - CONTACTS * CAP - refused.length);
  expect(mailbox.stats().duplicated).toBe(0);
}, 1_800_000);

const addressOf = (n: number) => `c-${n}@a-${n}.example`;

function arrivals({ messages }: FenceStand["mailbox"]): number[] {
  const to = messages().flatMap((message) => message.to);
  return Array.from({ length: CONTACTS }, (_, n) => to.filter((address) => address === addressOf(n)).length);
}

const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0);

async function outcomeOf(ports: PerformPorts, run: string, asOf: number): Promise<Outcome> {
  const command = email("send", { to: { kind: "subject" } });
  for (;;) {
    const { outcomes, retry } = await performOn(ports, run, [command], { asOf });
    const outcome = outcomes[command.key];
    if (outcome !== undefined) return outcome;
    await sleep(Math.min(retry?.afterMs ?? 0, 100));
  }
}
