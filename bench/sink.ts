import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";

/** A mail server that takes everything, keeps nothing, and says what came when. Both sides of a comparison send to it. */
export interface Sink {
  readonly smtpUrl: string;
  readonly host: string;
  readonly port: number;
  /** Messages taken so far. */
  count(): number;
  /** Of one recipient. */
  countOf(address: string): number;
  /** Called for each message once it is taken, with the recipient and `performance.now()`. */
  onMessage: ((recipient: string, at: number) => void) | undefined;
  stop(): Promise<void>;
}

export async function startSink(): Promise<Sink> {
  const counts = new Map<string, number>();
  let count = 0;
  const server = new SMTPServer({
    banner: "sink",
    disabledCommands: ["STARTTLS", "AUTH"],
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 1_000,
    onData(stream, session, done) {
      stream.on("error", done);
      stream.on("end", () => {
        const recipient = session.envelope.rcptTo[0]?.address ?? "";
        count += 1;
        counts.set(recipient, (counts.get(recipient) ?? 0) + 1);
        sink.onMessage?.(recipient, performance.now());
        done();
      });
      stream.resume();
    },
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;
  const sink: Sink = {
    smtpUrl: `smtp://127.0.0.1:${port}`,
    host: "127.0.0.1",
    port,
    count: () => count,
    countOf: (address) => counts.get(address) ?? 0,
    onMessage: undefined,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return sink;
}
