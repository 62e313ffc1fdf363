import { expect, test } from "vitest";
import { createLogger, redact } from "../../src/entrances/logger.js";

test.each([
  ["mail to pat.roe+x@acme.co.uk failed", "mail to …@acme.co.uk failed"],
  ["Bearer wp_abcdefghijklmnopqrstuvwxyz", "Bearer wp_abcdefgh…"],
  ["xoxb-123-abc and xapp-1-def", "x… and x…"],
  ["postgres://waypost:hunter2@db:5432/waypost", "postgres://waypost:…@db:5432/waypost"],
  ["smtp://me:p%40ss@smtp.example.com", "smtp://me:…@smtp.example.com"],
  ["nothing to hide at 12:30", "nothing to hide at 12:30"],
])("%s", (text, expected) => {
  expect(redact(text)).toBe(expected);
});

test("it holds for every field, and for the causes of errors", () => {
  const lines: string[] = [];
  const logger = createLogger("info", "test", { write: (line: string) => void lines.push(line) });
  const error = new Error("to a@x.example", { cause: new Error("550 b@y.example unknown") });
  logger.error({ err: error, to: "c@z.example" }, "d@q.example");
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/[abcd]@/);
  expect(lines[0]).toContain("550 …@y.example unknown");
});
