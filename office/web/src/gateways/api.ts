/** The console's API about gateways and their credentials. */

import { send } from "../state/api.ts";

export type Credential = {
  slot: "key" | "webhook_key";
  source: "file" | "environment" | "office" | "none";
  set_at: string | null;
  set_by: string | null;
  fingerprint: string | null;
};

export type Gateway = { name: string; from_office: boolean; credentials: Credential[] };

/** `seal_to`: the card side's public key; null where nothing there could open what is sealed. */
export type Gateways = { seal_to: string | null; gateways: Gateway[] };

export const gateways = () => send<Gateways>("GET", "/gateways");
export const give = (gateway: string, slot: string, sealed: string, key: string) =>
  send<{ gateway: string; slot: string }>(
    "POST",
    `/gateways/${encodeURIComponent(gateway)}/credential`,
    { slot, sealed },
    key,
  );
