import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { postOutbox } from "../../src/operations/outbox.js";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import { randomFrom, seedOr } from "../hostile/random.js";
import { type FenceStand, openFenceStand, type Send, WIRE_MS } from "./support/fence-stand.js";
import { performOn } from "./support/stage.js";

const SEED = seedOr(9);
/** Of each channel. */
const SENDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 25);
const MINUTE = 60_000;
/** Of domain time; the last of them after an hour of nothing. */
const [AWAY_FROM, AWAY_UNTIL, END] = [5, 65, 75];
/** How long a minute takes: long enough for every message to be tried again and again. */
const MINUTE_MS = Math.max(90, SENDS);

let stand: FenceStand;
beforeAll(async () => {
  stand = await openFenceStand({ claimers: 3 });
});
afterAll(() => stand.close());

test.each([
  ["the mail server", "email"],
  ["Slack", "slack"],
] as const)(
  `%s is away for an hour of domain time, with %s due all the while (seed ${SEED}): none lost, none twice, somebody is told`,
  async (name, channel) => {
    const random = randomFrom(SEED);
    const start = stand.stage.clock.now();
    const isMail = channel === "email";
    const sends = await stand.sends(isMail ? SENDS : 0, isMail ? 0 : SENDS, isMail ? 0 : 10_000);
    const due = new Map(sends.map((send) => [send, start + Math.floor(random.next() * (AWAY_UNTIL - 1)) * MINUTE]));
    const door = isMail ? stand.smtpDoor : stand.slackDoor;
    stand.faults.length = 0;
    const left = new Set(sends);
    const inHand = new Map<Send, number>();
    const figures = { tries: 0, before: 0, away: 0 };
    let minute = 0;
    let isOver = false;

    const clock = (async () => {
      for (; minute < END; minute++) {
        // Half of the hour connections are refused, in the other half nothing answers.
        if (minute === AWAY_FROM) await door.cut();
        if (minute === 35) await door.restore().then(() => door.freeze());
        // What was on its way already has arrived.
        if (minute === AWAY_FROM + 2) figures.before = arrivals(sends).size;
        if (minute === AWAY_UNTIL - 1) figures.away = arrivals(sends).size;
        if (minute === AWAY_UNTIL) await door.restore();
        stand.stage.clock.moveTo(start + minute * MINUTE);
        await sleep(MINUTE_MS);
      }
    })();
    const outbox = (async () => {
      while (!isOver) {
        await postOutbox(stand.claimers[0] as PerformPorts);
        await sleep(50);
      }
    })();
    const deadline = performance.now() + 300_000;
    const work = async (ports: PerformPorts): Promise<void> => {
      while (left.size > 0 && performance.now() < deadline) {
        const now = stand.stage.clock.now();
        const ready = [...left].filter((send) => (due.get(send) ?? 0) <= now && (inHand.get(send) ?? 0) < 2);
        const send = ready[random.below(ready.length)];
        if (send === undefined) {
          await sleep(20);
          continue;
        }
        figures.tries += 1;
        inHand.set(send, (inHand.get(send) ?? 0) + 1);
        const { outcomes, retry } = await performOn(ports, send.run, [send.command], { asOf: due.get(send) ?? start });
        inHand.set(send, (inHand.get(send) ?? 1) - 1);
        if (outcomes["send"]) left.delete(send);
        else await sleep(Math.min(retry?.afterMs ?? 0, 50));
      }
    };
    await Promise.all(stand.claimers.flatMap((ports) => Array.from({ length: 6 }, () => work(ports))));
    await clock;
    await sleep(WIRE_MS);
    isOver = true;
    await outbox;

    const arrived = arrivals(sends);
    const doubled = [...arrived.values()].filter((count) => count > 1).length;
    const told = isMail
      ? stand.desk
          .posts()
          .filter(({ channelName, text }) => channelName === "#alerts" && text.includes("not going out"))
      : stand.faults.filter((fault) => fault.includes("Slack takes no messages"));
    console.log(
      `${name} away for an hour, seed ${SEED}: ${sends.length} due, ${figures.tries} tries, ${figures.away - figures.before} arrived meanwhile, ${arrived.size} after it, ` +
        `${sends.length - arrived.size} lost, ${doubled} doubled, somebody told ${told.length} times`,
    );
    expect(figures.away - figures.before).toBe(0);
    expect({ arrived: arrived.size, doubled }).toEqual({ arrived: sends.length, doubled: 0 });
    expect(told.length).toBeGreaterThan(0);
    // Once for every hour that it lasts; it began in one and ended in the next.
    if (isMail) expect(told.length).toBeLessThanOrEqual(2);
  },
  400_000,
);

function arrivals(sends: readonly Send[]): Map<string, number> {
  const places = new Set(sends.map(({ place }) => place));
  const found = new Map<string, number>();
  const count = (place: string) => {
    if (places.has(place)) found.set(place, (found.get(place) ?? 0) + 1);
  };
  for (const { to } of stand.mailbox.messages()) count(to[0] ?? "");
  for (const { channelName } of stand.desk.posts()) count(channelName);
  return found;
}
