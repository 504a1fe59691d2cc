/** Gateways as the console shows them to an admin: what is given is ciphertext, and none comes back. */

const SEAL_TO = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
const SEALED = /^[0-9a-f]{98,16384}$/;

const credential = (slot, source, more = {}) => ({
  ...{ slot, source, set_at: null, set_by: null, fingerprint: null },
  ...more,
});

export class Gateways {
  /** All bodies that were given, for whoever looks whether a value was among them. */
  given = [];
  gateways = [
    {
      name: "stripe-uk",
      from_office: true,
      credentials: [
        credential("key", "office", {
          set_at: "2026-11-24T09:12:00Z",
          set_by: "Noor Haddad",
          fingerprint: "9c1f40ab",
        }),
        credential("webhook_key", "none"),
      ],
    },
    {
      name: "adyen-eu",
      from_office: false,
      credentials: [credential("key", "file"), credential("webhook_key", "environment")],
    },
  ];

  read(path) {
    if (path === "/gateways/given") return { given: this.given };
    return path === "/gateways" ? { seal_to: SEAL_TO, gateways: this.gateways } : undefined;
  }

  write(path, body) {
    const name = /^\/gateways\/([^/]+)\/credential$/.exec(path)?.[1];
    const gateway = this.gateways.find((one) => one.name === name);
    if (gateway === undefined) return undefined;
    this.given.push(body);
    if (!SEALED.test(body?.sealed)) return { status: 422, code: "bad_field", detail: "Not sealed." };
    if (body.sealed.length < 120) {
      const detail = "The gateway's adapter does not take this credential; see the card side's log.";
      return { status: 409, code: "bad_credential", detail };
    }
    const slot = gateway.credentials.find((one) => one.slot === body.slot);
    const now = new Date().toISOString();
    Object.assign(slot, { source: "office", set_at: now, set_by: "Priya Shah", fingerprint: "4f20c7de" });
    return { status: 200, body: { gateway: name, slot: body.slot } };
  }
}
