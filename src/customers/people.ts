/**
 * Who is meant: the contact behind a role, the colleague behind `csm` or `role:NAME`, and who stands in while someone is away.
 * Pure: it is told who there is, and when.
 */
import type { Instant } from "../values/instant.js";

/** One of our own people. */
export interface Colleague {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly title: string | null;
  readonly slackUserId: string | null;
  readonly timezone: string;
  readonly locale: string;
  readonly calendar: string;
  readonly managerId: string | null;
  readonly bookingUrl: string | null;
  readonly pools: readonly string[];
  readonly isActive: boolean;
}

export interface Absence {
  readonly userId: string;
  /** Included. */
  readonly fromAt: Instant;
  /** Not included. */
  readonly toAt: Instant;
  readonly coverId: string | null;
}

/** A person at the customer. */
export interface ContactPerson {
  readonly id: string;
  readonly role: string | null;
  readonly isPrimary: boolean;
  readonly isActive: boolean;
  readonly createdAt: Instant;
}

/** Whose customer it is. */
export interface AccountTeam {
  readonly csmId: string | null;
  /** Role name → colleague's id. */
  readonly roles: Readonly<Record<string, string>>;
}

/** Everyone of ours, by id, and who is away when. */
export interface Directory {
  readonly colleagues: ReadonlyMap<string, Colleague>;
  readonly absences: readonly Absence[];
}

/** Who of our own people; the same as the engine's `PersonRule`, which this room may not import. */
export type WhoRule =
  | { readonly kind: "csm" }
  | { readonly kind: "manager" }
  | { readonly kind: "role"; readonly role: string }
  | { readonly kind: "pool"; readonly pool: string }
  | { readonly kind: "channel"; readonly channel: string };

/** The longest chain of covers that is followed: nobody's stand-in is that far away. */
export const COVERS_MAX = 10;

/** The queue of what nobody is there for. */
export const UNASSIGNED_QUEUE = "unassigned";

/** The active contact of a role: the primary one, then the one known longest (then by id); undefined if there is none. */
export function contactForRole<C extends ContactPerson>(role: string, contacts: readonly C[]): C | undefined {
  return contactsOfRole(role, contacts)[0];
}

/** Everyone active of a role, in the order of `contactForRole`. */
export function contactsOfRole<C extends ContactPerson>(role: string, contacts: readonly C[]): C[] {
  return contacts
    .filter((contact) => contact.isActive && contact.role === role)
    .sort((a, b) => Number(b.isPrimary) - Number(a.isPrimary) || a.createdAt - b.createdAt || compareText(a.id, b.id));
}

/** Who is to do something: a colleague (perhaps as another's cover), or a queue. */
export type Assignment =
  | { readonly kind: "person"; readonly person: Colleague; readonly coveredFor: Colleague | null }
  | { readonly kind: "queue"; readonly queue: string };

/**
 * Who gets a task: the person of the rule, else (for a role) the CSM, else the first of `fallback` that leads to someone, else the
 * unassigned queue; and instead of who is away, their cover. A pool is a queue: whoever of it is free takes the task.
 */
export function assigneeFor(
  rule: WhoRule,
  team: AccountTeam,
  directory: Directory,
  at: Instant,
  fallback: readonly WhoRule[] = [],
): Assignment {
  const rules: readonly WhoRule[] = rule.kind === "role" ? [rule, { kind: "csm" }, ...fallback] : [rule, ...fallback];
  for (const each of rules) {
    if (each.kind === "pool") return { kind: "queue", queue: each.pool };
    const person = personFor(each, team, directory);
    if (!person) continue;
    const present = coverFor(person, directory, at);
    return { kind: "person", person: present, coveredFor: present.id === person.id ? null : person };
  }
  return { kind: "queue", queue: UNASSIGNED_QUEUE };
}

/** The active colleague that a rule names, cover or no cover; undefined for a pool, a channel, or where there is none. */
export function personFor(rule: WhoRule, team: AccountTeam, directory: Directory): Colleague | undefined {
  const csm = activeColleague(team.csmId, directory);
  switch (rule.kind) {
    case "csm":
      return csm;
    case "manager":
      // A CSM who has left still has the manager who is now answerable for the account.
      return activeColleague(directory.colleagues.get(team.csmId ?? "")?.managerId, directory);
    case "role":
      return activeColleague(team.roles[rule.role], directory);
    case "pool":
    case "channel":
      return undefined;
  }
}

/**
 * Who stands in for `person` at the instant: themselves if they are there, else their cover, else the cover's cover. Where the chain ends in
 * a circle, in nobody, or in someone who has left: themselves, since a task that comes back late is better than one that is lost.
 */
export function coverFor(person: Colleague, directory: Directory, at: Instant): Colleague {
  const passed = new Set<string>();
  let current = person;
  for (let count = 0; count < COVERS_MAX; count++) {
    const absence = absenceOf(current.id, directory.absences, at);
    if (!absence) return current;
    passed.add(current.id);
    const cover = activeColleague(absence.coverId, directory);
    if (!cover || passed.has(cover.id)) return person;
    current = cover;
  }
  return person;
}

/** The absence that a colleague is in at the instant (of several the one that ends last), or undefined. */
export function absenceOf(userId: string, absences: readonly Absence[], at: Instant): Absence | undefined {
  return absences
    .filter((absence) => absence.userId === userId && absence.fromAt <= at && at < absence.toAt)
    .sort((a, b) => b.toAt - a.toAt)[0];
}

/** Whose name stands under a mail: the person of the rule or their cover; undefined: the sender of last resort in policy.yaml. */
export function senderFor(rule: WhoRule, team: AccountTeam, directory: Directory, at: Instant): Colleague | undefined {
  const person = personFor(rule, team, directory) ?? personFor({ kind: "csm" }, team, directory);
  return person && coverFor(person, directory, at);
}

/** The first wish that there is a template for (`pl-PL` is served by `pl`), else whatever there is. */
export function localeFor(wishes: readonly (string | null)[], locales: Readonly<Record<string, unknown>>): string {
  for (const wish of wishes) {
    for (const name of wish ? [wish, wish.split("-")[0] ?? wish] : []) if (locales[name] !== undefined) return name;
  }
  return Object.keys(locales).sort()[0] ?? "en";
}

/** Who may close, snooze or hand on a task: its assignee, whose task it is while a cover has it, their covers now, and the managers of all these. */
export function mayAct(
  actorId: string,
  task: { readonly assigneeId: string | null; readonly coveredForId: string | null; readonly queue: string | null },
  directory: Directory,
  at: Instant,
): boolean {
  const actor = directory.colleagues.get(actorId);
  if (!actor?.isActive) return false;
  // Nobody has it yet: the pool's people may take it; what nobody is there for, anyone.
  if (!task.assigneeId) return !task.queue || task.queue === UNASSIGNED_QUEUE || actor.pools.includes(task.queue);
  const holders = [task.assigneeId, task.coveredForId].flatMap((id) => directory.colleagues.get(id ?? "") ?? []);
  return holders.some(
    (holder) => holder.id === actorId || holder.managerId === actorId || coverFor(holder, directory, at).id === actorId,
  );
}

function activeColleague(id: string | null | undefined, directory: Directory): Colleague | undefined {
  const colleague = id ? directory.colleagues.get(id) : undefined;
  return colleague?.isActive ? colleague : undefined;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
