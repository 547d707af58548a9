/** Joins the mesh with a token, and renews with the certificate alone. The key is made here and never leaves. */
import { certificateInfo } from "../identity/certificate_info.ts";
import { createCsr } from "../identity/csr.ts";
import { decodePrivateKey, encodePrivateKey, generateKeyPair, type KeyPair } from "../identity/key_pair.ts";
import { pinnedRoot, readTrustBundle, TRUST_BUNDLE_CHARACTERS_MAX } from "../identity/trust_bundle.ts";
import { messageOf } from "../lib/message_of.ts";
import type {
  CertificateReply,
  JoinTokenClaims,
  PlatformEnrolRequest,
  RejoinRequest,
  TrustBundleReply,
} from "../model/enrolment.ts";
import type { Clock } from "../lib/clock.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { parseSpiffeId, type SpiffeId } from "../model/spiffe_id.ts";
import type { ControlClient } from "./control_client.ts";
import { ControlPlaneUnreachable } from "./control_plane_unreachable.ts";
import type { Answer } from "./json_call.ts";
import type { SidecarIdentity } from "./identity_state.ts";
import { refusalOf } from "./refusal_of.ts";
import { fetchTrustBundle } from "./trust_bundle_fetch.ts";

const TOO_MANY_REQUESTS = 429;

/** The control plane said no: the same request will never succeed. */
export class EnrolmentRefused extends Error {
  override readonly name = "EnrolmentRefused";

  constructor(readonly code: string, message: string) {
    super(message);
  }
}

/** The certificate that came is not valid yet: as long as one of the two clocks is wrong there is no use in it. */
export class ClocksDiffer extends Error {
  override readonly name = "ClocksDiffer";
  readonly code = "clocks_differ";

  constructor(notBeforeMs: number, nowMs: number) {
    super(
      `The certificate that the control plane issued is not valid before ${
        time(notBeforeMs)
      }, and here it is ` +
        `${time(nowMs)}: the clock of one of the two machines is wrong`,
    );
  }
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

export interface JoinOptions {
  /** The token itself. */
  readonly token: string;
  readonly claims: JoinTokenClaims;
  /** `HOST:PORT`: the token's, or the one that the operator gave instead. */
  readonly controlPlane: string;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** A client that trusts these roots and shows no certificate. */
  client(roots: string, trustDomain: string): ControlClient;
}

/** Throws EnrolmentRefused, ControlPlaneUnreachable, ClocksDiffer. */
export async function join(options: JoinOptions): Promise<SidecarIdentity> {
  const { token, claims, controlPlane, clock } = options;
  const { trustDomain } = parseSpiffeId(claims.sub) as SpiffeId;
  const root = await fetchPinnedRoot(options);
  const client = options.client(root, trustDomain);
  try {
    const keys = await generateKeyPair();
    const answer = await client.post("/v1/enrol", { token, csr: await createCsr(keys) });
    const { chain, roots } = await readCertificateReply(answer, claims.sub, clock);
    const key = await encodePrivateKey(keys.privateKey);
    const { workload, group, sub: spiffeId } = claims;
    return { workload, group, spiffeId, trustDomain, controlPlane, key, chain, roots };
  } finally {
    client.close();
  }
}

export interface PlatformJoinOptions {
  /** The token itself. */
  readonly platformToken: string;
  /** Of this attempt and of those before it: a lost answer can be asked for again. */
  readonly keys: KeyPair;
  /** `HOST:PORT`. */
  readonly controlPlane: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** A client that trusts the roots of the mesh and shows no certificate. */
  readonly client: ControlClient;
}

/**
 * Who the platform's token says; the control plane tells who that is. Throws EnrolmentRefused, ControlPlaneUnreachable,
 * ClocksDiffer.
 */
export async function joinByPlatform(options: PlatformJoinOptions): Promise<SidecarIdentity> {
  const { platformToken, keys, controlPlane, trustDomain, clock, client } = options;
  const request: PlatformEnrolRequest = { platformToken, csr: await createCsr(keys) };
  const { spiffeId, chain, roots, workload, group } = await readCertificateReply(
    await client.post("/v1/enrol", request),
    undefined,
    clock,
  );
  if (workload === undefined || parseSpiffeId(spiffeId)?.trustDomain !== trustDomain) {
    throw new EnrolmentRefused("wrong_identity", `The control plane issued no identity of ${trustDomain}`);
  }
  const key = await encodePrivateKey(keys.privateKey);
  return { workload, group, spiffeId, trustDomain, controlPlane, key, chain, roots };
}

/** The same identity with a new key and certificate. Throws EnrolmentRefused, ControlPlaneUnreachable, ClocksDiffer. */
export async function renew(
  identity: SidecarIdentity,
  client: ControlClient,
  clock: Clock,
): Promise<SidecarIdentity> {
  const keys = await generateKeyPair();
  const path = `/v1/renew?workload=${encodeURIComponent(identity.workload)}`;
  const answer = await client.post(path, { csr: await createCsr(keys) });
  const { chain, roots } = await readCertificateReply(answer, identity.spiffeId, clock);
  return { ...identity, key: await encodePrivateKey(keys.privateKey), chain, roots };
}

/**
 * The same identity with the same key and a new certificate, when the one that it has is expired: the client shows none.
 * Throws EnrolmentRefused, ControlPlaneUnreachable, ClocksDiffer.
 */
export async function rejoin(
  identity: SidecarIdentity,
  client: ControlClient,
  clock: Clock,
): Promise<SidecarIdentity> {
  const csr = await createCsr(await decodePrivateKey(identity.key));
  const request: RejoinRequest = { serial: certificateInfo(identity.chain).serial, csr };
  const answer = await client.post("/v1/rejoin", request);
  const { chain, roots } = await readCertificateReply(answer, identity.spiffeId, clock);
  return { ...identity, chain, roots };
}

/**
 * The root certificate behind the pin. It comes over a connection that nothing vouches for, and need not: only a root
 * whose hash is the token's pin is taken, and everything else is said over a connection that this root vouches for.
 */
async function fetchPinnedRoot(options: JoinOptions): Promise<string> {
  const { controlPlane, claims, clock, wheel } = options;
  let text: string;
  try {
    text = await fetchTrustBundle({ controlPlane, bytesMax: TRUST_BUNDLE_CHARACTERS_MAX, clock, wheel });
  } catch (cause) {
    const reason = messageOf(cause);
    throw new ControlPlaneUnreachable(`The control plane at ${controlPlane} cannot be reached: ${reason}`, {
      cause,
    });
  }
  try {
    const { roots } = JSON.parse(text) as TrustBundleReply;
    return await pinnedRoot(roots, claims.caPin);
  } catch (cause) {
    throw new EnrolmentRefused(
      "pin_mismatch",
      `What answers at ${controlPlane} is not the control plane that made the token: ` +
        `it does not have the root certificate that the token pins (${messageOf(cause)})`,
    );
  }
}

/** `spiffeId` is who must be meant; undefined: whoever the reply says. */
async function readCertificateReply(
  { status, body, retryAfterMs }: Answer,
  spiffeId: string | undefined,
  clock: Clock,
): Promise<CertificateReply> {
  if (status >= 500 || status === TOO_MANY_REQUESTS) {
    throw new ControlPlaneUnreachable(`The control plane answered ${status}: ${refusalOf(body).message}`, {
      retryAfterMs,
    });
  }
  if (status !== 200) {
    const { code, message } = refusalOf(body);
    throw new EnrolmentRefused(code, message);
  }
  const reply = body as CertificateReply;
  const expected = spiffeId ?? reply.spiffeId;
  const info = certificateInfo(reply.chain);
  if (info.spiffeId !== expected) {
    throw new EnrolmentRefused(
      "wrong_identity",
      `The control plane issued another identity than ${expected}`,
    );
  }
  // The CA dates back, for clocks that differ a little. What is not valid now no peer would take.
  if (info.notBeforeMs > clock.now()) throw new ClocksDiffer(info.notBeforeMs, clock.now());
  await readTrustBundle(reply.roots);
  return reply;
}
