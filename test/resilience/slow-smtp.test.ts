import { afterAll, beforeAll, expect, test } from "vitest";
import { type Production, startProduction } from "./support/production.js";
import { END, mail, workspace } from "./support/workspace.js";

/** How long the server thinks about the final dot. By command nine minutes: `WAYPOST_SMTP_ANSWER_SECONDS=540`. */
const SECONDS = Number(process.env["WAYPOST_SMTP_ANSWER_SECONDS"] ?? 15);

let waypost: Production;

beforeAll(async () => {
  // Neither is set: the default, ten minutes (RFC 5321, 4.5.3.2.6), and a server that can't be asked whether it has a mail.
  waypost = await startProduction({ environment: { SMTP_REPLY_TIMEOUT: "", MAILBOX_URL: "" } });
  await Promise.all([waypost.worker(), waypost.server()]);
  await waypost.publish(workspace({ once: mail("single") + END }));
}, 60_000);
afterAll(async () => waypost?.stop());

test(`a server that answers ${SECONDS} s after the dot has the mail once, and nobody is asked about it`, {
  timeout: SECONDS * 1_000 + 60_000,
}, async () => {
  waypost.mailbox.misbehave({ kind: "delay", at: "body", delayMs: SECONDS * 1_000, to: "pat@slow.example", times: 1 });
  await waypost.account("slow");
  await waypost.signal("once", "slow");
  const began = performance.now();
  const run = await waypost.run("slow", ({ status }) => status === "ended", SECONDS * 1_000 + 40_000);
  expect(waypost.mailsTo("slow")).toEqual(["single for slow"]);
  expect(await waypost.timeline(run.id)).toEqual(["run.started", "email.sent single", "run.ended end-2"]);
  expect(waypost.mailbox.stats()).toMatchObject({ duplicated: 0 });
  console.log(
    `slow SMTP: answered ${SECONDS} s after the dot, ended after ${((performance.now() - began) / 1_000).toFixed(1)} s`,
  );
});
