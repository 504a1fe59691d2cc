/** API keys as the console lists them to an admin: the good ones first, no key's value among them. */

const key = (id, name, user, more = {}) => ({
  ...{ id, name, user, created_at: "2025-03-04T09:12:00Z" },
  ...{ last_used_at: null, revoked_at: null, revoked_by: null },
  ...more,
});

export class Keys {
  keys = [
    key(1, "crm", "noor@example.com", { last_used_at: "2026-11-26T08:41:00Z" }),
    key(2, "day-end", "priya@example.com"),
    key(3, "check", "noor@example.com", {
      ...{ last_used_at: "2025-06-01T10:00:00Z", revoked_at: "2025-06-02T07:30:00Z", revoked_by: "system" },
    }),
  ];

  read(path) {
    return path === "/api-keys" ? { api_keys: this.keys } : undefined;
  }

  /** None where the path is no key's. */
  revoke(path) {
    const id = /^\/api-keys\/(\d+)$/.exec(path)?.[1];
    if (id === undefined) return undefined;
    const found = this.keys.find((one) => String(one.id) === id && one.revoked_at === null);
    if (found === undefined) return { status: 404, code: "not_found", detail: "There is nothing here." };
    Object.assign(found, { revoked_at: new Date().toISOString(), revoked_by: "priya@example.com" });
    this.keys.sort((one, other) => Number(one.revoked_at !== null) - Number(other.revoked_at !== null));
    return { status: 204, body: null };
  }
}
