import { defineConfig } from "vitest/config";

/** Rooms without a process, a port or a file: their tests need no stack and run first. */
const PURE_ROOMS = ["values", "expression", "customers", "engine", "playbook", "simulation", "naive", "house"];
const pureTests = PURE_ROOMS.map((room) => `test/${room}/**/*.test.ts`);
/** Starts and kills stacks of its own. */
const localTests = ["test/local/**/*.test.ts"];

const limits = { testTimeout: 20_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    // Two cores, real servers: more workers only make the real clocks late.
    maxWorkers: 2,
    projects: [
      { test: { ...limits, name: "pure", include: pureTests, sequence: { groupOrder: 0 } } },
      {
        test: {
          ...limits,
          name: "local",
          include: localTests,
          globalSetup: ["test/support/temporal-cli.ts"],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...limits,
          name: "real",
          include: ["test/**/*.test.ts"],
          exclude: [...pureTests, ...localTests],
          globalSetup: ["test/support/stack.ts"],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
