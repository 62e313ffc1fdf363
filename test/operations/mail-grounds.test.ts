import { afterAll, beforeAll, expect, test } from "vitest";
import { ask } from "../../src/adapters/postgres/statement.js";
import type { MailFindings, MailQuestion } from "../../src/ports/mail-grounds.js";
import { HOUR, newMail, openStage, T0 } from "./support/stage.js";

let stage: Awaited<ReturnType<typeof openStage>>;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const QUESTION: MailQuestion = {
  runId: "run-0",
  effectKey: "welcome",
  accountId: "a-1",
  playbook: "onboarding",
  contactId: "c-1",
  email: "Pat@A-1.example",
  key: "x",
  at: T0,
  cappedSince: T0 - 1,
  exempt: ["service"],
  taskKey: "t",
};

function asked(more: Partial<MailQuestion> = {}): Promise<MailFindings> {
  return stage.store.read((tx) => stage.ports.mailGrounds.read(tx, { ...QUESTION, ...more }));
}

const NOTHING = {
  rows: [],
  peopleVersion: null,
  switches: [],
  suppressions: [],
  holders: [],
  counted: [],
  unsettled: 0,
  waiting: [],
  hasTask: false,
};

test("of a person that nothing is known of", async () => {
  expect(await asked()).toEqual(NOTHING);
  expect(await asked({ email: null, contactId: "" })).toEqual(NOTHING);
});

test("what counts against a person's cap, and what waits beside it", async () => {
  const { ledger } = stage.ports;
  await stage.write(async (tx) => {
    await ledger.pin(tx, [
      newMail("a"),
      newMail("b", { category: "service" }),
      newMail("c", { priority: 70 }),
      newMail("d", { dueAt: T0 + HOUR }),
      newMail("e", { channel: "slack" }),
      newMail("f", { contactId: "c-2" }),
    ]);
    for (const key of ["a", "b", "e", "f"]) await ledger.claim(tx, key, "t", 1_000, T0);
  });
  expect(await asked()).toEqual({ ...NOTHING, counted: [T0], unsettled: 1, waiting: [{ key: "c", priority: 70 }] });
  expect((await asked({ exempt: [] })).counted).toEqual([T0, T0]);
  expect(await asked({ cappedSince: T0 })).toMatchObject({ counted: [], unsettled: 0 });
  expect((await asked({ key: "a" })).counted).toEqual([]);
  expect((await asked({ key: "c" })).waiting).toEqual([]);
  expect((await asked({ key: "a", releasedAt: T0 })).lastSentAt).toBe(T0);
  expect(await asked({ key: "a", releasedAt: T0 + 1 })).not.toHaveProperty("lastSentAt");
  await stage.write(async (tx) => {
    await ledger.wire(tx, "a", "t", 1_000, { raw: "bytes", messageId: "<m>" });
    await ledger.settle(tx, "a", "t", { status: "sent" });
  });
  expect(await asked()).toMatchObject({ counted: [T0], unsettled: 0 });
  await stage.write((tx) => ledger.defer(tx, "c", T0 + HOUR, T0 + 2 * HOUR, "quiet"));
  expect((await asked()).waiting).toEqual([{ key: "c", priority: 70, until: T0 + HOUR }]);
  expect((await asked({ at: T0 + 3 * HOUR })).waiting).toEqual([{ key: "d", priority: 50 }]);
});

test("suppressions of the address by then, holds of the account, switches, and the task in the mail's place", async () => {
  const { suppressions, holds } = stage.ports;
  await stage.write(async (tx) => {
    await suppressions.add(tx, "pat@a-1.example", { category: "*", reason: "bounced", at: T0 });
    await suppressions.add(tx, "pat@a-1.example", { category: "qbr", reason: "unsubscribed", at: T0 + HOUR });
    await holds.take(tx, {
      accountId: "a-1",
      playbook: "onboarding",
      holderRun: "run-9",
      holderPlaybook: "rescue",
      since: T0 + 1,
    });
    await holds.take(tx, { accountId: "a-1", playbook: "onboarding", holderRun: "", holderPlaybook: "", since: T0 });
    await holds.take(tx, { accountId: "a-1", playbook: "qbr", holderRun: "", holderPlaybook: "", since: T0 });
    await holds.turnOn(tx, { name: "playbook:qbr", by: "ann", reason: null, at: T0 });
  });
  await stage.database.client`
    insert into tasks (id, effect_key, run_id, step, key, account_id, title, "for", required, opened_at, due_at, snooze_limit)
    values ('t-1', 'run-1|a|no_contact', 'run-1', 'a', 'a', 'a-1', 'Nobody', '{}', false, now(), now(), 1)`;
  expect(await asked({ contactId: "c-9", taskKey: "run-1|a|no_contact" })).toEqual({
    ...NOTHING,
    switches: ["playbook:qbr"],
    suppressions: [{ category: "*", reason: "bounced" }],
    holders: ["", "run-9"],
    hasTask: true,
  });
  expect((await asked({ at: T0 + HOUR })).suppressions).toHaveLength(2);
});

test("what the ledger has of the effect; and whether anybody at the account is another than when they were last read", async () => {
  const { ledger, people } = stage.ports;
  const [a, b] = [newMail("both-1", { effectKey: "both" }), newMail("both-2", { effectKey: "both" })];
  await stage.write((tx) => ledger.pin(tx, [a, b]));
  const found = await asked({ runId: "run-1", effectKey: "both" });
  expect(found.rows.map(({ key }) => key)).toEqual(["both-1", "both-2"]);

  await stage.account("v-1", {});
  await stage.contact("v-c", "v-1");
  const version = async () => {
    const read = await stage.store.read((tx) => people.around(tx, "v-1"));
    expect((await asked({ accountId: "v-1" })).peopleVersion).toBe(read?.version);
    return read?.version;
  };
  const first = await version();
  expect(await version()).toBe(first);
  await stage.contact("v-c", "v-1", { email: "other@v-1.example" });
  const second = await version();
  await stage.contact("v-d", "v-1");
  const third = await version();
  await stage.account("v-1", { csm: "bob" });
  expect(new Set([first, second, third, await version()]).size).toBe(4);
});

test("Postgres plans what every mail asks once, not each time anew", async () => {
  const { ports, store } = stage;
  await stage.account("p-1", { name: "P" });
  await stage.contact("p-c", "p-1");
  // As a house has them that has written to people for a while: on small tables Postgres keeps any plan.
  await stage.database.client.unsafe(`
    insert into field_changes (entity, entity_id, account_id, field, value, at, source)
      select 'account', 'p-' || n / 10, 'p-' || n / 10, 'f' || n % 10, '1', now(), 'test' from generate_series(20, 6000) n;
    insert into deliveries (key, id, channel, effect_key, contact_id, category, status, due_at, sent_at, created_at)
      select 'p-' || n, 'p-' || n, 'email', 'e', 'p-' || n / 10, 'success', 'sent', now(), now(), now() from generate_series(1, 6000) n;
    analyze field_changes; analyze deliveries`);
  const counts = await stage.write(async (tx) => {
    for (let i = 0; i < 30; i++) {
      await ports.mailGrounds.read(tx, { ...QUESTION, contactId: `p-${i}`, key: `p-${i}` });
      await store.facts
        .within(tx)
        .read({ accountId: "p-1", contactId: "p-c" }, ["contact.first_name", "account.arr"], T0);
    }
    return ask<{ asks: string; custom: number; generic: number }>(
      tx,
      `select case when statement like '%field_changes%' then 'facts' else 'grounds' end as asks, custom_plans::int as custom, generic_plans::int as generic
       from pg_prepared_statements
       where (statement like '%"hasTask"%' or statement like '%account_id, field, value from field_changes%') and statement not like '%pg_prepared%' order by 1`,
      [],
    );
  });
  // Postgres tries five times before it keeps a plan; the connection may have been used before.
  expect(counts.map(({ asks }) => asks)).toEqual(["facts", "grounds"]);
  for (const { generic } of counts) expect(generic).toBeGreaterThanOrEqual(20);
});
