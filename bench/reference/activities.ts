import { createTransport } from "nodemailer";
import postgres from "postgres";

/** What the hand-written workflows call: the effect that Waypost is compared by. */
export interface ReferenceActivities {
  /** Sends one mail and notes it in a row. */
  sendMail(to: string, step: string): Promise<{ sentAt: number }>;
}

/** Over the same mail server and the same Postgres as Waypost. */
export async function referenceActivities(options: {
  readonly smtpUrl: string;
  readonly databaseUrl: string;
}): Promise<ReferenceActivities & Record<string, unknown>> {
  // Connections are used again, as Waypost does, and as many as it takes.
  const transport = createTransport({ url: options.smtpUrl, pool: true, maxConnections: 100 });
  const sql = postgres(options.databaseUrl, { max: 10, onnotice: () => {} });
  await sql`create table if not exists reference_sent (
    id bigint generated always as identity primary key, recipient text not null, step text not null, sent_at timestamptz not null default now()
  )`;
  return {
    async sendMail(to, step) {
      await transport.sendMail({
        from: "ann@waypost.example",
        to,
        subject: "Hello, Pat",
        text: "Hi Pat,\n\none thing matters today: connect your data. It takes about two minutes.\n\nAnn Ames\n",
        html: "<p>Hi Pat,</p><p>one thing matters today: connect your data. It takes about two minutes.</p><p>Ann Ames</p>",
      });
      await sql`insert into reference_sent (recipient, step) values (${to}, ${step})`;
      return { sentAt: Date.now() };
    },
  };
}
