import { randomBytes, randomUUID } from "node:crypto";
import {
  assigneeFor,
  type Colleague,
  contactForRole,
  contactsOfRole,
  localeFor,
  senderFor,
} from "../../customers/people.js";
import type { Command, DeferReason, Delivery, Outcome } from "../../engine/command.js";
import { decideSend, mailCategoryOf, type SendDecision, sendRulesOf } from "../../engine/decide-send.js";
import type { RunEvent } from "../../engine/event.js";
import type { RecipientRule } from "../../engine/plan.js";
import type { Policy } from "../../engine/policy.js";
import type { FactValue } from "../../expression/expression.js";
import { TextFault } from "../../ports/composer.js";
import type { ClaimedDelivery, DeliveryRow, KeptMessage, NewDelivery } from "../../ports/ledger.js";
import type { MailFindings } from "../../ports/mail-grounds.js";
import type { RawMessage } from "../../ports/mailer.js";
import type { ContactCard } from "../../ports/people.js";
import type { RunRow } from "../../ports/runs.js";
import type { Task } from "../../ports/tasks.js";
import { type Tx, WithCommit } from "../../ports/transactions.js";
import type { Instant } from "../../values/instant.js";
import { type Conversation, deliver, follow, isFinal, isStalled, type Keep } from "../deliver.js";
import { deliveryId } from "../delivery-id.js";
import { isHeldNow } from "../held-now.js";
import { ALL_EMAIL, ALL_SENDS } from "../kill-switches.js";
import { mailCompanyOf } from "../mail-company.js";
import { putNotices } from "../outbox.js";
import { type Effect, effectId, inClaim, type Scene } from "../scene.js";
import { HELD_MAIL_OUTCOMES, heldMailTask } from "../tasks/held-mail.js";
import { openTask, type TaskToOpen } from "../tasks/open-task.js";
import { textFacts, textVariables } from "../text-variables.js";

type EmailCommand = Extract<Command, { kind: "email" }>;

/**
 * One mail per recipient, pinned at the first claim: each is decided about (`decideSend`), claimed and sent on its own, so that asking again goes
 * on with those that are left. `emailed` once every one is final, `deferred` while one waits; nobody to write to is a task for the CSM.
 */
export async function performEmail(scene: Scene, command: EmailCommand): Promise<Effect<Outcome>> {
  const pinned = await pinRecipients(scene, command);
  if (pinned.kind === "events") return pinned;
  if (pinned.rows.length === 0)
    return { kind: "outcome", outcome: { kind: "emailed", at: scene.now(), deliveries: [] } };

  const results: MailOutcome[] = [];
  for (const row of pinned.rows) {
    const result = await performMail(scene, command, row, inClaim, pinned.claimed);
    if (result.kind === "events") return result;
    results.push(result);
    if (result.kind === "later" && scene.leftMs() === 0) break;
  }
  return sumUp(scene, results);
}

type MailOutcome =
  | { readonly kind: "final"; readonly delivery: Delivery; readonly fault?: string }
  | {
      readonly kind: "deferred";
      readonly delivery: Delivery;
      readonly until: Instant;
      readonly staleAt: Instant;
      readonly reason: DeferReason;
    }
  | { readonly kind: "later"; readonly afterMs: number };

function sumUp(scene: Scene, results: readonly MailOutcome[]): Effect<Outcome> {
  const later = results.flatMap((result) => (result.kind === "later" ? [result.afterMs] : []));
  if (later.length > 0) return { kind: "retry", afterMs: Math.min(...later) };

  const deliveries = results.flatMap((result) => (result.kind === "later" ? [] : [result.delivery]));
  const faults = results.flatMap((result) =>
    result.kind === "final" && result.fault !== undefined ? [result.fault] : [],
  );
  // A template that can't be filled in for anybody is the playbook's fault; for one of several it is that person's data.
  if (faults.length > 0 && faults.length === results.length) {
    return { kind: "outcome", outcome: { kind: "failed", at: scene.now(), reason: faults[0] ?? "template" } };
  }
  const at = Math.max(
    scene.at,
    ...deliveries.filter(({ result }) => result !== "deferred").map((delivery) => delivery.at),
  );
  const waiting = results.flatMap((result) => (result.kind === "deferred" ? [result] : []));
  const next = [...waiting].sort((a, b) => a.until - b.until)[0];
  if (!next) return { kind: "outcome", outcome: { kind: "emailed", at, deliveries } };
  const staleAt = Math.max(...waiting.map((result) => result.staleAt));
  return {
    kind: "outcome",
    outcome: { kind: "deferred", at, until: next.until, staleAt, reason: next.reason, deliveries },
  };
}

type Pinning = { readonly rows: readonly Pinned[]; readonly claimed?: Claimed };

async function pinRecipients(
  scene: Scene,
  command: EmailCommand,
): Promise<({ kind: "rows" } & Pinning) | { kind: "events"; events: readonly RunEvent[] }> {
  // Whoever the stretch has seen a moment ago is mostly who is there now; the claim knows.
  scene.assumePeople();
  const pinned = await pinOnce(scene, command);
  if (pinned.kind === "events") return pinned;
  if (pinned.value !== "changed") return { kind: "rows", ...pinned.value };
  scene.forgetPeople();
  const again = await pinOnce(scene, command);
  if (again.kind === "events") return again;
  if (again.value === "changed") throw new Error(`run ${scene.run.id}: people can't change who were not assumed`);
  return { kind: "rows", ...again.value };
}

/** `changed`: account or contacts are not those that were assumed, and nothing was begun. */
async function pinOnce(scene: Scene, command: EmailCommand): ReturnType<typeof inClaim<Pinning | "changed">> {
  const { ledger, store } = scene.ports;
  const [policy, account, contacts] = await Promise.all([
    scene.policy(),
    scene.account(),
    scene.contacts(),
    scene.directory(),
  ]);
  const openForCsm = await taskForCsm(scene);
  const now = scene.now();
  await scene.customerCalendar();
  const recipients = recipientsOf(command.to, contacts, scene.run.contactId);
  const fresh = recipients.map((contact) => rowFor(scene, command, contact, account.locale, policy));
  const [row] = fresh;
  const needless = ({ rows, peopleVersion }: MailFindings): Pinning | "changed" | undefined => {
    const assumed = scene.assumedVersion();
    if (assumed !== undefined && assumed !== peopleVersion) return "changed";
    return rows.length > 0 ? { rows } : undefined;
  };
  // The ordinary case is one recipient: claimed in the transaction that pins the row, and what the text mentions is read with what decides.
  const hash = fresh.length === 1 ? row?.templateHash : undefined;
  const template = hash ? await store.read((tx) => store.playbooks.template(tx, hash)) : undefined;
  const mentioned = template && mentionedIn(scene, template.source, command);
  const look = async (tx: Tx): Promise<Found> => {
    const [grounds, facts] = await Promise.all([
      groundsOf(scene, tx, command, policy, row, recipients[0], now),
      mentioned && scene.facts(mentioned, row?.contactId ?? undefined, tx),
    ]);
    return { ...grounds, ...(facts && { facts }) };
  };
  const pin = async (tx: Tx, run: RunRow, found: Found): Promise<Pinning | WithCommit<Pinning>> => {
    if (found.hasTask) return { rows: [] };
    if (row !== undefined && fresh.length === 1) {
      const pinning = (claimed: Claimed | undefined): Pinning => {
        if (claimed === undefined) throw new Error(`delivery ${row.key} was pinned without the account's lock`);
        const { facts } = found;
        return { rows: [row], claimed: claimed.kind === "claimed" && facts ? { ...claimed, facts } : claimed };
      };
      const claimed = await claimIn(scene, tx, run, command, { row, isFresh: true }, recipients[0], now, found);
      return claimed instanceof WithCommit ? claimed.map(pinning) : pinning(claimed);
    }
    if (fresh.length > 0) return { rows: await ledger.pin(tx, fresh) };
    const who = command.to.kind === "subject" ? "contact" : command.to.role.replaceAll("_", " ");
    await openForCsm(tx, {
      effectKey: noContactKey(scene, command),
      step: command.step ?? command.path,
      key: command.key,
      title: `No ${who} at ${account.name}: the e-mail "${command.template}" has nobody to go to`,
      due: { amount: 2, unit: "bd" },
    });
    return { rows: [] };
  };
  return inClaim<Pinning | "changed", Found>(scene, pin, look, needless);
}

/** undefined: the text is at fault, which composing it will tell. */
function mentionedIn(scene: Scene, source: string, { scope }: EmailCommand): string[] | undefined {
  try {
    return textFacts(scene, source, scope);
  } catch (error) {
    if (error instanceof TextFault) return undefined;
    throw error;
  }
}

/** What a claim's look finds; with the facts that the text mentions, where there is one text. */
type Found = MailFindings & { readonly facts?: Readonly<Record<string, FactValue>> };

/** A row of the ledger that the mail has, or has just got. */
type Pinned = Pick<DeliveryRow, "key">;

type ForCsm = Pick<TaskToOpen, "effectKey" | "step" | "key" | "title" | "due"> &
  Partial<Pick<TaskToOpen, "text" | "ask" | "outcomes">>;

/** What opens a task about a mail for whoever looks after the account. Read before the transaction: within it that would take a second connection. */
async function taskForCsm(scene: Scene): Promise<(tx: Tx, order: ForCsm) => Promise<Task>> {
  const policy = await scene.policy();
  const account = await scene.account();
  const assignee = assigneeFor({ kind: "csm" }, account, await scene.directory(), scene.at, policy.tasks.fallback);
  const person = assignee.kind === "person" ? assignee.person : undefined;
  const calendar = person ? await scene.calendar(person.calendar) : await scene.customerCalendar();
  return (tx, order) =>
    openTask(scene.ports, tx, {
      text: null,
      ask: null,
      outcomes: [],
      ...order,
      runId: scene.run.id,
      accountId: account.id,
      for: { kind: "csm" },
      assignee,
      zone: person?.timezone ?? account.timezone,
      calendar,
      remind: [],
      escalate: [],
      required: false,
      snoozeLimit: policy.tasks.snooze.limit,
      at: scene.at,
      now: scene.now(),
      tellsRun: scene.hears(["tasks.open"]),
      unassignedChannel: policy.slack.unassignedChannel,
    });
}

function recipientsOf(
  rule: RecipientRule,
  contacts: readonly ContactCard[],
  subjectId: string | undefined,
): ContactCard[] {
  switch (rule.kind) {
    case "role": {
      const contact = contactForRole(rule.role, contacts);
      return contact ? [contact] : [];
    }
    case "each":
      return contactsOfRole(rule.role, contacts);
    case "subject":
      return contacts.filter(({ id }) => id === subjectId);
  }
}

function rowFor(
  scene: Scene,
  command: EmailCommand,
  contact: ContactCard,
  accountLocale: string | null,
  policy: Policy,
): NewDelivery {
  const key = `${effectId(scene, command)}|${contact.id}|email`;
  const locale = localeFor([contact.locale, accountLocale, policy.company.defaultLocale, "en"], command.locales);
  return {
    key,
    id: deliveryId(key),
    channel: "email",
    runId: scene.run.id,
    effectKey: command.key,
    step: command.step ?? null,
    accountId: scene.run.accountId,
    contactId: contact.id,
    recipient: null,
    category: command.category,
    template: command.template,
    templateHash: command.locales[locale] ?? null,
    locale,
    priority: command.priority,
    dueAt: command.since,
    createdAt: scene.at,
  };
}

/**
 * Sends a mail again that a person looked for and did not find (`send_again` of its task): the same bytes under the same Message-ID, and only if it may
 * still go; its run may have ended. undefined: it is over, sent or not; else the real milliseconds, or the domain instant, until it is to be tried again.
 */
export async function sendMailAgain(
  scene: Scene,
  row: DeliveryRow,
): Promise<{ readonly afterMs: number } | { readonly until: Instant } | undefined> {
  const { store } = scene.ports;
  const claim: Claim = async (_, work, beside) => {
    const value = await store.transaction(async (tx) => {
      await store.lockAccounts(tx, [scene.run.accountId]);
      return work(tx, { ...scene.run, status: "running" }, await beside(tx));
    });
    return { kind: "done", value };
  };
  const result = await performMail(scene, commandOf(scene, row), row, claim);
  switch (result.kind) {
    case "later":
      return { afterMs: result.afterMs };
    case "deferred":
      return { until: result.until };
    default:
      return undefined;
  }
}

/**
 * Follows a mail that is on the wire to what came of it, and has a person look where nobody knows; other mail is left as it is. Real milliseconds after which to look
 * again; undefined: it is on the wire no more.
 */
export async function followMail(scene: Scene, row: DeliveryRow): Promise<number | undefined> {
  let known = row;
  if (row.status === "wire") {
    const options = { leftMs: scene.leftMs(), mayResend: false };
    const standing = await follow(scene.ports, row, { find: () => findMail(scene, row) }, options);
    if (standing.kind === "later") return standing.afterMs;
    if (standing.kind === "final") known = standing.row;
  }
  if (known.status === "unknown") await settleUnknown(scene, commandOf(scene, known), known);
  return undefined;
}

/** What a row of the ledger still tells of the command it is of. */
function commandOf(scene: Scene, row: DeliveryRow): EmailCommand {
  return {
    kind: "email",
    key: row.effectKey,
    path: row.step ?? row.effectKey,
    ...(row.step !== null && { step: row.step }),
    to: { kind: "subject" },
    from: { kind: "csm" },
    template: row.template ?? "",
    locales: {},
    category: row.category ?? "",
    send: { kind: "now" },
    priority: row.priority,
    since: scene.now(),
    exiting: false,
    scope: {},
  };
}

/** `inClaim` as mails use it; a mail that a person has sent again is claimed whatever its run is about. */
type Claim = <T>(
  scene: Scene,
  work: (tx: Tx, run: RunRow, found: MailFindings) => Promise<T | WithCommit<T>>,
  beside: (tx: Tx) => Promise<MailFindings>,
) => ReturnType<typeof inClaim<T, MailFindings>>;

// ── one recipient ────────────────────────────────────────────────────────────────────────────────────────────────────

/** A row changes hands a few times at most before something is final; more is a row that others fight over: back off. */
const ROUNDS_MAX = 5;

async function performMail(
  scene: Scene,
  command: EmailCommand,
  pinned: Pinned,
  claim: Claim = inClaim,
  /** What the claim came to that was made where the row was pinned. */
  claimedAtOnce?: Claimed,
): Promise<MailOutcome | { kind: "events"; events: readonly RunEvent[] }> {
  const { ports } = scene;
  const { ledger, store } = ports;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const first = round === 0 ? claimedAtOnce : undefined;
    if (first !== undefined) {
      const result = first.kind === "claimed" ? await sendClaimed(scene, command, first) : first;
      if (result !== undefined) return result;
      continue;
    }
    const row = await store.read((tx) => ledger.read(tx, pinned.key));
    if (!row) throw new Error(`delivery ${pinned.key} is not in the ledger`);
    if (row.status === "unknown") return { kind: "final", delivery: await settleUnknown(scene, command, row) };
    if (isFinal(row))
      return (await deferredAgain(scene, command, row)) ?? { kind: "final", delivery: deliveryOf(row, scene.now()) };

    if (row.status === "wire") {
      const mayResend = (await scene.policy()).email.unknown === "resend" && !command.exiting;
      const standing = await follow(
        ports,
        row,
        { find: () => findMail(scene, row) },
        { leftMs: scene.leftMs(), mayResend },
      );
      if (standing.kind === "later") return standing;
      // Taken over: it is claimed anew like any other, because minutes have passed. The person may have unsubscribed, the run may have ended.
      continue;
    }
    const waitMs = row.status === "retry" ? await store.read((tx) => ledger.retryLeftMs(tx, row.key)) : 0;
    if (waitMs > 0) return { kind: "later", afterMs: waitMs };
    const claimed = await claimMail(scene, command, row, claim);
    if (claimed.kind !== "claimed") return claimed;
    const result = await sendClaimed(scene, command, claimed);
    if (result !== undefined) return result;
  }
  return { kind: "later", afterMs: ports.settings.backoffMs(1) };
}

/**
 * What was said of a mail that, by the run's clock, still waits now, and is sent, left out or taken back later: a stretch of many days, whose answer was
 * lost with its worker, is walked once more, and comes to that instant in its turn. Only where the domain's clock outruns the real one; undefined: it
 * wasn't deferred.
 */
async function deferredAgain(scene: Scene, command: EmailCommand, row: DeliveryRow): Promise<MailOutcome | undefined> {
  const now = scene.now();
  const overAt = row.sentAt ?? row.deferredUntil;
  if (overAt === null || overAt <= now) return undefined;
  const contact = (await scene.contacts()).find(({ id }) => id === row.contactId);
  const policy = await scene.policy();
  const found = await scene.ports.store.read((tx) => groundsOf(scene, tx, command, policy, row, contact, now));
  const decision = await decide(scene, command, row, contact, now, { found, isExiting: false, isHeld: false });
  return decision.kind === "defer" ? deferred(row, now, decision) : undefined;
}

/** Composes and sends what this call has claimed; undefined: the row is somebody else's, or free again. */
async function sendClaimed(
  scene: Scene,
  command: EmailCommand,
  { row, token, facts }: ClaimedMail,
): Promise<MailOutcome | undefined> {
  const { ports } = scene;
  const { ledger, store } = ports;
  const message = await messageFor(scene, command, row, facts);
  if (message.kind === "fault") {
    await store.read((tx) => ledger.settle(tx, row.key, token, { status: "rejected", reason: message.reason }));
    const now = scene.now();
    const delivery: Delivery = { contact: row.contactId ?? "", result: "rejected", at: now, reason: message.reason };
    return { kind: "final", delivery, fault: message.reason };
  }
  if (row.mayBeOut === true) {
    // As one that was on the wire for as long as it may be: the next round asks the mail server before anything else.
    await store.read((tx) => ledger.wire(tx, row.key, token, 0, message.kept));
    return undefined;
  }
  const conversation = conversationOf(scene, row, message);
  const standing = await deliver(ports, row.key, token, conversation, scene.leftMs());
  if (standing.kind === "later") return standing;
  if (standing.kind !== "final") return undefined;
  scene.moveTo(standing.row.sentAt ?? scene.at);
  return standing.row.status === "unknown"
    ? undefined
    : { kind: "final", delivery: deliveryOf(standing.row, scene.now()) };
}

/** What became of a claim: the row is ours, as it now stands; or it is not to be sent now. */
type Claimed = MailOutcome | ClaimedMail;

interface ClaimedMail {
  readonly kind: "claimed";
  readonly token: string;
  readonly row: ClaimedDelivery;
  /** What its text says of the customer, where that was read with the claim. */
  readonly facts?: Readonly<Record<string, FactValue>>;
}

/** The claim: in one transaction the account is locked, the run's events and everything that decides are read, and the row is taken or put off. */
async function claimMail(
  scene: Scene,
  command: EmailCommand,
  row: DeliveryRow,
  claim: Claim,
): Promise<Claimed | { kind: "events"; events: readonly RunEvent[] }> {
  const now = scene.now();
  // Read before the transaction: within it they would take a second connection.
  if (scene.assumedVersion() !== undefined) scene.forgetPeople();
  const contact = (await scene.contacts()).find(({ id }) => id === row.contactId);
  const [policy] = await Promise.all([scene.policy(), scene.account(), scene.customerCalendar()]);
  const claimed = await claim(
    scene,
    (tx, run, found: MailFindings) => claimIn(scene, tx, run, command, { row, isFresh: false }, contact, now, found),
    (tx) => groundsOf(scene, tx, command, policy, row, contact, now),
  );
  if (claimed.kind === "events") return claimed;
  return claimed.value ?? { kind: "later", afterMs: scene.ports.settings.backoffMs(1) };
}

/**
 * In a claim's transaction: decides, and takes the row, puts it off or drops it. What the scene reads besides must have been read before. `fresh`: the row
 * is not in the ledger yet; undefined: but somebody has put it there.
 */
async function claimIn(
  scene: Scene,
  tx: Tx,
  run: RunRow,
  command: EmailCommand,
  { row, isFresh }: { readonly row: DeliveryRow; isFresh: false } | { readonly row: NewDelivery; isFresh: true },
  contact: ContactCard | undefined,
  now: Instant,
  found: MailFindings,
): Promise<Claimed | undefined | WithCommit<Claimed | undefined>> {
  const { ledger, settings } = scene.ports;
  const hasLeft = command.exiting || run.status === "exiting";
  // `deferred_email: keep`: what waited when the run ended may still go.
  const isExiting = hasLeft && (isFresh || row.deferredUntil === null);
  const isHeld = !command.exiting && (await isHeldNow(scene, tx, found.holders));
  const decision = await decide(scene, command, row, contact, now, { found, isExiting, isHeld });
  if (decision.kind === "send") {
    const token = randomUUID();
    const taken = isFresh
      ? ledger.pinClaimed(tx, row, token, settings.leaseMs, now)
      : ledger.claim(tx, row.key, token, settings.leaseMs, now);
    const nobody: Claimed | undefined = isFresh ? undefined : { kind: "later", afterMs: settings.backoffMs(1) };
    return new WithCommit(taken).map((mine) => (mine ? { kind: "claimed", token, row: mine } : nobody));
  }
  if (isFresh && (await ledger.pin(tx, [row]))[0]?.status !== "pending") return undefined;
  if (decision.kind === "skip") {
    await ledger.drop(tx, row.key, "skipped", decision.reason);
    return { kind: "final", delivery: { ...toWhom(row, now), result: "skipped", reason: decision.reason } };
  }
  await ledger.defer(tx, row.key, decision.until, decision.staleAt, decision.reason);
  return deferred(row, now, decision);
}

function deferred(
  row: NewDelivery,
  now: Instant,
  { until, staleAt, reason }: Extract<SendDecision, { kind: "defer" }>,
): MailOutcome {
  return {
    kind: "deferred",
    until,
    staleAt,
    reason,
    delivery: { ...toWhom(row, now), result: "deferred", reason, until },
  };
}

function toWhom({ contactId, locale }: NewDelivery, at: Instant): Pick<Delivery, "contact" | "at" | "locale"> {
  return { contact: contactId ?? "", at, ...(locale !== null && { locale }) };
}

/** Reads what decides about a mail to the contact; undefined: nobody is there to write to. */
async function groundsOf(
  scene: Scene,
  tx: Tx,
  command: EmailCommand,
  policy: Policy,
  row: Pick<NewDelivery, "key" | "contactId"> | undefined,
  contact: ContactCard | undefined,
  now: Instant,
): Promise<MailFindings> {
  const { releasedAt, accountId, playbook } = scene.run;
  return scene.ports.mailGrounds.read(tx, {
    runId: scene.run.id,
    effectKey: command.key,
    accountId,
    playbook,
    contactId: row?.contactId ?? "",
    email: contact?.email ?? null,
    key: row?.key ?? "",
    at: now,
    cappedSince: now - sendRulesOf(policy, now).cap.perMs,
    exempt: Object.entries(policy.categories).flatMap(([name, category]) => (category.isCapped ? [] : [name])),
    releasedAt,
    taskKey: noContactKey(scene, command),
  });
}

/** Of the task that stands for a mail without anybody to go to. */
function noContactKey(scene: Scene, command: EmailCommand): string {
  return `${effectId(scene, command)}|no_contact`;
}

async function decide(
  scene: Scene,
  command: EmailCommand,
  row: NewDelivery,
  contact: ContactCard | undefined,
  now: Instant,
  { found, isExiting, isHeld }: { readonly found: MailFindings; readonly isExiting: boolean; readonly isHeld: boolean },
): Promise<SendDecision> {
  const policy = await scene.policy();
  const account = await scene.account();
  const calendar = await scene.customerCalendar();
  const { releasedAt } = scene.run;
  const { switches, suppressions, counted, unsettled, waiting, lastSentAt } = found;
  return decideSend({
    now,
    since: command.since,
    send: command.send,
    sendWithin: command.sendWithin ?? policy.email.sendWithin,
    isExiting,
    category: mailCategoryOf(command.category, policy),
    recipient: {
      isActive: contact?.isActive ?? false,
      hasAddress: Boolean(contact?.email),
      zone: contact?.timezone ?? account.timezone,
      calendar,
    },
    isTestAccount: account.isTest,
    isAddressAllowed: isAllowed(contact?.email ?? "", scene.ports.settings.emailOnlyTo),
    suppressions,
    isKillSwitchOn: switches.some(
      (name) => name === ALL_SENDS || name === ALL_EMAIL || name === `playbook:${scene.run.playbook}`,
    ),
    isHeld,
    counted,
    unsettled,
    waiting,
    priority: command.priority,
    key: row.key,
    ...(releasedAt !== undefined && { releasedAt }),
    ...(lastSentAt !== undefined && { lastSentAt }),
    rules: sendRulesOf(policy, now),
  });
}

function isAllowed(email: string, onlyTo: readonly string[] | undefined): boolean {
  const address = email.toLowerCase();
  return onlyTo === undefined || onlyTo.some((one) => (one.startsWith("@") ? address.endsWith(one) : address === one));
}

// ── the message ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** As the ledger keeps a message: `address` is the contact's, which the envelope may redirect. */
interface Kept {
  readonly message: RawMessage;
  readonly address: string | undefined;
}

/** A message; and what the ledger is to keep of it, where it is new. */
interface Ready {
  readonly message: RawMessage;
  readonly kept?: KeptMessage;
}

/**
 * The bytes of an earlier attempt that was on the wire, else the message made now: it is kept, for every later attempt, from the moment at which
 * it is on the wire itself. Until then nobody has seen any of it, and the Message-ID is the delivery's.
 */
async function messageFor(
  scene: Scene,
  command: EmailCommand,
  row: DeliveryRow,
  facts: ClaimedMail["facts"],
): Promise<({ kind: "ready" } & Ready) | { kind: "fault"; reason: string }> {
  const address = (await scene.contacts()).find(({ id }) => id === row.contactId)?.email ?? undefined;
  const before = row.raw === null ? undefined : (JSON.parse(row.raw) as Kept);
  // Suppressions were looked up for the address that the contact has now: nothing goes to the one they had.
  if (before !== undefined && before.address === address) return { kind: "ready", message: before.message };
  try {
    const message = await compose(scene, command, row, facts);
    const kept = { raw: JSON.stringify({ message, address } satisfies Kept), messageId: message.messageId };
    return { kind: "ready", message, kept };
  } catch (error) {
    if (error instanceof TextFault) return { kind: "fault", reason: error.message };
    throw error;
  }
}

async function compose(
  scene: Scene,
  command: EmailCommand,
  row: DeliveryRow,
  facts: ClaimedMail["facts"],
): Promise<RawMessage> {
  const { composer, store, suppressions } = scene.ports;
  const account = await scene.account();
  const policy = await scene.policy();
  const contact = (await scene.contacts()).find(({ id }) => id === row.contactId);
  const hash = row.templateHash;
  const template = hash ? await store.read((tx) => store.playbooks.template(tx, hash)) : undefined;
  if (!contact?.email || !template) throw new TextFault(`the template "${command.template}" is not in the store`);

  const sender = senderFor(command.from, account, await scene.directory(), scene.now());
  const category = mailCategoryOf(command.category, policy);
  const token = category.canUnsubscribe ? randomBytes(16).toString("base64url") : undefined;
  if (token !== undefined) {
    const link = { token, contactId: contact.id, category: command.category, deliveryKey: row.key };
    await store.read((tx) => suppressions.keepLink(tx, link));
  }
  const variables = await textVariables(scene, template.source, {
    scope: command.scope,
    contactId: contact.id,
    ...(sender && { sender }),
    ...(facts && { facts }),
  });
  return composer.mail({
    deliveryId: row.id,
    template: { name: template.name, locale: template.locale, source: template.source },
    variables,
    timezone: contact.timezone ?? account.timezone,
    from: fromOf(sender, policy),
    to: { name: contact.name, address: contact.email },
    category: command.category,
    ...(token !== undefined && { unsubscribeToken: token }),
    at: scene.now(),
    company: mailCompanyOf(policy),
  });
}

function fromOf(sender: Colleague | undefined, policy: Policy): { name: string; address: string } {
  return sender ? { name: sender.name, address: sender.email } : policy.email.from;
}

// ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────────

function conversationOf(scene: Scene, row: DeliveryRow, { message, kept }: Ready): Conversation {
  const { mailer, settings } = scene.ports;
  return {
    replyMs: settings.smtpReplyMs,
    ...(kept === undefined ? {} : { kept }),
    async send(mayStart) {
      const result = await mailer.send(message, mayStart);
      switch (result.kind) {
        case "accepted":
          return {
            kind: "accepted",
            details: result.serverMessageId === undefined ? {} : { serverMessageId: result.serverMessageId },
          };
        case "unknown":
          return result;
        case "refused": {
          const permanent = result.permanent && !result.ours;
          if (!permanent && result.reason !== "fence" && isStalled(row)) await tellOfStall(scene, row, result.reason);
          if (result.ours)
            scene.ports.onFault?.(`delivery ${row.key}: our own sending was refused`, new Error(result.reason));
          const refused = { kind: "refused", permanent, reason: result.reason } as const;
          if (!permanent) return refused;
          // With the refusal or not at all: a worker that dies in between sends it again, and then it may be taken.
          const keep: Keep = async (tx, settle) => {
            await scene.ports.store.lockAccounts(tx, [scene.run.accountId]);
            const settled = await settle();
            if (settled !== undefined) await bounced(scene, tx, row, message.envelope.to, result.suppress);
            return settled;
          };
          return { ...refused, keep };
        }
      }
    },
    find: () => findMail(scene, { ...row, messageId: message.messageId }),
  };
}

async function findMail(scene: Scene, row: DeliveryRow): Promise<Record<string, never> | null | undefined> {
  if (row.messageId === null || !scene.ports.mailer.find) return undefined;
  const isThere = await scene.ports.mailer.find(row.messageId);
  return isThere === undefined ? undefined : isThere ? {} : null;
}

/** The server refused the address for good: nobody writes to it again if it does not exist, and the run is told. Under the account's lock. */
async function bounced(scene: Scene, tx: Tx, row: DeliveryRow, address: string, isDead: boolean): Promise<void> {
  const { store, suppressions, clock } = scene.ports;
  const at = scene.now();
  if (isDead) await suppressions.add(tx, address, { category: "*", reason: "bounced", at, deliveryKey: row.key });
  const payload: Record<string, FactValue> = {
    delivery: row.id,
    run: scene.run.id,
    key: row.effectKey,
    step: row.step ?? "",
    permanent: true,
  };
  await store.events.append(
    tx,
    [
      {
        id: `bounced|${row.key}`,
        name: "email.bounced",
        at,
        accountId: scene.run.accountId,
        runId: scene.run.id,
        ...(row.contactId !== null && { contactId: row.contactId }),
        payload,
        source: "run",
      },
    ],
    clock.now(),
  );
}

/** The channel for alarms hears, once an hour, that the mail server doesn't take mail; the mail itself is tried on. */
async function tellOfStall(scene: Scene, row: DeliveryRow, reason: string): Promise<void> {
  const { ports } = scene;
  const [account, policy, at] = [await scene.account(), await scene.policy(), scene.now()];
  const key = `!mail-stalled|${new Date(at).toISOString().slice(0, 13)}|slack`;
  const text = `Mail is not going out: the e-mail "${row.template}" was tried ${row.attempts} times, last answer "${reason}". It is tried on; others may be waiting, too.`;
  const body = ports.composer.nudge({
    deliveryId: deliveryId(key),
    text,
    actions: [],
    account: { id: account.id, name: account.name },
    playbook: scene.run.playbook,
    playbookTitle: scene.plan.title,
    run: scene.run.id,
    step: row.step ?? row.effectKey,
  });
  const to = { channel: policy.slack.alertsChannel };
  try {
    await ports.store.transaction((tx) => putNotices(ports, tx, [{ key, to, body, accountId: account.id, at }]));
  } catch (error) {
    // That the mail is tried again must not hang on it.
    ports.onFault?.(`delivery ${row.key}: that it stalls could not be told`, error);
  }
}

/** Silence, and nobody to ask: what policy.yaml says. `hold` gives it to a person. */
async function settleUnknown(scene: Scene, command: EmailCommand, row: DeliveryRow): Promise<Delivery> {
  const { ledger, store } = scene.ports;
  const policy = await scene.policy();
  if (policy.email.unknown === "assume_sent") {
    await store.read((tx) => ledger.resolve(tx, row.key, "resolved", "assumed sent"));
    return deliveryOf({ ...row, status: "resolved" }, scene.now());
  }
  const account = await scene.account();
  const openForCsm = await taskForCsm(scene);
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [account.id]);
    await ledger.resolve(tx, row.key, "held", "no answer from the mail server");
    await openForCsm(tx, {
      effectKey: heldMailTask(row.key, row.attempts),
      step: command.step ?? command.path,
      key: command.key,
      title: `Did the e-mail "${command.template}" reach ${account.name}? The mail server gave no answer`,
      text: `Look whether it arrived, or ask. Then say so, or have it sent again. Delivery ${row.id}`,
      ask: "outcome",
      outcomes: [...HELD_MAIL_OUTCOMES],
      due: { amount: 1, unit: "bd" },
    });
  });
  return deliveryOf({ ...row, status: "held" }, scene.now());
}

function deliveryOf(row: DeliveryRow, now: Instant): Delivery {
  const base = {
    contact: row.contactId ?? "",
    at: row.sentAt ?? now,
    ...(row.locale !== null && { locale: row.locale }),
  };
  const reason = row.reason === null ? {} : { reason: row.reason };
  switch (row.status) {
    case "sent":
    case "resolved":
      return { ...base, result: "sent" };
    case "rejected":
      return { ...base, result: "rejected", ...reason };
    case "unknown":
    case "held":
      return { ...base, result: "unknown", ...reason };
    default:
      return { ...base, result: "skipped", ...reason };
  }
}
