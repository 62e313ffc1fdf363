import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CopiedPostgres, startCopiedPostgres } from "./support/cold-copy.js";
import { eventually, pause, type Production, type Program, type Run, startProduction } from "./support/production.js";
import { END, mail, waitForGo, workspace } from "./support/workspace.js";

const nudge = (id: string) => `  - { id: ${id}, slack: { to: "#cs", text: "{{ account.name }}: ${id}" } }\n`;
const PLAYBOOKS = {
  walk:
    mail("one") +
    nudge("say_one") +
    waitForGo("go1") +
    mail("two") +
    nudge("say_two") +
    waitForGo("go2") +
    mail("three") +
    END,
  call: `${mail("before")}  - { id: call, task: { title: "Call {{ account.name }}", for: csm, due: 2 bd, wait: done, within: 5 bd } }\n${mail("after")}${END}`,
  once: mail("single") + nudge("say_single") + END,
};

/** Temporal is told every 5 s what the database has counted. */
const NOTED_MS = 6_500;
/** How old the copy is when it is put back: seconds here, minutes by command. */
const COPY_AGE_MS = Math.max(NOTED_MS, Number(process.env["WAYPOST_COPY_AGE_SECONDS"] ?? 0) * 1_000);

const at =
  (step: string) =>
  ({ position }: Run): boolean =>
    position.some((key) => key.endsWith(step));
const ended = ({ status }: Run): boolean => status === "ended";

describe.each([
  { name: "while worker and server go on", isRestarted: false },
  { name: "while worker and server are down, killed", isRestarted: true },
])("the database is put back to a cold copy, $name", ({ isRestarted }) => {
  let postgres: CopiedPostgres;
  let waypost: Production;
  let programs: Program[];
  // Both have one Temporal: an account's name is in its runs' ids.
  const suffix = isRestarted ? "2" : "";
  const name = (account: string): string => `${account}${suffix}`;
  const all = (...accounts: string[]): string[] => accounts.map(name);
  /** What the CRM has posted since the copy, to be posted again. */
  const posted: { id: string; name: string; account: string; payload: object }[] = [];

  const start = async () => {
    programs = await Promise.all([waypost.worker(), waypost.server()]);
  };
  const post = async (id: string, name: string, account: string, payload: object) => {
    const event = { id, name, account, payload };
    posted.push(event);
    expect((await waypost.ask("POST", "/v1/events", event)).status).toBe(202);
  };
  const signal = (playbook: string, account: string) =>
    post(`${playbook}-${account}`, "signal.raised", account, { reason: playbook });
  const go = (account: string, number: number) => post(`go${number}-${account}`, "go.given", account, { word: "go" });
  const task = async (account: string) =>
    (await waypost.ask("GET", `/v1/tasks?account=${account}`)).body.tasks.find(
      ({ status }: { status: string }) => status === "open",
    );
  const mails = () => waypost.mailbox.messages().map(({ subject }) => subject ?? "");
  const posts = () => waypost.desk.posts().map(({ text }) => text);
  const logs = async () => programs.map((program) => program.log()).join("\n");
  const answering = () =>
    eventually(
      async () => ((await fetch(`${waypost.url}/readyz`).catch(() => undefined))?.status === 200 ? true : undefined),
      logs,
      30_000,
    );

  beforeAll(async () => {
    postgres = await startCopiedPostgres();
    waypost = await startProduction({ database: postgres });
    await start();
    await waypost.publish(workspace(PLAYBOOKS));
    for (const account of all("still", "walks", "waits", "ends", "tasked", "called")) await waypost.account(account);
    for (const account of all("still", "walks", "waits", "ends")) await waypost.signal("walk", account);
    for (const account of all("still", "walks", "waits", "ends")) await waypost.run(account, at("go1"));
    await waypost.signal("call", name("tasked"));
    await waypost.run(name("tasked"), at("call"));
    await pause(NOTED_MS);
  }, 120_000);
  afterAll(async () => waypost?.stop());

  test(
    "nothing is doubled, sends are held for a person, and after the release every run goes on",
    async () => {
      await postgres.copy();
      await answering();

      // Runs walk on, begin, and end.
      for (const account of all("walks", "waits", "ends")) await go(account, 1);
      for (const account of all("walks", "waits", "ends")) await waypost.run(account, at("go2"), 30_000);
      await go(name("ends"), 2);
      await waypost.run(name("ends"), ended);
      const { id: first } = await task(name("tasked"));
      expect((await waypost.ask("POST", `/v1/tasks/${first}/complete`, { by: "ann" })).status).toBe(200);
      await waypost.run(name("tasked"), ended);
      await waypost.account(name("fresh"));
      await waypost.account(name("brief"));
      await signal("walk", name("fresh"));
      await waypost.run(name("fresh"), at("go1"));
      await signal("once", name("brief"));
      await waypost.run(name("brief"), ended);
      await signal("call", name("called"));
      await waypost.run(name("called"), at("call"));
      await eventually(async () =>
        posts().some((text) => text.includes(`Call ${name("called")}`)) ? true : undefined,
      );
      await pause(COPY_AGE_MS);
      const before = { mails: mails().length, posts: posts().length };
      expect(before).toEqual({ mails: 13, posts: 11 });

      if (isRestarted) for (const program of programs) await program.end("SIGKILL");
      await postgres.putBack();
      await pause(1_000);
      await postgres.start();
      if (isRestarted) await start();
      await answering();

      // Somebody is told, on the one message that still goes out.
      const held = await eventually(async () => {
        const { switches } = (await waypost.waypost("hold", "--json")).json();
        return switches.find((one: { name: string }) => one.name === "all_sends");
      }, logs);
      expect(held.by).toBe("waypost");
      expect(held.reason).toMatch(/^the database was put back to an older copy: it knows nothing since 20.*Z; /);
      await eventually(async () =>
        posts().some((text) => text.startsWith("Nothing is sent any more")) ? true : undefined,
      );
      const doctor = await waypost.waypost("doctor", "--json");
      expect(doctor.code).toBe(1);
      const finding = doctor.json().findings.find(({ what }: { what: string }) => what === "database");
      expect(finding).toMatchObject({ ok: false, says: expect.stringContaining("it knows nothing since") });
      expect(finding.fix).toContain("waypost release --all-sends");

      // What is missing is imported, and posted again; something new happens, too.
      await waypost.account(name("fresh"));
      await waypost.account(name("brief"));
      await waypost.account(name("later"));
      for (const event of posted) expect((await waypost.ask("POST", "/v1/events", event)).status).toBe(202);
      await waypost.signal("once", name("later"));
      await go(name("still"), 1);
      await go(name("walks"), 2);
      await pause(8_000);
      expect({ mails: mails().length, posts: posts().length }).toEqual({
        mails: before.mails,
        posts: before.posts + 1,
      });

      expect((await waypost.waypost("release", "--all-sends")).code).toBe(0);
      await waypost.run(name("walks"), ended, 60_000);
      await waypost.run(name("later"), ended, 60_000);
      await waypost.run(name("still"), at("go2"), 60_000);
      await go(name("still"), 2);
      await go(name("waits"), 2);
      await waypost.run(name("still"), ended, 60_000);
      await waypost.run(name("waits"), ended, 60_000);
      await waypost.run(name("fresh"), at("go1"), 60_000);
      await go(name("fresh"), 1);
      await waypost.run(name("fresh"), at("go2"), 60_000);
      await go(name("fresh"), 2);
      await waypost.run(name("fresh"), ended, 60_000);
      for (const account of all("ends", "brief", "tasked"))
        expect((await waypost.run(account, ended, 60_000)).outcome).toBe("done");
      await waypost.run(name("called"), at("call"), 60_000);
      const again = await eventually(() => task(name("called")));
      expect((await waypost.ask("POST", `/v1/tasks/${again.id}/complete`, { by: "ann" })).status).toBe(200);
      await waypost.run(name("called"), ended, 60_000);

      const walkers = all("still", "walks", "waits", "ends", "fresh");
      expect([...mails()].sort()).toEqual(
        [
          ...walkers.flatMap((account) => ["one", "two", "three"].map((word) => `${word} for ${account}`)),
          ...all("tasked", "called").flatMap((account) => ["before", "after"].map((word) => `${word} for ${account}`)),
          ...all("brief", "later").map((account) => `single for ${account}`),
        ].sort(),
      );
      const nudges = posts().filter((text) => /^\w+: say_/.test(text));
      expect([...nudges].sort()).toEqual(
        [
          ...walkers.flatMap((account) => ["say_one", "say_two"].map((word) => `${account}: ${word}`)),
          ...all("brief", "later").map((account) => `${account}: say_single`),
        ].sort(),
      );
      expect(waypost.mailbox.stats().duplicated).toBe(0);
      expect(waypost.desk.stats().duplicated).toBe(0);
      const { id } = await waypost.run(name("waits"));
      expect(await waypost.timeline(id)).toEqual([
        "run.started",
        "email.sent one",
        "slack.posted say_one",
        "wait_for.began go1",
        "store.put_back",
        "wait_for.met go2",
        "email.sent three",
        "run.ended end-8",
      ]);
      const parked = (await waypost.ask("GET", "/v1/runs?status=parked")).body.runs;
      expect(parked).toEqual([]);
    },
    240_000 + COPY_AGE_MS,
  );
});
