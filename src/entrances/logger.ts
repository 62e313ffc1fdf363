import pino from "pino";
import { redact } from "../values/redact.js";

export { redact };

export type Logger = pino.Logger;

/**
 * Lines of JSON on stderr. Addresses of people and tokens never get out: they are replaced in every text of every line, also
 * inside the messages and stacks of errors.
 */
export function createLogger(
  level: string,
  name: string,
  stream: pino.DestinationStream = pino.destination({ fd: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: { name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: errorOf, error: errorOf },
      hooks: {
        streamWrite: redact,
      },
    },
    stream,
  );
}

/** An error with its causes, each a line: stacks only of faults, which are ours to mend. */
function errorOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const causes: string[] = [];
  for (let at = error.cause; at instanceof Error && causes.length < 5; at = at.cause)
    causes.push(`${at.name}: ${at.message}`);
  const code = (error as { code?: unknown }).code;
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(causes.length === 0 ? {} : { causes }),
    stack: error.stack,
  };
}
