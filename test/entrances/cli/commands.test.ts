import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../../src/local/free-port.js";
import { runWaypost, writeFiles } from "../../resilience/support/production.js";
import { mail, workspace } from "../../resilience/support/workspace.js";

const COMMANDS = new URL("../../../src/entrances/cli/commands/", import.meta.url);
/** They run until a signal, and log: there is no answer to print. */
const WITHOUT_ANSWER = ["worker", "server"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const waypost = (...args: string[]) => runWaypost(args, {}, folder);

/** Every command that there is, subcommands by their whole name. */
async function everyCommand(): Promise<Map<string, Command>> {
  const program = new Command("waypost");
  for (const file of readdirSync(COMMANDS).filter((name) => name.endsWith(".ts"))) {
    const module = (await import(new URL(file, COMMANDS).href)) as Record<string, (program: Command) => void>;
    for (const [name, register] of Object.entries(module)) if (name.startsWith("register")) register(program);
  }
  const all = new Map<string, Command>();
  const walk = (command: Command, within: string): void => {
    for (const one of command.commands) {
      const name = `${within}${one.name()}`;
      if (one.commands.length > 0) walk(one, `${name} `);
      else all.set(name, one);
    }
  };
  walk(program, "");
  return all;
}

test("every command says what it does, and all that answer have --json", async () => {
  const all = await everyCommand();
  expect([...all.keys()]).toEqual(
    expect.arrayContaining([
      "import",
      "publish",
      "enrol",
      "event",
      "runs",
      "run",
      "pause",
      "resume",
      "retry",
      "skip",
      "stop",
      "tasks",
      "health",
      "hold",
      "release",
      "when",
      "doctor",
      "dev",
      "worker",
      "server",
      "token create",
      "token list",
      "token revoke",
      "audit list",
      "audit verify",
    ]),
  );
  for (const [name, command] of all) {
    expect(command.description(), name).toMatch(/^[a-z].{10,}/);
    expect(command.helpInformation(), name).toContain(`Usage: waypost ${name}`);
    if (!WITHOUT_ANSWER.includes(name)) expect(command.helpInformation(), name).toMatch(/ --json /);
  }
});

test("--help lists all commands and the exit codes", async () => {
  const { code, stdout } = await waypost("--help");
  const all = [...(await everyCommand()).keys()].map((name) => name.split(" ", 1)[0]);
  const listed = [...stdout.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name);
  expect(code).toBe(0);
  expect(listed.filter((name) => name !== "help").sort()).toEqual([...new Set(all)].sort());
  expect(stdout).toContain("Exit codes: 0 fine, 1 the answer is no, 2 used wrongly, 3 a fault.");
});

describe("exit codes, and errors that say what to do", () => {
  test("0: fine, also for a rule that begins with a minus", async () => {
    const { code, stdout } = await waypost(
      "when",
      "-2",
      "bd",
      "--from",
      "2026-03-09T10:00+01:00",
      "--zone",
      "Europe/Warsaw",
    );
    expect([code, stdout]).toEqual([0, "Thursday, 5 March 2026 at 10:00 in Europe/Warsaw (2026-03-05T09:00:00Z)\n"]);
  });

  test.each([
    ["no such command", ["publsh"], "Did you mean publish?"],
    ["no such option", ["runs", "--jsn"], "Did you mean --json?"],
    ["an argument too few", ["enrol", "--account", "a"], "missing required argument 'playbook'"],
    ["a value that can't be", ["runs", "--limit", "0"], "It must be a whole number from 1 to 500."],
    [
      "nothing to work on",
      ["runs"],
      "DATABASE_URL is not set and no local system runs in this folder. Start one with `waypost dev`, or set DATABASE_URL and TEMPORAL_ADDRESS.",
    ],
  ])("2, used wrongly: %s", async (_about, args, message) => {
    const { code, stdout, stderr } = await waypost(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });

  test("2 with --json: the error on stdout, as one object", async () => {
    const wrong = await waypost("runs", "--limit", "0", "--json");
    expect([wrong.code, wrong.json()]).toEqual([
      2,
      { error: "option '--limit <n>' argument '0' is invalid. It must be a whole number from 1 to 500." },
    ]);
    const nowhere = await waypost("runs", "--json");
    expect([nowhere.code, Object.keys(nowhere.json())]).toEqual([2, ["error"]]);
    const environment = await runWaypost(["runs", "--json"], { DATABASE_URL: "nonsense" }, folder);
    expect([
      environment.code,
      environment.json().problems.map(({ variable }: { variable: string }) => variable),
    ]).toEqual([2, ["DATABASE_URL"]]);
  });

  test("3, a fault: Postgres doesn't answer; doctor says no and what to do", async () => {
    const environment = {
      DATABASE_URL: `postgres://waypost@127.0.0.1:${await freePort()}/waypost`,
      TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
    };
    const runs = await runWaypost(["runs", "--json"], environment, folder);
    expect([runs.code, runs.json()]).toEqual([
      3,
      { error: "Postgres doesn't answer. Is it up, and DATABASE_URL right? `waypost doctor` looks." },
    ]);
    const doctor = await runWaypost(["doctor", "--json"], environment, folder);
    const { ok, findings } = doctor.json();
    expect([doctor.code, ok]).toEqual([1, false]);
    const bad = findings.filter((one: { ok: boolean }) => !one.ok);
    expect(bad.map(({ what, fix }: Record<string, string>) => [what, fix])).toEqual([
      ["Postgres", "is it up, and DATABASE_URL right?"],
      ["Temporal", "is it up, and TEMPORAL_ADDRESS right?"],
    ]);
  }, 30_000);

  test("1, the answer is no: publish --check shows the place in the file, with a caret", async () => {
    const files = workspace({ hello: mail("hello").replace("champion", "champio") });
    await writeFiles(join(folder, "broken"), files);
    const { code, stdout, stderr } = await waypost("publish", "broken", "--check");
    expect([code, stderr]).toEqual([1, ""]);
    expect(stdout).toBe(`hello/playbook.yaml:9:31: error: There is no contact role "champio". [WP203]
9 |   - { id: hello, email: { to: champio, template: hello, category: service, send: now } }
  |                               ^^^^^^^
  = Did you mean "champion"?

1 error. Nothing can be published.
`);
    const json = (await waypost("publish", "broken", "--check", "--json")).json();
    expect(json).toMatchObject({
      ok: false,
      diagnostics: [{ code: "WP203", severity: "error", file: "hello/playbook.yaml", line: 9, column: 31 }],
    });
  });
});
