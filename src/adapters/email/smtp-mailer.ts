import { Readable } from "node:stream";
import type { MailResult, Mailer, RawMessage } from "../../ports/mailer.js";
import { isAddress } from "./address.js";
import { askMailbox } from "./ask-mailbox.js";
import { type OnlyTo, onlyToAllows } from "./only-to.js";
import { IdleLines, type LineOptions, SmtpLine } from "./smtp-line.js";
import { smtpServerFromUrl } from "./smtp-server-url.js";

export interface SmtpMailerOptions {
  /** `smtp://user:pass@host:port?tls=required` or `smtps://…`: see `smtpServerFromUrl`. */
  readonly url: string;
  /** How long the answer to the final dot may take, in real milliseconds; then the result is `unknown`. RFC 5321 gives it ten minutes. */
  readonly replyTimeoutMs: number;
  /** From connecting to the server's answer to DATA, in real milliseconds. Default 10 000; nothing was sent when it is over. */
  readonly setupTimeoutMs?: number;
  /** How long a connection waits for the next message, in real milliseconds. Default 5 000. */
  readonly idleMs?: number;
  /** What EHLO says. Default: the machine's own name. */
  readonly clientName?: string;
  /** `EMAIL_ONLY_TO`, held here too: a message that was composed before it was set still goes to nobody else. */
  readonly onlyTo?: OnlyTo;
  /** Base address of a mailbox that can be asked for a Message-ID (`src/local/mailbox.ts`); gives `find`. */
  readonly mailboxUrl?: string;
}

/**
 * Mail over SMTP; a connection carries one message at a time, and waits `idleMs` for the next. On the wire: everything up to the server's agreement to DATA, then
 * `beforeBody`, then the body and the dot; so a message whose `beforeBody` was not called, or said no, was certainly not
 * sent. Throws for a `url` that can't be read; `send` never throws.
 */
export function createSmtpMailer(options: SmtpMailerOptions): Mailer {
  const server = smtpServerFromUrl(options.url);
  const timeouts: LineOptions = { ...options, setupTimeoutMs: options.setupTimeoutMs ?? DEFAULT_SETUP_TIMEOUT_MS };
  const idle = new IdleLines(options.idleMs ?? DEFAULT_IDLE_MS);
  const mailer: Mailer = {
    async send(message, beforeBody) {
      const to = recipientOf(message, options.onlyTo);
      if (typeof to !== "string") return to;
      const redirected = { ...message, envelope: { ...message.envelope, to } };
      const sendOver = async (line: SmtpLine): Promise<Talked> => {
        const talked = await converse(line, timeouts, redirected, beforeBody);
        if (talked.result.kind === "accepted") idle.put(line);
        else line.close();
        return talked;
      };
      const first = await sendOver(idle.take() ?? new SmtpLine(server, timeouts));
      return (first.isStale ? await sendOver(new SmtpLine(server, timeouts)) : first).result;
    },
    close: () => idle.close(),
  };
  const { mailboxUrl } = options;
  if (mailboxUrl === undefined) return mailer;
  return { ...mailer, find: (messageId) => askMailbox(mailboxUrl, messageId) };
}

const DEFAULT_SETUP_TIMEOUT_MS = 10_000;

/** Below the patience of the most impatient servers (Amazon SES: 10 s). */
const DEFAULT_IDLE_MS = 5_000;

function recipientOf(message: RawMessage, onlyTo: OnlyTo | undefined): string | MailResult {
  const { from, to } = message.envelope;
  if (!isAddress(to)) return refused("recipient is not an address", { permanent: true });
  if (!isAddress(from)) return refused("sender is not an address", { permanent: true, ours: true });
  const allowed = onlyToAllows(onlyTo, to);
  return allowed.kind === "send" ? allowed.to : refused("EMAIL_ONLY_TO", { permanent: true, ours: true });
}

/** What a conversation came to; `isStale`: the line had been idle, and the server did not hear the message: another line may carry it. */
type Talked = { readonly result: MailResult; readonly isStale: boolean };

/** One message over one line. */
async function converse(
  line: SmtpLine,
  options: LineOptions,
  message: RawMessage,
  beforeBody: () => Promise<boolean>,
): Promise<Talked> {
  const deadline = new Deadline();
  const body = new FencedBody(Buffer.from(message.raw, "utf8"), beforeBody, {
    // The fence has its own clock; only the conversation around it is timed here.
    asked: () => deadline.clear(),
    answered: () => deadline.set(options.replyTimeoutMs, "no answer in time"),
  });
  deadline.set(options.setupTimeoutMs, "timed out");
  const wasUsed = line.isUsed;
  try {
    const { serverMessageId } = await Promise.race([line.broken, deadline.passed, line.carry(message.envelope, body)]);
    return { result: { kind: "accepted", ...(serverMessageId !== undefined && { serverMessageId }) }, isStale: false };
  } catch (error) {
    // Whoever asked the fence must have its answer before the result is known: it writes the row.
    await body.abandon();
    const { responseCode } = error as SmtpError;
    // A definite no is one on any line, but for "I am closing this connection".
    const isStale = wasUsed && body.phase === "before" && (responseCode === undefined || responseCode === 421);
    return { result: resultOf(error, body.phase), isStale };
  } finally {
    deadline.clear();
  }
}

/**
 * The body as a stream that asks the fence on its first read, which is after the server has agreed to DATA. The bytes
 * are pushed in the same tick as the fence's answer arrives, so nothing comes between its last look and the socket.
 */
class FencedBody extends Readable {
  phase: "before" | "asking" | "refused" | "on_wire" = "before";
  #answer: Promise<void> | undefined;
  #abandoned = false;

  constructor(
    private readonly bytes: Buffer,
    private readonly beforeBody: () => Promise<boolean>,
    private readonly told: { asked(): void; answered(): void },
  ) {
    super();
  }

  override _read(): void {
    if (this.phase !== "before" || this.#abandoned) return;
    this.phase = "asking";
    this.told.asked();
    this.#answer = this.#ask();
  }

  /** Nothing is sent from now on, unless it already was. Resolves when the fence, if asked, has answered. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.#answer;
  }

  async #ask(): Promise<void> {
    let mayGo = false;
    try {
      mayGo = await this.beforeBody();
    } catch {
      // A fence that can't answer says no: see the port.
    }
    if (!mayGo) {
      this.phase = "refused";
      this.destroy(new Error("fence"));
      return;
    }
    if (this.#abandoned || this.destroyed) return;
    this.phase = "on_wire";
    this.told.answered();
    this.push(this.bytes);
    this.push(null);
  }
}

/** One timer at a time; `passed` rejects when it runs out. */
class Deadline {
  readonly passed: Promise<never>;
  #reject: (error: Error) => void = () => {};
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.passed = new Promise<never>((_, reject) => {
      this.#reject = reject;
    });
    this.passed.catch(() => {});
  }

  set(ms: number, reason: string): void {
    this.clear();
    this.#timer = setTimeout(() => this.#reject(new Error(reason)), ms);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

function resultOf(error: unknown, phase: FencedBody["phase"]): MailResult {
  if (phase === "refused") return refused("fence");
  const { code, command, response, responseCode } = error as SmtpError;
  if (typeof responseCode === "number" && responseCode >= 400 && responseCode <= 599) {
    return replyResult(stageOf(command), responseCode, response ?? "", phase);
  }
  const reason = `${stageOf(command)}: ${code ?? (error instanceof Error ? error.message : "failed")}`;
  if (phase === "on_wire") return { kind: "unknown", reason: "no answer after the body" };
  // No common way to log in, or none offered: what is configured doesn't fit the server.
  return refused(reason, { ours: code === "EAUTH" || code === "ENOAUTH" });
}

interface SmtpError {
  readonly code?: string;
  readonly command?: string;
  readonly response?: string;
  readonly responseCode?: number;
}

/** A reply of 400 to 599 is a definite no, also to the dot. Its text isn't passed on: servers put the address into it. */
function replyResult(stage: Stage, replyCode: number, response: string, phase: FencedBody["phase"]): MailResult {
  const permanent = replyCode >= 500;
  const enhanced = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?!\S)/.exec(response)?.[1];
  const where = phase === "on_wire" ? "body" : stage;
  return refused([replyCode, enhanced, "at", where].filter((part) => part !== undefined).join(" "), {
    permanent,
    suppress: stage === "recipient" && phase !== "on_wire" && (enhanced === "5.1.1" || enhanced === "5.1.10"),
    // 5.7.x is policy: our reputation, authentication or rights, never the person's address.
    // So is a refusal before there was any envelope: the relay doesn't want us, whoever the mail is for.
    ours: permanent && (OURS.has(where) || (enhanced?.startsWith("5.7.") ?? false)),
  });
}

const OURS: ReadonlySet<string> = new Set(["connection", "login", "sender"] satisfies Stage[]);

type Stage = "connection" | "login" | "sender" | "recipient" | "data";

function stageOf(command: string | undefined): Stage {
  if (command === "MAIL FROM") return "sender";
  if (command === "RCPT TO") return "recipient";
  if (command === "DATA") return "data";
  if (command?.startsWith("AUTH")) return "login";
  return "connection";
}

function refused(
  reason: string,
  {
    permanent = false,
    suppress = false,
    ours = false,
  }: { permanent?: boolean; suppress?: boolean; ours?: boolean } = {},
): MailResult {
  return { kind: "refused", permanent, suppress, ours, reason };
}
