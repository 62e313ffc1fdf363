import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../entrances/support/installation.js";
import { countOr } from "./random.js";

// S7: what a costly playbook may cost the runs beside it.

/** Runs of each kind in a round. */
const RUNS = countOr(12);
const ROUNDS = 3;
/** As many parts as a condition may have, over texts as long as a fact may be: none is ever true, so each is read to its end. */
const COSTLY = Array.from({ length: 45 }, () => 'account.name.contains("aaab")').join(" || ");
const LONG = "a".repeat(4_000);
const CONDITIONS = 20;

const mine = `s7-${process.pid}-${Date.now().toString(36)}`;
let house: Installation;

beforeAll(async () => {
  house = await startInstallation({ WAYPOST_REQUESTS_PER_SECOND: 100_000 });
  await house.startWorker();
  const files = smallWorkspace();
  for (const [name, condition] of [
    ["cheap", 'account.name == "none"'],
    ["costly", COSTLY],
  ] as const) {
    const steps = Array.from(
      { length: CONDITIONS },
      (_, i) => `  - { id: s${i}, if: '${condition}', wait: 1d }\n`,
    ).join("");
    files[`${name}/playbook.yaml`] = (files["hello/playbook.yaml"] as string)
      .replace("playbook: hello", `playbook: ${name}`)
      .replace("    - event: signal.raised\n", "")
      .replace("steps:\n", `steps:\n${steps}`);
    for (const locale of ["en", "ru", "pl"])
      files[`${name}/templates/hello.${locale}.md`] = files[`hello/templates/hello.${locale}.md`] as string;
  }
  const published = await house.ask("POST", "/v1/playbooks", { body: { files } });
  expect([published.status, published.body.errors]).toEqual([200, undefined]);
}, 120_000);
afterAll(() => house?.stop());

/** `count` accounts of the name with a contact; their ids. */
async function accounts(name: string, count: number, fields: Record<string, unknown> = {}): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, index) => `${mine}-${name}-${index}`);
  const { status } = await house.ask("PUT", "/v1/customers", {
    body: {
      accounts: ids.map((id) => ({ id, fields: { name: id, timezone: "UTC", ...fields } })),
      contacts: ids.map((id) => ({
        id: `${id}-c`,
        accountId: id,
        fields: { name: "Pat", email: `pat@${id}.example`, role: "champion", is_primary: true, is_active: true },
      })),
    },
  });
  expect(status).toBe(200);
  return ids;
}

/** How long each healthy run takes from being enrolled to its mail, beside as many of the other playbook; real milliseconds. */
async function round(name: string, beside: "cheap" | "costly"): Promise<number[]> {
  const healthy = await accounts(`${name}-healthy`, RUNS);
  const others = await accounts(`${name}-other`, RUNS, { name: LONG });
  const began = new Map<string, number>();
  const enrol = async (playbook: string, account: string) => {
    began.set(account, performance.now());
    expect((await house.ask("POST", "/v1/enrolments", { body: { playbook, account } })).status).toBe(201);
  };
  const tookMs = new Map<string, number>();
  const sent = eventually(async () => {
    for (const { to } of house.mailbox.messages()) {
      const account = healthy.find((id) => to.includes(`pat@${id}.example`));
      if (account !== undefined && !tookMs.has(account))
        tookMs.set(account, performance.now() - (began.get(account) ?? 0));
    }
    return tookMs.size === RUNS ? true : undefined;
  });
  for (const [index, account] of healthy.entries()) {
    await enrol(beside, others[index] as string);
    await enrol("hello", account);
  }
  await sent;
  // The others, too: what they cost belongs to this round.
  await eventually(async () => {
    const text = house.mailbox
      .messages()
      .map(({ to }) => to)
      .join();
    return others.every((id) => text.includes(`pat@${id}.example`)) ? true : undefined;
  });
  return [...tookMs.values()];
}

test(`healthy runs beside as many of a playbook with ${CONDITIONS} of the costliest conditions are as fast as beside a cheap one`, async () => {
  await round("warm", "cheap");
  const all: Record<"cheap" | "costly", number[]> = { cheap: [], costly: [] };
  for (let turn = 0; turn < ROUNDS; turn++)
    for (const beside of ["cheap", "costly"] as const) all[beside].push(...(await round(`${beside}-${turn}`, beside)));
  const at = (list: readonly number[], share: number): number =>
    [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) * share)] ?? Number.NaN;
  const figures = (["cheap", "costly"] as const).map(
    (beside) => `${beside} p50 ${at(all[beside], 0.5).toFixed(0)}, p99 ${at(all[beside], 0.99).toFixed(0)} ms`,
  );
  console.log(`${RUNS * ROUNDS} healthy runs beside as many: ${figures.join("; ")}`);
  // Beside other test files a time means little; what is looked for is work that explodes.
  const allowed = process.env["WAYPOST_FUZZ"] === undefined ? 4 : 2;
  expect(at(all.costly, 0.99)).toBeLessThan(at(all.cheap, 0.99) * allowed + 100);
}, 240_000);
