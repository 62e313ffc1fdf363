import { readFileSync } from "node:fs";
import { join } from "node:path";
import { figure, type Figure, percentile } from "../figures.js";
import { SHIPPED } from "../playbooks.js";
import { addressOf, enrolAll, type Stand, until } from "../stand.js";

/** Above this many runs the opening is spread over five minutes. */
const CROWD = 5_000;
const spreadSecondsOf = (runs: number) => (runs > CROWD ? 300 : 60);
/** p99 beyond a run's own slot, seconds at most: a second, and five in a crowd. Source: issue 4, R9. */
const latestOf = (runs: number) => (runs > CROWD ? 5 : 1);
/** For starting everything and enrolling, before the doors open. */
const READY_MS = 60_000;
const perRunMs = (runs: number) => (runs > CROWD ? 25 : 120);

let opensAt = 0;

/** A calendar on which everybody's day begins a while from now, and a spread of 60 s, in real time. */
export function nineFiles(runs: number): Readonly<Record<string, string>> {
  opensAt = Math.ceil((Date.now() + READY_MS + runs * perRunMs(runs)) / 60_000) * 60_000;
  const policy = readFileSync(join(SHIPPED, "policy.yaml"), "utf8");
  const calendars = readFileSync(join(SHIPPED, "calendars.yaml"), "utf8");
  const minutes = String(new Date(opensAt).getUTCMinutes()).padStart(2, "0");
  return {
    "policy.yaml": policy.replace("spread: 45m", `spread: ${spreadSecondsOf(runs)}s`),
    "calendars.yaml": `${calendars}\nbench:\n  title: Every day\n  hours: { mon-sun: "09:${minutes}-17:00" }\n  holidays: {}\n`,
  };
}

/** The zone in which the doors open between nine and ten in the morning. */
function zone(): string {
  const ahead = ((9 - new Date(opensAt).getUTCHours() + 36) % 24) - 12;
  return ahead === 0 ? "UTC" : `Etc/GMT${ahead > 0 ? "-" : "+"}${Math.abs(ahead)}`;
}

/** Runs whose mails all wait for the same morning: how long after its own slot each is sent. */
export async function nine(stand: Stand, runs: number): Promise<Figure[]> {
  const spreadSeconds = spreadSecondsOf(runs);
  const sentAt = new Map<string, number>();
  stand.sink.onMessage = (recipient, at) => sentAt.set(recipient, performance.timeOrigin + at);
  stand.worker();
  const accounts = await stand.accounts(runs, { timezone: zone(), calendar: "bench" });
  await enrolAll(stand, "bench-nine", accounts);
  const { client } = stand.wired.database;
  const slots = async () =>
    client<{ account: string; slot: number }[]>`
      select account_id as account, (extract(epoch from deferred_until) * 1000)::double precision as slot from deliveries
      where deferred_until is not null`;
  const allWait = async () => (await slots()).length === runs;
  await until(`${runs} mails that wait for the morning`, allWait, {
    everyMs: 500,
    limitMs: 600_000,
    signal: stand.signal,
  });
  if (Date.now() >= opensAt) throw new Error("the morning came before everybody waited for it: take fewer --runs");
  stand.log(`${runs} runs wait for ${new Date(opensAt).toISOString()}`);
  const slotOf = await slots();
  const allSent = () => sentAt.size === runs;
  await until(`${runs} mails`, allSent, {
    everyMs: 200,
    limitMs: opensAt - Date.now() + spreadSeconds * 1_000 + 120_000,
    signal: stand.signal,
  });
  const late = slotOf.map(({ account, slot }) => (sentAt.get(addressOf(account)) ?? Number.NaN) - slot);
  const of = (share: number) => percentile(late, share) / 1_000;
  return [
    figure(
      `${runs} runs due at one opening, spread over ${spreadSeconds} s: p50 beyond a run's own slot`,
      of(0.5),
      "s",
    ),
    figure(
      `${runs} runs due at one opening, spread over ${spreadSeconds} s: p99 beyond a run's own slot`,
      of(0.99),
      "s",
      {
        target: `<= ${latestOf(runs)}`,
      },
    ),
  ];
}
