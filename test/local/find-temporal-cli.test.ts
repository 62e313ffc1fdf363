import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findTemporalCli, type FindTemporalCliOptions } from "../../src/local/find-temporal-cli.js";

let folder: string;
let lines: string[];
let environment: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-cli-test-"));
  lines = [];
  environment = { PATH: join(folder, "bin"), HOME: folder, XDG_CACHE_HOME: join(folder, "cache") };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const cached = () => join(folder, "cache", "waypost", "temporal-v1.5.1", "temporal");
const noDownload = async (): Promise<string> => {
  throw new Error("temporal.download can't be reached (ENOTFOUND). Check the network.");
};
const find = (options: Partial<FindTemporalCliOptions> = {}) =>
  findTemporalCli({ log: (line) => lines.push(line), environment, download: noDownload, ...options });

describe("the places, in order", () => {
  test("TEMPORAL_CLI comes before everything", async () => {
    environment.TEMPORAL_CLI = fakeCli(join(folder, "mine"));
    fakeCli(join(folder, "bin", "temporal"));
    fakeCli(cached());
    expect(await find()).toEqual({ path: join(folder, "mine"), source: "TEMPORAL_CLI" });
    expect(lines).toEqual([]);
  });

  test("then PATH", async () => {
    fakeCli(join(folder, "bin", "temporal"));
    fakeCli(cached());
    expect(await find()).toEqual({ path: join(folder, "bin", "temporal"), source: "PATH" });
  });

  test("then the cache below XDG_CACHE_HOME", async () => {
    fakeCli(cached());
    expect(await find()).toEqual({ path: cached(), source: "cache" });
  });

  test("or below ~/.cache", async () => {
    delete environment.XDG_CACHE_HOME;
    const inHome = fakeCli(join(folder, ".cache", "waypost", "temporal-v1.5.1", "temporal"));
    expect(await find()).toEqual({ path: inHome, source: "cache" });
  });

  test("then the SDK's download, which goes to the cache", async () => {
    const download = async (to: string) => fakeCli(join(to, "temporal-v1.5.1"));
    expect(await find({ download })).toEqual({ path: cached(), source: "SDK download" });
    expect(existsSync(cached())).toBe(true);
    expect(readdirSync(dirname(dirname(cached())), { recursive: true })).toEqual([
      "temporal-v1.5.1",
      join("temporal-v1.5.1", "temporal"),
    ]);
  });

  test("then go install, which goes to the cache", async () => {
    const body = `[ "$1 $2" = "install github.com/temporalio/cli/cmd/temporal@v1.5.1" ] || exit 9
printf '#!/bin/sh\\necho temporal version 1.5.1\\n' > "$GOBIN/temporal"; PATH=/bin:/usr/bin; chmod +x "$GOBIN/temporal"`;
    script(join(folder, "bin", "go"), body);
    expect(await find()).toEqual({ path: cached(), source: "go install" });
    expect(lines).toEqual([
      "Downloading the Temporal CLI v1.5.1 from temporal.download (once, about 50 MB)",
      "Temporal CLI not taken from SDK download: temporal.download can't be reached (ENOTFOUND). Check the network.",
      "Building the Temporal CLI v1.5.1 with go install (once, about 2.5 minutes)",
      `Built the Temporal CLI in 0 s; kept in ${cached()}`,
    ]);
    expect(readdirSync(dirname(cached()))).toEqual(["temporal"]);
  });
});

describe("a place that fails is told in one line, and the next is tried", () => {
  test("TEMPORAL_CLI that does not exist", async () => {
    environment.TEMPORAL_CLI = join(folder, "nowhere");
    fakeCli(cached());
    expect((await find()).source).toBe("cache");
    expect(lines).toEqual([
      `Temporal CLI not taken from TEMPORAL_CLI: ${folder}/nowhere does not exist. Correct TEMPORAL_CLI or unset it.`,
    ]);
  });

  test("a temporal on PATH that is something else", async () => {
    script(join(folder, "bin", "temporal"), "echo temporal logic calculator 3");
    fakeCli(cached());
    expect((await find()).source).toBe("cache");
    expect(lines).toEqual([
      `Temporal CLI not taken from PATH: ${folder}/bin/temporal is no Temporal CLI that works (temporal logic calculator 3). Update it (brew upgrade temporal) or take it off PATH.`,
    ]);
  });

  test("a cache that is broken", async () => {
    script(cached(), "echo cannot execute >&2; exit 126");
    const download = async (to: string) => fakeCli(join(to, "temporal-v1.5.1"));
    expect((await find({ download })).source).toBe("SDK download");
    expect(lines[0]).toBe(
      `Temporal CLI not taken from cache: ${cached()} is no Temporal CLI that works (cannot execute). Delete ${cached()}; it will be fetched again.`,
    );
  });

  test("a build that fails, and then there is none", async () => {
    script(
      join(folder, "bin", "go"),
      "echo 'go: downloading x' >&2; echo 'dial tcp: lookup proxy.golang.org: no such host' >&2; exit 1",
    );
    await expect(find()).rejects.toThrow(
      "go install: it failed (dial tcp: lookup proxy.golang.org: no such host). Try: GOBIN=DIR go install github.com/temporalio/cli/cmd/temporal@v1.5.1, then TEMPORAL_CLI=DIR/temporal.",
    );
    expect(readdirSync(dirname(cached()))).toEqual([]);
  });

  test("nothing anywhere: every reason, and what helps", async () => {
    await expect(find()).rejects.toThrow(
      "No Temporal CLI. SDK download: temporal.download can't be reached (ENOTFOUND). Check the network. go install: Go is not installed (no go on PATH). Install Go 1.24 or later from https://go.dev/dl, or set TEMPORAL_CLI. Any one of these helps: TEMPORAL_ADDRESS=host:port of a running server; TEMPORAL_CLI=path of the temporal command; the command on PATH.",
    );
  });
});

test("giving up in the middle of a build ends it and leaves nothing in the cache", async () => {
  script(join(folder, "bin", "go"), "exec /bin/sleep 60");
  const controller = new AbortController();
  const log = (line: string) => {
    if (line.startsWith("Building")) setTimeout(() => controller.abort(new Error("stopped by SIGINT")), 100);
  };
  await expect(find({ signal: controller.signal, log })).rejects.toThrow("stopped by SIGINT");
  expect(readdirSync(dirname(cached()))).toEqual([]);
});

function fakeCli(path: string): string {
  return script(path, "echo temporal version 1.5.1 '(Server 1.29.1, UI 2.42.1)'");
}

function script(path: string, body: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}
