import { expect, test } from "vitest";
import type { Enroll, Plan } from "../../src/engine/plan.js";
import type { FactValue } from "../../src/expression/expression.js";
import { appendEvents } from "../../src/operations/append-events.js";
import { enrol } from "../../src/operations/enrol.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { simulate } from "../../src/simulation/simulate.js";
import { canonicalJson } from "../../src/values/canonical-json.js";
import { sha256Hex } from "../../src/values/sha256.js";
import { end, fact, planFrom, scenarioOf, settingOf, span, wait } from "../engine/plans.js";
import { randomFrom } from "../support/random-plans.js";
import { at, openWorld, workspaceOf } from "./world.js";

const SEED = Number(process.env["WAYPOST_SEED"] ?? 1);
const HISTORIES = 12;
const REQUESTS = 25;
const HOUR = 3_600_000;

/** Whatever `again` says, keyed or not: a run lives two days. */
const PLANS: readonly Plan[] = (
  [
    ["never", { kind: "never" }],
    ["per_key", { kind: "per_key" }],
    ["always", { kind: "always" }],
    ["after_days", { kind: "after", duration: span("3d") }],
    ["after_working_days", { kind: "after", duration: span("2 bd") }],
  ] as const satisfies readonly (readonly [string, Enroll["again"]])[]
).flatMap(([name, again]) =>
  [false, true].map((isKeyed) => {
    const plan = planFrom([wait("w", "48h"), end("won")], {
      playbook: `${name}${isKeyed ? "_keyed" : ""}`,
      inputs: { level: { type: "string", default: "low" }, why: { type: "string" } },
      enroll: {
        when: [{ kind: "event", event: "signal.raised" }, { kind: "manual" }],
        again,
        merge: {},
        with: { level: fact("event.severity"), why: fact("event.id") },
        ...(isKeyed ? { key: fact("event.severity") } : {}),
      },
    });
    return { ...plan, hash: sha256Hex(JSON.stringify(plan)) };
  }),
);

type Asked =
  | { readonly kind: "event"; readonly at: number; readonly id: string; readonly severity: string }
  | {
      readonly kind: "person";
      readonly at: number;
      readonly playbook: string;
      readonly inputs: Readonly<Record<string, FactValue>>;
    };

/** Requests over a month, in order, some at one instant, some at the very instant at which a run ends. */
function history(seed: number): Asked[] {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const asked: Asked[] = [];
  let when = at("2026-04-01T08:00:00+02:00");
  for (let i = 0; i < REQUESTS; i++) {
    when += pick([0, 1, 7, 24, 48, 48, 60]) * HOUR;
    asked.push(
      random() < 0.7
        ? { kind: "event", at: when, id: `${seed}/${i}`, severity: pick(["high", "low", "a/b"]) }
        : {
            kind: "person",
            at: when,
            playbook: pick(PLANS).playbook,
            inputs: pick<Record<string, FactValue>>([
              { why: "x" },
              { why: "x", level: "high" },
              {},
              { why: 1 },
              { x: 1 },
            ]),
          },
    );
  }
  return asked;
}

/** `RUN at INSTANT INPUTS: told N times`. */
const line = (run: { id: string; startedAt: number; inputs: unknown }, told: number): string =>
  `${run.id} at ${new Date(run.startedAt).toISOString()} ${canonicalJson(run.inputs as never)}: told ${told} times`;

async function rehearsed(account: string, asked: readonly Asked[]): Promise<string[]> {
  const runs = await simulate(settingOf(...PLANS), {
    ...scenarioOf(),
    at: at("2026-03-31T00:00Z"),
    given: { accounts: [{ id: account, fields: { name: account, timezone: "Europe/Warsaw" } }] },
    script: asked.flatMap((one) =>
      one.kind === "event"
        ? [
            {
              kind: "event" as const,
              at: one.at,
              id: one.id,
              name: "signal.raised",
              accountId: account,
              payload: { severity: one.severity },
            },
          ]
        : [],
    ),
    enrolments: asked.flatMap((one) =>
      one.kind === "person" ? [{ at: one.at, playbook: one.playbook, accountId: account, inputs: one.inputs }] : [],
    ),
  });
  return runs
    .map(({ state, entries }) =>
      line(
        { id: state.run.id, startedAt: state.run.startedAt, inputs: state.inputs },
        entries.filter(({ kind }) => kind === "run.triggered_again").length,
      ),
    )
    .sort();
}

test(`who is enrolled, told or refused is as rehearsed: ${HISTORIES} histories from seed ${SEED}`, async () => {
  const world = await openWorld("2026-03-31T00:00Z");
  try {
    await world.publish(workspaceOf(PLANS));
    const runsOf = (accountId: string) =>
      world.store.read((tx) => world.store.runs.list(tx, { accountId, limit: 500 }));
    let told = 0;
    for (let n = 0; n < HISTORIES; n++) {
      const account = `a-${n}`;
      const asked = history(SEED * 1_000 + n);
      await upsertCustomers(
        world.ports,
        { accounts: [{ id: account, fields: { name: account, timezone: "Europe/Warsaw" } }] },
        { source: "import", at: at("2026-01-01T00:00Z") },
      );
      // People come before events at one instant, as in a rehearsal.
      const order = [...asked].sort(
        (a, b) => a.at - b.at || (a.kind === "person" ? 0 : 1) - (b.kind === "person" ? 0 : 1),
      );
      for (const [i, one] of order.entries()) {
        world.clock.moveTo(Math.max(world.clock.now(), one.at));
        // What reaches a run at its last instant comes before its end.
        const over = (await runsOf(account)).filter(
          (run) => run.endedAt === undefined && run.startedAt + 48 * HOUR < one.at,
        );
        for (const run of over)
          await world.store.transaction((tx) => world.store.runs.end(tx, run.id, "won", run.startedAt + 48 * HOUR));
        if (one.kind === "event") {
          const { id, severity } = one;
          await appendEvents(
            world.ports,
            [{ id, name: "signal.raised", account, at: one.at, payload: { severity } }],
            "http",
          );
          await world.settle();
        } else {
          const { playbook, inputs } = one;
          const request = {
            playbook,
            accountId: account,
            at: one.at,
            cause: `person/${n}/${i}`,
            inputs,
            source: "cli",
          };
          await world.store.transaction((tx) => enrol(world.store, tx, request, world.clock.now()));
        }
      }
      const counts = await world.rows<{ run_id: string; n: number }>(
        `select run_id, count(*)::int as n from events where name = 'run.triggered_again' and account_id = '${account}' group by 1`,
      );
      const really = (await runsOf(account))
        .map((run) => line(run, counts.find(({ run_id }) => run_id === run.id)?.n ?? 0))
        .sort();
      expect(really, `history ${SEED * 1_000 + n}`).toEqual(await rehearsed(account, asked));
      told += counts.length;
    }
    expect(told).toBeGreaterThan(HISTORIES);
  } finally {
    await world.close();
  }
}, 120_000);
