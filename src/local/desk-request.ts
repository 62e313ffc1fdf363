import type { IncomingMessage } from "node:http";

/** The whole body as text. @throws Error beyond `DESK_BODY_MAX_BYTES` */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > DESK_BODY_MAX_BYTES) throw new Error(`more than ${DESK_BODY_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export const DESK_BODY_MAX_BYTES = 1_000_000;
