import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";

test("the app manifest asks for what the code uses, and nothing else", () => {
  const manifest = parse(readFileSync(new URL("../../../slack-manifest.yaml", import.meta.url), "utf8"));
  expect(manifest.features.app_home).toEqual({
    home_tab_enabled: true,
    messages_tab_enabled: true,
    messages_tab_read_only_enabled: false,
  });
  expect(manifest.features.slash_commands.map((one: { command: string }) => one.command)).toEqual(["/waypost"]);
  expect(manifest.settings.event_subscriptions.bot_events).toEqual(["app_home_opened"]);
  expect(manifest.settings.interactivity.is_enabled).toBe(true);
  expect(manifest.oauth_config.scopes.bot).toEqual([
    "chat:write",
    "chat:write.public",
    "im:write",
    "im:history",
    "channels:history",
    "groups:history",
    "channels:read",
    "groups:read",
    "users:read",
    "users:read.email",
    "commands",
  ]);
  const addresses = [
    manifest.settings.event_subscriptions.request_url,
    manifest.settings.interactivity.request_url,
    manifest.features.slash_commands[0].url,
  ];
  expect(new Set(addresses)).toEqual(new Set(["https://waypost.example.com/slack/events"]));
});
