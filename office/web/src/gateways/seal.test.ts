import { expect, test } from "vitest";
import { hex, seal, unhex } from "./seal.ts";

/** The public key of the secret of 32 bytes of 1; the card side's own tests open the same text with it. */
const TO = "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209";
const SEALED =
  "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef221dae3a59ba1eb09d683d90301271e9d73bf8bd8c68e5cb28";

/** A private key of X25519 as PKCS #8 (RFC 8410) has it, and its public one. */
async function pair(secret: string, open: string): Promise<CryptoKeyPair> {
  const pkcs8 = unhex(`302e020100300506032b656e04220420${secret}`);
  return {
    privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]),
    publicKey: await crypto.subtle.importKey("raw", unhex(open), "X25519", true, []),
  };
}

test("what is sealed here is what the card side opens", async () => {
  const ephemeral = await pair(
    "03".repeat(32),
    "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22",
  );
  expect(await seal(TO, "stripe-uk", "key", "a secret", ephemeral)).toBe(SEALED);
});

test("each sealing is another text, of the length of its secret and 48 bytes", async () => {
  const [one, other] = [await seal(TO, "a", "key", "1234"), await seal(TO, "a", "key", "1234")];
  expect(one).not.toBe(other);
  expect(one).toMatch(/^[0-9a-f]{104}$/);
  await expect(seal("00".repeat(32), "a", "key", "1234")).rejects.toThrow();
});

test("hexadecimal reads back", () => {
  expect(hex(unhex("00ff10"))).toBe("00ff10");
});
