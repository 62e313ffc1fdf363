import * as z from "zod";
import { smtpServerFromUrl } from "../adapters/email/smtp-server-url.js";
import { readPayloadKeys } from "../adapters/temporal/encrypting-codec.js";
import { parseOnlyTo } from "../adapters/email/only-to.js";
import type { ClockSetting } from "../ports/clock.js";
import { EXACT_UNIT_MS } from "../values/add-duration.js";
import { parseDuration } from "../values/duration.js";
import { formatInstant, parseInstant } from "../values/instant.js";

/** What one variable means: how its text is read, and what a right one looks like. */
interface Variable<T> {
  /** Reads a text that is not empty; every message is ours and repeats nothing of a secret. */
  readonly read: (text: string) => T;
  readonly about: string;
  readonly example: string;
  readonly isSecret?: boolean;
}

const VARIABLES = {
  DATABASE_URL: {
    ...url(["postgres:", "postgresql:"]),
    about: "Postgres",
    example: "postgres://waypost:PASSWORD@postgres:5432/waypost",
    isSecret: true,
  },
  TEMPORAL_ADDRESS: {
    ...matching(/^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$/, "must be HOST:PORT, without http://"),
    about: "Temporal's gRPC front end",
    example: "temporal:7233",
  },
  TEMPORAL_NAMESPACE: {
    ...matching(/^[\w.-]{1,255}$/, "must be a name of letters, digits, dots, - and _"),
    about: "Temporal's namespace; default `default`",
    example: "default",
  },
  TEMPORAL_API_KEY: {
    ...matching(/^\S+$/, "must not contain spaces"),
    about: "for Temporal Cloud; turns TLS on",
    example: "KEY",
    isSecret: true,
  },
  TEMPORAL_TLS: { ...flag(), about: "TLS to Temporal", example: "true" },
  WAYPOST_PAYLOAD_KEY: {
    read: readPayloadKeys,
    about: "encrypts what Temporal keeps; the same in every process, the newest of several keys first",
    example: "the output of: openssl rand -base64 32",
    isSecret: true,
  },
  SMTP_URL: {
    read: (text: string) => {
      smtpServerFromUrl(text);
      return text;
    },
    about: "the relay that mail goes through",
    example: "smtp://USER:PASSWORD@smtp.example.com:587",
    isSecret: true,
  },
  SMTP_REPLY_TIMEOUT: {
    read: exactMs,
    about: "how long the relay may take to answer after the body; default 10m, with MAILBOX_URL 5s",
    example: "10m",
  },
  MAIL_DOMAIN: {
    ...matching(/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/i, "must be a domain"),
    about: "the right side of Message-IDs; default the host of PUBLIC_URL",
    example: "mail.example.com",
  },
  MAILBOX_URL: {
    ...url(["http:", "https:"]),
    about: "demo and tests: a mailbox that can be asked for a Message-ID",
    example: "http://127.0.0.1:8025",
  },
  EMAIL_ONLY_TO: {
    read: (text: string) => {
      const onlyTo = parseOnlyTo(text);
      if (onlyTo === undefined) throw new Refused("must name somebody");
      return onlyTo;
    },
    about: "staging: who may be written to, or redirect:ADDRESS for who gets everything",
    example: "qa@example.com,@example.org",
  },
  SLACK_BOT_TOKEN: {
    ...matching(/^xox[a-z]-\S+$/, "must be the app's bot token, which begins with xoxb-"),
    about: "posts as the app; without it nothing goes to Slack",
    example: "xoxb-…",
    isSecret: true,
  },
  SLACK_SIGNING_SECRET: {
    ...matching(/^\S{16,}$/, "must be the app's signing secret (32 hexadecimal digits)"),
    about: "what Slack signs its requests with",
    example: "the 32 digits under Basic Information → App Credentials",
    isSecret: true,
  },
  SLACK_APP_TOKEN: {
    ...matching(/^xapp-\S+$/, "must be an app-level token, which begins with xapp-"),
    about: "Socket Mode instead of requests to this server",
    example: "xapp-…",
    isSecret: true,
  },
  SLACK_API_URL: {
    ...url(["http:", "https:"], /\/api\/$/, "must end in /api/"),
    about: "demo and tests: another Slack",
    example: "http://127.0.0.1:3100/api/",
  },
  PUBLIC_URL: {
    ...url(["http:", "https:"]),
    about: "how customers and Slack reach the server; in every unsubscribe link",
    example: "https://waypost.example.com",
  },
  HOST: {
    ...matching(/^[\w.:-]+$/, "must be a host name or address"),
    about: "where the server listens; default 127.0.0.1",
    example: "0.0.0.0",
  },
  PORT: {
    read: (text: string) => whole(text, 0, 65_535),
    about: "where the server listens; default 3000",
    example: "3000",
  },
  WAYPOST_PLAYBOOKS: {
    ...matching(/^[^\0]+$/, "must be a folder"),
    about: "the folder that `publish` and `dev` read; default `playbooks`",
    example: "playbooks",
  },
  WAYPOST_CLOCK: {
    read: readClock,
    about: "demo and tests: domain time that runs faster; the same in every process",
    example: '{"scale":60000,"realOrigin":"2026-01-05T09:00:00Z","domainOrigin":"2026-01-05T09:00:00Z"}',
  },
  WAYPOST_LOG_LEVEL: {
    read: (text: string) => oneOf(text, ["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    about: "default info",
    example: "info",
  },
  WAYPOST_MAX_CACHED_RUNS: {
    read: (text: string) => whole(text, 1, 100_000),
    about: "runs that a worker keeps in memory, some 340 KB each; default 1000",
    example: "1000",
  },
  WAYPOST_POOL_MAX: {
    read: (text: string) => whole(text, 2, 500),
    about: "connections to Postgres of this process; default 10",
    example: "10",
  },
  WAYPOST_TASK_QUEUE: {
    ...matching(/^[\w.-]{1,200}$/, "must be a name of letters, digits, dots, - and _"),
    about: "Temporal's task queue of the installation; default waypost",
    example: "waypost",
  },
  WAYPOST_REQUESTS_PER_SECOND: {
    read: (text: string) => whole(text, 1, 100_000),
    about: "what one API token may ask of one server, sustained; default 100",
    example: "100",
  },
} as const satisfies Readonly<Record<string, Variable<unknown>>>;

export type VariableName = keyof typeof VARIABLES;

/** Every variable that Waypost reads, for documents and tests. */
export const KNOWN_VARIABLES = Object.keys(VARIABLES) as readonly VariableName[];

/** What a process was told, read and checked; a variable that is empty or not there is undefined. */
export type Environment = { readonly [Name in VariableName]?: ReturnType<(typeof VARIABLES)[Name]["read"]> };

/** An environment in which these are there. */
export type EnvironmentWith<Needed extends VariableName> = Environment & {
  readonly [Name in Needed]-?: NonNullable<Environment[Name]>;
};

/** What each process can't do without. */
export const WORKER_NEEDS = ["DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "PUBLIC_URL"] as const;
export const SERVER_NEEDS = ["DATABASE_URL", "TEMPORAL_ADDRESS", "PUBLIC_URL"] as const;

/** One thing wrong with the environment. `message` is a whole sentence without the value of a secret. */
export interface EnvironmentProblem {
  readonly variable: string;
  readonly message: string;
}

/** The process can't start with this environment; the message lists everything that is wrong. Exit code 2. */
export class EnvironmentFault extends Error {
  override readonly name = "EnvironmentFault";
  constructor(readonly problems: readonly EnvironmentProblem[]) {
    super(problems.map(({ message }) => message).join("\n"));
  }
}

/** Reads the variables, all problems at once. An empty text is as good as none. Throws `EnvironmentFault`. */
export function readEnvironment<Needed extends VariableName = never>(
  source: Readonly<Record<string, string | undefined>>,
  needed: readonly Needed[] = [],
): EnvironmentWith<Needed> {
  const problems: EnvironmentProblem[] = [];
  const environment: Record<string, unknown> = {};
  for (const name of KNOWN_VARIABLES) {
    const text = source[name]?.trim() ?? "";
    const variable: Variable<unknown> = VARIABLES[name];
    if (text === "") {
      if (!(needed as readonly string[]).includes(name)) continue;
      problems.push({
        variable: name,
        message: `${name} is not set (${variable.about}). For example: ${name}=${variable.example}`,
      });
      continue;
    }
    try {
      environment[name] = variable.read(text);
    } catch (error) {
      const reason = error instanceof Error ? error.message.replace(new RegExp(`^${name}:? `), "") : "can't be read";
      problems.push({
        variable: name,
        message: `${name} ${asPredicate(reason)}. For example: ${name}=${variable.example}`,
      });
    }
  }
  if (environment.SLACK_APP_TOKEN !== undefined && environment.SLACK_BOT_TOKEN === undefined) {
    problems.push({
      variable: "SLACK_BOT_TOKEN",
      message: `SLACK_BOT_TOKEN is not set, but SLACK_APP_TOKEN is: Socket Mode needs both. For example: SLACK_BOT_TOKEN=${VARIABLES.SLACK_BOT_TOKEN.example}`,
    });
  }
  if (problems.length > 0) throw new EnvironmentFault(problems);
  return environment as EnvironmentWith<Needed>;
}

/** A table of the variables for a help text: name, what it is, an example. */
export function describeVariables(): readonly {
  readonly name: VariableName;
  readonly about: string;
  readonly example: string;
}[] {
  return KNOWN_VARIABLES.map((name) => ({ name, about: VARIABLES[name].about, example: VARIABLES[name].example }));
}

/** A setting as `WAYPOST_CLOCK` has it, for the processes that one starts. */
export function clockVariable({ scale, realOrigin, domainOrigin, ordered, until }: ClockSetting): string {
  return JSON.stringify({
    scale,
    realOrigin: formatInstant(realOrigin),
    domainOrigin: formatInstant(domainOrigin),
    ...(ordered === undefined ? {} : { ordered }),
    ...(until === undefined ? {} : { until: formatInstant(until) }),
  });
}

/** Why a text was refused; the message is ours. */
class Refused extends Error {}

function matching(pattern: RegExp, problem: string): { read: (text: string) => string } {
  return {
    read(text) {
      if (!pattern.test(text)) throw new Refused(problem);
      return text;
    },
  };
}

function url(protocols: readonly string[], path?: RegExp, pathProblem?: string): { read: (text: string) => string } {
  const expected = `must be an address beginning with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`;
  return {
    read(text) {
      let parsed: URL;
      try {
        parsed = new URL(text);
      } catch {
        throw new Refused(expected);
      }
      if (!protocols.includes(parsed.protocol) || parsed.hostname === "") throw new Refused(expected);
      if (path !== undefined && !path.test(parsed.pathname)) throw new Refused(pathProblem);
      return text;
    },
  };
}

function flag(): { read: (text: string) => boolean } {
  return {
    read(text) {
      const word = text.toLowerCase();
      if (["true", "1", "yes"].includes(word)) return true;
      if (["false", "0", "no"].includes(word)) return false;
      throw new Refused("must be true or false");
    },
  };
}

function oneOf<Choice extends string>(text: string, choices: readonly Choice[]): Choice {
  if (!(choices as readonly string[]).includes(text)) throw new Refused(`must be one of ${choices.join(", ")}`);
  return text as Choice;
}

function whole(text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new Refused(`must be a whole number from ${least} to ${most}`);
  return value;
}

/** Real milliseconds of `10m`; days have no exact length, and nothing waits that long. */
function exactMs(text: string): number {
  const duration = parseDuration(text);
  const unit = duration && EXACT_UNIT_MS[duration.unit];
  if (duration === undefined || unit === undefined || duration.amount <= 0)
    throw new Refused("must be a time in s, m or h");
  return duration.amount * unit;
}

const instant = z.union([
  z.int(),
  z.string().transform((text, context) => parseInstant(text) ?? (context.addIssue("not an instant"), z.NEVER)),
]);
const clockSetting = z.strictObject({
  scale: z.number().min(1).max(10_000_000),
  realOrigin: instant,
  domainOrigin: instant,
  ordered: z.boolean().optional(),
  until: instant.optional(),
});

function readClock(text: string): ClockSetting {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Refused("must be JSON");
  }
  const result = clockSetting.safeParse(json);
  if (!result.success)
    throw new Refused("must have scale (1 to 10,000,000), realOrigin and domainOrigin (instants), and nothing else");
  return result.data;
}

/** `must be …` stands behind the name as it is; other sentences behind a colon. */
function asPredicate(reason: string): string {
  return /^must\b/.test(reason) ? reason : `can't be used: ${reason.replace(/\.$/, "")}`;
}
