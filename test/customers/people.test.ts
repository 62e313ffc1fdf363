import { expect, test } from "vitest";
import {
  type Absence,
  assigneeFor,
  type Colleague,
  contactForRole,
  contactsOfRole,
  coverFor,
  type Directory,
  localeFor,
  mayAct,
  personFor,
  senderFor,
} from "../../src/customers/people.js";

const NOON = Date.parse("2026-03-03T12:00:00Z");
const DAY = 86_400_000;

function colleague(id: string, more: Partial<Colleague> = {}): Colleague {
  return {
    id,
    name: id.toUpperCase(),
    email: `${id}@ours.example`,
    title: null,
    slackUserId: null,
    timezone: "Europe/Warsaw",
    locale: "en",
    calendar: "standard",
    managerId: null,
    bookingUrl: null,
    pools: [],
    isActive: true,
    ...more,
  };
}

function directory(colleagues: Colleague[], absences: Absence[] = []): Directory {
  return { colleagues: new Map(colleagues.map((one) => [one.id, one])), absences };
}

const away = (userId: string, coverId: string | null): Absence => ({
  userId,
  coverId,
  fromAt: NOON - DAY,
  toAt: NOON + DAY,
});
const contact = (id: string, role: string, createdAt: number, isPrimary = false, isActive = true) => ({
  id,
  role,
  createdAt,
  isPrimary,
  isActive,
});

test("the contact of a role is the primary one, then the one known longest, never one who left", () => {
  const gone = contact("gone", "champion", 1, true, false);
  const old = contact("old", "champion", 2);
  const young = contact("young", "champion", 3);
  const primary = contact("primary", "champion", 4, true);
  expect(contactForRole("champion", [young, gone, old])?.id).toBe("old");
  expect(contactsOfRole("champion", [young, gone, old, primary]).map(({ id }) => id)).toEqual([
    "primary",
    "old",
    "young",
  ]);
  expect(contactForRole("admin", [old])).toBeUndefined();
});

test("a task goes to the person of the rule, else the fallback, else the unassigned queue", () => {
  const people = directory([
    colleague("ann", { managerId: "max" }),
    colleague("max"),
    colleague("eve"),
    colleague("left", { isActive: false, managerId: "max" }),
  ]);
  const team = { csmId: "ann", roles: { account_executive: "eve", support_lead: "left" } };
  const who = (
    rule: Parameters<typeof assigneeFor>[0],
    of = team as Parameters<typeof assigneeFor>[1],
    fallback: Parameters<typeof assigneeFor>[4] = [],
  ) => {
    const found = assigneeFor(rule, of, people, NOON, fallback);
    return found.kind === "person" ? found.person.id : `queue:${found.queue}`;
  };
  expect(who({ kind: "csm" })).toBe("ann");
  expect(who({ kind: "manager" })).toBe("max");
  expect(who({ kind: "role", role: "account_executive" })).toBe("eve");
  expect(who({ kind: "role", role: "support_lead" })).toBe("ann");
  expect(who({ kind: "pool", pool: "desk" })).toBe("queue:desk");
  expect(who({ kind: "csm" }, { csmId: null, roles: {} })).toBe("queue:unassigned");
  expect(who({ kind: "csm" }, { csmId: "left", roles: {} }, [{ kind: "manager" }])).toBe("max");
  expect(who({ kind: "csm" }, { csmId: null, roles: {} }, [{ kind: "manager" }, { kind: "pool", pool: "desk" }])).toBe(
    "queue:desk",
  );
});

test("a cover stands in, and a cover's cover; circles and gaps lead back", () => {
  const [ann, bob, cid] = [colleague("ann"), colleague("bob"), colleague("cid")] as const;
  const all = [ann, bob, cid];
  const stands = (absences: Absence[]) => coverFor(ann, directory(all, absences), NOON).id;
  expect(stands([])).toBe("ann");
  expect(stands([away("ann", "bob")])).toBe("bob");
  expect(stands([away("ann", "bob"), away("bob", "cid")])).toBe("cid");
  expect(stands([away("ann", "bob"), away("bob", "ann")])).toBe("ann");
  expect(stands([away("ann", null)])).toBe("ann");
  expect(coverFor(ann, directory(all, [away("ann", "bob")]), NOON + DAY).id).toBe("ann");
  const found = assigneeFor({ kind: "csm" }, { csmId: "ann", roles: {} }, directory(all, [away("ann", "bob")]), NOON);
  expect(found.kind === "person" && [found.person.id, found.coveredFor?.id]).toEqual(["bob", "ann"]);
});

test("a mail comes from the CSM, their cover while away, or nobody", () => {
  const people = directory([colleague("ann"), colleague("bob")], [away("ann", "bob")]);
  expect(senderFor({ kind: "csm" }, { csmId: "ann", roles: {} }, people, NOON)?.id).toBe("bob");
  expect(senderFor({ kind: "role", role: "sales" }, { csmId: "ann", roles: {} }, people, NOON)?.id).toBe("bob");
  expect(senderFor({ kind: "csm" }, { csmId: null, roles: {} }, people, NOON)).toBeUndefined();
});

test("assignee, cover and manager may act; others may not", () => {
  const people = directory(
    [colleague("ann", { managerId: "max" }), colleague("bob"), colleague("max"), colleague("eve", { pools: ["desk"] })],
    [away("ann", "bob")],
  );
  const task = { assigneeId: "ann", coveredForId: null, queue: null };
  expect(["ann", "bob", "max", "eve"].map((id) => mayAct(id, task, people, NOON))).toEqual([true, true, true, false]);
  const covered = { assigneeId: "bob", coveredForId: "ann", queue: null };
  expect(["ann", "bob", "max", "eve"].map((id) => mayAct(id, covered, people, NOON))).toEqual([
    true,
    true,
    true,
    false,
  ]);
  const queued = { assigneeId: null, coveredForId: null, queue: "desk" };
  expect(["ann", "eve"].map((id) => mayAct(id, queued, people, NOON))).toEqual([false, true]);
});

test("who is equal in all else comes by id", () => {
  expect(
    contactsOfRole("champion", [contact("b", "champion", 1), contact("a", "champion", 1)]).map(({ id }) => id),
  ).toEqual(["a", "b"]);
  expect(
    contactsOfRole("champion", [contact("a", "champion", 1), contact("b", "champion", 1)]).map(({ id }) => id),
  ).toEqual(["a", "b"]);
  expect(contactsOfRole("champion", [contact("a", "champion", 1), contact("a", "champion", 1)])).toHaveLength(2);
});

test("a pool and a channel are nobody in person, and an account without a CSM has no manager", () => {
  const people = directory([colleague("ann")]);
  const team = { csmId: "ann", roles: {} };
  expect(personFor({ kind: "pool", pool: "desk" }, team, people)).toBeUndefined();
  expect(personFor({ kind: "channel", channel: "#cs" }, team, people)).toBeUndefined();
  expect(personFor({ kind: "manager" }, { csmId: null, roles: {} }, people)).toBeUndefined();
});

test("of several absences the one that ends last says who covers", () => {
  const long = { ...away("ann", "cid"), toAt: NOON + 2 * DAY };
  const people = directory([colleague("ann"), colleague("bob"), colleague("cid")], [away("ann", "bob"), long]);
  expect(coverFor(colleague("ann"), people, NOON).id).toBe("cid");
});

test("a chain of covers is followed ten long; a longer one leads back", () => {
  const ids = Array.from({ length: 12 }, (_, i) => `p${i}`);
  const chain = (length: number) =>
    directory(
      ids.map((id) => colleague(id)),
      ids.slice(0, length).map((id, i) => away(id, ids[i + 1] ?? null)),
    );
  expect(coverFor(colleague("p0"), chain(9), NOON).id).toBe("p9");
  expect(coverFor(colleague("p0"), chain(10), NOON).id).toBe("p0");
});

test.each<[string, (string | null)[], string[], string]>([
  ["the first wish that there is", ["ru", "pl"], ["en", "pl"], "pl"],
  ["a region is served by its language", ["pl-PL", "en"], ["en", "pl"], "pl"],
  ["the region itself goes before", ["pt-BR"], ["pt", "pt-BR"], "pt-BR"],
  ["no wish is passed over", [null, "", "en"], ["en", "pl"], "en"],
  ["what there is, where no wish can be met", ["de"], ["ru", "pl"], "pl"],
  ["English where there is nothing", ["de"], [], "en"],
])("the locale: %s", (_name, wishes, there, expected) => {
  expect(localeFor(wishes, Object.fromEntries(there.map((name) => [name, {}])))).toBe(expected);
});

test("who has left, or is nobody, may not act; what nobody is there for, anyone may", () => {
  const people = directory([colleague("ann"), colleague("left", { isActive: false })]);
  const of = (more: Partial<Parameters<typeof mayAct>[1]>) => ({
    assigneeId: null,
    coveredForId: null,
    queue: null,
    ...more,
  });
  expect(["ann", "left", "ghost"].map((id) => mayAct(id, of({}), people, NOON))).toEqual([true, false, false]);
  expect(mayAct("ann", of({ queue: "unassigned" }), people, NOON)).toBe(true);
  expect(mayAct("ann", of({ assigneeId: "ghost" }), people, NOON)).toBe(false);
});
