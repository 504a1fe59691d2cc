/**
 * Seals a credential to the card side's public key before it leaves the page: RFC 9180, base mode, single shot, with
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM, as the card side opens it. The office sees ciphertext.
 */

const KEM = bytes("KEM", [0x00, 0x20]);
const SUITE = bytes("HPKE", [0x00, 0x20, 0x00, 0x01, 0x00, 0x02]);
const VERSION = bytes("HPKE-v1");
/** What is sealed for credentials opens for nothing else. */
const SEALED_FOR = bytes("tonewall-credential-1");
const NONE = new Uint8Array();
const NONCE_BYTES = 12;
const KEY_BYTES = 32;

type Bytes = Uint8Array<ArrayBuffer>;

/** `to`: 64 hexadecimal characters. `ephemeral` is for tests; each sealing has a pair of its own. */
export async function seal(
  to: string,
  gateway: string,
  slot: string,
  secret: string,
  ephemeral?: CryptoKeyPair,
): Promise<string> {
  const pair =
    ephemeral ?? ((await crypto.subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair);
  const recipient = unhex(to);
  const peer = await crypto.subtle.importKey("raw", recipient, "X25519", false, []);
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const agreed = await crypto.subtle.deriveBits({ name: "X25519", public: peer }, pair.privateKey, 256);
  const prk = await extract(KEM, NONE, "eae_prk", new Uint8Array(agreed));
  const shared = await expand(KEM, prk, "shared_secret", join(enc, recipient), KEY_BYTES);
  const { key, nonce } = await schedule(shared);
  const aad = bytes(`${slot}|${gateway}`);
  const plain = bytes(secret);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, key, plain);
  plain.fill(0);
  return hex(join(enc, new Uint8Array(sealed)));
}

/** Section 5.1, mode base. */
async function schedule(shared: Bytes): Promise<{ key: CryptoKey; nonce: Bytes }> {
  const id = await extract(SUITE, NONE, "psk_id_hash", NONE);
  const info = await extract(SUITE, NONE, "info_hash", SEALED_FOR);
  const context = join(new Uint8Array([0]), id, info);
  const secret = await extract(SUITE, shared, "secret", NONE);
  const raw = await expand(SUITE, secret, "key", context, KEY_BYTES);
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
  raw.fill(0);
  return { key, nonce: await expand(SUITE, secret, "base_nonce", context, NONCE_BYTES) };
}

/** `LabeledExtract` of section 4. */
function extract(suite: Bytes, salt: Bytes, label: string, input: Bytes): Promise<Bytes> {
  return hmac(salt, join(VERSION, suite, bytes(label), input));
}

/** `LabeledExpand` of section 4, of no more than one block. */
async function expand(suite: Bytes, prk: Bytes, label: string, info: Bytes, length: number): Promise<Bytes> {
  const size = new Uint8Array([length >> 8, length & 0xff]);
  const block = await hmac(prk, join(size, VERSION, suite, bytes(label), info, new Uint8Array([1])));
  return block.slice(0, length);
}

/** An empty key is one of zeros (RFC 2104), which Web Crypto wants to have. */
async function hmac(key: Bytes, data: Bytes): Promise<Bytes> {
  const raw = key.length === 0 ? new Uint8Array(KEY_BYTES) : key;
  const imported = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

function bytes(text: string, more: number[] = []): Bytes {
  return join(new Uint8Array(new TextEncoder().encode(text)), new Uint8Array(more));
}

function join(...parts: Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const hex = (data: Bytes): string =>
  [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export function unhex(text: string): Bytes {
  const pairs = text.match(/../g) ?? [];
  return new Uint8Array(pairs.map((pair) => Number.parseInt(pair, 16)));
}
