import type { Client } from "@temporalio/client";
import { systemClock, REAL_TIME } from "../adapters/clock.js";
import { createMailComposer } from "../adapters/email/compose.js";
import { onlyToList } from "../adapters/email/only-to.js";
import { createSmtpMailer } from "../adapters/email/smtp-mailer.js";
import { postgresAudit } from "../adapters/postgres/audit.js";
import { postgresConcerns } from "../adapters/postgres/concerns.js";
import { type Database, openDatabase } from "../adapters/postgres/database.js";
import { postgresHealth } from "../adapters/postgres/health.js";
import { postgresHolds } from "../adapters/postgres/holds.js";
import { postgresLedger } from "../adapters/postgres/ledger.js";
import { postgresOrder } from "../adapters/postgres/order.js";
import { postgresMailGrounds } from "../adapters/postgres/mail-grounds.js";
import { postgresPeople } from "../adapters/postgres/people.js";
import { postgresPutBacks } from "../adapters/postgres/put-backs.js";
import { postgresPortfolio } from "../adapters/postgres/portfolio.js";
import { postgresSegments } from "../adapters/postgres/segments.js";
import { postgresStore } from "../adapters/postgres/store.js";
import { eventsTeller } from "../adapters/postgres/wake.js";
import { postgresSuppressions } from "../adapters/postgres/suppressions.js";
import { postgresTasks } from "../adapters/postgres/tasks.js";
import { postgresTokens } from "../adapters/postgres/tokens.js";
import { createSlackMessages } from "../adapters/slack/messages.js";
import { NO_SLACK } from "../adapters/slack/no-slack.js";
import { createSlackPoster, type WebApiPoster } from "../adapters/slack/web-api-poster.js";
import { scheduleNote } from "../adapters/temporal/counts-note.js";
import { sweepScheduleId } from "../adapters/temporal/sweep-schedule.js";
import { boundedWorkflows, lazyTemporalClient } from "../adapters/temporal/temporal-client.js";
import { TASK_QUEUE } from "../adapters/temporal/temporal-workflows.js";
import type { Policy } from "../engine/policy.js";
import { Turns } from "../operations/dispatch-events.js";
import { mailCompanyOf } from "../operations/mail-company.js";
import { healthMeter, measureOnEvent } from "../operations/measure-health.js";
import { inOrder } from "../operations/in-order.js";
import { LOCAL_SETTINGS, type PerformPorts, PRODUCTION_SETTINGS } from "../operations/perform-ports.js";
import type { MailCompany } from "../ports/composer.js";
import type { Audit } from "../ports/audit.js";
import type { ClockSetting } from "../ports/clock.js";
import type { HealthPorts } from "../ports/health.js";
import type { Portfolio } from "../ports/desk-home.js";
import type { Mailer } from "../ports/mailer.js";
import { type CountsNote, type PutBacks, SeenCounts } from "../ports/put-backs.js";
import type { Blocker } from "../ports/order.js";
import type { DispatchPorts, Store } from "../ports/store.js";
import type { Tokens } from "../ports/tokens.js";
import type { Workflows } from "../ports/workflows.js";
import { formatInstant } from "../values/instant.js";
import type { Environment, EnvironmentWith } from "./environment.js";
import { createLogger, type Logger } from "./logger.js";

/** All that operations ask for, on real servers: the same for worker, server and CLI. */
export interface Wired extends Omit<PerformPorts, "onFault"> {
  readonly database: Database;
  readonly clockSetting: ClockSetting;
  readonly tokens: Tokens;
  readonly audit: Audit;
  readonly portfolio: Portfolio;
  readonly workflows: Workflows;
  readonly putBacks: PutBacks;
  /** What this process knows to have been counted. */
  readonly seen: SeenCounts;
  readonly countsNote: CountsNote;
  readonly temporal: Client;
  readonly taskQueue: string;
  /** Present where a bot token is: what the receiver needs besides posting. */
  readonly slackApi: WebApiPoster | undefined;
  readonly logger: Logger;
  readonly onFault: (what: string, error: unknown) => void;
  /** Set by whoever does things in their order: told what others wait for. */
  onBlocked: (kind: Exclude<Blocker["kind"], "told">) => void;
  /** Called behind each commit that has brought events: tells the workers; a worker sets what tells its own dispatchers. */
  onEvents: () => void;
  /** For the verbs about health and segments; `health` here is the meter that playbooks call. */
  readonly healthPorts: HealthPorts;
  /** For `dispatchBatch`. */
  readonly dispatch: DispatchPorts;
  /** What we are called, as last published; neutral words before that. */
  company(): Promise<MailCompany>;
  /** Lets go of every connection. Idempotent. */
  close(): Promise<void>;
}

/** How long a call to Temporal may take at most, real milliseconds: a person waits for the answer. */
const TEMPORAL_CALL_MS = 10_000;

/**
 * The adapters behind the ports, by the environment. Nothing is connected yet: each connects with its first use, and what is away is
 * told by `StoreUnavailable` or `TemporalUnavailable` then. Without SMTP_URL (a server, the CLI) mails can't be sent.
 *
 * @param name the process, in the log and in `pg_stat_activity`
 */
export function wire(environment: EnvironmentWith<"DATABASE_URL">, name: string, logger?: Logger): Wired {
  const log = logger ?? createLogger(environment.WAYPOST_LOG_LEVEL ?? "info", name);
  const database = openDatabase(environment.DATABASE_URL, {
    poolMax: environment.WAYPOST_POOL_MAX ?? 10,
    applicationName: `waypost ${name}`,
  });
  const store = postgresStore(database, () => wired.onEvents());
  const clockSetting = environment.WAYPOST_CLOCK ?? REAL_TIME;
  const clock = systemClock(clockSetting);
  const temporal = lazyTemporalClient({
    // Who doesn't name it doesn't need it: the call that does says where it looked.
    address: environment.TEMPORAL_ADDRESS ?? "127.0.0.1:7233",
    namespace: environment.TEMPORAL_NAMESPACE ?? "default",
    apiKey: environment.TEMPORAL_API_KEY,
    tls: environment.TEMPORAL_TLS,
    payloadKeys: environment.WAYPOST_PAYLOAD_KEY,
  });
  const taskQueue = environment.WAYPOST_TASK_QUEUE ?? TASK_QUEUE;
  const workflows = boundedWorkflows(temporal, taskQueue, TEMPORAL_CALL_MS);
  const slackApi =
    environment.SLACK_BOT_TOKEN === undefined
      ? undefined
      : createSlackPoster({
          token: environment.SLACK_BOT_TOKEN,
          ...(environment.SLACK_API_URL === undefined ? {} : { apiUrl: environment.SLACK_API_URL }),
        });
  const company = async () =>
    mailCompanyOf(await store.read((tx) => store.playbooks.configuration<Policy>(tx, "policy")));
  const publicUrl = environment.PUBLIC_URL ?? "http://localhost:3000";
  const onlyTo = environment.EMAIL_ONLY_TO;
  const settings = environment.MAILBOX_URL === undefined ? PRODUCTION_SETTINGS : LOCAL_SETTINGS;
  const smtpReplyMs = environment.SMTP_REPLY_TIMEOUT ?? settings.smtpReplyMs;
  const emailOnlyTo = onlyToList(onlyTo);
  const onFault = onceAMinute((what: string, error: unknown) => log.error({ err: error }, what));
  const order =
    clock.scale === 1 || clockSetting.ordered !== true
      ? undefined
      : inOrder({
          ports: { store },
          order: postgresOrder,
          onBlocked: (kind) => wired.onBlocked(kind),
          onGivenUp: ({ kind, id, at }) =>
            log.warn({ kind, id, at: formatInstant(at) }, `${kind} ${id} is not waited for any longer`),
        });
  const healthPorts: HealthPorts = { store, clock, health: postgresHealth, segments: postgresSegments };
  const seen = new SeenCounts();
  let closed: Promise<void> | undefined;
  const wired: Wired = {
    database,
    store,
    clock,
    clockSetting,
    temporal,
    taskQueue,
    workflows,
    ledger: postgresLedger(seen),
    putBacks: postgresPutBacks,
    seen,
    countsNote: scheduleNote(temporal, sweepScheduleId(taskQueue), TEMPORAL_CALL_MS),
    onPutBack: (reason) => log.error({ reason }, "nothing is sent any more: the database was put back"),
    people: postgresPeople(),
    tasks: postgresTasks(),
    suppressions: postgresSuppressions(),
    mailGrounds: postgresMailGrounds,
    holds: postgresHolds(),
    concerns: postgresConcerns(),
    tokens: postgresTokens(),
    audit: postgresAudit(),
    portfolio: postgresPortfolio(),
    health: healthMeter(healthPorts),
    healthPorts,
    composer: {
      ...createMailComposer({
        domain: environment.MAIL_DOMAIN ?? new URL(publicUrl).hostname,
        publicUrl,
        ...(onlyTo === undefined ? {} : { onlyTo }),
      }),
      ...createSlackMessages(),
    },
    mailer: mailerOf(environment, smtpReplyMs),
    slack: slackApi ?? NO_SLACK,
    slackApi,
    settings: { ...settings, smtpReplyMs, ...(emailOnlyTo === undefined ? {} : { emailOnlyTo }) },
    logger: log,
    onFault,
    onBlocked: () => {},
    onEvents: eventsTeller(database.client),
    order,
    dispatch: {
      store,
      clock,
      clockSetting,
      workflows,
      putBacks: postgresPutBacks,
      order,
      turns: new Turns(),
      react: async (tx, event) => {
        await measureOnEvent(healthPorts, tx, event);
      },
      onFault: (accountId, error) => onFault(`events of account ${accountId} were not dispatched`, error),
    },
    company,
    close() {
      closed ??= (async () => {
        wired.mailer.close?.();
        await Promise.allSettled([database.close(), temporal.connection.close()]);
      })();
      return closed;
    },
  };
  return wired;
}

/** What fails is tried again many times a second: one line a minute for each says as much. */
function onceAMinute(log: (what: string, error: unknown) => void): (what: string, error: unknown) => void {
  const said = new Map<string, number>();
  return (what, error) => {
    const now = performance.now();
    if (now - (said.get(what) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
    if (said.size >= FAULTS_REMEMBERED_MAX) said.clear();
    said.set(what, now);
    log(what, error);
  };
}

const FAULTS_REMEMBERED_MAX = 1_000;

function mailerOf(environment: Environment, replyTimeoutMs: number): Mailer {
  const { SMTP_URL: url, EMAIL_ONLY_TO: onlyTo, MAILBOX_URL: mailboxUrl } = environment;
  if (url === undefined) {
    const refused = {
      kind: "refused",
      permanent: false,
      suppress: false,
      ours: true,
      reason: "SMTP_URL is not set",
    } as const;
    return { send: async () => refused };
  }
  return createSmtpMailer({
    url,
    replyTimeoutMs,
    ...(onlyTo === undefined ? {} : { onlyTo }),
    ...(mailboxUrl === undefined ? {} : { mailboxUrl }),
  });
}
