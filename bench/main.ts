/** `npm run bench -- [SUITE …] [--json] [--rounds N] [--runs N] [--large] [--profile FOLDER]`: what Waypost costs, beside what it is compared with. */
import { type Figure, machine, medians, printed, resultOf, type SuiteResult } from "./figures.js";
import { withStand } from "./stand.js";
import { enrolMany } from "./suites/enrol.js";
import { history } from "./suites/history.js";
import { memory } from "./suites/memory.js";
import { nine, nineFiles } from "./suites/nine.js";
import { SWEEP_FILES, SWEEP_POSTGRES, sweep } from "./suites/sweep.js";
import { throughput } from "./suites/throughput.js";
import { wake } from "./suites/wake.js";

export interface BenchOptions {
  /** How often each side is measured; the median counts. */
  readonly rounds: number;
  /** Runs of one measurement; each suite has its own default. */
  readonly runs: number | undefined;
  /** The size of the issue instead of the everyday one. */
  readonly isLarge: boolean;
  /** A folder for CPU profiles of the workers, for finding where a figure goes. */
  readonly profile?: string;
  readonly log: (line: string) => void;
}

const SUITES: Readonly<Record<string, (options: BenchOptions) => Promise<SuiteResult>>> = {
  history: (options) => withStand(options, (stand) => history(stand, options)),
  throughput: (options) => withStand(options, (stand) => throughput(stand, options)),
  wake: async (options) => {
    const woken = await withStand(options, (stand) => wake(stand, options));
    return resultOf("wake", [...woken.figures, ...(await mornings(options))]);
  },
  nine: async (options) => resultOf("nine", await mornings(options)),
  sweep: (options) =>
    withStand({ ...options, files: SWEEP_FILES, postgresSettings: SWEEP_POSTGRES }, (stand) => sweep(stand, options)),
  enrol: (options) => withStand(options, (stand) => enrolMany(stand, options)),
  memory: (options) => withStand(options, (stand) => memory(stand, options)),
};

/** Each round is a morning of its own, on servers of its own. */
async function mornings(options: BenchOptions): Promise<readonly Figure[]> {
  const { rounds, runs = 1_000, log } = options;
  const measured: Figure[][] = [];
  for (let round = 1; round <= rounds; round++) {
    const due = await withStand({ ...options, files: nineFiles(runs) }, (stand) => nine(stand, runs));
    log(`morning ${round}: ${due.map(({ value, unit }) => `${value} ${unit}`).join(", ")}`);
    measured.push(due);
  }
  return medians(measured);
}

const USAGE = `Usage: npm run bench -- [SUITE …] [--json] [--rounds N] [--runs N] [--large] [--profile FOLDER]
Suites: ${Object.keys(SUITES).join(", ")}; none named: all of them (nine is the end of wake).`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const named: string[] = [];
  let rounds = 3;
  let runs: number | undefined;
  let isJson = false;
  let isLarge = false;
  let profile: string | undefined;
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    if (word === "--json") isJson = true;
    else if (word === "--large") isLarge = true;
    else if (word === "--profile") {
      profile = args[++index];
      if (profile === undefined) return wrong("--profile needs a folder");
    } else if (word === "--rounds" || word === "--runs") {
      const value = Number(args[++index]);
      if (!Number.isInteger(value) || value < 1) return wrong(`${word} needs a whole number from 1`);
      if (word === "--rounds") rounds = value;
      else runs = value;
    } else if (Object.hasOwn(SUITES, word)) named.push(word);
    else return wrong(`there is no suite or option "${word}"`);
  }
  // Progress goes to stderr: with --json stdout ends with the object.
  const log = (line: string) => console.error(line);
  let isOk = true;
  // `wake` ends with nine o'clock.
  for (const name of named.length === 0 ? Object.keys(SUITES).filter((each) => each !== "nine") : named) {
    log(`${name}: ${machine()}`);
    const result = await (SUITES[name] as (typeof SUITES)[string])({
      rounds,
      runs,
      isLarge,
      log,
      ...(profile === undefined ? {} : { profile }),
    });
    log(`${name}: ${machine()}`);
    isOk &&= result.ok;
    console.log(isJson ? JSON.stringify(result) : printed(result));
  }
  return isOk ? 0 : 1;
}

function wrong(problem: string): number {
  console.error(`${problem}\n${USAGE}`);
  return 2;
}
