import { existsSync } from "node:fs";
import type { Command } from "commander";
import { EnvironmentFault, KNOWN_VARIABLES, readEnvironment } from "../../environment.js";
import { createLogger } from "../../logger.js";
import { type Wired, wire } from "../../wire.js";
import { AnswerNo, outputOf, table } from "../answer.js";
import { sourceEnvironment } from "../session.js";

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly says: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** `waypost doctor`: what this process would run on, and what is wrong with it. Changes nothing. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("check the environment, Postgres, Temporal and what is published; changes nothing")
    .option("--reachable", "only whether Postgres and Temporal answer: for health checks")
    .option("--json", "{ ok, findings }")
    .action(async (options: { reachable?: boolean; json?: boolean }) => {
      const findings = await examine(options.reachable === true);
      const ok = findings.every((finding) => finding.ok);
      const text = table(
        ["", "WHAT", ""],
        findings.map(({ ok: isFine, what, says, fix }) => [
          isFine ? "ok" : "NO",
          what,
          fix === undefined ? says : `${says}  → ${fix}`,
        ]),
      );
      if (!ok) throw new AnswerNo(text, { ok, findings });
      outputOf(options.json === true).answer({ ok, findings }, text);
    });
}

/** How long one look may take, real milliseconds. */
const LOOK_MS = 5_000;

async function examine(isOnlyReachability: boolean): Promise<Finding[]> {
  const findings: Finding[] = [{ what: "Node", ok: true, says: process.version }];
  const source = sourceEnvironment();
  let environment: ReturnType<typeof readEnvironment>;
  try {
    environment = readEnvironment(source);
    const set = KNOWN_VARIABLES.filter((name) => environment[name] !== undefined);
    findings.push({ what: "environment", ok: true, says: set.length === 0 ? "nothing is set" : set.join(" ") });
  } catch (error) {
    if (!(error instanceof EnvironmentFault)) throw error;
    return [
      ...findings,
      ...error.problems.map(({ variable, message }) => ({
        what: variable,
        ok: false,
        says: message,
        fix: "mend the variable",
      })),
    ];
  }
  if (environment.DATABASE_URL === undefined) {
    return [
      ...findings,
      {
        what: "Postgres",
        ok: false,
        says: "DATABASE_URL is not set, and no local system runs here",
        fix: "start `waypost dev`, or set it",
      },
    ];
  }
  const wired = wire(
    { ...environment, DATABASE_URL: environment.DATABASE_URL },
    "doctor",
    createLogger("silent", "doctor"),
  );
  try {
    findings.push(await look("Postgres", () => postgres(wired), "is it up, and DATABASE_URL right?"));
    findings.push(await look("Temporal", () => temporal(wired), "is it up, and TEMPORAL_ADDRESS right?"));
    if (isOnlyReachability) return findings;
    if (findings.find(({ what }) => what === "Postgres")?.ok === true) {
      findings.push(await look("playbooks", () => published(wired), "run `waypost publish`"));
      findings.push(
        await look("runs", () => attention(wired), "see `waypost runs --status parked`, then retry, skip or stop"),
      );
    }
  } finally {
    await wired.close();
  }
  const folder = environment.WAYPOST_PLAYBOOKS ?? "playbooks";
  findings.push({
    what: "playbooks folder",
    ok: true,
    says: existsSync(folder) ? folder : `${folder} is not here (only publishing needs it)`,
  });
  return findings;
}

async function look(what: string, work: () => Promise<string>, fix: string): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${LOOK_MS / 1000} s`)), LOOK_MS);
  });
  try {
    return { what, ok: true, says: await Promise.race([work(), late]) };
  } catch (error) {
    return { what, ok: false, says: error instanceof Error ? (error.message.split("\n")[0] ?? "") : "failed", fix };
  } finally {
    clearTimeout(timer);
  }
}

async function postgres({ database }: Wired): Promise<string> {
  const [row] = await database.client<{ version: string }[]>`select current_setting('server_version') as version`;
  return `answers (${row?.version})`;
}

async function temporal({ temporal: client }: Wired): Promise<string> {
  const info = await client.workflowService.getSystemInfo({});
  return `answers (${info.serverVersion})`;
}

async function published({ store }: Wired): Promise<string> {
  const versions = (await store.read((tx) => store.playbooks.versions(tx))).filter(({ isCurrent }) => isCurrent);
  if (versions.length === 0) throw new Error("nothing is published");
  return versions.map(({ playbook, number }) => `${playbook}@${number}`).join(" ");
}

async function attention({ store }: Wired): Promise<string> {
  const parked = await store.read((tx) => store.runs.list(tx, { status: ["parked"], limit: 100 }));
  if (parked.length > 0) throw new Error(`${parked.length === 100 ? "100 or more" : parked.length} need attention`);
  return "none needs attention";
}
