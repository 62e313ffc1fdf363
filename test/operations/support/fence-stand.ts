import { createSlackPoster } from "../../../src/adapters/slack/web-api-poster.js";
import { createSmtpMailer } from "../../../src/adapters/email/smtp-mailer.js";
import { type Database, openDatabase } from "../../../src/adapters/postgres/database.js";
import { postgresStore } from "../../../src/adapters/postgres/store.js";
import type { Command } from "../../../src/engine/command.js";
import { startDesk } from "../../../src/local/desk.js";
import { startMailbox } from "../../../src/local/mailbox.js";
import type { PerformPorts } from "../../../src/operations/perform-ports.js";
import { startTcpProxy } from "../../support/tcp-proxy.js";
import { command, DAY, email, openStage, T0 } from "./stage.js";

/** One message that has to go out once. */
export interface Send {
  readonly number: number;
  readonly channel: "email" | "slack";
  readonly run: string;
  readonly accountId: string;
  readonly contactId: string;
  readonly command: Command;
  /** What only this message has, and the oracle counts by: its address, or its channel. */
  readonly place: string;
}

export interface FenceStandOptions {
  /** How many claimers there are, each with a pool of its own. */
  readonly claimers: number;
  /** Whether the mail server can be asked for a Message-ID. */
  readonly canBeAsked?: boolean;
}

/** Short, so that what waits for them is over soon; the order between them is that of production. */
const TIMES = { leaseMs: 10_000, lastLookMs: 400, smtpReplyMs: 500, slackReplyMs: 700, slackenMs: 400 };

/** How long a row may be on the wire. */
export const WIRE_MS = TIMES.lastLookMs + TIMES.slackReplyMs + TIMES.slackenMs;

/** The ledger on Postgres, SMTP and Slack's Web API over loopback, and claimers that share nothing but those. */
export async function openFenceStand({ claimers, canBeAsked = true }: FenceStandOptions) {
  const stage = await openStage();
  const mailbox = await startMailbox();
  const desk = await startDesk({ signingSecret: "s", keep: 100_000 });
  const [smtpDoor, slackDoor] = [await startTcpProxy(hostOf(mailbox.smtpUrl)), await startTcpProxy(hostOf(desk.url))];
  const databases: Database[] = [];
  const faults: string[] = [];

  /** What one claimer works with. */
  function claimer(): PerformPorts {
    const database = openDatabase(stage.url, { poolMax: 4 });
    databases.push(database);
    return {
      ...stage.ports,
      store: postgresStore(database),
      mailer: createSmtpMailer({
        url: `smtp://127.0.0.1:${smtpDoor.port}`,
        replyTimeoutMs: TIMES.smtpReplyMs,
        ...(canBeAsked ? { mailboxUrl: mailbox.httpUrl } : {}),
      }),
      slack: createSlackPoster({
        token: "xoxb-1",
        apiUrl: `http://127.0.0.1:${slackDoor.port}/api/`,
        timeoutMs: TIMES.slackReplyMs,
      }),
      composer: {
        ...stage.ports.composer,
        // As the real one heads a mail: the mailbox counts by Message-ID.
        async mail(draft) {
          const mail = await stage.ports.composer.mail(draft);
          const head = `Message-ID: ${mail.messageId}\r\nX-Waypost-Delivery: ${draft.deliveryId}\r\nSubject: Welcome\r\n`;
          return { ...mail, raw: `${head}${mail.raw}` };
        },
        nudge: ({ text }) => ({ text, blocks: [{ type: "section", text: { type: "mrkdwn", text } }] }),
      },
      settings: { ...stage.ports.settings, ...TIMES, budgetMs: 3_000, backoffMs: () => 30 },
      onFault: (what, error) => faults.push(`${what}: ${String(error)}`),
    };
  }

  await stage.people([{ id: "ann", slackUserId: "UANN" }]);

  return {
    stage,
    mailbox,
    desk,
    /** In front of the two, to be shut. */
    smtpDoor,
    slackDoor,
    /** Told by the claimers of what they got over. */
    faults,
    claimers: Array.from({ length: claimers }, claimer),

    /** As many mails, and as many Slack messages, five runs to an account, each to a place of its own; numbered from `first`. */
    async sends(mails: number, nudges: number, first = 0): Promise<Send[]> {
      const sends = Array.from({ length: mails + nudges }, (_, index): Send => {
        const number = first + index;
        const accountId = `a-${Math.floor(number / 5)}`;
        const isMail = index < mails;
        const base = { number, accountId, contactId: `c-${number}`, run: `run/fence/${number}` };
        const place = isMail ? `c-${number}@${accountId}.example` : `#s-${number}`;
        const to = { kind: "channel", channel: place } as const;
        return isMail
          ? { ...base, place, channel: "email", command: email("send", { to: { kind: "subject" } }) }
          : {
              ...base,
              place,
              channel: "slack",
              command: command("send", { kind: "slack", to, text: `Look at ${number}`, actions: [], scope: {} }),
            };
      });
      const accounts = [...new Set(sends.map(({ accountId }) => accountId))].map((id) => ({
        id,
        fields: { name: id, timezone: "Europe/Warsaw", csm: "ann" },
      }));
      const contacts = sends.map(({ contactId: id, accountId }) => ({
        id,
        accountId,
        fields: { name: id, first_name: "C", email: `${id}@${accountId}.example`, role: "champion", is_active: true },
      }));
      await stage.write((tx) =>
        stage.store.customers.upsert(tx, { accounts, contacts }, { at: T0 - 50 * DAY, source: "test" }),
      );
      // The desk's channels come into being when they are first named; Slack's are there, and can be looked through.
      for (const { channel, place } of sends) {
        if (channel === "slack")
          await fetch(`${desk.apiUrl}conversations.info`, {
            method: "POST",
            body: new URLSearchParams({ channel: place }),
          });
      }
      for (const { run, accountId, contactId } of sends) await stage.run({ id: run, accountId, contactId });
      return sends;
    },

    async close(): Promise<void> {
      await Promise.all([smtpDoor.stop(), slackDoor.stop()]);
      await mailbox.stop();
      await desk.stop();
      await Promise.all(databases.map((database) => database.close()));
      await stage.close();
    },
  };
}

function hostOf(url: string): string {
  return new URL(url).host;
}

export type FenceStand = Awaited<ReturnType<typeof openFenceStand>>;

/**
 * Where a claimer can stop. `looked`: it has seen the row, and done nothing; `claimed`: the row is its; `agreed`: the server would take the
 * message, the row isn't on the wire; `wired`: it is, and the last look is still to come; `gap`: behind the last look, before the first
 * byte; `answered`: the server's answer is in hand, and not written; `written`: it is.
 */
export type Point = "looked" | "claimed" | "agreed" | "wired" | "gap" | "answered" | "written";

/** The claimer's ports, stopping at the point the first time that it comes there, until `stop` is over. A connection to Postgres is never held meanwhile. */
export function stoppingAt(ports: PerformPorts, point: Point, stop: () => Promise<void>): PerformPorts {
  let hasStopped = false;
  let hasClaimed = false;
  const at = async (here: Point): Promise<void> => {
    if (here !== point || hasStopped) return;
    hasStopped = true;
    await stop();
  };
  const { store, ledger, people, mailer, slack } = ports;
  const afterClaim = async <T>(result: T): Promise<T> => {
    if (hasClaimed) await at("claimed");
    return result;
  };
  return {
    ...ports,
    store: {
      ...store,
      transaction: async (work) => afterClaim(await store.transaction(work)),
      read: async (work) => afterClaim(await store.read(work)),
    },
    ledger: {
      ...ledger,
      async read(...given) {
        const row = await ledger.read(...given);
        await at("looked");
        return row;
      },
      async pinClaimed(...given) {
        const row = await ledger.pinClaimed(...given);
        hasClaimed ||= row !== undefined;
        return row;
      },
      async claim(...given) {
        const row = await ledger.claim(...given);
        hasClaimed ||= row !== undefined;
        return row;
      },
      async wire(...given) {
        await at("agreed");
        const isMine = await ledger.wire(...given);
        if (isMine) await at("wired");
        return isMine;
      },
      async settle(...given) {
        await at("answered");
        const isMine = await ledger.settle(...given);
        await at("written");
        return isMine;
      },
    },
    people: {
      ...people,
      async around(...given) {
        const found = await people.around(...given);
        await at("looked");
        return found;
      },
    },
    mailer: {
      ...mailer,
      send: (message, beforeBody) =>
        mailer.send(message, async () => {
          const mayGo = await beforeBody();
          if (mayGo) await at("gap");
          return mayGo;
        }),
    },
    slack: {
      ...slack,
      async post(message) {
        await at("gap");
        return slack.post(message);
      },
    },
  };
}
