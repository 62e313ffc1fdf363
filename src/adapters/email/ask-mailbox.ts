/** Whether the mailbox at `baseUrl` has ever taken a message with this Message-ID; undefined if it can't be asked now. */
export async function askMailbox(baseUrl: string, messageId: string): Promise<boolean | undefined> {
  const url = `${baseUrl.replace(/\/+$/, "")}/messages/by-id/${encodeURIComponent(messageId)}`;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
      await response.body?.cancel();
      if (response.ok) return true;
      return response.status === 404 ? false : undefined;
    } catch {
      // A process that was stopped for longer than it waits finds its time over when it goes on.
    }
  }
  return undefined;
}

const ASK_TIMEOUT_MS = 3_000;
const ATTEMPTS = 2;
