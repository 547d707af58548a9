/**
 * The order in which proxies hear of a change: whoever is to serve more confirms that it does before anybody is told to
 * call there, and whoever is to serve less goes on until nobody's calls are on their way there any more.
 */
import type { Clock } from "../../lib/clock.ts";
import type { DiscoverySession } from "./discovery_session.ts";
import { opensPorts, withDoorsOf } from "./openings.ts";
import { withPlainTextOf } from "./plain_text.ts";
import type { ProxyView } from "../proxy_view.ts";
import { PushRound } from "./push_round.ts";

/**
 * How long proxies go on serving what they are to serve no more when everybody has been told not to call there: what
 * was sent before is on its way.
 */
export const DOORS_KEPT_MS = 2_000;

/** A proxy, and what it is to have in the end. */
export type Target = readonly [session: DiscoverySession, view: ProxyView];

export class MakeBeforeBreak {
  readonly #clock: Clock;
  readonly #offerAll: () => void;
  /** Until it is over, nobody is told where to call: who is to serve more has yet to confirm that it does. */
  readonly #openings: PushRound;
  /** Until it is over, some still call where somebody is to serve no more. */
  readonly #closings: PushRound;
  /** What each proxy was to have when everybody was last told where to call. */
  readonly #told = new WeakMap<DiscoverySession, ProxyView>();
  /** Whoever is to serve less serves what it did, too. */
  #keepsDoors = false;
  #cancelClosing: (() => void) | null = null;

  /** `offerAll` is called when there is something else to offer though nothing has changed. */
  constructor(clock: Clock, offerAll: () => void) {
    this.#clock = clock;
    this.#offerAll = offerAll;
    this.#openings = new PushRound(clock, offerAll);
    this.#closings = new PushRound(clock, () => {
      this.#cancelClosing = this.#clock.after(DOORS_KEPT_MS, () => this.#closeDoors());
    });
  }

  /** Callers have yet to be told of the last change. */
  get isOpening(): boolean {
    return this.#openings.isOn;
  }

  /** What the proxy is to have for now. */
  viewFor([session, view]: Target): ProxyView {
    const { acked } = session;
    if (acked === null) return view;
    if (this.isOpening) {
      const shared = isGateway(session) ? withDoorsOf(view.shared, acked.shared) : acked.shared;
      return { shared, self: withPlainTextOf(acked.self, view.self) };
    }
    return this.#keepsDoors ? withAllOf(acked, [session, view]) : view;
  }

  /** Something has changed. */
  begin(targets: readonly Target[]): void {
    this.#openings.begin(targets.filter(servesMore).map(([session]) => session));
  }

  /** Offers everybody what is to be for now. */
  offer(targets: readonly Target[]): void {
    const closes = !this.isOpening && this.#takesAway(targets);
    if (closes) this.#keepsDoors = true;
    for (const [session] of targets) session.offer();
    if (!closes) return;
    this.#closings.begin(targets.map(([session]) => session).filter(({ isPushing }) => isPushing));
    if (this.#closings.isOn) {
      this.#cancelClosing?.();
      this.#cancelClosing = null;
    } else if (this.#cancelClosing === null) this.#closeDoors();
  }

  /** The proxy has answered its last push, or is gone. */
  onSettled(session: DiscoverySession): void {
    this.#openings.onSettled(session);
    this.#closings.onSettled(session);
  }

  close(): void {
    this.#openings.close();
    this.#closings.close();
    this.#cancelClosing?.();
  }

  /** Whether somebody is to serve less than when everybody was last told where to call. */
  #takesAway(targets: readonly Target[]): boolean {
    let less = false;
    for (const target of targets) {
      const [session, view] = target;
      less ||= withAllOf(this.#told.get(session) ?? view, target) !== view;
      this.#told.set(session, view);
    }
    return less;
  }

  #closeDoors(): void {
    this.#cancelClosing = null;
    this.#keepsDoors = false;
    this.#offerAll();
  }
}

/** At other ports, as a gateway other hosts, or plain text. */
function servesMore([session, { self, shared }]: Target): boolean {
  const { acked } = session;
  if (acked === null) return false;
  return opensPorts(self, acked.self) ||
    isGateway(session) && withDoorsOf(shared, acked.shared) !== acked.shared;
}

/** The view, serving besides what a gateway, or plain text that a workload, takes by another one. */
function withAllOf(other: ProxyView, [session, view]: Target): ProxyView {
  const shared = isGateway(session) ? withDoorsOf(other.shared, view.shared) : view.shared;
  const self = withPlainTextOf(other.self, view.self);
  return shared === view.shared && self === view.self ? view : { shared, self };
}

function isGateway({ hello }: DiscoverySession): boolean {
  return hello.role === "gateway";
}
