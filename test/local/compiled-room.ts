import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/**
 * `src/local` as plain JavaScript, for processes of their own that a test can kill (Node 20 runs no TypeScript). Lies
 * inside the project, so that packages are found. Remove it after the tests.
 */
export function compileRoom(): { folder: string; remove(): void } {
  mkdirSync(".waypost", { recursive: true });
  const base = mkdtempSync(join(process.cwd(), ".waypost", "test-local-"));
  const tsc = ["node_modules/typescript/bin/tsc", "--ignoreConfig", "--outDir", base, "--rootDir", "src"];
  const settings = ["--target", "ES2023", "--module", "NodeNext", "--types", "node", "--skipLibCheck"];
  execFileSync(process.execPath, [...tsc, ...settings, "src/local/stack.ts"], { stdio: "pipe" });
  const folder = join(base, "local");
  for (const name of readdirSync("src/local").filter((each) => each.endsWith(".mjs"))) {
    copyFileSync(join("src/local", name), join(folder, name));
  }
  return { folder, remove: () => rmSync(base, { recursive: true, force: true }) };
}
