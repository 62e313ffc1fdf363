import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  clockVariable,
  describeVariables,
  EnvironmentFault,
  KNOWN_VARIABLES,
  readEnvironment,
  SERVER_NEEDS,
  WORKER_NEEDS,
} from "../../src/entrances/environment.js";

const GOOD = {
  DATABASE_URL: "postgres://waypost:hunter2@postgres:5432/waypost",
  TEMPORAL_ADDRESS: "temporal:7233",
  SMTP_URL: "smtp://user:hunter2@smtp.example.com:587",
  PUBLIC_URL: "https://waypost.example.com",
};

function problemsOf(source: Record<string, string>, needs: readonly (typeof KNOWN_VARIABLES)[number][] = []): string[] {
  try {
    readEnvironment(source, needs);
    return [];
  } catch (error) {
    if (!(error instanceof EnvironmentFault)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

test("what is there is read, what is empty is not there", () => {
  const environment = readEnvironment(
    {
      ...GOOD,
      TEMPORAL_NAMESPACE: "",
      TEMPORAL_TLS: "yes",
      SMTP_REPLY_TIMEOUT: "5s",
      EMAIL_ONLY_TO: "qa@example.com,@example.org",
      SLACK_BOT_TOKEN: "  ",
      PORT: "0",
      WAYPOST_CLOCK: '{"scale":60000,"realOrigin":"2026-01-05T09:00:00Z","domainOrigin":1767000000000}',
      WAYPOST_LOG_LEVEL: "warn",
      UNRELATED: "x",
    },
    WORKER_NEEDS,
  );
  expect(environment).toEqual({
    ...GOOD,
    TEMPORAL_TLS: true,
    SMTP_REPLY_TIMEOUT: 5_000,
    EMAIL_ONLY_TO: { kind: "restrict", addresses: ["qa@example.com"], domains: ["example.org"] },
    PORT: 0,
    WAYPOST_CLOCK: { scale: 60000, realOrigin: 1767603600000, domainOrigin: 1767000000000 },
    WAYPOST_LOG_LEVEL: "warn",
  });
});

test("what is missing is named with what it is and an example, all at once", () => {
  expect(problemsOf({ DATABASE_URL: "" }, SERVER_NEEDS)).toEqual([
    "DATABASE_URL is not set (Postgres). For example: DATABASE_URL=postgres://waypost:PASSWORD@postgres:5432/waypost",
    "TEMPORAL_ADDRESS is not set (Temporal's gRPC front end). For example: TEMPORAL_ADDRESS=temporal:7233",
    "PUBLIC_URL is not set (how customers and Slack reach the server; in every unsubscribe link). For example: PUBLIC_URL=https://waypost.example.com",
  ]);
});

describe("what is wrong is told without the value", () => {
  test.each([
    [
      "DATABASE_URL",
      "mysql://u:hunter2@h/d",
      "DATABASE_URL must be an address beginning with postgres:// or postgresql://.",
    ],
    ["DATABASE_URL", "hunter2", "DATABASE_URL must be an address beginning with postgres:// or postgresql://."],
    ["TEMPORAL_ADDRESS", "http://temporal:7233", "TEMPORAL_ADDRESS must be HOST:PORT, without http://."],
    ["TEMPORAL_TLS", "perhaps", "TEMPORAL_TLS must be true or false."],
    [
      "WAYPOST_PAYLOAD_KEY",
      "hunter2",
      "WAYPOST_PAYLOAD_KEY must be 32 random bytes in base64, or several of these separated by commas, the newest first.",
    ],
    ["SMTP_URL", "http://u:hunter2@h", 'SMTP_URL can\'t be used: "http:" is not SMTP.'],
    ["SMTP_REPLY_TIMEOUT", "3d", "SMTP_REPLY_TIMEOUT must be a time in s, m or h."],
    ["MAIL_DOMAIN", "a b", "MAIL_DOMAIN must be a domain."],
    ["EMAIL_ONLY_TO", "nobody", 'EMAIL_ONLY_TO can\'t be used: "nobody" is neither an address nor @domain.'],
    ["SLACK_BOT_TOKEN", "hunter2", "SLACK_BOT_TOKEN must be the app's bot token, which begins with xoxb-."],
    [
      "SLACK_SIGNING_SECRET",
      "hunter2",
      "SLACK_SIGNING_SECRET must be the app's signing secret (32 hexadecimal digits).",
    ],
    ["SLACK_APP_TOKEN", "hunter2", "SLACK_APP_TOKEN must be an app-level token, which begins with xapp-."],
    ["SLACK_API_URL", "http://127.0.0.1:1/x", "SLACK_API_URL must end in /api/."],
    ["PUBLIC_URL", "waypost.example.com", "PUBLIC_URL must be an address beginning with http:// or https://."],
    ["PORT", "70000", "PORT must be a whole number from 0 to 65535."],
    ["WAYPOST_CLOCK", "{", "WAYPOST_CLOCK must be JSON."],
    [
      "WAYPOST_CLOCK",
      '{"scale":0}',
      "WAYPOST_CLOCK must have scale (1 to 10,000,000), realOrigin and domainOrigin (instants), and nothing else.",
    ],
    ["WAYPOST_LOG_LEVEL", "loud", "WAYPOST_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent."],
    ["WAYPOST_MAX_CACHED_RUNS", "many", "WAYPOST_MAX_CACHED_RUNS must be a whole number from 1 to 100000."],
  ])("%s=%s", (name, value, expected) => {
    const [problem = "", ...rest] = problemsOf({ [name]: value });
    expect(rest).toEqual(name === "SLACK_APP_TOKEN" ? expect.anything() : []);
    expect(problem.startsWith(expected)).toBe(true);
    expect(problem).toContain(`For example: ${name}=`);
    expect(problem).not.toContain("hunter2");
  });
});

test("Socket Mode needs the bot's token too", () => {
  expect(problemsOf({ SLACK_APP_TOKEN: "xapp-1-abc" })[0]).toMatch(
    /^SLACK_BOT_TOKEN is not set, but SLACK_APP_TOKEN is/,
  );
});

test("every example is one that is taken", () => {
  const placeholders = new Set(["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "WAYPOST_PAYLOAD_KEY"]);
  const examples = describeVariables().filter(({ name }) => !placeholders.has(name));
  for (const { name, example } of examples) expect(problemsOf({ [name]: example }), name).toEqual([]);
});

test("a clock goes into the environment and comes out the same", () => {
  const setting = { scale: 175_200, realOrigin: 1_767_603_600_123, domainOrigin: 1_735_689_600_000 };
  expect(readEnvironment({ WAYPOST_CLOCK: clockVariable(setting) }).WAYPOST_CLOCK).toEqual(setting);
});

test("docker-compose.yml gives our processes only variables that are read, and all they need", () => {
  const file = parse(readFileSync("docker-compose.yml", "utf8"), { merge: true }) as {
    services: Record<string, { environment?: Record<string, string> }>;
  };
  for (const [service, needs] of [
    ["server", SERVER_NEEDS],
    ["worker", WORKER_NEEDS],
  ] as const) {
    const given = Object.keys(file.services[service]?.environment ?? {});
    expect(given.filter((name) => !(KNOWN_VARIABLES as readonly string[]).includes(name))).toEqual([]);
    expect(needs.filter((name) => !given.includes(name))).toEqual([]);
    // Where it is, is the composition's own business: so is its Temporal. The rest is never for production.
    const left = ["TEMPORAL_API_KEY", "TEMPORAL_TLS", "WAYPOST_CLOCK", "MAILBOX_URL", "SLACK_API_URL"];
    const ofServer = service === "server" ? [] : ["HOST", "PORT"];
    expect(KNOWN_VARIABLES.filter((name) => !given.includes(name)).sort()).toEqual([...left, ...ofServer].sort());
  }
});

test(".env.example has what docker-compose.yml reads, and nothing else; git leaves .env out", () => {
  const read = [...readFileSync("docker-compose.yml", "utf8").matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name);
  const named = [...readFileSync(".env.example", "utf8").matchAll(/^(?:# )?([A-Z_]+)=/gm)].map(([, name]) => name);
  expect([...named].sort()).toEqual([...new Set(read)].sort());
  expect(readFileSync(".gitignore", "utf8").split("\n")).toContain(".env");
});

test("examples of .env.example are taken", () => {
  const lines = readFileSync(".env.example", "utf8").matchAll(/^# ([A-Z_]+)=(.+)$/gm);
  const source = Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
  expect(Object.keys(source).length).toBeGreaterThan(8);
  expect(() => readEnvironment(source)).not.toThrow();
});
