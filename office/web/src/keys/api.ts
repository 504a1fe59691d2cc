/** The console's API about API keys. The key itself is shown once, where it is made. */

import { send } from "../state/api.ts";

export type ApiKey = {
  id: number;
  name: string;
  /** For whom it acts. */
  user: string;
  created_at: string;
  /** To the minute; null when it was never shown. */
  last_used_at: string | null;
  /** Null while it is good. */
  revoked_at: string | null;
  /** Who, or `system` for the command line. */
  revoked_by: string | null;
};

export const apiKeys = () => send<{ api_keys: ApiKey[] }>("GET", "/api-keys");
export const revoke = (id: number) => send<null>("DELETE", `/api-keys/${id}`);
