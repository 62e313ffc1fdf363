import { expect, test } from "vitest";
import { composer } from "./composer.js";
import type { Command } from "../../src/engine/command.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { RunIdentity } from "../../src/engine/state.js";
import { walk } from "../../src/engine/walk.js";
import { mailCompanyOf } from "../../src/operations/mail-company.js";
import { filledText, textVariables } from "../../src/operations/text-variables.js";
import type { Scene } from "../../src/operations/scene.js";
import { type CompiledWorkspace, compileWorkspace } from "../../src/playbook/workspace.js";
import type { AccountCard, ContactCard } from "../../src/ports/people.js";
import { SimulatedCustomers } from "../../src/simulation/customers.js";
import type { GivenEntity, Scenario } from "../../src/simulation/records.js";
import { simulate } from "../../src/simulation/simulate.js";
import type { Instant } from "../../src/values/instant.js";
import { SHIPPED_SCENARIOS } from "../scenarios/shipped.js";
import { randomFrom } from "../support/random-plans.js";
import { shippedFiles } from "../support/workspace.js";

/**
 * What the checker lets through also runs for customers of whom little is known. The shipped playbooks are changed at random; each change that is
 * accepted is rehearsed with most of the facts taken away, and every text of it is filled in as for real.
 */
const CASES = Number(process.env.WAYPOST_MUTATIONS ?? 60);
const SEED = Number(process.env.WAYPOST_SEED ?? 4);

test("no accepted playbook parks or throws for a fault in a text or an expression", async () => {
  const next = randomFrom(SEED);
  const files = shippedFiles();
  const shared = Object.entries(files).filter(([path]) => !path.includes("/"));
  const failed: string[] = [];
  let accepted = 0;
  let filled = 0;
  for (let i = 0; i < CASES && failed.length < 5; i++) {
    const story = pick(next, SHIPPED_SCENARIOS);
    const changes = pick(next, [1, 2, 2, 4, 6]);
    const changed = mutated(next, files, story.playbook, changes);
    const heads = Object.entries(files).filter(([path]) => path.endsWith("/playbook.yaml"));
    const own = Object.entries(changed.files).filter(([path]) => path.startsWith(`${story.playbook}/`));
    const workspace = compileWorkspace(Object.fromEntries([...heads, ...shared, ...own]));
    const plan = workspace.plans.find(({ playbook }) => playbook === story.playbook);
    const errors = workspace.diagnostics.filter(
      ({ severity, file }) => severity === "error" && file.startsWith(story.playbook),
    );
    if (!plan || errors.length > 0) continue;
    accepted += 1;
    const scenario = sparse(next, story.scenario);
    try {
      filled += await rehearsed({ ...workspace, plans: [plan] }, scenario);
    } catch (error) {
      failed.push(`${story.scenario.name}, ${i}: ${changed.what.join("; ")}: ${(error as Error).message}`);
    }
  }
  expect(failed).toEqual([]);
  expect([accepted >= CASES / 4, filled >= CASES]).toEqual([true, true]);
}, 120_000);

/** How many texts were filled in. Throws for the first that couldn't be, and for a run that needs a person where no date was missing. */
async function rehearsed(workspace: CompiledWorkspace, scenario: Scenario): Promise<number> {
  const { plans, model, segments, calendars, policy } = workspace;
  if (!model || !segments || !calendars || !policy) throw new Error("the workspace is incomplete");
  const setting = { plans, model, segments, calendars, policy };
  const customers = new SimulatedCustomers(model, segments);
  customers.upsert(scenario.given, Number.MIN_SAFE_INTEGER);
  const script = [...scenario.script];
  const filledIn: Promise<void>[] = [];
  const done = new Set<string>();
  // The rehearsal's own customers can't be looked at: these are told what it is told.
  const heard = (events: readonly RunEvent[]): void => {
    for (const { name, at, payload = {} } of events) {
      if (name === "milestone.reached")
        for (const { id } of [{ id: "" }, ...(scenario.given.contacts ?? [])])
          customers.milestones.set(`a1\n${id}\n${payload.milestone}`, at);
    }
  };
  const runs = await simulate(setting, scenario, {
    walk: (plan, state, driver) =>
      walk(plan, state, {
        ...driver,
        perform: (request) => {
          heard(request.offered);
          return driver.perform(request);
        },
      }),
    between: (world, state) => ({
      ...world,
      perform: async (command, asOf, status) => {
        while (script[0] && script[0].at <= asOf) {
          const given = script.shift();
          if (given?.kind === "upsert") customers.upsert(given.rows, given.at);
        }
        const answer = await world.perform(command, asOf, status);
        if (answer.kind === "events") heard(answer.events);
        if (answer.kind !== "outcome" || done.has(`${state.run.id}|${command.key}`)) return answer;
        done.add(`${state.run.id}|${command.key}`);
        filledIn.push(fill(workspace, customers, state.run, command, asOf));
        if (command.kind === "set") {
          const [entity = "", field = ""] = command.field.split(".");
          if (entity === "account" && typeof command.value !== "object") {
            const isDate = typeof command.value === "number" && model.account[field]?.type !== "number";
            const value = isDate ? new Date(command.value).toISOString() : command.value;
            customers.upsert({ accounts: [{ id: state.run.accountId, fields: { [field]: value } }] }, asOf);
          }
        }
        return answer;
      },
    }),
    reach: async (next) => next(),
  });
  await Promise.all(filledIn);
  for (const { state } of runs) {
    // A date that isn't there is a person's to see (`on_missing`): that is not a fault of the playbook.
    const { reason = "" } = state.parked ?? {};
    if (reason !== "" && !DATE_MISSING.test(reason)) throw new Error(`parked: ${reason}`);
  }
  return filledIn.length;
}

const DATE_MISSING = /date/;

const personOf = (run: RunIdentity): string | undefined => (run.subject === "contact" ? run.subjectId : undefined);

/** Fills in what the command says, as `src/operations/effects` does. */
async function fill(
  workspace: CompiledWorkspace,
  customers: SimulatedCustomers,
  run: RunIdentity,
  command: Command,
  at: Instant,
): Promise<void> {
  const { policy, templates } = workspace;
  if (!policy) throw new Error("no policy");
  const text = (id: string, name: string) =>
    customers.read({ accountId: run.accountId, contactId: id }, [name], at)[name];
  const contacts = customers.contacts(run.accountId, at).map(
    (one): ContactCard => ({
      ...one,
      accountId: run.accountId,
      name: String(text(one.id, "contact.name") ?? one.id),
      timezone: one.zone,
    }),
  );
  const account: AccountCard = {
    id: run.accountId,
    name: String(text("", "account.name") ?? run.accountId),
    timezone: customers.zone(run.accountId, at),
    locale: customers.locale(run.accountId, at),
    calendar: null,
    country: null,
    isTest: false,
    ...customers.team(run.accountId, at),
  };
  const scene = {
    ports: { composer },
    run: { ...run, contactId: personOf(run) },
    at,
    now: () => at,
    account: async () => account,
    contacts: async () => contacts,
    directory: async () => customers.directory(),
    policy: async () => policy,
    facts: async (paths: readonly string[], contactId = personOf(run)) =>
      customers.read(
        {
          accountId: run.accountId,
          runId: run.id,
          ...(contactId && { contactId }),
        },
        paths,
        at,
      ),
  } as unknown as Scene;
  switch (command.kind) {
    case "task":
      await filledText(scene, command.title, command.scope, "plain", { locale: "pl_PL", timezone: "Mars/Olympus" });
      if (command.text !== undefined) await filledText(scene, command.text, command.scope, "mrkdwn");
      return;
    case "slack":
      await filledText(scene, command.text, command.scope, "mrkdwn");
      return;
    case "risk":
    case "opportunity":
      if (command.text !== undefined) await filledText(scene, command.text, command.scope, "plain");
      return;
    case "email": {
      const { to } = command;
      const people = contacts.filter(({ id, role }) =>
        to.kind === "subject" ? id === personOf(run) : role === to.role,
      );
      for (const contact of people) {
        for (const [locale, hash] of Object.entries(command.locales)) {
          const template = templates.find((one) => one.hash === hash);
          if (!template) throw new Error(`no template ${command.template}.${locale}`);
          await composer.mail({
            deliveryId: "3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10",
            template,
            variables: await textVariables(scene, template.source, { scope: command.scope, contactId: contact.id }),
            timezone: contact.timezone ?? account.timezone,
            from: policy.email.from,
            to: { name: contact.name, address: "someone@acme.example" },
            category: command.category,
            unsubscribeToken: "k3Jq0xO7Yl9hX2bD5mN8vA",
            at,
            company: mailCompanyOf(policy),
          });
        }
      }
    }
  }
}

/** The scenario with most of what is known of its people taken away. */
function sparse(next: () => number, scenario: Scenario): Scenario {
  const { given } = scenario;
  const needed = new Set([
    "role",
    "email",
    "status",
    "touch_model",
    "tier",
    "is_test",
    "stage",
    "csm",
    "end_date",
    "notice_days",
    "qbr_date",
    "next_qbr_date",
    "start_date",
    "renewal_date",
  ]);
  const thinned = (rows: readonly GivenEntity[] = []): GivenEntity[] =>
    rows.map((row) => ({
      ...row,
      fields: Object.fromEntries(
        Object.entries(row.fields).filter(([name]) => next() < (needed.has(name) ? 0.95 : 0.2)),
      ),
    }));
  const contracts = next() < 0.3 ? [] : thinned(given.contracts);
  const broken = contracts.map((row) =>
    next() < 0.3 ? { ...row, fields: { ...row.fields, currency: "euro", arr: 5 } } : row,
  );
  return {
    ...scenario,
    given: {
      ...given,
      users: (given.users ?? [])
        .filter(() => next() < 0.7)
        .map(({ managerId, ...user }) => (managerId && next() < 0.5 ? { ...user, managerId } : user)),
      accounts: thinned(given.accounts),
      contacts: thinned(given.contacts),
      contracts: broken,
    },
    // An event may come without what it usually says.
    script: scenario.script.map((one) =>
      one.kind === "event" && next() < 0.3
        ? {
            ...one,
            payload: Object.fromEntries(
              Object.entries(one.payload).filter(([name]) => name === "kind" || next() < 0.5),
            ),
          }
        : one,
    ),
  };
}

/** The files with some lines of one playbook, or of its templates, changed. */
function mutated(next: () => number, files: Readonly<Record<string, string>>, playbook: string, changes: number) {
  const mine = Object.keys(files).filter(
    (path) => path.startsWith(`${playbook}/`) && (path.endsWith("playbook.yaml") || path.endsWith(".md")),
  );
  const result: Record<string, string> = { ...files };
  const what: string[] = [];
  const everything = mine.map((path) => files[path] ?? "").join("\n");
  const placeholders = everything.match(/\{\{.*?\}\}/g) ?? [];
  const facts = [
    ...new Set(
      everything.match(
        /\b(account|contact|contract|usage|milestone|health|survey|tickets|csm|manager|run\.inputs)\.\w+/g,
      ) ?? [],
    ),
  ];
  for (let i = 0; i < changes; i++) {
    const path = next() < 0.6 ? `${playbook}/playbook.yaml` : pick(next, mine);
    const lines = (result[path] ?? "").split("\n");
    const at = pick(
      next,
      [...lines.keys()].filter((n) => /[{:]/.test(lines[n] ?? "")),
    );
    const before = lines[at] ?? "";
    const after = changedLine(next, before, placeholders, facts);
    if (after === before) continue;
    lines.splice(at, 1, ...(after === undefined ? [] : [after]));
    result[path] = lines.join("\n");
    what.push(`${path}:${at + 1}: ${after ?? `(without ${before.trim()})`}`);
  }
  return { files: result, what };
}

function changedLine(
  next: () => number,
  line: string,
  placeholders: readonly string[],
  facts: readonly string[],
): string | undefined {
  const fact = /\b(account|contact|contract|usage|milestone|health|survey|tickets|csm|manager|run\.inputs)\.\w+/;
  switch (Math.floor(next() * 9)) {
    case 0:
      return undefined;
    case 1:
      return line.replace(/\{\{.*?\}\}/, () => pick(next, placeholders));
    case 2:
      return line.replace(fact, () => pick(next, facts));
    case 3:
      return line.replace(/\s*\| default: ("[^"]*"|'[^']*'|[\w.]+)/, "");
    case 4:
      return line.replace(/has\(([\w.]+)\)/, () =>
        pick(next, ["true", `has(${pick(next, facts)})`, `!has(${pick(next, facts)})`]),
      );
    case 5:
      return line.replace(
        /if: [^,}]+/,
        () => `if: ${pick(next, [`has(${pick(next, facts)})`, "true", `${pick(next, facts)} != ""`])}`,
      );
    case 6:
      return line.replace(
        /\{% (if|unless) .*?%\}/,
        () => `{% if ${pick(next, facts)} ${pick(next, ["", "== nil", "!= nil", "< 5", `== ${pick(next, facts)}`])} %}`,
      );
    case 7:
      return line.replace(
        /\| \w+/,
        () =>
          `| ${pick(next, ["money", "number", "percent", "date_long", "upcase", "round", "plus: 1", "append: '%'", "money: 'EU'"])}`,
      );
    default:
      return line.replace(/(title|text): "/, (match) => `${match}${pick(next, placeholders).replaceAll('"', "'")} `);
  }
}

function pick<T>(next: () => number, of: readonly T[]): T {
  return of[Math.floor(next() * of.length)] as T;
}
