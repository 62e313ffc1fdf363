import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import type { History } from "@temporalio/common/lib/proto-utils.js";
import proto from "@temporalio/proto";

const { History: WireForm } = proto.temporal.api.history.v1;

const FOLDER = fileURLToPath(new URL("./", import.meta.url));

/** The release whose engine wrote the histories that are recorded now; a folder each. */
export const RELEASE = "0.1.0";

/** A recorded history: `0.1.0/NAME`, the name with `.2`, `.3` … where a run continued as new. */
export interface RecordedHistory {
  readonly file: string;
  readonly history: History;
}

/** Every history of every release, by name. */
export function recordedHistories(): RecordedHistory[] {
  return readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".pb.gz"))
    .sort()
    .map((file) => ({
      file: file.slice(0, -".pb.gz".length),
      history: WireForm.decode(gunzipSync(readFileSync(`${FOLDER}${file}`))),
    }));
}

/** How many bytes the folder has. */
export function recordedBytes(): number {
  const files = readdirSync(FOLDER, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".gz"));
  return files.reduce((sum, file) => sum + readFileSync(`${FOLDER}${file}`).length, 0);
}

/** Keeps one execution's history in protobuf's wire form, which Temporal itself may never change the meaning of. */
export function keepHistory(name: string, history: History): void {
  writeFileSync(`${FOLDER}${RELEASE}/${name}.pb.gz`, gzipSync(WireForm.encode(history).finish(), { level: 9 }));
}
