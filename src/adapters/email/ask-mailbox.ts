/** Whether the mailbox at `baseUrl` has ever taken a message with this Message-ID; undefined if it can't be asked now. */
export async function askMailbox(baseUrl: string, messageId: string): Promise<boolean | undefined> {
  try {
    const url = `${baseUrl.replace(/\/+$/, "")}/messages/by-id/${encodeURIComponent(messageId)}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    await response.body?.cancel();
    if (response.ok) return true;
    return response.status === 404 ? false : undefined;
  } catch {
    return undefined;
  }
}

const ASK_TIMEOUT_MS = 3_000;
