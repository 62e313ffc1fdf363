import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { SmtpServer } from "./smtp-server-url.js";

/** How long the socket may linger after QUIT before it is destroyed. */
const CLOSE_TIMEOUT_MS = 1_000;
/** Servers take so many over one connection, or count: as nodemailer's own pool has it. */
const CARRIES_MAX = 100;

export interface LineOptions {
  readonly setupTimeoutMs: number;
  readonly replyTimeoutMs: number;
  /** What EHLO says. Default: the machine's own name. */
  readonly clientName?: string;
}

/** One connection to the mail server, for a message after the other. */
export class SmtpLine {
  /** Rejects when the connection fails or ends, for whatever reason; never resolves. */
  readonly broken: Promise<never>;
  readonly #connection: SMTPConnection;
  readonly #server: SmtpServer;
  #isBroken = false;
  #carried = 0;

  constructor(server: SmtpServer, options: LineOptions) {
    this.#server = server;
    this.#connection = new SMTPConnection({
      host: server.host,
      port: server.port,
      secure: server.secure,
      requireTLS: server.tls === "required",
      ignoreTLS: server.tls === "never",
      // The mailer's own two deadlines decide; the library's are only kept from being shorter.
      connectionTimeout: options.setupTimeoutMs,
      greetingTimeout: options.setupTimeoutMs,
      dnsTimeout: options.setupTimeoutMs,
      socketTimeout: options.replyTimeoutMs + 60_000,
      socketCloseTimeout: CLOSE_TIMEOUT_MS,
      logger: false,
      ...(options.clientName === undefined ? {} : { name: options.clientName }),
    } as SMTPConnection.Options);
    this.broken = new Promise<never>((_, reject) => {
      const fail = (error: Error) => {
        this.#isBroken = true;
        reject(error);
      };
      this.#connection.on("error", fail);
      // The library's own error, if there is one, names the reply and comes in the same turn: let it be first.
      this.#connection.on("end", () => {
        this.#isBroken = true;
        setImmediate(() => fail(new Error("connection closed")));
      });
    });
    this.broken.catch(() => {});
  }

  /** Has carried a message: the server may have grown tired of waiting for the next. */
  get isUsed(): boolean {
    return this.#carried > 0;
  }

  /** Whether it may carry one more. */
  get isFit(): boolean {
    return !this.#isBroken && this.#carried < CARRIES_MAX;
  }

  /** Connects and logs in, unless that was done for an earlier message; then gives the envelope and the body. The server's own Message-ID, where its answer names one. */
  async carry(
    envelope: { readonly from: string; readonly to: string },
    body: NodeJS.ReadableStream,
  ): Promise<{ serverMessageId?: string | undefined }> {
    if (!this.isUsed) await this.#open();
    const info = await new Promise<{ serverMessageId?: string | undefined }>((resolve, reject) => {
      const { from, to } = envelope;
      this.#connection.send({ from, to: [to] }, body as never, (error, sent) =>
        error ? reject(error) : resolve(sent),
      );
    });
    this.#carried += 1;
    return info;
  }

  async #open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#connection.connect((error?: Error) => (error ? reject(error) : resolve()));
    });
    const { user, password } = this.#server;
    if (user === undefined) return;
    await new Promise<void>((resolve, reject) => {
      const credentials = { user, pass: password ?? "" };
      this.#connection.login({ credentials }, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Says QUIT; a server that doesn't answer it is left anyway. */
  quit(): void {
    if (this.#isBroken) return;
    this.#connection.quit();
    const timer = setTimeout(() => this.#connection.close(), CLOSE_TIMEOUT_MS);
    this.#connection.once("end", () => clearTimeout(timer));
  }

  /** Ends it at once. */
  close(): void {
    this.#connection.close();
  }
}

/** Lines that wait for the next message: the one that was used last is taken first, so that the others may end. */
export class IdleLines {
  readonly #idle: { readonly line: SmtpLine; readonly timer: NodeJS.Timeout }[] = [];
  #isClosed = false;

  constructor(private readonly idleMs: number) {}

  take(): SmtpLine | undefined {
    for (;;) {
      const last = this.#idle.pop();
      if (last === undefined) return undefined;
      clearTimeout(last.timer);
      if (last.line.isFit) return last.line;
    }
  }

  /** Keeps a line, though it may break meanwhile (`take`), for the next message, for `idleMs`; or says good-bye. */
  put(line: SmtpLine): void {
    if (this.#isClosed || !line.isFit) return line.quit();
    const entry = { line, timer: setTimeout(() => this.#drop(entry), this.idleMs) };
    this.#idle.push(entry);
  }

  close(): void {
    this.#isClosed = true;
    for (const entry of [...this.#idle]) this.#drop(entry);
  }

  #drop(entry: { readonly line: SmtpLine; readonly timer: NodeJS.Timeout }): void {
    const at = this.#idle.indexOf(entry);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    clearTimeout(entry.timer);
    entry.line.quit();
  }
}
