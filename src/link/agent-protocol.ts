// The three questions that are put to an ssh-agent (draft-miller-ssh-agent, and OpenSSH's PROTOCOL.agent): which keys
// it holds, to sign with one, and whether it is locked. One connection per question, each bounded.

import { generateKeyPairSync, randomBytes, sign as signWith } from "node:crypto";
import { connect } from "node:net";
import { TetherError } from "../util/errors.js";

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const EXTENSION = 27;
const SUCCESS = 6;

// OpenSSH's own limit for a message of an agent.
const MAX_REPLY_BYTES = 256 * 1024;

/** A public key that an agent holds. */
export interface AgentIdentity {
  /** The public key in wire form. */
  readonly blob: Buffer;
  readonly comment: string;
}

/** SSH_AGENT_RSA_SHA2_256 and _512: which hash an RSA signature is to use. 0 for other keys. */
export type SignFlags = 0 | 2 | 4;

/** The keys an agent holds, of whatever type. A locked one of OpenSSH answers with none. */
export async function listIdentities(socket: string, ms: number): Promise<AgentIdentity[]> {
  const reply = await request(socket, Buffer.from([REQUEST_IDENTITIES]), ms);
  const reader = new WireReader(reply, "the agent's list of keys");
  if (reader.byte() !== IDENTITIES_ANSWER) throw new TetherError("agent-failed", "the agent lists no keys");
  const count = reader.word();
  const identities: AgentIdentity[] = [];
  for (let index = 0; index < count; index += 1) {
    identities.push({ blob: reader.string(), comment: reader.string().toString("utf8") });
  }
  return identities;
}

/** Signs `data`. Resolves to the bare signature without its format's name, which is the form ssh2 wants. */
export async function signData(
  socket: string,
  blob: Buffer,
  data: Buffer,
  flags: SignFlags,
  ms: number,
): Promise<Buffer> {
  const body = Buffer.concat([Buffer.from([SIGN_REQUEST]), wire(blob), wire(data), word(flags)]);
  const reader = new WireReader(await request(socket, body, ms), "the agent's signature");
  if (reader.byte() !== SIGN_RESPONSE) throw new TetherError("agent-refused", "the agent refused to sign");
  const signature = new WireReader(reader.string(), "the agent's signature");
  signature.string();
  return signature.string();
}

/**
 * Whether an agent that lists no keys refuses a request that an unlocked agent of OpenSSH 8.9 or later grants:
 * binding this one connection to a session made up on the spot, which changes nothing beyond the connection.
 */
export async function refusesBinding(socket: string, ms: number): Promise<boolean> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const point = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const type = wire(Buffer.from("ssh-ed25519"));
  const sessionId = randomBytes(32);
  const body = Buffer.concat([
    Buffer.from([EXTENSION]),
    wire(Buffer.from("session-bind@openssh.com")),
    wire(Buffer.concat([type, wire(point)])),
    wire(sessionId),
    wire(Buffer.concat([type, wire(signWith(null, sessionId, privateKey))])),
    Buffer.from([0]),
  ]);
  return (await request(socket, body, ms))[0] !== SUCCESS;
}

/** One message to the agent and its answer, both without the length in front. */
function request(socket: string, body: Buffer, ms: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = connect(socket);
    let received = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      stream.destroy();
      settle();
    };
    const fail = (why: string, cause?: unknown): void =>
      finish(() => reject(new TetherError("agent-failed", why, { cause })));
    const timer = setTimeout(() => fail(`no answer within ${ms} ms`), ms);
    stream.on("error", (error) => fail(error.message, error));
    stream.on("close", () => fail("it closed the connection"));
    stream.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4) return;
      const length = received.readUInt32BE(0);
      if (length === 0 || length > MAX_REPLY_BYTES) fail("its answer makes no sense");
      else if (received.length >= 4 + length) {
        finish(() => resolve(received.subarray(4, 4 + length)));
      }
    });
    stream.write(wire(body));
  });
}

/** `uint32 length, bytes`: both an SSH string and an agent's message. */
function wire(bytes: Buffer): Buffer {
  return Buffer.concat([word(bytes.length), bytes]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

class WireReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  word(): number {
    return this.#take(4).readUInt32BE(0);
  }

  string(): Buffer {
    return this.#take(this.word());
  }

  #take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new TetherError("agent-failed", `${this.#what} is cut short`);
    const bytes = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return bytes;
  }
}
